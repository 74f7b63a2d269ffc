package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/clock"
)

// untilOver waits as a question does: what wakes it before its time is for nothing.
func (w *waiter) untilOver(t *testing.T, d time.Duration) time.Duration {
	start := w.clock.Now()
	until := start.Add(d)
	for w.wait(t.Context(), until) {
		if now := w.clock.Now(); now >= until {
			return now.Sub(start)
		}
	}
	t.Fatal("ended with the context")
	return 0
}

// Who waits is woken on time, whatever the questions before had: a longer time, a
// shorter one, a reply.
func TestWaiterIsWokenOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiter(clock.New())
		for _, d := range []time.Duration{400, 100, 5, 1000, 1, 400} {
			if took := w.untilOver(t, d*time.Millisecond); took != d*time.Millisecond {
				t.Errorf("woken after %v, want %d ms", took, d)
			}
			w.set(w.clock.Now().Add(700 * time.Millisecond)) // one that got its reply
		}
		for range 1000 {
			w.wake()
			if !w.wait(t.Context(), w.clock.Now().Add(400*time.Millisecond)) {
				t.Error("woken for nothing")
			}
			time.Sleep(time.Millisecond)
		}
		w.clear()
		if took := w.untilOver(t, 400*time.Millisecond); took != 400*time.Millisecond {
			t.Errorf("woken after %v", took)
		}
		if took := w.untilOver(t, 0); took != 0 {
			t.Errorf("woken after %v", took)
		}
	})
}

// The timer is set when it has to be earlier, and when it rang, not for each
// question.
func TestWaiterSparesItsTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiter(clock.New())
		set := map[clock.Mono]bool{}
		for range 10_000 { // a question a millisecond, each with half a second
			w.set(w.clock.Now().Add(500 * time.Millisecond))
			w.mu.Lock()
			set[w.rings] = true
			w.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
		if n := len(set); n < 20 || n > 22 {
			t.Errorf("set %d times in 10 s", n)
		}
	})
}

// The context ends the waiting, and the next wait is like the first.
func TestWaiterEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiter(clock.New())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		start := w.clock.Now()
		if w.wait(ctx, start.Add(time.Second)) || w.clock.Now().Sub(start) != 30*time.Millisecond {
			t.Errorf("woken after %v", w.clock.Now().Sub(start))
		}
		if took := w.untilOver(t, 50*time.Millisecond); took != 50*time.Millisecond {
			t.Errorf("woken after %v", took)
		}
	})
}

// BenchmarkWaiter is what waiting for a reply costs beside the system calls.
func BenchmarkWaiter(b *testing.B) {
	c := clock.New()
	w := newWaiter(c)
	b.ReportAllocs()
	for b.Loop() {
		w.wake()
		w.wait(b.Context(), c.Now().Add(400*time.Millisecond))
	}
}
