package upstream

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// What is said over TLS: the name that is wanted, the protocol, padded questions
// that want to know how long the connection is kept, and no cookie. The round trip
// is learnt without the handshake.
func TestOverTLS(t *testing.T) {
	overTLS(t, nil, func(s *side, q seen) {
		e, _ := q.view.EDNS()
		if keep, ok := e.Option(wire.OptionKeepalive); !ok || len(keep) != 0 {
			t.Errorf("keepalive %x, %v", keep, ok)
		}
		if _, ok := e.Option(wire.OptionCookie); ok || len(q.view.Bytes())%128 != 0 || !q.view.RD() {
			t.Errorf("cookie %v, %d octets, RD %v", ok, len(q.view.Bytes()), q.view.RD())
		}
		if state := s.ConnectionState(); state.NegotiatedProtocol != "dot" || state.ServerName != tlsName || state.Version < tls.VersionTLS12 {
			t.Errorf("%+v", state)
		}
		answer(s, q)
	}, func(s *secure) {
		start := s.clock.Now()
		for n, want := range []time.Duration{3 * rtt, rtt, rtt} {
			at := s.clock.Now()
			r := s.fine()
			if took := s.clock.Now().Sub(at); took != want || r.Transport != event.TLS || r.RTT != rtt {
				t.Errorf("question %d took %v, over %v, %v", n, took, r.Transport, r.RTT)
			}
		}
		info, _ := s.infra.Server(s.clock.Now(), tlsAddr)
		st := s.u.Stats()
		if st.TLSOpened != 1 || st.TLSReused != 2 || st.SentTLS != 3 || st.Sockets != 1 || info.SRTT != rtt || info.Unanswered != 0 {
			t.Errorf("%+v, %+v", st, info)
		}
		if s.clock.Now().Sub(start) != 5*rtt {
			t.Error("time")
		}
	})
}

// Questions of all lengths are padded to the same few.
func TestPadding(t *testing.T) {
	for length := 12 + 5 + optLen; length < 12+255+4+optLen; length++ {
		options := wire.AppendOption(nil, wire.OptionKeepalive, nil)
		if n := length + len(pad(options, length)); n%padTo != 0 || n-length-len(options) >= padTo+4 {
			t.Errorf("%d octets became %d", length, n)
		}
	}
}

// Many questions share one connection and their replies come in any order; ids
// are unlike though chance would have them equal.
func TestPipelining(t *testing.T) {
	const questions = 100
	var mu sync.Mutex
	var held []seen
	overTLS(t, func(o *Options) {
		o.Random = func(b []byte) { clear(b) }
		o.CaseRandomisation = false
	}, func(s *side, q seen) {
		mu.Lock()
		defer mu.Unlock()
		if held = append(held, q); len(held) < questions {
			return
		}
		ids := map[uint16]bool{}
		for i := range held {
			q := held[len(held)-1-i]
			ids[q.view.ID()] = true
			s.send(reply{}.to(q))
		}
		if len(ids) != questions {
			t.Errorf("%d ids of %d questions", len(ids), questions)
		}
	}, func(s *secure) {
		start := s.clock.Now()
		var wg sync.WaitGroup
		for n := range questions {
			wg.Go(func() {
				r, err := s.exchange(time.Second, s.question(n+1))
				if err != nil {
					t.Errorf("question %d: %v", n, err)
					return
				}
				if q, _ := r.View.Question(); !bytes.Equal(q.Name, []byte(s.question(n+1).Name)) {
					t.Errorf("question %d got the reply to %x", n, q.Name)
				}
			})
		}
		wg.Wait()
		if took := s.clock.Now().Sub(start); took != 3*rtt || s.accepted() != 1 {
			t.Errorf("%v, %d connections", took, s.accepted())
		}
	})
}

// What waits for one question keeps no other one waiting.
func TestSlowQuestionHoldsNobody(t *testing.T) {
	overTLS(t, nil, func(s *side, q seen) {
		if s.asked == 1 {
			time.AfterFunc(time.Second, func() { answer(s, q) })
			return
		}
		answer(s, q)
	}, func(s *secure) {
		var wg sync.WaitGroup
		wg.Go(func() {
			if r := s.fine(); r.RTT != rtt+time.Second {
				t.Errorf("the slow one took %v", r.RTT)
			}
		})
		time.Sleep(100 * time.Millisecond)
		if r := s.fine(); r.RTT != rtt || s.accepted() != 1 {
			t.Errorf("%v, %d connections", r.RTT, s.accepted())
		}
		wg.Wait()
	})
}

