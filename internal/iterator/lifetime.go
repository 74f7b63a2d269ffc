package iterator

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/clock"
)

// lifetime is the context of one resolution: it ends with the resolution, with
// whatever context that was begun under, or at its deadline. A context of the
// standard library costs seven allocations, two locks that all share and a timer,
// so it is made when somebody first has to be woken by the end: for what runs
// beside the task, and when the task itself has more to wait for than one reply.
// It is safe for concurrent use.
type lifetime struct {
	under context.Context
	clock *clock.Clock
	until clock.Mono // 0: no deadline

	mu     sync.Mutex // guards what follows
	ended  bool
	made   context.Context // nil while nobody needed it
	cancel context.CancelFunc
}

// left is how much of d there is before the deadline.
func (l *lifetime) left(now clock.Mono, d time.Duration) time.Duration {
	if l.until == 0 {
		return d
	}
	return max(min(d, l.until.Sub(now)), 1)
}

// end ends it.
func (l *lifetime) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended = true; l.made != nil {
		l.cancel()
	}
}

// context gives the real one.
func (l *lifetime) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made == nil {
		if l.until == 0 {
			l.made, l.cancel = context.WithCancel(l.under)
		} else {
			l.made, l.cancel = context.WithTimeout(l.under, l.until.Sub(l.clock.Now()))
		}
		if l.ended {
			l.cancel()
		}
	}
	return l.made
}

// Done is closed at the end.
func (l *lifetime) Done() <-chan struct{} { return l.context().Done() }

// Err tells whether it has ended, and of what. It makes nothing.
func (l *lifetime) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.made != nil:
		return l.made.Err()
	case l.ended:
		return context.Canceled
	case l.until != 0 && l.clock.Now() >= l.until:
		return context.DeadlineExceeded
	}
	return l.under.Err()
}

// Deadline is the real one's.
func (l *lifetime) Deadline() (time.Time, bool) { return l.context().Deadline() }

// Value is the real one's, so that what is made under it needs no goroutine.
func (l *lifetime) Value(key any) any { return l.context().Value(key) }
