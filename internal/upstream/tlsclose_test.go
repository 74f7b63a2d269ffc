package upstream

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/iterator"
)

var downAddr = netip.MustParseAddrPort("192.0.2.1:8853")

// A server that closes after each reply, or after a few, costs connections and no
// errors, however many ask at once: what it answers on one is found out, and no more
// is put there. When it answers more, that is found out too.
func TestTLSServerThatCloses(t *testing.T) {
	const questions, work = 200, 20 * time.Millisecond
	for _, c := range []struct{ replies, sent int }{{1, 2}, {7, 2}, {100, 2}} {
		var keeps bool
		var mu sync.Mutex
		overTLS(t, nil, func(s *side, q seen) {
			time.Sleep(work / time.Duration(c.replies))
			answer(s, q)
			mu.Lock()
			defer mu.Unlock()
			if s.asked == c.replies && !keeps {
				s.Close()
			}
		}, func(s *secure) {
			burst := func() {
				t.Helper()
				var wg sync.WaitGroup
				for n := range questions {
					wg.Go(func() {
						q := s.question(n + 1)
						q.Budget = iterator.NewBudget(10, 1<<20)
						if _, err := s.exchange(9*time.Second, q); err != nil {
							t.Errorf("closing after %d: question %d: %v", c.replies, n, err)
						}
						if spent := 10 - q.Budget.Left(); spent > c.sent {
							t.Errorf("closing after %d: question %d was sent %d times", c.replies, n, spent)
						}
					})
				}
				synctest.Wait()
				if n := s.u.Stats().TLS; n > tlsPerHasty {
					t.Errorf("%d connections at once", n)
				}
				wg.Wait()
			}
			start := s.clock.Now()
			burst()
			// In turn: the handshake, the question and the work, on all connections.
			if most := time.Duration(questions/c.replies/tlsPerHasty+3) * (3*rtt + work + 10*time.Millisecond); s.clock.Now().Sub(start) > most {
				t.Errorf("closing after %d: it took %v, not %v", c.replies, s.clock.Now().Sub(start), most)
			}
			mu.Lock()
			keeps = true
			mu.Unlock()
			time.Sleep(tlsFew + tlsIdle)
			before := s.accepted()
			burst()
			if n := s.accepted() - before; n != 1 {
				t.Errorf("closing after %d: it does not any more, and %d connections were opened", c.replies, n)
			}
		})
	}
}

// A server that refuses connections, or hangs up on whatever it is asked, does not
// get a connection for each question; its end is seen soon, and all that it is asked
// meanwhile fails for what is the matter.
func TestTLSServerThatIsDown(t *testing.T) {
	const refuses, hangsUp, answers = 0, 1, 2
	for _, how := range []int32{refuses, hangsUp} {
		var mode atomic.Int32
		var dials atomic.Int32
		overTLS(t, nil, answer, func(s *secure) {
			mode.Store(how)
			l, err := s.server.Listen(downAddr)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				conf := &tls.Config{NextProtos: []string{"dot"}, Certificates: []tls.Certificate{*s.cert.Load()}}
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					dials.Add(1)
					switch mode.Load() {
					case refuses:
						_ = c.Close()
					case hangsUp:
						go s.talk(&side{Conn: tls.Server(c, conf)}, func(s *side, _ seen) { s.Close() })
					default:
						go s.talk(&side{Conn: tls.Server(c, conf)}, answer)
					}
				}
			}()
			ask := func(n int) error {
				q := s.question(n)
				q.Server = downAddr
				_, err := s.exchange(time.Second, q)
				return err
			}
			time.Sleep(tlsQuiet)
			for n := range 200 { // of 10 ms and more each
				err := ask(n + 1)
				s.wantOutcome(err, event.Unreachable)
				time.Sleep(10 * time.Millisecond)
			}
			if info, _ := s.infra.Server(s.clock.Now(), downAddr); how == hangsUp && info.Health != "unreachable" {
				t.Errorf("%d: %s", how, info.Health)
			}
			if n := dials.Load(); n < 3 || n > 10 {
				t.Errorf("%d: %d connections for 200 questions in 2 s and some", how, n)
			}
			mode.Store(answers)
			time.Sleep(tlsDistrust)
			if err := ask(1); err != nil {
				t.Errorf("%d: %v", how, err)
			}
		})
	}
}

// One question that a server hangs up on, which nothing else was asked lately, does
// no harm to others.
func TestTLSHangUpOnOne(t *testing.T) {
	overTLS(t, nil, func(s *side, q seen) {
		if name, _ := q.view.Question(); !bytes.EqualFold(name.Name, []byte(asked)) {
			s.Close()
			return
		}
		answer(s, q)
	}, func(s *secure) {
		for n := range 5 {
			time.Sleep(tlsQuiet)
			_, err := s.exchange(time.Second, s.question(n+1))
			s.wantOutcome(err, event.Unreachable)
			s.fine()
		}
	})
}

// A connection that may be idle for long, and turns out to be dead when it is asked
// something, is closed no later than any other.
func TestIdleTLSMayBeDead(t *testing.T) {
	overTLS(t, nil, func(s *side, q seen) {
		if s.asked == 1 {
			s.send(keeping(q, time.Hour))
		}
	}, func(s *secure) {
		s.fine()
		time.Sleep(time.Second)
		if _, err := s.exchange(time.Second, s.question(1)); err == nil {
			t.Fatal("an answer of a server that gives none")
		}
		time.Sleep(tlsDead - time.Second)
		synctest.Wait()
		if st := s.u.Stats(); st.TLS != 0 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}