// A session is resumed, which the server sees too.
func TestResumption(t *testing.T) {
	var resumed atomic.Int32
	overTLS(t, nil, func(s *side, q seen) {
		if s.ConnectionState().DidResume {
			resumed.Add(1)
		}
		answer(s, q)
	}, func(s *secure) {
		for range 3 {
			s.fine()
			time.Sleep(tlsIdle + time.Second)
			synctest.Wait()
			if st := s.u.Stats(); st.TLS != 0 || st.Sockets != 0 {
				t.Errorf("still open: %+v", st)
			}
		}
		if st := s.u.Stats(); st.TLSOpened != 3 || st.TLSResumed != 2 || resumed.Load() != 2 {
			t.Errorf("%d resumed, %+v", resumed.Load(), st)
		}
	})
}

// A session does not outlive the certificate, nor its name.
func TestResumptionOfAnExpired(t *testing.T) {
	overTLS(t, nil, answer, func(s *secure) {
		s.cert.Store(s.ca.issue(2*time.Hour, tlsName))
		s.fine()
		time.Sleep(90 * time.Minute)
		_, err := s.exchange(time.Second, s.question(0))
		wantText(t, err, "certificate expired on 2000-01-01")
	})
}

// The server's word on how long a connection may be idle is kept.
func TestKeepalive(t *testing.T) {
	for _, c := range []struct{ says, want time.Duration }{
		{8 * time.Second, 7 * time.Second}, {time.Hour, tlsIdleMost}, {0, 0}, {-1, tlsIdle},
	} {
		overTLS(t, nil, func(s *side, q seen) {
			if c.says < 0 {
				s.send(reply{noOPT: true}.to(q))
				return
			}
			s.send(keeping(q, c.says))
		}, func(s *secure) {
			s.fine()
			if c.want > 0 {
				time.Sleep(c.want - time.Millisecond)
				synctest.Wait()
				if n := s.u.Stats().TLS; n != 1 {
					t.Errorf("%v: closed before its time", c.says)
				}
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if n := s.u.Stats().TLS; n != 0 {
				t.Errorf("%v: open after its time", c.says)
			}
			s.fine()
		})
	}
}

// keeping is a reply with the server's word on how long a connection may be idle.
func keeping(q seen, d time.Duration) []byte {
	option := wire.AppendOption(nil, wire.OptionKeepalive, binary.BigEndian.AppendUint16(nil, uint16(d/(100*time.Millisecond))))
	opt := append([]byte{0, 0, byte(wire.TypeOPT), 4, 208, 0, 0, 0, 0, 0, byte(len(option))}, option...)
	msg := reply{noOPT: true}.to(q)
	msg[11]++
	return append(msg, opt...)
}

// A connection that its server closed meanwhile costs a new one, no error; one
// that is closed on a question costs the question twice.
func TestTLSConnectionEnds(t *testing.T) {
	overTLS(t, nil, func(s *side, q seen) {
		if s.n == 1 && s.asked == 2 {
			s.Close()
			return
		}
		answer(s, q)
		if s.n > 1 {
			s.Close()
		}
	}, func(s *secure) {
		b := iterator.NewBudget(10, 1<<20)
		for n, want := range []int{9, 7, 6} {
			q := s.question(0)
			q.Budget = b
			if _, err := s.exchange(time.Second, q); err != nil || b.Left() != want {
				t.Errorf("question %d: %v, budget %d", n, err, b.Left())
			}
			time.Sleep(time.Second)
		}
		if st := s.u.Stats(); st.TLSStale != 1 || st.TLSOpened != 3 || s.accepted() != 3 {
			t.Errorf("%+v", st)
		}
	})
}

// A server that hangs up on one question while it answers others does not like
// that one, and is not asked for ever; one that hangs up on whatever comes is gone,
// though somebody does its handshakes.
func TestTLSHangUp(t *testing.T) {
	var gone atomic.Bool
	overTLS(t, nil, func(s *side, q seen) {
		if name, _ := q.view.Question(); gone.Load() || !bytes.EqualFold(name.Name, []byte(asked)) {
			s.Close()
			return
		}
		answer(s, q)
	}, func(s *secure) {
		hangUp := func(lives bool, health string, conns int) {
			t.Helper()
			before := s.accepted()
			_, err := s.exchange(time.Second, s.question(1))
			s.wantOutcome(err, event.Unreachable)
			var e *Error
			info, _ := s.infra.Server(s.clock.Now(), tlsAddr)
			if !errors.As(err, &e) || e.Lives() != lives || info.Health != health || s.accepted()-before != conns {
				t.Errorf("%v: lives %v, %s, %d connections", err, e.Lives(), info.Health, s.accepted()-before)
			}
		}
		s.fine()
		hangUp(true, "good", 1) // after the one that was there
		time.Sleep(tlsQuiet)
		gone.Store(true)
		hangUp(false, "unreachable", 1)
		time.Sleep(tlsQuiet)
		hangUp(false, "unreachable", 1)
		gone.Store(false)
		s.fine()
		if info, _ := s.infra.Server(s.clock.Now(), tlsAddr); info.Health != "good" {
			t.Errorf("%s", info.Health)
		}
	})
}

// A connection without replies gets no further questions, but is listened to.
func TestTLSStall(t *testing.T) {
	var mu sync.Mutex
	var held []func()
	silent := true
	overTLS(t, nil, func(s *side, q seen) {
		mu.Lock()
		defer mu.Unlock()
		if silent && s.n == 1 && s.asked > 1 {
			held = append(held, func() { answer(s, q) })
			return
		}
		answer(s, q)
	}, func(s *secure) {
		s.fine()
		for range 3 {
			_, err := s.exchange(900*time.Millisecond, s.question(0))
			s.wantOutcome(err, event.Timeout)
		}
		if !s.infra.Suspect(s.clock.Now(), tlsAddr) {
			t.Error("the server is not suspect")
		}
		if s.fine(); s.accepted() != 2 || s.u.Stats().TLSStalled != 1 {
			t.Errorf("%d connections, %+v", s.accepted(), s.u.Stats())
		}
		if s.infra.Suspect(s.clock.Now(), tlsAddr) {
			t.Error("the server is still suspect")
		}
		mu.Lock()
		silent = false
		for _, f := range held {
			f()
		}
		mu.Unlock()
		time.Sleep(rtt)
		synctest.Wait()
		if st := s.u.Stats(); st.Late != 3 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A network that swallows everything: infra sees the silence, connections stay
// few, and the end is seen with the next question.
func TestTLSOutage(t *testing.T) {
	overTLS(t, nil, answer, func(s *secure) {
		s.fine()
		now := s.net.Now()
		s.net.Outage(tlsAddr.Addr(), simnet.Blackhole, 0, 30*time.Second)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, err := s.exchange(400*time.Millisecond, s.question(0)); s.wantOutcome(err, event.Timeout) })
		}
		wg.Wait()
		if !s.infra.Suspect(s.clock.Now(), tlsAddr) {
			t.Error("not suspect after 400 ms")
		}
		for s.net.Now() < now+30*time.Second {
			_, err := s.exchange(900*time.Millisecond, s.question(0))
			s.wantOutcome(err, event.Timeout)
			if st := s.u.Stats(); st.TLS > tlsPerServer || st.Sockets > tlsPerServer {
				t.Fatalf("%+v", st)
			}
			time.Sleep(100 * time.Millisecond)
		}
		start := s.clock.Now()
		if s.fine(); s.clock.Now().Sub(start) > 3*rtt {
			t.Errorf("back after %v", s.clock.Now().Sub(start))
		}
	})
}

// A server whose kernel alone is alive takes connections and says nothing: that is
// silence.
func TestTLSServerStopped(t *testing.T) {
	overTLS(t, nil, answer, func(s *secure) {
		other := tlsAddr
		other = netipPort(other, 8853)
		if _, err := s.server.Listen(other); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				q := s.question(0)
				q.Server = other
				_, err := s.exchange(2*time.Second, q)
				s.wantOutcome(err, event.Timeout)
			})
		}
		wg.Wait()
		if info, _ := s.infra.Server(s.clock.Now(), other); info.Health != "suspect" {
			t.Errorf("%s, %d unanswered", info.Health, info.Unanswered)
		}
	})
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Error(), want) || !e.Untrusted() || e.Result != event.Unreachable {
		t.Errorf("got %v, want %q", err, want)
	}
	if err != nil && len(err.Error()) > 200 {
		t.Errorf("%d octets of text", len(err.Error()))
	}
}

