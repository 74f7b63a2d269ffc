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
	pace  pace
	begun clock.Mono // the piece
	timer *time.Timer
}

// pace is how long a piece of work is, about, and the rest behind it: of a processor that
// has other things to do the work takes no more than its share. Where there is nothing
// else to do the runtime makes full milliseconds of rests: such are its poller's timeouts.
type pace struct{ work, rest time.Duration }

// newRest is for work that need not be interrupted before a moment.
func newRest(c *clock.Clock, ended <-chan struct{}, p pace, begun clock.Mono) *rest {
	return &rest{clock: c, ended: ended, pace: p, begun: begun, timer: time.NewTimer(0)}
}

// take rests, if it is time to. Work that takes no time, as in a simulation, is never
// interrupted.
func (r *rest) take() {
	if r.clock.Now().Sub(r.begun) < r.pace.work {
		return
	}
	r.timer.Reset(r.pace.rest)
	select {
	case <-r.ended:
	case <-r.timer.C:
	}
	r.begun = r.clock.Now()
}
