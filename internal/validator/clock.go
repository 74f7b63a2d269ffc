package validator

import (
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// wrongClock names failures that the clock of this machine is to blame for.
const wrongClock = "CLOK"

// clock sees whether something that is not valid now fails because this machine does
// not know what time it is: then the keys of the trust anchor are not either, and all
// of their signatures lie to the same side. Signatures that begin only later are no
// zone's doing; that all of them ended may be, but the root's do not. It is no zone's
// fault then, and the failure says so.
func (j *judge) clock(e *cache.Entry, err *ede.Error) *ede.Error {
	if err.Code != ede.SignatureExpired && err.Code != ede.SignatureNotYetValid {
		return err
	}
	if err.ID != wrongClock {
		s := j.signedWhen(e)
		now := j.now
		if s == nil || !now.Before(s.Begins) && !(now.After(s.Ends) && s.Zone.IsRoot()) {
			return err
		}
		s.At, s.Says = j.v.clock.Now(), now
		j.v.events.Emit(*s)
		err = &ede.Error{Code: err.Code, ID: wrongClock, Text: j.v.whatClock() + " says " + now.UTC().Format(time.RFC3339) + ", and all signatures of the keys of " + s.Zone.String()}
		if now.Before(s.Begins) {
			err.Text += " begin later, from " + s.Begins.Format(time.RFC3339) + " on: set the clock"
		} else {
			err.Text += " ended before, the last " + s.Ends.Format(time.RFC3339) + ": set the clock"
		}
	} else if err.Zone != "" {
		own := *err
		own.Zone = ""
		err = &own
	}
	j.verdict.Zone = ""
	if l := j.verdict.Links; len(l) > 0 {
		l[0].Text, l[0].Failure = err.Text, err
	}
	return err
}

func (v *Validator) whatClock() string {
	if !v.pinned.IsZero() {
		return "dnssec.validation-time"
	}
	return "the clock of this machine"
}

// signedWhen tells from when to when the keys of the trust anchor are signed that an
// entry stands on, nil if that cannot be told. A signature by a key that the anchor
// means has to be sound but for the time: else anybody could make us doubt the clock.
func (j *judge) signedWhen(e *cache.Entry) *event.ClockSuspect {
	g := j.v.ground(e.Name, e.Type)
	if g.Kind != anchor.Anchored {
		return nil
	}
	keys := *e
	if e.Kind != cache.Data || e.Type != wire.TypeDNSKEY || e.Name != g.Zone {
		var err *ede.Error
		if keys, _, err = j.fetcher.Fetch(j.ctx, g.Zone, wire.TypeDNSKEY); err != nil || keys.Kind != cache.Data {
			return nil
		}
	}
	var trusted []*dnssec.Key
	for _, k := range j.v.keys.read(&keys.Set, j.budget) {
		if g.Anchor.Trusts(k) {
			trusted = append(trusted, k)
		}
	}
	s := &event.ClockSuspect{Zone: g.Zone}
	for rdata := range keys.Set.Sigs.All() {
		sig, err := dnssec.ReadSignature(rdata)
		if err != nil || sig.Covered != wire.TypeDNSKEY || !soundThen(trusted, &sig, &keys, j) {
			continue
		}
		begins, ends := sig.Times(j.now)
		if s.Ends.IsZero() || begins.Before(s.Begins) {
			s.Begins = begins
		}
		if ends.After(s.Ends) {
			s.Ends = ends
		}
	}
	if s.Ends.IsZero() {
		return nil
	}
	return s
}

// soundThen tells whether a set is signed well by one of the keys, in the middle of
// the time of a signature.
func soundThen(keys []*dnssec.Key, sig *dnssec.Signature, e *cache.Entry, j *judge) bool {
	begins, ends := sig.Times(j.now)
	verifier := dnssec.Verifier{Zone: e.Name, Keys: keys, Now: begins.Add(ends.Sub(begins) / 2), Policy: &j.v.policy, Budget: j.budget}
	_, err := verifier.Verify(&e.Set)
	return err == nil
}
