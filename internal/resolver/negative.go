package resolver

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// causes are, by the zones of negative trust anchors, why they are there: what does
// not validate, as far as that is known. Safe for concurrent use.
type causes struct {
	mu  sync.Mutex
	why map[dnsname.Name]*ede.Error
}

// mostCauses bounds them, far above the negative trust anchors that there may be.
const mostCauses = 4096

func (c *causes) of(zone dnsname.Name) *ede.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why[zone]
}

// set notes a cause, nil for none.
func (c *causes) set(zone dnsname.Name, why *ede.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.why[zone]; why == nil || !known && len(c.why) >= mostCauses {
		delete(c.why, zone)
		return
	}
	if c.why == nil {
		c.why = map[dnsname.Name]*ede.Error{}
	}
	c.why[zone] = why
}

// NegativeAdded is to be called when a negative trust anchor of a zone counts from
// now on (RFC 7646 §2). What failed at and below the zone is forgotten: it is not to
// be waited for. Why it failed is told beside its answers.
func (r *Resolver) NegativeAdded(zone dnsname.Name) {
	now := r.clock.Now()
	if why := r.health.SoundBelow(now, zone); why != nil {
		r.causes.set(zone, why)
	}
	r.cache.RecoverBelow(zone)
	r.cache.ForgetBogus(zone)
}

// NegativeEnded is to be called when the negative trust anchor of a zone counts no
// more. What was taken in meanwhile at and below the zone was not validated, and goes
// with all the rest there.
func (r *Resolver) NegativeEnded(zone dnsname.Name) {
	r.causes.set(zone, nil)
	r.cache.FlushBelow(zone)
	r.health.SoundBelow(r.clock.Now(), zone)
}

// underNegative tells of the negative trust anchors that kept something of an answer
// from being validated (RFC 7646 §2): each once, and why it is there.
func (t *trail) underNegative(a *Answer) {
	if t.r.validator == nil || a.Local || t.job.depth > 0 {
		return
	}
	var last *anchor.Against
	for i := range a.Chain {
		h := &a.Chain[i]
		name, typ := h.Entry.Name, h.Entry.Type
		if h.Entry.Kind == cache.NXDomain {
			typ = t.q.Type
		}
		nta := t.r.validator.Against(name, typ)
		if nta == nil || nta == last {
			continue
		}
		last, a.AD = nta, false
		a.Errors = append(a.Errors, against(nta))
		if why := t.r.causes.of(nta.Zone); why != nil {
			a.Errors = append(a.Errors, why)
		}
	}
}

// against tells of a negative trust anchor.
func against(nta *anchor.Against) *ede.Error {
	text := "negative trust anchor for " + nta.Zone.String() + " until " + nta.Until.UTC().Format(time.RFC3339)
	if nta.Reason != "" {
		text += ": " + nta.Reason
	}
	return &ede.Error{Code: ede.NegativeTrustAnchorActive, ID: "NTAA", Text: text}
}

// Judgement is what validation makes of a question's answer.
type Judgement struct {
	Security rrset.Security // Secure, Insecure, Bogus; Indeterminate: it could not be found out
	Failure  *ede.Error     // nil: it is Secure or Insecure
}

// Rejudge asks the servers of a question now, and has the answer judged as if there
// were no negative trust anchors: it tells whether they are needed still (RFC 7646
// §4). Nothing that it finds is stored, but for links of the chain of trust that lie
// above all of them. Where something does not validate still, that is what is told
// beside answers from then on.
func (r *Resolver) Rejudge(ctx context.Context, q event.Question) Judgement {
	if r.validator == nil || !r.flights.enter() {
		return Judgement{Security: rrset.Indeterminate, Failure: cause(nil)}
	}
	defer r.flights.running.Done()
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	defer context.AfterFunc(r.base, cancel)()
	j := &rejudging{r: r, v: r.validator.Regardless(), f: &flight{
		key: flightKey{name: q.Name, typ: q.Type}, work: dnssec.NewBudget(r.work), behind: true,
		req: iterator.Request{Depth: 1, Budget: iterator.NewBudget(r.queries, r.bytes)},
	}}
	out := Judgement{Security: rrset.Indeterminate}
	res := r.guarded(func() iterator.Result {
		out = j.judge(ctx, q)
		return iterator.Result{}
	})
	if res.Failure != nil {
		out.Failure = res.Failure
	}
	return out
}

// rejudging gets what lies below negative trust anchors from the servers, and judges
// it without them. It is used by one goroutine.
type rejudging struct {
	r     *Resolver
	v     *validator.Validator
	f     *flight // for budgets alone
	links []rejudged
	depth int
}

type rejudged struct {
	event.Question
	entry cache.Entry
	why   *ede.Error
}

// judge finds out about a question, and notes what does not validate of it.
func (j *rejudging) judge(ctx context.Context, q event.Question) Judgement {
	e, v := j.find(ctx, q)
	out := Judgement{Security: e.Security, Failure: v.Failure}
	switch {
	case v.Failure == nil:
	case v.Failure.Code.FailsValidation() && !v.Spent:
		out.Security = rrset.Bogus
		if nta := j.r.validator.Against(q.Name, q.Type); nta != nil {
			j.r.causes.set(nta.Zone, v.Failure)
		}
	default:
		out.Security = rrset.Indeterminate
	}
	return out
}

// find asks for a question, more than one server when it is bogus, and gives what
// speaks for it first.
func (j *rejudging) find(ctx context.Context, q event.Question) (cache.Entry, validator.Verdict) {
	req := j.f.req
	req.Name, req.Type = q.Name, q.Type
	var v validator.Verdict
	for range 1 + otherServers {
		res := j.r.iterator.Resolve(ctx, req)
		if !useful(&res) {
			if v.Failure == nil {
				v.Failure = cause(res.Failure)
			}
			break
		}
		v = j.v.Judge(ctx, j, q, res.Entries, j.f.work)
		if v.Failure == nil || v.Good > 0 {
			v.Failure = nil // what is behind the first is another question's
			return res.Entries[0], v
		}
		if !v.Bogus || v.Spent || !res.From.IsValid() {
			break
		}
		req.Avoid = append(req.Avoid, res.From)
	}
	return cache.Entry{}, v
}

// Fetch gets a link: as for any question where no negative trust anchor is in the
// way.
func (j *rejudging) Fetch(ctx context.Context, zone dnsname.Name, typ wire.Type) (cache.Entry, bool, *ede.Error) {
	if j.r.validator.Against(zone, typ) == nil {
		return chainLinks{j.r, j.f}.Fetch(ctx, zone, typ)
	}
	q := event.Question{Name: zone, Type: typ}
	for i := range j.links {
		if l := &j.links[i]; l.Question == q {
			return l.entry, false, l.why
		}
	}
	if len(j.links) >= mostLinks || j.depth >= mostLinks {
		return cache.Entry{}, false, errTooLong(zone)
	}
	j.depth++
	e, v := j.find(ctx, q)
	j.depth--
	j.links = append(j.links, rejudged{q, e, v.Failure})
	return e, false, v.Failure
}

func errTooLong(zone dnsname.Name) *ede.Error {
	return &ede.Error{Code: ede.Indeterminate, ID: "LINK", Text: "the chain of trust to " + zone.String() + " is too long"}
}
