package upstream

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/clock"
)

// waiter is what a goroutine waits on for the reply to its question. There are
// as many as questions in flight, not as sockets: few, and all in the processor's
// caches. A socket has one from lending to keeping.
//
// It may be woken for nothing, by an event of a socket that had it before or by
// a time that was over for an earlier question: who waits looks for himself.
type waiter struct {
	ready  chan struct{} // of one
	clock  *clock.Clock
	random [4]byte // of the draw for a socket

	// The timer is not stopped when a reply comes, and not set again while it rings
	// early enough: setting it for each question would cost more than sending it.
	mu    sync.Mutex
	timer *time.Timer // nil before the first wait
	until clock.Mono  // of the latest question
	rings clock.Mono  // when the timer does; 0: not set
}

func newWaiter(c *clock.Clock) *waiter { return &waiter{ready: make(chan struct{}, 1), clock: c} }

// wake lets who waits look again, or not begin to wait.
func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default: // he has not yet looked since the last time
	}
}

// clear forgets what was for an earlier question.
func (w *waiter) clear() {
	select {
	case <-w.ready:
	default:
	}
}

// wait comes back with true when there may be something, with false when ctx has
// ended, and at until at the latest, if that is not 0.
func (w *waiter) wait(ctx context.Context, until clock.Mono) bool {
	if until != 0 {
		w.set(until)
	}
	select {
	case <-w.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// set sees to it that who waits is woken at until.
func (w *waiter) set(until clock.Mono) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = until
	if w.rings == 0 || w.rings > until {
		w.ring(until)
	}
}

// ring sets the timer. The lock is held.
func (w *waiter) ring(at clock.Mono) {
	w.rings = at
	left := max(at.Sub(w.clock.Now()), 0)
	if w.timer == nil {
		w.timer = time.AfterFunc(left, w.rang)
	} else {
		w.timer.Reset(left)
	}
}

// rang wakes who waits, or sets the timer to when he is to be.
func (w *waiter) rang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clock.Now() < w.until {
		w.ring(w.until)
		return
	}
	w.rings = 0
	w.wake()
}
