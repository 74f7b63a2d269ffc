// Package stale decides what may be served after its TTL (RFC 8767). It is the
// only place that compares a moment with a stale limit. In this version the
// policy is off everywhere: what expired is gone.
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

// Policy says how long expired data may be served. The zero Policy serves none.
type Policy struct {
	Enabled  bool
	Max      time.Duration // from the original expiry, positive answers
	Negative time.Duration // the same for NODATA and NXDOMAIN
}

// Until is the moment from which an entry is never served: its expiry, plus
// what the policy adds. An entry whose TTL is zero is never stale (RFC 8767 §4).
func (p Policy) Until(stored, expiry clock.Mono, negative bool) clock.Mono {
	switch {
	case !p.Enabled || expiry <= stored:
		return expiry
	case negative:
		return expiry.Add(p.Negative)
	}
	return expiry.Add(p.Max)
}
