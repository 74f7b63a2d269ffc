package resolver

import (
	"sync/atomic"

	"lastgood/internal/ede"
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
}

type counters struct {
	restarts, remembered, tooMany, budget, private atomic.Uint64
}

// failureCounters counts by extended error; codes beyond the array share the last place.
type failureCounters [64]atomic.Uint64

func (f *failureCounters) count(c ede.Code) {
	f[min(int(c), len(f)-1)].Add(1)
}

// Stats reads the counters.
func (r *Resolver) Stats() Stats {
	s := Stats{
		Restarts: r.stats.restarts.Load(), Remembered: r.stats.remembered.Load(),
		BudgetHits: r.stats.budget.Load(), Private: r.stats.private.Load(), Failures: map[ede.Code]uint64{},
	}
	for i := range r.failures {
		if n := r.failures[i].Load(); n > 0 {
			s.Failures[ede.Code(i)] = n
		}
	}
	fs := r.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	s.FlightsOpen, s.FlightsStarted = len(fs.open), uint64(fs.next)
	s.FlightsJoined, s.FlightsRefused, s.LoopsRefused = fs.joined, fs.refused, fs.loops
	return s
}
