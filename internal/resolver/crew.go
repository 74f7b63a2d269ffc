package resolver

import "sync/atomic"

// Crew is a set of goroutines for one kind of work, which are used again: growing a
// stack to what a resolution needs, copying it each time, costs a cold question
// as much as some system calls, and a goroutine that did such work before has
// the stack. A crew never queues, so that a piece of work may wait for another that
// was given to the same crew. It starts no goroutine before it is needed, and
// keeps at most so many as it was made for when they are idle; how many are busy
// is the caller's to bound. It is safe for concurrent use.
type Crew[T any] struct {
	do     func(T)
	most   int64
	idle   atomic.Int64
	work   chan T
	end    chan struct{}
	closed atomic.Bool
}

// NewCrew makes a crew that does one thing, and keeps most idle goroutines.
func NewCrew[T any](most int, do func(T)) *Crew[T] {
	return &Crew[T]{do: do, most: int64(most), work: make(chan T), end: make(chan struct{})}
}

// Go does a piece of work in an idle goroutine, or in a new one.
func (c *Crew[T]) Go(work T) {
	select {
	case c.work <- work:
	default:
		go c.serve(work)
	}
}

// Close ends the idle goroutines, and those that are busy when their work
// is done. Go still works afterwards.
func (c *Crew[T]) Close() {
	if c.closed.CompareAndSwap(false, true) {
		close(c.end)
	}
}

// serve works until there are idle goroutines enough, or Close.
func (c *Crew[T]) serve(work T) {
	var none T
	for {
		c.do(work)
		work = none // or it would be kept alive by an idle goroutine
		if c.idle.Add(1) > c.most {
			c.idle.Add(-1)
			return
		}
		select {
		case <-c.end:
			c.idle.Add(-1)
			return
		case work = <-c.work:
			c.idle.Add(-1)
		}
	}
}
