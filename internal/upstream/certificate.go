package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"
)

// distrust is why a server is not spoken to: who was reached did not prove to be
// it, or spoke no TLS that we do. Nothing was asked, and nothing will be in the
// clear instead (RFC 8310 §5, strict privacy).
type distrust struct {
	text string
	err  error
}

// Error gives the short text: it goes to clients.
func (d *distrust) Error() string { return d.text }

// Unwrap gives what package tls said.
func (d *distrust) Unwrap() error { return d.err }

const (
	maxNames = 2  // of a certificate that are told
	maxWord  = 48 // octets of what a certificate or a peer says
)

// distrusted makes prose of the error of a handshake. What a certificate says is
// the peer's word: it is cut and cleaned.
func distrusted(err error, now time.Time) *distrust {
	var (
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		header  tls.RecordHeaderError
		alert   *net.OpError
	)
	text := "TLS failed: " + clean(err.Error())
	switch {
	case errors.As(err, &host) && host.Certificate != nil:
		text = "certificate is for " + namesOf(host.Certificate) + ", not " + clean(host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if now.Before(invalid.Cert.NotBefore) {
			text = "certificate is not valid before " + day(invalid.Cert.NotBefore)
		} else {
			text = "certificate expired on " + day(invalid.Cert.NotAfter)
		}
	case errors.As(err, &unknown):
		text = "certificate is signed by nobody who is trusted here"
		if unknown.Cert != nil && unknown.Cert.Issuer.CommonName != "" {
			text += ": " + clean(unknown.Cert.Issuer.CommonName)
		}
	case errors.As(err, &header):
		text = "no TLS is spoken there"
	case errors.As(err, &alert) && alert.Op == remoteAlert:
		text = "refused TLS: " + clean(strings.TrimPrefix(alert.Err.Error(), "tls: "))
	}
	return &distrust{text, err}
}

// What package tls calls the alerts of the other side and our own: they come as
// errors of the network, which they are not.
const (
	remoteAlert = "remote error"
	localAlert  = "local error"
)

func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == remoteAlert || op.Op == localAlert)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// namesOf gives the names that a certificate is for, the first of them.
func namesOf(c *x509.Certificate) string {
	names := make([]string, 0, maxNames+1)
	for _, n := range c.DNSNames {
		if names = append(names, n); len(names) > maxNames {
			break
		}
	}
	for _, a := range c.IPAddresses {
		if len(names) > maxNames {
			break
		}
		names = append(names, a.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	more := ""
	if len(names) > maxNames {
		names, more = names[:maxNames], " and others"
	}
	for i := range names {
		names[i] = clean(names[i])
	}
	return strings.Join(names, ", ") + more
}

// clean makes a short text of printable ASCII.
func clean(s string) string {
	s = s[:min(len(s), 4*maxWord)] // no more work than that
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxWord {
		s = s[:maxWord] + "..."
	}
	return s
}
