package upstream

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/iterator"
)

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
