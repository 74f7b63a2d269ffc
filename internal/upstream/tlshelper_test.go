package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/iterator"
)

var tlsAddr = netip.MustParseAddrPort("192.0.2.1:853")

const tlsName = "dns.example"

// issuer signs certificates.
type issuer struct {
	testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newIssuer makes one whose certificates hold about now, as the bubble has it.
func newIssuer(t testing.TB, name string) *issuer {
	now := time.Now()
	ca := &issuer{TB: t, key: newKey(t), pool: x509.NewCertPool()}
	ca.cert = ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
	}, ca.key)
	ca.pool.AddCert(ca.cert)
	return ca
}

func (ca *issuer) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	c.SerialNumber = big.NewInt(1)
	parent := ca.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, ca.key)
	if err != nil {
		ca.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		ca.Fatal(err)
	}
	return signed
}

// issue makes a certificate for names that holds from one hour ago for so long.
func (ca *issuer) issue(holds time.Duration, names ...string) *tls.Certificate {
	key, from := newKey(ca), time.Now().Add(-time.Hour)
	c := &x509.Certificate{DNSNames: names, NotBefore: from, NotAfter: from.Add(holds)}
	return &tls.Certificate{Certificate: [][]byte{ca.sign(c, key).Raw}, PrivateKey: key}
}

// netipPort is the address with another port.
func netipPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// side is the server's end of a connection.
type side struct {
	*tls.Conn
	n     int // counts connections, from 1
	asked int // questions so far
}

func (s *side) send(msgs ...[]byte) {
	for _, m := range msgs {
		_, _ = s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
	}
}

// secure is an env with a server over TLS.
type secure struct {
	*env
	ca    *issuer
	cert  atomic.Pointer[tls.Certificate]
	hello []*tls.ClientHelloInfo // guarded by env.mu
}

// overTLS runs a test in virtual time against a server over TLS, and none in the
// clear. h gets each question, in the connection's own goroutine.
func overTLS(t *testing.T, change func(*Options), h func(s *side, q seen), test func(s *secure)) {
	t.Helper()
	s := new(secure)
	inBubble(t, func(o *Options) {
		s.ca = newIssuer(t, "Example CA")
		s.cert.Store(s.ca.issue(500*time.Hour, tlsName, "other.example"))
		o.TLSRoots = map[dnsname.Name]*x509.CertPool{dnsname.Root: s.ca.pool}
		if change != nil {
			change(o)
		}
	}, answers(reply{}, reply{}), func(e *env) {
		s.env = e
		s.serve(h)
		test(s)
		if left := e.transports(); left != "" {
			t.Errorf("asked in the clear: %q", left)
		}
	})
}

func (s *secure) serve(h func(*side, seen)) {
	l, err := s.server.Listen(tlsAddr)
	if err != nil {
		s.Fatal(err)
	}
	conf := &tls.Config{NextProtos: []string{"dot"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hello = append(s.hello, hello)
		return s.cert.Load(), nil
	}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			n := s.conns
			s.mu.Unlock()
			go s.talk(&side{Conn: tls.Server(c, conf), n: n}, h)
		}
	}()
}

func (s *secure) talk(c *side, h func(*side, seen)) {
	defer c.Close()
	for {
		v, ok := s.next(c)
		if !ok {
			return
		}
		c.asked++
		h(c, seen{tcp: true, view: v})
	}
}

func (s *secure) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *secure) question(n int) iterator.Query {
	q := iterator.Query{Server: tlsAddr, Zone: dnsname.Root, TLS: tlsName, RD: true}
	if n > 0 {
		q.Name = dnsname.MustParse("n" + string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + string(rune('a'+n/676)) + ".example")
	}
	return q
}

// answer is a handler that answers.
func answer(s *side, q seen) { s.send(reply{}.to(q)) }

// fine asks and wants the answer.
func (s *secure) fine() iterator.Reply {
	s.Helper()
	r, err := s.exchange(5*time.Second, s.question(0))
	if err != nil {
		s.Fatalf("no reply: %v", err)
	}
	s.wantAnswer(r)
	return r
}

var _ net.Conn = (*side)(nil)