// Who does not prove to be the server is asked nothing, and clients hear why. It
// costs a handshake now and then, and ends with a certificate that is right.
func TestDistrust(t *testing.T) {
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".example"
	for name, c := range map[string]struct {
		cert func(ca *issuer) *tls.Certificate
		want string
	}{
		"name":      {func(ca *issuer) *tls.Certificate { return ca.issue(9*time.Hour, "a.example", "b.example", "c.example") }, "certificate is for a.example, b.example and others, not dns.example"},
		"long name": {func(ca *issuer) *tls.Certificate { return ca.issue(9*time.Hour, long, long) }, "certificate is for aaaa"},
		"no name":   {func(ca *issuer) *tls.Certificate { return ca.issue(9 * time.Hour) }, "certificate is for no name, not dns.example"},
		"expired":   {func(ca *issuer) *tls.Certificate { return ca.issue(time.Minute, tlsName) }, "certificate expired on 1999-12-31"},
		"stranger":  {func(ca *issuer) *tls.Certificate { return newIssuer(ca, "Strange CA\n").issue(9*time.Hour, tlsName) }, "certificate is signed by nobody who is trusted here: Strange CA?"},
	} {
		t.Run(name, func(t *testing.T) {
			overTLS(t, nil, answer, func(s *secure) {
				good := s.cert.Load()
				s.cert.Store(c.cert(s.ca))
				for range 5 {
					_, err := s.exchange(time.Second, s.question(0))
					wantText(t, err, c.want)
					time.Sleep(50 * time.Millisecond)
				}
				if info, _ := s.infra.Server(s.clock.Now(), tlsAddr); s.accepted() != 1 || s.u.Stats().TLSFailed != 1 || info.Health != "unreachable" {
					t.Errorf("%d connections, %s", s.accepted(), info.Health)
				}
				s.cert.Store(good)
				time.Sleep(tlsDistrust)
				s.fine()
				if info, _ := s.infra.Server(s.clock.Now(), tlsAddr); info.Health != "good" {
					t.Errorf("%s", info.Health)
				}
			})
		})
	}
}

