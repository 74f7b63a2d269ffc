package listener

import (
	"runtime"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
)

const (
	// fewUnbegun is how many questions a processor may have before it that were taken and
	// that no goroutine has begun with, when there are so many again and again: some
	// milliseconds of work. A burst, which is over soon, may be of as many as may wait at
	// all: thousands of clients ask at once when something popular expired.
	fewUnbegun = 128
	// burst is how long a burst is at most; and how long nothing counts as one after
	// something was not.
	burst     = 100 * time.Millisecond
	calmAgain = time.Second
)

// congestion tells whether questions that must be resolved come faster than that can
// be done, by how many of those that were taken are still to be begun with. Go's
// scheduler is a queue: what is taken beyond what can be done delays everything, what is
// cached too, and makes every exchange seem to take longer than its timeout, after which
// each question costs several. A question that waits for a server delays nobody and
// counts for nothing here.
type congestion struct {
	few     int64
	unbegun atomic.Int64
	last    atomic.Int64 // clock.Mono when there were more than few, the last time
	since   atomic.Int64 // clock.Mono since when there were, again and again
	alert   atomic.Int64 // clock.Mono until when nothing counts as a burst
}

func (c *congestion) init() { c.few = int64(fewUnbegun * runtime.GOMAXPROCS(0)) }

// pressure is what congestion asks for.
type pressure uint8

const (
	noPressure  pressure = iota
	shareOut             // who has half as many questions waiting as the mean gets no more in
	takeNothing          // nobody does
)

// taken counts a question in.
func (c *congestion) taken(now clock.Mono) {
	if c.unbegun.Add(1) <= c.few {
		return
	}
	if now.Sub(clock.Mono(c.last.Load())) > burst/2 {
		c.since.Store(int64(now))
	}
	c.last.Store(int64(now))
}

// begun hears that a goroutine begins with a question that was taken.
func (c *congestion) begun() { c.unbegun.Add(-1) }

// pressure is what to do about a question that comes now.
func (c *congestion) pressure(now clock.Mono) pressure {
	n := c.unbegun.Load()
	if n <= c.few {
		return noPressure
	}
	if now >= clock.Mono(c.alert.Load()) && now.Sub(clock.Mono(c.since.Load())) < burst {
		return noPressure
	}
	c.alert.Store(int64(now.Add(calmAgain)))
	if n < 2*c.few {
		return shareOut
	}
	return takeNothing
}
