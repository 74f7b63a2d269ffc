package validator

import (
	"context"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Fetcher gets a link of a chain of trust on behalf of one question: the DS or
// DNSKEY set of a zone, or its denial, already judged. lapsed: it is past its TTL,
// the last good one, and nothing better can be had.
type Fetcher interface {
	Fetch(ctx context.Context, zone dnsname.Name, t wire.Type) (e cache.Entry, lapsed bool, err *ede.Error)
}

// Options of a Validator. All but Pinned must be given.
type Options struct {
	Grounds *anchor.Table
	Clock   *clock.Clock
	Policy  dnssec.Policy
	Pinned  time.Time // the time that signatures are judged by, zero for the clock's
}

// Validator judges answers. It may be used from many goroutines.
type Validator struct {
	grounds *anchor.Table
	clock   *clock.Clock
	policy  dnssec.Policy
	pinned  time.Time
	keys    *keyTable
	all     bool // negative trust anchors do not count
}

// New makes a validator.
func New(o Options) *Validator {
	return &Validator{grounds: o.Grounds, clock: o.Clock, policy: o.Policy, pinned: o.Pinned, keys: new(keyTable)}
}

// Regardless is the same validator, for which negative trust anchors do not count:
// it tells whether a zone that has one validates again. The links that it is given
// must have been judged so too.
func (v *Validator) Regardless() *Validator {
	own := *v
	own.all = true
	return &own
}

// stands finds what a name stands on.
func (v *Validator) stands(name dnsname.Name, at time.Time) anchor.Ground {
	if v.all {
		return v.grounds.Positive(name)
	}
	return v.grounds.Ground(name, at)
}

// Verdict is what became of an answer.
type Verdict struct {
	// Good is how many of its entries, from the first, may be believed, their
	// Security, TTL and Valid set. Whatever is behind them is not.
	Good int
	// Failure says why the first that may not be believed may not.
	Failure *ede.Error
	// Bogus: it is the answer's fault. Otherwise a link of the chain could not be
	// had, and the answer of another server is worth no more.
	Bogus bool
	Zone  dnsname.Name // whose keys, or the want of them, decided about the failure
	// Spent: the work budget ended it, which is nobody's fault.
	Spent bool
	// Signers are the zones whose keys verified what is Good, each once. That a zone's
	// keys are those that its parent means tells nothing of what they sign.
	Signers []dnsname.Name
	// Lapsed: a link past its TTL was used, those who could renew it being out of
	// reach.
	Lapsed bool
	// NTA is the negative trust anchor that kept something from being validated,
	// nil for none.
	NTA   *anchor.Against
	Links []Link // in the order in which they were looked at
}

// Link tells of one step of building a chain of trust.
type Link struct {
	Zone     dnsname.Name
	Security rrset.Security
	Text     string
}

// Judge judges the entries of one answer, in order.
func (v *Validator) Judge(ctx context.Context, f Fetcher, entries []cache.Entry, b *dnssec.Budget) Verdict {
	j := &judge{v: v, ctx: ctx, fetcher: f, budget: b, now: v.wall()}
	for i := range entries {
		if err := j.entry(&entries[i]); err != nil {
			j.verdict.Failure = err
			break
		}
		j.verdict.Good++
	}
	return j.verdict
}

// Against gives the negative trust anchor that keeps what a name has of a type from
// being validated now, nil for none. It allocates nothing.
func (v *Validator) Against(name dnsname.Name, t wire.Type) *anchor.Against {
	if v.all || !v.grounds.Negative() {
		return nil
	}
	return v.ground(name, t).NTA
}

// wall is the time that signatures are judged by.
func (v *Validator) wall() time.Time {
	if !v.pinned.IsZero() {
		return v.pinned
	}
	return v.clock.Wall()
}

// judge judges one answer.
type judge struct {
	v       *Validator
	ctx     context.Context
	fetcher Fetcher
	budget  *dnssec.Budget
	now     time.Time
	verdict Verdict
	trusts  []trust // found for this answer
}

// entry judges one, and says of it what was found.
func (j *judge) entry(e *cache.Entry) *ede.Error {
	if g := j.v.ground(e.Name, e.Type); g.Kind != anchor.Anchored {
		if g.Kind == anchor.Negative {
			j.verdict.NTA = g.NTA
		}
		e.Security = rrset.Insecure
		return nil
	}
	if e.Kind == cache.Data && e.Type == wire.TypeRRSIG {
		e.Security = rrset.Insecure // signatures are not signed (RFC 4035 §2.2)
		return nil
	}
	if e.Kind == cache.Data && e.Type == wire.TypeDNSKEY {
		return j.keys(e)
	}
	signers := signersOf(e)
	for _, zone := range signers {
		t := j.trust(zone)
		switch {
		case t.security == rrset.Secure:
			return j.signed(e, &t)
		case t.security == rrset.Insecure:
			e.Security = rrset.Insecure
			return nil
		case t.err != nil && zone == signers[len(signers)-1]:
			return j.fail(zone, t.err, t.security == rrset.Bogus)
		}
	}
	return j.unsigned(e)
}

// fail notes why an entry is not believed. A link that does not validate says whose
// fault that is; what has no such code is the fault of no zone.
func (j *judge) fail(zone dnsname.Name, err *ede.Error, bogus bool) *ede.Error {
	if err.Zone == "" && err.Code.FailsValidation() {
		own := *err
		own.Zone = string(zone)
		err = &own
	}
	if err.Zone != "" {
		zone = dnsname.Name(err.Zone)
	}
	j.verdict.Zone, j.verdict.Bogus, j.verdict.Spent = zone, bogus, err.ID == tooMuch
	return err
}

var tooMuch = dnssec.TooMuch("").ID // constant in effect

func (j *judge) link(zone dnsname.Name, s rrset.Security, text string) {
	if len(j.verdict.Links) < mostLinks {
		j.verdict.Links = append(j.verdict.Links, Link{zone, s, text})
	}
}

// mostLinks bounds what is told of one answer.
const mostLinks = 64

// Anchored tells whether what a name has of a type can be validated. The ground of
// a DS record is its parent's (RFC 4035 §2.4), where it is signed.
func (v *Validator) Anchored(name dnsname.Name, t wire.Type) bool {
	return v.ground(name, t).Kind == anchor.Anchored
}

func (v *Validator) ground(name dnsname.Name, t wire.Type) anchor.Ground {
	if t == wire.TypeDS && !name.IsRoot() {
		name = name.Parent()
	}
	return v.stands(name, v.wall())
}
