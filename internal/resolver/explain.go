package resolver

import (
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// Explanation is what a client would get for a question now, and why, as far as
// it can be told without asking anybody.
type Explanation struct {
	// Outcome is local (from the configuration, or a special name), fresh, stale,
	// resolve (what a resolution brings) or failure.
	Outcome string
	Rcode   wire.Rcode    // unless the outcome is resolve
	Wait    time.Duration // at most, until the client is answered
	Why     string        // for people
	Hops    []ExplainedHop
}

// ExplainedHop is one name of the chain, as far as that is known.
type ExplainedHop struct {
	Name    dnsname.Name
	Type    wire.Type    // of what speaks for the name
	Kind    cache.Kind   // of that, unless it is absent
	Target  dnsname.Name // where it leads, "" at the chain's end
	State   string       // local, fresh, stale or absent
	Action  stale.Action
	TTL     uint32 // that the client would see, once it sees the hop
	Refresh bool   // something better is asked for behind the answer
	Why     string
	// Security is what validation made of what speaks for the name: of what is served
	// past its TTL what it made of that then. Unchecked where nothing is validated.
	Security rrset.Security
}

// explainer goes the trail's way and leaves it as it is: it reads what the
// trail reads and asks the policy what the trail would ask.
type explainer struct {
	t   trail
	now clock.Mono
	x   Explanation
}

// Explain tells what a client who wants recursion would get now. It sends nothing,
// and what it looks at does not count as asked for. As with any question, a zone
// whose end of trouble it is the first to see is treated as back.
func (r *Resolver) Explain(name dnsname.Name, t wire.Type) Explanation {
	now := r.clock.Now()
	e := explainer{now: now, t: trail{r: r, name: name, unasked: true}}
	e.t.q = &Query{Name: name, Type: t, Arrival: now} // without RD: nothing is prefetched for it
	if _, local := r.local.find(name, t); t == wire.TypeANY && !local {
		e.x = Explanation{Outcome: "local", Why: "ANY is answered with one made-up record (RFC 8482)"}
		return e.x
	}
	for e.hop() {
	}
	return e.x
}

// hop explains the next hop and tells whether the chain goes on behind it.
func (e *explainer) hop() bool {
	t, r := &e.t, e.t.r
	h, state := t.known(e.now)
	out := ExplainedHop{Name: t.name, Type: t.q.Type, Target: h.Target, State: "absent"}
	if state != stale.Gone {
		out.State, out.Kind, out.Security = state.String(), h.Entry.Kind, h.Entry.Security
		if h.Entry.Kind != cache.NXDomain { // which is said of all types
			out.Type = h.Entry.Type
		}
	}
	if state == stale.Fresh {
		_, local := r.local.find(t.name, t.q.Type)
		if local || r.special.covers(t.name) {
			out.State = "local"
		}
		out.Action, out.TTL = stale.Serve, ttlAt(&h.Entry, e.now)
		if h.made {
			out.Why = madeOfProofs
		}
		return e.next(h, out)
	}
	a := t.attempt(e.now, h, state)
	d := a.decide(e.now)
	if _, joins := r.flights.underWay(t.key()); d.Action == stale.Wait && a.has && !joins && r.flights.ramps.crowded(e.now, a.cut()) {
		a.Full = true // as the flight's start would say
		d = a.decide(e.now)
	}
	out.Action, out.Refresh = d.Action, d.Refresh
	switch {
	case d.Action == stale.Fail:
		return e.failed(a, out)
	case d.Action == stale.Wait && d.Until == 0:
		return e.resolved(out)
	case d.Action == stale.Wait:
		e.x.Wait = d.Until.Sub(e.now)
		out.Why = "it is asked for; without an answer within " + e.x.Wait.Round(time.Millisecond).String() + " the last good one is given"
	}
	// What is past its TTL is given now, or when the client has waited: then it
	// waits for no other hop.
	t.past.add(a, e.now.Add(e.x.Wait))
	h.stale, h.told = true, a.policy.TTL(h.Entry.TTL)
	out.TTL = h.told
	if out.Why == "" {
		out.Why = e.reason(a)
	}
	return e.next(h, out)
}

// reason is why a hop is served past its TTL.
func (e *explainer) reason(a *attempt) string {
	p := past{}
	p.add(a, e.now)
	if a.why() == event.StaleRemember {
		return "the last attempt failed: " + p.reason()
	}
	return p.reason()
}

// next puts a hop that is served into the chain, and tells whether it leads on.
func (e *explainer) next(h Hop, out ExplainedHop) bool {
	t := &e.t
	t.chain = append(t.chain, h)
	if why := t.r.whyOf(&h.Entry, t.q.Type); why != nil && out.Why != "" {
		out.Why += "; " + why.Text
	} else if why != nil {
		out.Why = why.Text
	}
	e.x.Hops = append(e.x.Hops, out)
	switch {
	case t.ends(&h):
		e.finish(h)
	case len(t.chain) > t.r.cnameHops:
		e.fail(wire.RcodeServFail, "too many aliases from "+t.q.Name.String())
	case t.visited(h.Target):
		e.fail(wire.RcodeServFail, "aliases lead in a circle at "+h.Target.String())
	default:
		t.name = h.Target
		return true
	}
	return false
}

func (e *explainer) fail(rcode wire.Rcode, why string) {
	e.x.Outcome, e.x.Rcode, e.x.Why = "failure", rcode, why
}

// failed ends with a failure that is remembered.
func (e *explainer) failed(a *attempt, out ExplainedHop) bool {
	out.Why = cause(a.cause).Error()
	e.x.Hops = append(e.x.Hops, out)
	e.x.Wait = 0
	e.fail(failureRcode(a.Refused), "nothing better is to be had now: "+out.Why)
	return false
}

// resolved ends with what has to be asked for. Of a zone in trouble it is told as
// the failure that is to be expected, though one question now and then is put to
// its servers all the same.
func (e *explainer) resolved(out ExplainedHop) bool {
	r := e.t.r
	out.Why = "nothing that may be served is cached: it is asked for"
	tr, bad := r.troubleAbove(e.now, out.Name)
	if bad {
		out.Action, out.Why = stale.Fail, "nothing that may be served is cached, and zone "+tr.Cut.String()+" is in trouble: "+cause(tr.Cause).Error()
	}
	e.x.Hops = append(e.x.Hops, out)
	if bad {
		e.fail(failureRcode(tr.Refused), out.Why)
	} else {
		e.x.Outcome, e.x.Why = "resolve", out.Why
	}
	e.x.Wait = r.deadline
	return false
}

// negative is a negative trust anchor that keeps some of the chain from being
// validated, nil for none.
func (e *explainer) negative() *anchor.Against {
	if e.t.r.validator == nil {
		return nil
	}
	for i := range e.x.Hops {
		if nta := e.t.r.validator.Against(e.x.Hops[i].Name, e.x.Hops[i].Type); nta != nil && e.x.Hops[i].State != "local" {
			return nta
		}
	}
	return nil
}

// finish sums up a chain that is known to its end.
func (e *explainer) finish(last Hop) {
	t := &e.t
	switch {
	case last.refused:
		e.fail(wire.RcodeRefused, "refused by local-zones")
		return
	case last.Entry.Kind == cache.NXDomain:
		e.x.Rcode = wire.RcodeNXDomain
	case last.Alias != "" && last.Target == "":
		e.x.Rcode = wire.RcodeYXDomain
	}
	switch {
	case t.past.hops > 0:
		e.x.Outcome = "stale"
		e.x.Why = t.past.errors(e.x.Rcode, e.now.Sub(t.past.expiry), true)[0].Text
	case e.x.Hops[0].State == "local":
		e.x.Outcome, e.x.Why = "local", "from the configuration, or a special name"
	default:
		e.x.Outcome, e.x.Why = "fresh", "all of it is cached and its TTL has not elapsed"
	}
	if nta := e.negative(); nta != nil {
		e.x.Why += "; " + against(nta).Text
	}
	if t.hides(t.chain) {
		e.x.Why += "; private addresses are removed"
	}
}
