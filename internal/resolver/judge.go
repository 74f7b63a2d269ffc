package resolver

import (
	"context"
	"net/netip"
	"slices"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// otherServers is how many are asked after one whose answer is bogus.
const otherServers = 2

// fly resolves for a flight, and has the outcome judged. Other servers are asked
// after one whose answer is bogus: some replica of the zone may be out of date, or
// somebody on the way to it at work.
func (r *Resolver) fly(f *flight) {
	over := true
	for tries := 0; ; tries++ {
		res := r.resolve(f)
		if len(f.bogus) > 0 && !useful(&res) {
			break // nobody else is left to ask: what was found before counts
		}
		over = over && res.Over
		f.result, f.result.Over = res, over
		if r.validator == nil || !useful(&res) {
			return
		}
		if f.key.raw {
			r.undo(f, &f.result)
			return
		}
		if bogus := r.judgeInTime(f); !bogus || !r.elsewhere(f, res.From, tries) {
			break
		}
	}
	r.judged(f)
}

// resolve asks the iterator.
func (r *Resolver) resolve(f *flight) (res iterator.Result) {
	defer r.guard(&res)
	return r.iterator.Resolve(r.base, f.req)
}

// judgeInTime judges until the flight's deadline.
func (r *Resolver) judgeInTime(f *flight) (bogus bool) {
	defer r.guard(&f.result)
	ctx, cancel := context.WithTimeout(r.base, f.req.Until.Sub(r.clock.Now()))
	defer cancel()
	return r.judge(ctx, f)
}

// elsewhere tells whether to ask once more after a bogus answer, and whom not.
// Where it is a zone above that is at fault, the last good delegation may lead past
// it.
func (r *Resolver) elsewhere(f *flight, from netip.AddrPort, tries int) bool {
	switch {
	case f.verdict.Spent:
		return false
	case tries < otherServers && from.IsValid():
		f.req.Avoid = append(f.req.Avoid, from)
		return true
	case f.req.Lapsed || f.key.typ == wire.TypeDS:
		return false
	}
	d, ok := r.cache.Lapsed(r.clock.Now(), f.key.name)
	f.req.Lapsed = ok && d.Cut.Below(f.verdict.Zone)
	return f.req.Lapsed
}

// judge has what a flight brought judged. What may not be believed is taken out,
// and when that is all of it the flight has failed. It tells whether that is the
// answer's fault.
func (r *Resolver) judge(ctx context.Context, f *flight) (bogus bool) {
	res := &f.result
	q := event.Question{Name: f.key.name, Type: f.key.typ}
	v := r.validator.Judge(ctx, chainLinks{r, f}, q, res.Entries, f.work)
	if v.Failure != nil && v.Good < len(res.Entries) {
		within(&v, res.Entries[v.Good].Cut)
		q.Name = res.Entries[v.Good].Name
	}
	f.verdict = v
	r.blame(r.clock.Now(), q.Name, &v, res.Entries[:v.Good])
	if v.Lapsed {
		res.Lapsed = true
	}
	if v.Good > 0 {
		r.undo(f, res)
		res.Entries = res.Entries[:v.Good] // who follows the chain asks for the rest anew
		r.lapse(res)
		return false
	}
	f.bogus = res.Entries
	*res = iterator.Result{Failure: cause(v.Failure), From: res.From, Budget: v.Spent, Links: res.Links, Since: res.Since}
	return v.Bogus
}

// lapse keeps what was verified with something past its TTL, or found through it, no
// longer than a stale answer lives, and from being said to be authentic: it is
// Indeterminate in the cache, but a link of a chain of trust for as long as it lives.
func (r *Resolver) lapse(res *iterator.Result) {
	for i := range res.Entries {
		e := &res.Entries[i]
		if !res.Lapsed {
			return
		}
		if e.Security == rrset.Secure {
			e.Security = rrset.Indeterminate
		}
		most := r.stale.For(e.Name).TTL(e.TTL)
		e.TTL, e.Set.TTL, e.Most = min(e.TTL, most), min(e.Set.TTL, most), max(1, most)
	}
}

// within keeps a zone's servers from putting what they say wrongly down to a zone
// above, whose signature anybody can put beneath his data.
func within(v *validator.Verdict, cut dnsname.Name) {
	if !v.Bogus || cut == "" || v.Zone == "" || v.Zone.Under(cut) {
		return
	}
	own := *v.Failure
	own.Zone = string(cut)
	v.Failure, v.Zone = &own, cut
}

// blame tells infra whose servers say what does not validate, or what does. What
// the work budget ended is nobody's fault, and that a link could not be had is that
// of whoever did not give it.
func (r *Resolver) blame(now clock.Mono, name dnsname.Name, v *validator.Verdict, good []cache.Entry) {
	for _, zone := range v.Signers {
		r.sound(now, zone)
	}
	for i := range good {
		e := &good[i]
		if e.Security == rrset.Insecure && e.Cut != "" && slices.ContainsFunc(v.Unsigned, e.Cut.Under) {
			r.sound(now, e.Cut)
		}
	}
	if v.Failure == nil || v.Zone == "" || v.Spent || !v.Failure.Code.FailsValidation() {
		return
	}
	if r.health.NameBogus(now, v.Zone, name, v.Failure) {
		r.events.Emit(event.CutHealth{At: now, Cut: v.Zone, Failing: true, Cause: v.Failure})
	}
}

func (r *Resolver) sound(now clock.Mono, zone dnsname.Name) {
	if r.health.CutSound(now, zone) {
		r.events.Emit(event.CutHealth{At: now, Cut: zone})
		r.trouble(now, zone)
	}
}

// tellBogus tells that a client gets nothing because of what does not validate.
func (r *Resolver) tellBogus(q *Query, a *Answer) {
	if r.validator == nil || len(a.Chain) > 0 {
		return
	}
	for _, e := range a.Errors {
		if e.Code.FailsValidation() {
			r.events.Emit(event.Failed{At: r.clock.Now(), Question: event.Question{Name: q.Name, Type: q.Type}, Cause: e})
			return
		}
	}
}

// judged tells what became of a flight's answer in the end.
func (r *Resolver) judged(f *flight) {
	v := &f.verdict
	e := event.Judged{
		At: r.clock.Now(), Flight: f.req.Flight, Question: event.Question{Name: f.key.name, Type: f.key.typ},
		Zone: v.Zone, Bogus: v.Failure != nil && v.Failure.Code.FailsValidation(), Failure: f.result.Failure,
	}
	if f.result.Failure == nil {
		e.Bogus, e.Secure = false, true
		for i := range f.result.Entries {
			e.Secure = e.Secure && f.result.Entries[i].Security == rrset.Secure
		}
		if e.Zone == "" && len(v.Signers) > 0 {
			e.Zone = v.Signers[len(v.Signers)-1]
		}
	}
	r.events.Emit(e)
}

// outOfDate tells of a failure to validate what is not validated any more.
func (r *Resolver) outOfDate(f *flight) bool {
	return r.validator != nil && f.result.Failure.Code.FailsValidation() && r.validator.Against(f.key.name, f.key.typ) != nil
}

// undo drops the delegations that an answer speaks against which may be believed,
// or cannot be validated.
func (r *Resolver) undo(f *flight, res *iterator.Result) {
	if len(res.Undone) > 0 && (!f.key.raw || !r.validator.Anchored(f.key.name, f.key.typ)) {
		r.iterator.Undo(r.clock.Now(), res)
	}
}

// vet judges what a recheck brought, which nobody waits for: the answer, else the
// links that a referral gave. The links of its own chain of trust are looked for on
// a small budget, and where they failed before at most every 30 s.
func (r *Resolver) vet(ctx context.Context, q event.Question, res *iterator.Result) {
	if r.validator == nil || res.Failure != nil {
		return
	}
	f := &flight{
		key: flightKey{name: q.Name, typ: q.Type}, work: dnssec.NewBudget(r.work), result: *res, behind: true,
		req: iterator.Request{Name: q.Name, Type: q.Type, Depth: 1, Budget: iterator.NewBudget(vetQueries, vetBytes)},
	}
	if useful(res) {
		r.judge(ctx, f)
		*res = f.result
		return
	}
	for i := range res.Links {
		chainLinks{r, f}.referred(ctx, res.Links[i].Name)
	}
}

// What the links for a recheck may cost.
const (
	vetQueries = 10
	vetBytes   = 128 << 10
)
