package event

import (
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
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
