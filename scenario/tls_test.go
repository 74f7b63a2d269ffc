package scenario

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// caFile, in $STATE, has the issuers of all certificates.
const caFile = "ca.pem"

// identity is what a server shows over TLS: a certificate, by an issuer of its own.
type identity struct {
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey // of the issuer, and of its certificates
	shown  atomic.Pointer[tls.Certificate]
}

// doTLS lets a server answer over TLS with a certificate, or shows another one.
func (w *world) doTLS(st *step) error {
	if len(st.words) < 2 {
		return errors.New("want: tls SERVER NAME[,NAME…] [expired]")
	}
	o, err := optionsOf(st.words[2:], "expired")
	if err != nil {
		return err
	}
	s, err := w.named(st.words[0])
	if err != nil {
		return err
	}
	if s.tls == nil {
		if w.app != nil {
			return errors.New("the first certificate has to be there before the app starts, for it reads its issuer")
		}
		if s.tls, err = newIdentity(s.name, filepath.Join(w.state, caFile)); err != nil {
			return err
		}
	}
	return s.tls.show(strings.Split(st.words[1], ","), o.has("expired"))
}

// newIdentity makes an issuer and appends it to a file.
func newIdentity(name, file string) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := &identity{key: key}
	id.issuer = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer of " + name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(maxWait),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, id.issuer, id.issuer, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return id, errors.Join(pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: der}), f.Close())
}

// show makes the certificate that the server shows from now on.
func (id *identity) show(names []string, expired bool) error {
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(maxWait)}
	if expired {
		c.NotAfter = now.Add(-time.Minute)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, id.issuer, &id.key.PublicKey, id.key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	id.shown.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.key})
	return nil
}

// config is for the server.
func (id *identity) config() *tls.Config {
	return &tls.Config{
		NextProtos:     []string{"dot"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.shown.Load(), nil },
	}
}
