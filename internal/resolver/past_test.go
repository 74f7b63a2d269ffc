package resolver

import (
	"testing"

	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// The first hop with a cause speaks for the chain, the one that expired first for
// its age.
func TestWhichHopSpeaksForTheChain(t *testing.T) {
	hop := func(expiry clock.Mono, failed clock.Mono, cause *ede.Error) *attempt {
		a := &attempt{cause: cause}
		a.old.Entry.Expiry, a.Failed = expiry, failed
		return a
	}
	first, second := &ede.Error{ID: "ONE"}, &ede.Error{ID: "TWO"}
	var p past
	p.add(hop(20, 0, nil), 100)
	if p.cause != nil || p.why != event.StaleTimeout || p.expiry != 20 {
		t.Errorf("a hop without a cause: %+v", p)
	}
	p.add(hop(10, 5, first), 100)
	p.add(hop(30, 0, second), 100)
	if p.cause != first || p.why != event.StaleRemember || p.expiry != 10 || p.hops != 3 {
		t.Errorf("%+v", p)
	}
}
