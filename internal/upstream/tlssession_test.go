package upstream

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"lastgood/internal/iterator"
)

// A session does not stand in for a certificate: who cannot resume it has to prove
// who it is, whatever went before, and after a handshake that failed the session is
// not resumed with anybody.
func TestSessionAndIdentity(t *testing.T) {
	for name, change := range map[string]struct {
		cert func(ca *issuer) *tls.Certificate
		want string
	}{
		"name":     {func(ca *issuer) *tls.Certificate { return ca.issue(9*time.Hour, "a.example") }, "certificate is for a.example, not dns.example"},
		"expired":  {func(ca *issuer) *tls.Certificate { return ca.issue(time.Minute, tlsName) }, "certificate expired on 1999-12-31"},
		"stranger": {func(ca *issuer) *tls.Certificate { return newIssuer(ca, "Strange CA").issue(9*time.Hour, tlsName) }, "certificate is signed by nobody who is trusted here: Strange CA"},
	} {
		t.Run(name, func(t *testing.T) {
			overTLS(t, nil, answer, func(s *secure) {
				server := func(cert *tls.Certificate, key byte) *tls.Config {
					c := &tls.Config{NextProtos: []string{"dot"}, Certificates: []tls.Certificate{*cert}}
					c.SetSessionTicketKeys([][32]byte{{key}})
					return c
				}
				real, other := server(s.cert.Load(), 1), server(change.cert(s.ca), 2)
				var now atomic.Pointer[tls.Config]
				l, err := s.server.Listen(downAddr)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						go s.talk(&side{Conn: tls.Server(c, now.Load())}, answer)
					}
				}()
				ask := func(conf *tls.Config) (iterator.Reply, error) {
					now.Store(conf)
					q := s.question(0)
					q.Server = downAddr
					r, err := s.exchange(time.Second, q)
					time.Sleep(tlsIdle + time.Second)
					return r, err
				}
				for n, want := range []uint64{0, 1} {
					if _, err := ask(real); err != nil || s.u.Stats().TLSResumed != want {
						t.Fatalf("connection %d: %v, %+v", n, err, s.u.Stats())
					}
				}
				_, err = ask(other)
				wantText(t, err, change.want)
				if _, err := ask(real); err != nil || s.u.Stats().TLSResumed != 1 {
					t.Errorf("the session outlived a handshake that failed: %v, %+v", err, s.u.Stats())
				}
			})
		})
	}
}
