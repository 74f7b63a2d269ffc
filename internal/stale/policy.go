package stale

import (
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// AutoTimeout as Policy.ClientTimeout: as long as answers usually take, see Learned.
const AutoTimeout time.Duration = -1

// Policy says what expired data may be served, how long, and when. The zero
// Policy serves none.
type Policy struct {
	Enabled       bool
	Never         bool          // nothing stale at all, not even what others answer with
	ClientTimeout time.Duration // how long a client waits for something better; 0: not at all
	Max           time.Duration // from the original expiry, positive answers
	Negative      time.Duration // the same for NODATA and NXDOMAIN
	AnswerTTL     time.Duration // that stale records are told with
	Recheck       time.Duration // between attempts at a name whose last one failed
	PositiveOnly  bool          // NODATA and NXDOMAIN are never stale
	RefuseRefused bool          // that all servers refuse is an answer, not a failure
	OnBogus       OnBogus       // what there is to serve when the fresh data is bogus
}

// OnBogus says how long the last good answer is served when what would replace it
// does not validate.
type OnBogus uint8

// The values of OnBogus. Of what was never signed, the signatures never expire.
const (
	BogusUntilExpiry OnBogus = iota // of its signatures, and those of its chain of trust
	BogusMaxStale                   // as long as for any other failure
	BogusNever                      // not at all
)

// Until is the moment from which an entry is never served: its expiry, plus
// what the policy adds. An entry whose TTL is zero is never stale (RFC 8767 §4).
func (p *Policy) Until(stored, expiry clock.Mono, negative bool) clock.Mono {
	switch {
	case !p.Enabled || expiry <= stored:
		return expiry
	case negative && p.PositiveOnly:
		return expiry
	case negative:
		return expiry.Add(p.Negative)
	}
	return expiry.Add(p.Max)
}

// TTL is what a stale record is told with, in seconds: the answer TTL, no more
// than the record's own was, and never zero (RFC 8767 §4).
func (p *Policy) TTL(original uint32) uint32 {
	return max(min(uint32(min(p.AnswerTTL/time.Second, 1<<31)), original), 1)
}

// Timeout is how long a client waits, given what was learnt of the zone.
func (p *Policy) Timeout(learned time.Duration) time.Duration {
	if p.ClientTimeout == AutoTimeout {
		return learned
	}
	return p.ClientTimeout
}

// Rules are the policies of all names. They are immutable; a nil *Rules serves
// nothing stale.
type Rules struct {
	general Policy
	zones   map[dnsname.Name]*Policy
}

// NewRules makes rules of the general policy, those of zones that have their own,
// and zones of which nothing stale is ever served, whatever else is said of them.
func NewRules(general Policy, zones map[dnsname.Name]Policy, never []dnsname.Name) *Rules {
	r := &Rules{general: general, zones: make(map[dnsname.Name]*Policy, len(zones)+len(never))}
	for zone, p := range zones {
		if !slices.ContainsFunc(never, func(n dnsname.Name) bool { return zone == n || zone.Below(n) }) {
			r.zones[zone] = &p
		}
	}
	for _, zone := range never {
		r.zones[zone] = &Policy{Never: true}
	}
	return r
}

// For is the policy of a name: that of the longest zone at or above it. It must
// not be changed.
func (r *Rules) For(name dnsname.Name) *Policy {
	if r == nil {
		return &none
	}
	for len(r.zones) > 0 {
		if p := r.zones[name]; p != nil {
			return p
		}
		if name.IsRoot() {
			break
		}
		name = name.Parent()
	}
	return &r.general
}

var none Policy // constant in effect
