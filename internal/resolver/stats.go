package resolver

import (
	"sync/atomic"
	"time"

	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// Stats are counts since the start, and gauges of now.
type Stats struct {
	FlightsOpen    int // gauge
	FlightsStarted uint64
	FlightsJoined  uint64 // questions that found theirs under way
	FlightsRefused uint64 // bound `limits.flights` hit
	LoopsRefused   uint64 // waits that would have closed a circle
	Restarts       uint64 // of questions whose joined flight ended on another's budget
	Remembered     uint64 // answered from the failure table
	BudgetHits     uint64
	Private        uint64              // answers from which private addresses were removed
	Failures       map[ede.Code]uint64 // of flights, by cause

	Fresh     uint64                // answers that Resolve gave, with nothing past its TTL
	Stale     map[StaleCount]uint64 // with something, by why
	None      uint64                // questions that got none
	StaleAge  Ages                  // of stale answers
	WaitsCut  uint64                // waits that the client timeout ended; with 0 nobody waits
	Prevented uint64                // stale answers in place of a failure: it had happened, or was known

	Behind            uint64 // refreshes begun behind a stale answer
	Recovery          uint64 // refreshes in the slow start of zones that came back, clients' own too
	RecoveryQueued    uint64 // of those, had to wait for their turn
	RecoveryForgotten uint64 // found the queue full
	RecoveryUnbounded uint64 // zones that came back while there were too many for a slow start
	Prefetches        uint64
	SynthesisedNames  uint64 // NXDOMAIN from what was proven of other names
	SynthesisedTypes  uint64 // NODATA, likewise
	SynthesisedStars  uint64 // answers of wildcards, likewise
	PrefetchesDropped uint64 // too many at once
}

// StaleCount is by what stale answers are counted: why they were given, and the
// failure behind it, -1 when there was none yet.
type StaleCount struct {
	Why   event.StaleReason
	Cause int // an ede.Code; those that have no count of their own are in the last
}

// Ages is a histogram. Counts[i] are the values of at most Bounds[i] and above
// the bound before; the last count has no bound.
type Ages struct {
	Bounds []time.Duration
	Counts []uint64
	Sum    time.Duration
}

type counters struct {
	restarts, remembered, tooMany, budget, private atomic.Uint64

	fresh, none, behind, prefetches, prefetchesDropped atomic.Uint64
	stale                                              staleCounters
	synthesised                                        synthesisCounters
}

// answered counts what Resolve gave to a client; stale answers are counted with
// what is known of them.
func (c *counters) answered(a *Answer) {
	switch {
	case a.Stale:
	case len(a.Chain) > 0:
		c.fresh.Add(1)
	default:
		c.none.Add(1)
	}
}

// ageBounds are the upper bounds of the ages' histogram.
var ageBounds = [...]time.Duration{ // constant in effect
	time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
	3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 18 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour,
}

const (
	staleReasons = int(event.StaleCrowd) + 1
	causeSlots   = 64 // 0 for none, then the codes
)

type staleCounters struct {
	by                  [staleReasons][causeSlots]atomic.Uint64
	age                 [len(ageBounds) + 1]atomic.Uint64
	ageSum              atomic.Int64
	waitsCut, prevented atomic.Uint64
}

// count counts a stale answer.
func (c *staleCounters) count(p *past, age time.Duration) {
	slot := 0
	if p.cause != nil {
		slot = min(int(p.cause.Code)+1, causeSlots-1)
	}
	c.by[int(p.why)%staleReasons][slot].Add(1)
	i := 0
	for i < len(ageBounds) && age > ageBounds[i] {
		i++
	}
	c.age[i].Add(1)
	c.ageSum.Add(int64(age))
	if p.timeout > 0 && p.awaited {
		c.waitsCut.Add(1)
	}
	if p.why != event.StaleTimeout && p.why != event.StaleCrowd {
		c.prevented.Add(1)
	}
}

func (c *staleCounters) addTo(s *Stats) {
	s.Stale = map[StaleCount]uint64{}
	for why := range c.by {
		for slot := range c.by[why] {
			if n := c.by[why][slot].Load(); n > 0 {
				s.Stale[StaleCount{event.StaleReason(why), slot - 1}] = n
			}
		}
	}
	s.StaleAge = Ages{Bounds: ageBounds[:], Sum: time.Duration(c.ageSum.Load())}
	for i := range c.age {
		s.StaleAge.Counts = append(s.StaleAge.Counts, c.age[i].Load())
	}
	s.WaitsCut, s.Prevented = c.waitsCut.Load(), c.prevented.Load()
}

// failureCounters counts by extended error; codes beyond the array share the last place.
type failureCounters [64]atomic.Uint64

func (f *failureCounters) count(c ede.Code) {
	f[min(int(c), len(f)-1)].Add(1)
}

// Stats reads the counters.
func (r *Resolver) Stats() Stats {
	c := &r.stats
	s := Stats{
		Restarts: c.restarts.Load(), Remembered: c.remembered.Load(),
		BudgetHits: c.budget.Load(), Private: c.private.Load(), Failures: map[ede.Code]uint64{},
		Fresh: c.fresh.Load(), None: c.none.Load(), Behind: c.behind.Load(),
		Prefetches: c.prefetches.Load(), PrefetchesDropped: c.prefetchesDropped.Load(),
	}
	s.SynthesisedNames, s.SynthesisedTypes, s.SynthesisedStars = c.synthesised.names.Load(), c.synthesised.types.Load(), c.synthesised.wildcards.Load()
	c.stale.addTo(&s)
	for i := range r.failures {
		if n := r.failures[i].Load(); n > 0 {
			s.Failures[ede.Code(i)] = n
		}
	}
	r.flights.addTo(&s)
	return s
}

func (fs *flights) addTo(s *Stats) {
	fs.ramps.addTo(s)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	s.FlightsOpen, s.FlightsStarted = len(fs.open), uint64(fs.next)
	s.FlightsJoined, s.FlightsRefused, s.LoopsRefused = fs.joined, fs.refused, fs.loops
}

func (s *ramps) addTo(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Recovery, st.RecoveryQueued, st.RecoveryForgotten, st.RecoveryUnbounded = s.refreshes, s.queued, s.forgotten, s.without
}
