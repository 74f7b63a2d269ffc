package resolver

import (
	"lastgood/internal/dnssec"
	"lastgood/internal/iterator"
)

// room is memory for what nearly every question needs that the cache does not
// answer: one piece instead of eight, and used again when the answer was released,
// unless somebody else may know of something in it. The flight and the attempt are
// those of the present hop.
type room struct {
	query   Query
	trail   trail
	attempt attempt
	flight  flight
	budget  iterator.Budget
	work    dnssec.Budget
	answer  Answer
	chain   [1]Hop
	known   bool // to others: a flight that goes on, or went on while they waited for it
}

// newTrail begins a trail in memory of its own.
func (r *Resolver) newTrail(q Query) *trail {
	m := r.rooms.Get().(*room)
	m.query = q
	m.budget.Reset(r.queries, r.bytes)
	m.work.Reset(r.work)
	m.trail = trail{r: r, q: &m.query, name: q.Name, chain: m.chain[:0], job: job{
		budget: &m.budget, work: &m.work, until: q.Arrival.Add(r.deadline + lastWord), room: m,
	}}
	return &m.trail
}

// newAttempt gives memory for a trail's next attempt.
func (t *trail) newAttempt() *attempt {
	if m := t.job.room; m != nil {
		return &m.attempt
	}
	return new(attempt)
}

// newAnswer gives memory for a trail's answer.
func (t *trail) newAnswer() *Answer {
	if m := t.job.room; m != nil {
		return &m.answer
	}
	return new(Answer)
}

// newFlight gives memory for a flight.
func (j *job) newFlight() *flight {
	if m := j.room; m != nil && j.here && !m.known {
		return &m.flight
	}
	return new(flight)
}

// flown notes of a flight whether it was the question's own in the end.
func (m *room) flown(f *flight, waiters int) {
	m.known = m.known || !f.here || waiters > 1 || f.waits != nil || !f.result.Over
}

// Release gives an answer's memory back. Whoever calls it, once, has done with the
// answer and what it points to; nobody has to.
func (a *Answer) Release() {
	m := a.room
	if m == nil || m.known {
		return
	}
	rooms := &m.trail.r.rooms
	*m = room{}
	rooms.Put(m)
}
