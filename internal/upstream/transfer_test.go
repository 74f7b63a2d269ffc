package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// request is one for the transfer of the root zone.
func request(dst []byte, id uint16) []byte {
	var b wire.Builder
	b.Reset(dst, wire.MaxMessage, wire.Header{ID: id})
	b.Question(dnsname.Root, wire.TypeAXFR, wire.ClassIN)
	return b.Bytes()
}

// fetch asks for a transfer that has so many messages, and counts them.
func (e *env) fetch(t Transfer, messages int) (got int, err error) {
	if t.Server == (netip.AddrPort{}) {
		t.Server = serverAddr
	}
	if t.MaxBytes == 0 {
		t.MaxBytes = 1 << 20
	}
	t.Request = request
	t.Take = func(v wire.View) (bool, error) {
		got++
		if v.Rcode() != wire.RcodeNoError {
			return false, errors.New(v.Rcode().String())
		}
		return got == messages, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = e.u.Transfer(ctx, t)
	return got, err
}

func TestTransfer(t *testing.T) {
	three := func(q seen) [][]byte {
		return [][]byte{reply{}.to(q), reply{size: 40_000}.to(q), reply{}.to(q), reply{}.to(q)}
	}
	inBubble(t, nil, three, func(e *env) {
		if got, err := e.fetch(Transfer{}, 3); got != 3 || err != nil {
			t.Errorf("%d messages, %v", got, err)
		}
		if q, _ := e.questions()[0].view.Question(); q.Type != wire.TypeAXFR || len(q.Name) != 1 {
			t.Errorf("asked for %v", q)
		}
		if _, known := e.infra.Server(e.clock.Now(), serverAddr); known {
			t.Error("infra was told of a transfer")
		}
		if _, err := e.fetch(Transfer{MaxBytes: 40_000}, 3); err == nil || !strings.Contains(err.Error(), "more than 40000 octets") {
			t.Errorf("too many octets: %v", err)
		}
	})
}

// TestTransferHostile lets servers do what they must not; each attempt ends, soon,
// and leaves no socket behind (inBubble sees to that).
func TestTransferHostile(t *testing.T) {
	for _, test := range []struct {
		name, want string
		within     time.Duration
		h          handler
	}{
		{"silence", "no progress", 11 * time.Second, func(seen) [][]byte { return nil }},
		{"hangs up", "EOF", time.Second, func(q seen) [][]byte { return [][]byte{reply{}.to(q), nil} }},
		{"stops", "no progress", 11 * time.Second, func(q seen) [][]byte { return [][]byte{reply{}.to(q)} }},
		{"another id", "another query", time.Second, func(q seen) [][]byte { return [][]byte{reply{id: 1}.to(q)} }},
		{"no message", "malformed", time.Second, func(q seen) [][]byte { return [][]byte{{1, 2, 3}} }},
		{"refuses", "REFUSED", time.Second, func(q seen) [][]byte { return [][]byte{reply{rcode: wire.RcodeRefused}.to(q)} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, nil, test.h, func(e *env) {
				began := time.Now()
				_, err := e.fetch(Transfer{}, 1000)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				if took := time.Since(began); took > test.within {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestTransferEndless: who sends for ever, a message now and then, is given up
// when the caller has no more time.
func TestTransferEndless(t *testing.T) {
	inBubble(t, nil, nil, func(e *env) {
		l, err := e.server.Listen(serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int32
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			v, _ := e.next(c)
			for m := (reply{}).to(seen{view: v}); ; sent.Add(1) {
				if _, err := c.Write(append([]byte{byte(len(m) >> 8), byte(len(m))}, m...)); err != nil {
					return
				}
				time.Sleep(9 * time.Second)
			}
		}()
		began := time.Now()
		if _, err := e.fetch(Transfer{}, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute || sent.Load() < 6 {
			t.Errorf("took %v, %d messages", took, sent.Load())
		}
		time.Sleep(30 * time.Second) // until the server notices
	})
}

func TestTransferForbidden(t *testing.T) {
	change := func(o *Options) { o.DoNotQuery = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }
	inBubble(t, change, nil, func(e *env) {
		if _, err := e.fetch(Transfer{}, 1); err == nil || !strings.Contains(err.Error(), "do-not-query") {
			t.Error(err)
		}
	})
}

func TestTransferClosed(t *testing.T) {
	inBubble(t, nil, func(seen) [][]byte { return nil }, func(e *env) {
		ended := make(chan error)
		go func() {
			_, err := e.fetch(Transfer{}, 1)
			ended <- err
		}()
		time.Sleep(time.Second)
		e.u.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestTransferOverTLS(t *testing.T) {
	answered := func(s *side, q seen) { s.send(reply{}.to(q), reply{}.to(q)) }
	overTLS(t, nil, answered, func(s *secure) {
		if got, err := s.fetch(Transfer{Server: tlsAddr, TLS: tlsName, Zone: dnsname.Root}, 2); got != 2 || err != nil {
			t.Errorf("%d messages, %v", got, err)
		}
		if _, err := s.fetch(Transfer{Server: tlsAddr, TLS: "someone.example", Zone: dnsname.Root}, 2); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("another's certificate: %v", err)
		}
	})
}

// TestTransferOverTLSClosed: the end comes to a transfer that hangs from another
// goroutine, whatever became of the connection; the race detector watches.
func TestTransferOverTLSClosed(t *testing.T) {
	overTLS(t, nil, func(*side, seen) {}, func(s *secure) {
		ended := make(chan error)
		go func() {
			_, err := s.fetch(Transfer{Server: tlsAddr, TLS: tlsName, Zone: dnsname.Root}, 1)
			ended <- err
		}()
		time.Sleep(time.Second)
		s.u.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
