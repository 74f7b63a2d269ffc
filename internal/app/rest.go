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
	work  int             // how many times as long as a rest is a piece of work
	begun clock.Mono      // the piece
	timer *time.Timer
}

// Bounds of a piece of work, about, and of a rest: a piece may seem long because others
// had the processor.
const (
	pieceMost = 100 * time.Microsecond
	restMost  = time.Millisecond
)

// newRest is for work that need not be interrupted before a moment.
func newRest(c *clock.Clock, ended <-chan struct{}, work int, begun clock.Mono) *rest {
	return &rest{clock: c, ended: ended, work: work, begun: begun, timer: time.NewTimer(0)}
}

// take rests, if it is time to. Work that takes no time, as in a simulation, is never
// interrupted.
func (r *rest) take() {
	worked := r.clock.Now().Sub(r.begun)
	if worked < pieceMost {
		return
	}
	r.timer.Reset(min(worked/time.Duration(r.work), restMost))
	select {
	case <-r.ended:
	case <-r.timer.C:
	}
	r.begun = r.clock.Now()
}
