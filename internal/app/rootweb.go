package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rootzone"
)

// Bounds of a fetch over HTTPS.
const (
	maxRedirects   = 3
	maxHeader      = 64 << 10
	headerPatience = 15 * time.Second
)

// dialer opens a TCP connection to a host's name, or address, and port.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// httpsSource is a zone file at a URL.
type httpsSource struct {
	url    string
	client *http.Client

	// What the server said of the zone that it gave last, to ask for a newer one only.
	tag, modified string
	serial        uint32
}

// newHTTPSSource makes one. Certificates are verified by roots (nil: the system's)
// as of the time of day that wall tells. It is for one goroutine.
func newHTTPSSource(url string, dial dialer, roots *x509.CertPool, wall func() time.Time) *httpsSource {
	return &httpsSource{url: url, client: &http.Client{
		Transport: &http.Transport{ // no proxy: what the environment says is not for a resolver
			DialContext: dial, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
			TLSClientConfig:     &tls.Config{RootCAs: roots, Time: wall, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: headerPatience, ResponseHeaderTimeout: headerPatience, MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return fmt.Errorf("more than %d redirects", maxRedirects)
			case req.URL.Scheme != "https":
				return errors.New("it redirects to what is not https")
			}
			return nil
		},
	}}
}

func (s *httpsSource) String() string { return s.url }

func (s *httpsSource) fetch(ctx context.Context, have *rootzone.Data, judge func(uint32) error) (*rootzone.Data, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "lastgood")
	if have != nil && have.Serial() == s.serial {
		if s.tag != "" {
			req.Header.Set("If-None-Match", s.tag)
		} else if s.modified != "" {
			req.Header.Set("If-Modified-Since", s.modified)
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, because(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && have != nil:
		return nil, rootzone.ErrSame
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answered %s", strconv.Quote(resp.Status))
	case resp.ContentLength > maxText:
		return nil, errText
	}
	data, err := readZone(ctx, s.url, resp.Body, judge)
	if err == nil {
		s.tag, s.modified, s.serial = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified"), data.Serial()
	}
	return data, err
}

// because is why ctx ended, if that is what an error comes from.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// dialName connects to a host that is looked up by ourselves: the system's resolver
// may be us, and may be another that is to be done without.
func (a *App) dialName(ctx context.Context, _, address string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := a.hostAddresses(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs[:min(len(addrs), maxAddresses)] {
		var conn net.Conn
		if conn, err = a.dialTCP(ctx, netip.AddrPortFrom(addr, uint16(port))); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func (a *App) hostAddresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	name, err := dnsname.Parse(host)
	if err != nil {
		return nil, err
	}
	return a.lookup(ctx, name)
}

// dialTCP opens a connection on the network that name servers are asked over.
func (a *App) dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if a.o.Upstream != nil {
		return a.o.Upstream.DialTCP(ctx, to)
	}
	return (&net.Dialer{Timeout: headerPatience}).DialContext(ctx, "tcp", to.String())
}
