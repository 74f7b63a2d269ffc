package anchor

import (
	"bytes"
	"slices"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

// holdDown is for how long a key has to be seen before it is trusted, and for how
// long one that was revoked has to be gone before it is forgotten (RFC 5011 §2.4).
const holdDown = 30 * 24 * time.Hour

// mostTracked bounds the keys of a zone that are remembered besides those of its
// anchor; RFC 5011 §2.4.3 asks for five.
const mostTracked = 32

// state is a key's (RFC 5011 §4.2); Start is a key that is not tracked.
type state uint8

const (
	addPend state = iota // seen, and not for long enough
	valid                // trusted
	missing              // trusted, and not in the last set
	revoked              // by a signature of its own; never trusted again
	removed              // revoked, and gone for so long that nobody needs to know
)

var stateNames = [...]string{"pending", "valid", "missing", "revoked", "removed"}

func (s state) String() string { return stateNames[s] }

// trusted tells whether a key in this state is a trust anchor.
func (s state) trusted() bool { return s == valid || s == missing }

// gone tells whether a key in this state never will be again.
func (s state) gone() bool { return s == revoked || s == removed }

// record is what is known of a key.
type record struct {
	key        *dnssec.Key // without the REVOKE bit, which changes data and tag
	state      state
	configured bool
	since      time.Time // when it came to its state
	until      time.Time // of addPend: when it will be trusted; of revoked: when it will be removed
	by         []*record // of addPend: whose signatures it was first seen under
}

// Tracked is what a Tracker knows of a key.
type Tracked struct {
	Key        *dnssec.Key // as it was before it was revoked
	State      string      // pending, valid, missing, revoked or removed
	Since      time.Time
	Until      time.Time // when it will be trusted or removed, if it goes on so; zero: open
	Configured bool      // it is of the anchor that was given
}

// Tracker keeps the trust anchor of one zone up to date as RFC 5011 says: by the
// DNSKEY sets of the zone that are shown to it. Who owns it makes sure that only
// one goroutine uses it.
//
// Keys of the anchor that it was given are trusted from the first. A key that is
// only missing stays trusted (§4.2). When the last trusted key was revoked its
// anchor is empty, and stays so, also over restarts (§5).
type Tracker struct {
	seeds *Anchor
	keys  []*record
	due   time.Time // when the set is to be asked for again
	retry time.Duration
}

// NewTracker makes a tracker that has seen nothing yet.
func NewTracker(a *Anchor) *Tracker { return &Tracker{seeds: a, retry: time.Hour} }

// Zone is whose keys it tracks.
func (t *Tracker) Zone() dnsname.Name { return t.seeds.Zone }

// Anchor is what is trusted now.
func (t *Tracker) Anchor() *Anchor {
	a := &Anchor{Zone: t.seeds.Zone}
	for _, d := range t.seeds.DS {
		if !slices.ContainsFunc(t.keys, func(r *record) bool { return r.state.gone() && d.Matches(a.Zone, r.key) }) {
			a.DS = append(a.DS, d)
		}
	}
	for _, k := range t.seeds.Keys {
		if r := t.find(k); r == nil || !r.state.gone() {
			a.addKey(k)
		}
	}
	for _, r := range t.keys {
		if r.state.trusted() {
			a.addKey(r.key)
		}
	}
	return a
}

// Keys tells of all keys that are tracked, in the order in which they were seen
// first.
func (t *Tracker) Keys() []Tracked {
	list := make([]Tracked, 0, len(t.keys))
	for _, r := range t.keys {
		list = append(list, r.tracked())
	}
	return list
}

func (r *record) tracked() Tracked {
	return Tracked{Key: r.key, State: r.state.String(), Since: r.since, Until: r.until, Configured: r.configured}
}

// Wait is how long to wait before the set is asked for again (RFC 5011 §2.3): at
// most 15 days, also when the clock was set back.
func (t *Tracker) Wait(wall time.Time) time.Duration {
	return min(max(t.due.Sub(wall), 0), 15*24*time.Hour)
}

// Failed says that the set could not be had.
func (t *Tracker) Failed(wall time.Time) { t.due = wall.Add(t.retry) }

// Seen takes a set into account. ok: a trusted key signed it; otherwise only keys
// that revoke themselves by it are heard. changed are the keys that came to another
// state, with that; one that is forgotten before it was trusted is "forgotten".
func (t *Tracker) Seen(s *Sighting) (changed []Tracked, ok bool) {
	whole := *s
	whole.At = s.At.UTC().Truncate(time.Second) // as it is kept
	g := &glance{Tracker: t, s: &whole}
	g.revoke()
	g.adopt(s.Signers)
	if signers := g.trusted(); len(signers) > 0 {
		ok = true
		g.adopt(s.Keys)
		g.move()
		g.begin(signers)
		t.due, t.retry = s.At.Add(s.refresh()), s.retry()
	} else {
		t.Failed(s.At)
	}
	return g.changed, ok
}

// Counts tells whether a trusted key signed a set, that is, whether Seen would say
// ok if nothing in it revoked that key.
func (t *Tracker) Counts(s *Sighting) bool {
	a := t.Anchor()
	return slices.ContainsFunc(s.Signers, a.Trusts)
}

// find is the record of a key, nil for none. The key is not revoked.
func (t *Tracker) find(k *dnssec.Key) *record {
	for _, r := range t.keys {
		if bytes.Equal(r.key.Data(), k.Data()) {
			return r
		}
	}
	return nil
}

// glance is a set being taken into account.
type glance struct {
	*Tracker
	s       *Sighting
	changed []Tracked
}

// to brings a key to another state.
func (g *glance) to(r *record, next state, until time.Time) {
	r.state, r.since, r.until = next, g.s.At, until
	if next != addPend {
		r.by = nil
	}
	g.changed = append(g.changed, r.tracked())
}

// revoke hears keys that say of themselves that they are revoked (RFC 5011 §2.1).
// That needs nobody else's signature, and takes effect at once.
func (g *glance) revoke() {
	for _, k := range g.s.Signers {
		if !k.IsRevoked() {
			continue
		}
		was := unrevoked(k)
		r := g.find(was)
		if r == nil && g.seeds.Trusts(was) {
			r = &record{key: was, configured: true}
			g.keys = append(g.keys, r)
		}
		if r != nil && !r.state.gone() {
			g.to(r, revoked, g.s.At.Add(holdDown))
		}
	}
}

// unrevoked is the key as it was before, with the tag that it had.
func unrevoked(k *dnssec.Key) *dnssec.Key {
	rdata := slices.Clone(k.Data())
	rdata[1] &^= 0x80 // RFC 5011 §3: bit 8 of the flags
	was, err := dnssec.ReadKey(rdata)
	if err != nil {
		return k // not reached: only the flags differ
	}
	return was
}

// adopt takes note of keys that the given anchor means. It vouches for them.
func (g *glance) adopt(keys []*dnssec.Key) {
	for _, k := range keys {
		if !k.IsRevoked() && g.find(k) == nil && g.seeds.Trusts(k) {
			r := &record{key: k, configured: true}
			g.keys = append(g.keys, r)
			g.to(r, valid, time.Time{})
		}
	}
}

// trusted are the trusted keys that signed the set.
func (g *glance) trusted() (signers []*record) {
	for _, k := range g.s.Signers {
		if k.IsRevoked() {
			continue
		}
		if r := g.find(k); r != nil && r.state.trusted() {
			signers = append(signers, r)
		}
	}
	return signers
}

// has tells whether the set has a key as it is tracked, and whether it has it
// revoked.
func (g *glance) has(r *record) (plain, asRevoked bool) {
	for _, k := range g.s.Keys {
		if k.IsRevoked() {
			asRevoked = asRevoked || bytes.Equal(unrevoked(k).Data(), r.key.Data())
		} else {
			plain = plain || bytes.Equal(k.Data(), r.key.Data())
		}
	}
	return plain, asRevoked
}

// move is the state table of RFC 5011 §4.1, for a set that counts.
func (g *glance) move() {
	at := g.s.At
	g.keys = slices.DeleteFunc(g.keys, func(r *record) bool {
		present, asRevoked := g.has(r)
		switch {
		case r.state == addPend:
			return g.pending(r, present)
		case r.state == valid && !present:
			g.to(r, missing, time.Time{})
		case r.state == missing && present:
			g.to(r, valid, time.Time{})
		case r.state == revoked && (present || asRevoked):
			r.until = at.Add(holdDown)
		case r.state == revoked && !at.Before(r.until):
			g.to(r, removed, time.Time{})
		}
		return false
	})
}

// pending looks at a key that is not trusted yet, and tells whether it has to begin
// anew: it was missing, or all who vouched for it were revoked (RFC 5011 §2.2).
func (g *glance) pending(r *record, present bool) (forget bool) {
	at := g.s.At
	switch {
	case !present || !slices.ContainsFunc(r.by, func(o *record) bool { return !o.state.gone() }):
		gone := r.tracked()
		gone.State, gone.Since, gone.Until = "forgotten", at, time.Time{}
		g.changed = append(g.changed, gone)
		return true
	case at.Before(r.since): // the clock was set back: what it said before counts for nothing
		r.until, r.since = at.Add(r.until.Sub(r.since)), at
	case !at.Before(r.until):
		g.to(r, valid, time.Time{})
	}
	return false
}

// begin takes note of new keys (RFC 5011 §2.2, §2.4.1).
func (g *glance) begin(signers []*record) {
	for _, k := range g.s.Keys {
		if !k.IsZone() || !k.IsEntryPoint() || k.IsRevoked() || !k.Usable() || g.find(k) != nil || !g.room() {
			continue
		}
		r := &record{key: k, by: signers}
		g.keys = append(g.keys, r)
		g.to(r, addPend, g.s.At.Add(max(holdDown, g.s.TTL)))
	}
}

// room makes room for another key; one that was removed yields, unless it is of the
// anchor that was given, which would be trusted again.
func (g *glance) room() bool {
	learned, oldest := 0, -1
	for i, r := range g.keys {
		if r.configured {
			continue
		}
		learned++
		if oldest < 0 && r.state == removed {
			oldest = i
		}
	}
	if learned < mostTracked {
		return true
	}
	if oldest < 0 {
		return false
	}
	g.keys = slices.Delete(g.keys, oldest, oldest+1)
	return true
}
