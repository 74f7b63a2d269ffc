package app

import (
	"time"

	"lastgood/internal/clock"
)

// rest makes long work behind the scenes a series of short pieces, so that who asks
// meanwhile waits for a piece and not for all of it: where there is one processor for
// all, the runtime takes it from a goroutine after 10 ms only, and does not look for
// new datagrams when one merely yields.
type rest struct {
	clock *clock.Clock
	ended <-chan struct{} // closed when nobody waits any more
	piece time.Duration   // of work, about
	begun clock.Mono      // the piece
	timer *time.Timer
}

// restLeast is how long a rest is at least. The runtime makes a millisecond of it where
// nothing else is to be done: such are the timeouts of its poller.
const restLeast = 50 * time.Microsecond

// newRest is for work that need not be interrupted before a moment.
func newRest(c *clock.Clock, ended <-chan struct{}, piece time.Duration, begun clock.Mono) *rest {
	return &rest{clock: c, ended: ended, piece: piece, begun: begun, timer: time.NewTimer(0)}
}

// take rests, if it is time to. Work that takes no time, as in a simulation, is never
// interrupted.
func (r *rest) take() {
	if r.clock.Now().Sub(r.begun) < r.piece {
		return
	}
	r.timer.Reset(restLeast)
	select {
	case <-r.ended:
	case <-r.timer.C:
	}
	r.begun = r.clock.Now()
}