// A server that speaks no TLS, or another version, or another protocol.
func TestNoTLS(t *testing.T) {
	serve := func(s *secure, port uint16, f func(net.Conn)) iterator.Query {
		q := s.question(0)
		q.Server = netipPort(tlsAddr, port)
		l, err := s.server.Listen(q.Server)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go f(c)
			}
		}()
		return q
	}
	overTLS(t, nil, answer, func(s *secure) {
		old := &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{*s.cert.Load()}}
		web := &tls.Config{NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*s.cert.Load()}}
		for port, c := range map[uint16]struct {
			serve func(net.Conn)
			want  string
		}{
			8001: {func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-example\r\n")) }, "no TLS is spoken there"},
			8002: {func(c net.Conn) { _ = tls.Server(c, old).Handshake() }, "refused TLS: protocol version not supported"},
			8003: {func(c net.Conn) { _ = tls.Server(c, web).Handshake() }, "refused TLS: no application protocol"},
		} {
			_, err := s.exchange(time.Second, serve(s, port, c.serve))
			wantText(t, err, c.want)
		}
	})
}

// Nobody listens: unreachable, as over TCP.
func TestTLSRefused(t *testing.T) {
	overTLS(t, nil, answer, func(s *secure) {
		q := s.question(0)
		q.Server = netipPort(tlsAddr, 8853)
		_, err := s.exchange(time.Second, q)
		s.wantOutcome(err, event.Unreachable)
		if info, _ := s.infra.Server(s.clock.Now(), q.Server); info.Health != "unreachable" {
			t.Errorf("%s", info.Health)
		}
	})
}

