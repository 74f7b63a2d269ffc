package app

import (
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/dnssec"
	"lastgood/internal/event"
)

// outcomes is how many kinds of outcome there are.
const outcomes = int(event.Budget) + 1

// rttBounds are the upper bounds of the round-trip histogram.
var rttBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
}

// eventCounts counts what only events tell.
type eventCounts struct {
	exchanges [event.TLS + 1][outcomes]atomic.Uint64 // by transport
	late      atomic.Uint64
	rtt       [len(rttBounds) + 1]atomic.Uint64
	rttSum    atomic.Int64
	primings  [2]atomic.Uint64 // useful, failed
	rechecks  [outcomes]atomic.Uint64
	returns   atomic.Uint64 // of zones, by a recheck
	panics    atomic.Uint64
	bogus     [64]atomic.Uint64 // answers, by extended error
	work      dnssec.Work       // of validation
	suspicion suspicion

	mu     sync.Mutex
	bounds map[string]uint64 // work bounds hit, by name: as many as there are limits
}

// hear is the sink.
func (c *eventCounts) hear(e event.Event) {
	switch e := e.(type) {
	case event.Exchanged:
		if e.Transport == event.Local {
			return // nothing was sent
		}
		c.exchanges[min(e.Transport, event.TLS)][min(int(e.Outcome), outcomes-1)].Add(1)
		if e.Late {
			c.late.Add(1)
		}
		if e.Outcome != event.Timeout && e.Outcome != event.Unreachable && e.Outcome != event.Budget {
			c.measured(e.RTT)
		}
	case event.Priming:
		if e.Failure == nil {
			c.primings[0].Add(1)
		} else {
			c.primings[1].Add(1)
		}
	case event.Rechecked:
		c.rechecks[min(int(e.Outcome), outcomes-1)].Add(1)
		if e.Recovered {
			c.returns.Add(1)
		}
	case event.Judged:
		if e.Bogus && e.Failure != nil {
			c.bogus[int(e.Failure.Code)%len(c.bogus)].Add(1)
		}
	case event.BudgetHit:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.bounds == nil {
			c.bounds = map[string]uint64{}
		}
		c.bounds[e.Bound]++
	}
}

func (c *eventCounts) measured(rtt time.Duration) {
	i := 0
	for i < len(rttBounds) && rtt > rttBounds[i] {
		i++
	}
	c.rtt[i].Add(1)
	c.rttSum.Add(int64(rtt))
}
