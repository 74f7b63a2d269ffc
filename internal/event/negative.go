package event

import (
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// NegativeAnchor tells that a negative trust anchor (RFC 7646) began or ended.
type NegativeAnchor struct {
	At     clock.Mono
	Zone   dnsname.Name
	What   NegativeChange
	Until  time.Time // when it ends, or would have
	Reason string    // a note of whoever added it
	Forced bool
}

// NegativeChange is what became of a negative trust anchor.
type NegativeChange uint8

// Changes of negative trust anchors.
const (
	NegativeAdded     NegativeChange = iota
	NegativeRemoved                  // by whoever may
	NegativeExpired                  // its time is over
	NegativeRecovered                // the zone validates again
)

func (c NegativeChange) String() string {
	return [...]string{"added", "removed", "expired", "recovered"}[c&3]
}

func (NegativeAnchor) event() {}

// Incident tells that a zone that validated before began to fail, in many names, or
// that this is over or no more is told of it.
type Incident struct {
	At        clock.Mono
	Zone      dnsname.Name
	Ended     string // why that is so, "" when it begins
	Cause     *ede.Error
	Names     int // that failed, about
	Questions int // of clients that met it
	Stale     int // names that the last good answer was given for, about
	Command   string
}

func (Incident) event() {}