// A reply that is not one to its question ends the connection.
func TestNonsenseOverTLS(t *testing.T) {
	for name, h := range map[string]func(*side, seen){
		"wrong question": func(s *side, q seen) { s.send(reply{name: []byte("\x03bad\x00")}.to(q)) },
		"malformed":      func(s *side, q seen) { s.send(reply{}.to(q)[:30]) },
		"truncated":      func(s *side, q seen) { s.send(reply{tc: true}.to(q)) },
		"too large":      func(s *side, q seen) { s.send(reply{size: 3000}.to(q)) },
	} {
		t.Run(name, func(t *testing.T) {
			overTLS(t, func(o *Options) { o.MaxBytes = 2000 }, h, func(s *secure) {
				_, err := s.exchange(time.Second, s.question(0))
				s.wantOutcome(err, event.Garbage)
				if n := s.u.Stats().TLS; n != 0 && name == "wrong question" {
					t.Error("a connection is kept that answers what nobody asked")
				}
			})
		})
	}
	overTLS(t, nil, func(s *side, q seen) {
		for id := range tlsStrays {
			s.send(reply{id: uint16(id + 1)}.to(q))
		}
	}, func(s *secure) {
		_, err := s.exchange(time.Second, s.question(0))
		s.wantOutcome(err, event.Garbage)
	})
}

// So many questions wait for a server's replies, and no more.
func TestTLSBounds(t *testing.T) {
	const most, over = tlsPerServer * tlsOutstanding, 50
	overTLS(t, nil, func(*side, seen) {}, func(s *secure) {
		var refused atomic.Int32
		var wg sync.WaitGroup
		for n := range most + over {
			wg.Go(func() {
				_, err := s.exchange(time.Second, s.question(n+1))
				var e *Error
				if errors.As(err, &e) && e.Result == event.Budget {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if st := s.u.Stats(); st.TLS != tlsPerServer || st.Waiting != most || refused.Load() != over || st.TLSFull != over {
			t.Errorf("%d refused, %+v", refused.Load(), st)
		}
		wg.Wait()
		if st := s.u.Stats(); st.Waiting != most {
			t.Errorf("%d wait: ids of what may still be answered are given away", st.Waiting)
		}
		time.Sleep(tlsDead)
		synctest.Wait()
		if st := s.u.Stats(); st.TLS != 0 || st.Waiting != 0 || st.Sockets != 0 {
			t.Errorf("dead connections are kept: %+v", st)
		}
	})
}

// At the socket bound a connection that nothing waits on gives way.
func TestIdleTLSGivesWay(t *testing.T) {
	overTLS(t, func(o *Options) { o.MaxSockets = 1 }, answer, func(s *secure) {
		s.fine()
		q := s.question(0)
		q.TLS = "other.example" // the same address, another server
		if _, err := s.exchange(time.Second, q); err != nil || s.accepted() != 2 || s.u.Stats().TLS != 1 {
			t.Errorf("%v, %d connections, %+v", err, s.accepted(), s.u.Stats())
		}
	})
}

// Of servers that nothing is open to, no more than a bound are remembered.
func TestTLSServersAreForgotten(t *testing.T) {
	overTLS(t, func(o *Options) { o.MaxSockets = 8 }, answer, func(s *secure) {
		for n := range uint16(tlsServers + 10) {
			q := s.question(0)
			q.Server = netipPort(tlsAddr, 10000+n)
			_, _ = s.exchange(time.Second, q)
		}
		if n := len(s.u.tls.servers); n > tlsServers {
			t.Errorf("%d servers", n)
		}
	})
}

// Close ends what waits, and what is being opened.
func TestTLSClose(t *testing.T) {
	for _, after := range []time.Duration{0, oneWay, rtt + oneWay, 5 * rtt} {
		overTLS(t, nil, func(*side, seen) {}, func(s *secure) {
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := s.exchange(5*time.Second, s.question(0))
				s.wantOutcome(err, event.Timeout)
			})
			start := s.clock.Now()
			time.Sleep(after)
			synctest.Wait()
			s.u.Close()
			wg.Wait()
			if took := s.clock.Now().Sub(start); took != after {
				t.Errorf("closed after %v, ended after %v", after, took)
			}
			_, err := s.exchange(time.Second, s.question(0))
			s.wantOutcome(err, event.Timeout)
		})
	}
}
