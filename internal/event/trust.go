package event

import (
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// KeyFollowed tells that a key of a zone whose trust anchor is followed came to
// another state (RFC 5011 §4).
type KeyFollowed struct {
	At      clock.Mono
	Zone    dnsname.Name
	Tag     uint16    // of the key as it was before it was revoked
	State   string    // pending, valid, missing, revoked, removed; forgotten before it was trusted
	Until   time.Time // of pending: when it will be trusted
	Trusted int       // keys of the zone that are trusted now, by keys or digests
}

// KeysLooked tells of one look at the keys of such a zone.
type KeysLooked struct {
	At      clock.Mono
	Zone    dnsname.Name
	Failure *ede.Error // nil: a trusted key signed what was seen
}

// ClockSuspect tells that the time of day of this machine seems to be wrong: all
// signatures of the keys of a trust anchor lie to one side of it.
type ClockSuspect struct {
	At     clock.Mono
	Zone   dnsname.Name
	Says   time.Time // the clock
	Begins time.Time // when the first of the signatures begins, and the last ends
	Ends   time.Time
}

func (KeyFollowed) event()  {}
func (KeysLooked) event()   {}
func (ClockSuspect) event() {}
