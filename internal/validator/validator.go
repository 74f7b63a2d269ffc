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
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Fetcher gets a link of a chain of trust on behalf of one question: the DS or
// DNSKEY set of a zone, or its denial, already judged. lapsed: it is past its TTL,
// the last good one, and nothing better can be had.
type Fetcher interface {
	Fetch(ctx context.Context, zone dnsname.Name, t wire.Type) (e cache.Entry, lapsed bool, err *ede.Error)
}

// Renewer is a Fetcher that can get a link past what is cached, now and then: ok
// tells that it was allowed to, and got it.
type Renewer interface {
	Renew(ctx context.Context, zone dnsname.Name, t wire.Type) (e cache.Entry, ok bool)
}

// Options of a Validator. All but Pinned and Events must be given.
type Options struct {
	Grounds *anchor.Table
	Clock   *clock.Clock
	Policy  dnssec.Policy
	Pinned  time.Time  // the time that signatures are judged by, zero for the clock's
	Events  event.Sink // hears when the clock seems to be wrong
}

// Validator judges answers. It may be used from many goroutines.
type Validator struct {
	grounds *anchor.Table
	clock   *clock.Clock
	policy  dnssec.Policy
	pinned  time.Time
	events  event.Sink
	keys    *keyTable
	stats   *counts
	all     bool // negative trust anchors do not count
}

// New makes a validator.
func New(o Options) *Validator {
	return &Validator{grounds: o.Grounds, clock: o.Clock, policy: o.Policy, pinned: o.Pinned, events: o.Events, keys: new(keyTable), stats: new(counts)}
}

// Regardless is the same validator, for which negative trust anchors do not count:
// it tells whether a zone that has one validates again. The links that it is given
// must have been judged so too.
func (v *Validator) Regardless() *Validator {
	own := *v
	own.all = true
	return &own
}

// stands finds what a name stands on. An anchor that there is no way to verify
// anything with is as if its zone were not to be validated (RFC 4035 §5.2).
func (v *Validator) stands(name dnsname.Name, at time.Time) anchor.Ground {
	var found anchor.Ground
	if v.all {
		found = v.grounds.Positive(name)
	} else {
		found = v.grounds.Ground(name, at)
	}
	if found.Kind == anchor.Anchored && !found.Anchor.Usable(&v.policy) {
		found.Kind = anchor.Insecure
	}
	return found
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
	// Zone is whose keys, or the want of them, decided about the failure; "" where that
	// is nobody's fault, or nobody knows whose.
	Zone dnsname.Name
	// Spent: the work budget ended it, which is nobody's fault.
	Spent bool
	// Signers are the zones whose keys verified what is Good, each once. That a zone's
	// keys are those that its parent means tells nothing of what they sign.
	Signers []dnsname.Name
	// Unsigned are the zones that were found to be insecure, each once, whose entries are
	// so for that. What is insecure for another reason tells nothing of its zone.
	Unsigned []dnsname.Name
	// Lapsed: a link past its TTL was used, those who could renew it being out of
	// reach.
	Lapsed bool
	// NTA is the negative trust anchor that kept something from being validated,
	// nil for none.
	NTA *anchor.Against
	// Why tells why something is insecure that is signed (RFC 8914 §4.2, §4.3; 27: RFC
	// 9276 §3.2), nil otherwise: a client may be told beside the answer.
	Why *ede.Error
	// Links is the link at which a failure was found; for all of them see Explain.
	Links []Link
}

