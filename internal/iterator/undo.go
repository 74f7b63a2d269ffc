package iterator

import (
	"slices"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// Undone is a delegation, in doubt before, that a reply of the zone above speaks
// against: it answers for the cut's names itself, or with Gone denies the cut and
// with it everything beneath.
type Undone struct {
	Cut  dnsname.Name
	Gone bool
}

// mostUndone bounds those of one resolution: a chain of cuts that are all in doubt.
const mostUndone = 8

// undo drops a delegation, or notes that it is to be dropped once somebody has
// validated the answer: who can forge one is not to take a zone's last good
// delegation, or all its data.
func (t *task) undo(u Undone) {
	switch {
	case !t.it.dnssec:
		t.it.undo(t.now(), u)
	case len(t.undone) < mostUndone && !slices.Contains(t.undone, u):
		t.undone = append(t.undone, u)
	}
}

// Undo drops the delegations that an answer speaks against which was found good: those
// below the zone that it is of. It is of the time after that, and may be stored.
func (it *Iterator) Undo(now clock.Mono, r *Result) {
	for _, u := range r.Undone {
		if len(r.Entries) > 0 && u.Cut.Below(r.Entries[0].Cut) {
			it.undo(now, u)
			r.Since = it.cache.Generation()
		}
	}
	r.Undone = nil
}

func (it *Iterator) undo(now clock.Mono, u Undone) {
	it.cache.DropDelegation(u.Cut)
	if u.Gone {
		it.cache.Bury(now, u.Cut)
	}
	it.seats.forget(u.Cut)
}
