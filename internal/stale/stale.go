// Package stale decides what may be served after its TTL (RFC 8767). It is the
// only place that compares a moment with a stale limit, and the only one that
// says what a client gets: the cache stores the stale-until that Until gave, and
// the resolver does what Decide says.
//
// Everything here is pure: time comes as argument.
package stale

import (
	"time"

	"lastgood/internal/clock"
)

// State is what an entry is at a moment.
type State uint8

// The states: TTL not elapsed; elapsed, but within the limit and allowed to be
// served; neither.
const (
	Fresh State = iota
	Stale
	Gone
)

// String names the state.
func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	}
	return "gone"
}

// StateOf says what an entry is. until is the stale-until that Policy.Until gave.
func StateOf(now, expiry, until clock.Mono) State {
	switch {
	case now < expiry:
		return Fresh
	case now < until:
		return Stale
	}
	return Gone
}

// prefetchLeast is the least lifetime that is worth prefetching: of a shorter one
// the last tenth is too short for a question to fall into, and what has a very
// short TTL is meant to be asked for (a balancer's, say).
const prefetchLeast = 10 * time.Second

// PrefetchDue tells whether an entry is in the last tenth of its life, when what
// is asked for often is refreshed behind the answer.
func PrefetchDue(now, stored, expiry clock.Mono) bool {
	life := expiry.Sub(stored)
	return life >= prefetchLeast && now < expiry && expiry.Sub(now) <= life/10
}
