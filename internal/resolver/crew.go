package resolver

import "sync/atomic"

// Crew is a set of goroutines for resolving, which are used again: growing a
// stack to what a resolution needs, copying it each time, costs a cold question
// as much as some system calls, and a goroutine that did such work before has
// the stack. A crew never queues, so that a function may wait for another that
// was given to the same crew. It starts no goroutine before it is needed, and
// keeps at most so many as it was made for when they are idle; how many are busy
// is the caller's to bound. It is safe for concurrent use.
type Crew struct {
	most   int64
	idle   atomic.Int64
	work   chan func()
	end    chan struct{}
	closed atomic.Bool
}

// NewCrew makes a crew that keeps most idle goroutines.
func NewCrew(most int) *Crew {
	return &Crew{most: int64(most), work: make(chan func()), end: make(chan struct{})}
}

// Go runs f in an idle goroutine, or in a new one.
func (c *Crew) Go(f func()) {
	select {
	case c.work <- f:
	default:
		go c.serve(f)
	}
}

// Close ends the idle goroutines, and those that are busy when their function
// returns. Go still works afterwards.
func (c *Crew) Close() {
	if c.closed.CompareAndSwap(false, true) {
		close(c.end)
	}
}

// serve runs functions until there are idle goroutines enough, or Close.
func (c *Crew) serve(f func()) {
	for {
		f()
		f = nil // or it would be kept alive by an idle goroutine
		if c.idle.Add(1) > c.most {
			c.idle.Add(-1)
			return
		}
		select {
		case <-c.end:
			c.idle.Add(-1)
			return
		case f = <-c.work:
			c.idle.Add(-1)
		}
	}
}
