package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes one for a name, signed by itself.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// echo is a server that says everything back.
func echo(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l
}

// What goes in comes out, a round trip late; without a server the connection ends.
func TestFront(t *testing.T) {
	const latency = 60 * time.Millisecond
	cert, roots := certificate(t, "dns.example")
	server := echo(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := New(Config{
		Listener: l, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Latency: latency,
		Dial: func() (net.Conn, error) { return net.Dial("tcp", server.Addr().String()) },
	})
	f.Run()
	defer f.Close()
	conf := &tls.Config{RootCAs: roots, ServerName: "dns.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for n := range 2 {
		c, err := tls.Dial("tcp", l.Addr().String(), conf)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			start := time.Now()
			if _, err := c.Write([]byte("question")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 8)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "question" {
				t.Fatalf("%q, %v", got, err)
			}
			if took := time.Since(start); took < latency {
				t.Errorf("a round trip took %v", took)
			}
		}
		c.Close()
		if s := f.Stats(); s.Connections != int64(n+1) || s.Resumed != int64(n) {
			t.Errorf("%+v", s)
		}
	}
	server.Close()
	c, err := tls.Dial("tcp", l.Addr().String(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("something came from no server")
	}
	if s := f.Stats(); s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}