// Judge judges the entries of the answer to a question, in order.
func (v *Validator) Judge(ctx context.Context, f Fetcher, q event.Question, entries []cache.Entry, b *dnssec.Budget) Verdict {
	j := &judge{v: v, ctx: ctx, fetcher: f, asked: q, budget: b, now: v.wall()}
	for i := range entries {
		j.reason, entries[i].Why = nil, 0
		if err := j.entry(&entries[i]); err != nil {
			j.verdict.Failure = j.clock(&entries[i], err)
			break
		}
		if j.reason != nil && entries[i].Security == rrset.Insecure {
			entries[i].Why = j.reason.Code
		}
		v.stats.judged(entries[i].Security)
		j.verdict.Good++
	}
	if j.verdict.Failure != nil {
		v.stats.failed(&j.verdict)
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

// Wall is the time that signatures are judged by: that of day, unless it is pinned.
func (v *Validator) Wall() time.Time { return v.wall() }

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
	asked   event.Question
	budget  *dnssec.Budget
	now     time.Time
	verdict Verdict
	trusts  []trust    // found for this answer
	reason  *ede.Error // why the entry at hand is insecure, if there is one to tell
}

// entry judges one, and says of it what was found.
func (j *judge) entry(e *cache.Entry) *ede.Error {
	g := j.v.ground(e.Name, e.Type)
	switch {
	case g.Kind != anchor.Anchored:
		if g.Kind == anchor.Negative {
			j.verdict.NTA = g.NTA
		}
	case e.Kind == cache.Data && e.Type == wire.TypeRRSIG: // not signed (RFC 4035 §2.2)
	case e.Kind == cache.Data && e.Type == wire.TypeDNSKEY:
		return j.keys(e, g)
	default:
		return j.bySigner(e, g.Zone)
	}
	e.Security = rrset.Insecure
	return nil
}

// bySigner judges an entry with the keys of who signed it.
func (j *judge) bySigner(e *cache.Entry, ground dnsname.Name) *ede.Error {
	signers := signersOf(e, ground, j.byParent(e))
	for _, zone := range signers {
		t := j.trust(zone)
		switch {
		case t.security == rrset.Secure:
			if err := j.signedNow(e, &t); err != nil {
				return j.whose(e, zone, err)
			}
			return j.belowCut(e, zone)
		case t.security == rrset.Insecure:
			j.insecure(e, zone, t.valid)
			return nil
		case t.err != nil && zone == signers[len(signers)-1]:
			return j.fail(zone, t.err, t.security == rrset.Bogus || t.noCut)
		}
	}
	return j.unsigned(e)
}

// whose sees whether what does not verify is the fault of the zone that is said to have
// signed it. Anybody can put the name of a zone above into signatures beneath his data:
// what came from servers that were asked for another zone, such as those that all is
// forwarded to, is held against the zone only where no cut lies between.
func (j *judge) whose(e *cache.Entry, zone dnsname.Name, err *ede.Error) *ede.Error {
	if j.verdict.Spent || j.verdict.Zone != zone || !zone.Below(e.Cut) {
		return err
	}
	name, failed := e.Name, j.verdict
	if j.byParent(e) {
		name = name.Parent()
	}
	for labels := zone.Labels() + 1; labels <= name.Labels(); labels++ {
		_, t := j.delegated(name.Suffix(labels))
		own := t.err != nil && t.err.Zone == string(zone) // it has that wrong as well, and who else could
		if own || t.gone {
			break
		}
		if !t.noCut {
			failed.Zone, failed.Links = "", nil
			break
		}
	}
	j.verdict = failed
	if failed.Zone == "" {
		nobody := *err
		nobody.Zone, err = "", &nobody
	}
	return err
}

// belowCut sees whether an entry belongs to another zone than the one that signed
// it, which is above it: only the zone that has the records may (RFC 4035 §5.3.1).
// It is done when the entry came from a delegation below the signer; who asks for
// nothing that is delegated pays nothing.
func (j *judge) belowCut(e *cache.Entry, signer dnsname.Name) *ede.Error {
	if !e.Cut.Below(signer) || !e.Name.Under(e.Cut) || e.Name == e.Cut && j.byParent(e) {
		return nil
	}
	switch _, t := j.delegated(e.Cut); {
	case t.noCut: // such as one that is forwarded
	case t.security == rrset.Insecure:
		j.insecure(e, e.Cut, t.valid)
	case t.security == rrset.Secure:
		text := "the answer for " + e.Name.String() + " is signed by " + signer.String() + ", and not by its zone " + e.Cut.String()
		return j.fail(e.Cut, &ede.Error{Code: ede.Bogus, ID: "PRNT", Text: text}, true)
	default:
		return j.fail(e.Cut, t.err, t.security == rrset.Bogus)
	}
	return nil
}

// insecure says of an entry that the zone it is in is not signed, as is proven until a
// moment. What such a zone says of a zone below, DS records or that there are none, shows
// no longer than that that the zone below is not signed either.
func (j *judge) insecure(e *cache.Entry, zone dnsname.Name, proven time.Time) {
	e.Security = rrset.Insecure
	if (e.Kind != cache.Data || e.Type == wire.TypeDS) && j.byParent(e) {
		e.Valid = proven
	}
	j.verdict.Unsigned = add(j.verdict.Unsigned, zone)
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
	state := rrset.Indeterminate
	if bogus {
		state = rrset.Bogus
	}
	j.verdict.Links = []Link{{Zone: zone, Security: state, Text: err.Text, Failure: err}}
	return err
}

var tooMuch = dnssec.TooMuch("").ID // constant in effect

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
