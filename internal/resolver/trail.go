package resolver

import (
	"context"
	"errors"
	"slices"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// trail is one question's way along its aliases, a hop at a time: each comes
// from the cache or from a flight of its own.
type trail struct {
	r     *Resolver
	q     *Query
	job   job
	name  dnsname.Name  // of the hop that is looked for
	chain []Hop         // found so far
	have  []cache.Entry // brought by this question's flights: also what may not be cached (TTL 0)
	tell  []*ede.Error  // to go with the answer
	past  past          // what is said of hops past their TTL

	unasked bool // it looks only: nobody wants what it finds in the cache
	again   bool // it was walked before: see overtaken
	checked bool // what replaces the present hop is validated though the job's need not be
}

// walk follows the trail to its end. The chain is answered whole or not at all.
func (t *trail) walk(ctx context.Context) *Answer {
	for {
		if fail := t.hop(ctx); fail != nil {
			return fail
		}
		hop := &t.chain[len(t.chain)-1]
		if t.ends(hop) {
			now := t.r.clock.Now()
			if t.overtaken(now) {
				return t.anew().walk(ctx)
			}
			return t.finish(now)
		}
		if len(t.chain) > t.r.cnameHops {
			t.r.budget(t.job, "cname-hops")
			return failed(false, &ede.Error{Code: ede.Other, ID: "CHOP", Text: "too many aliases from " + t.q.Name.String()})
		}
		if t.visited(hop.Target) {
			return failed(false, &ede.Error{Code: ede.InvalidData, ID: "CLUP", Text: "aliases lead in a circle at " + hop.Target.String()})
		}
		t.name = hop.Target
	}
}

// anew is the trail from its start.
func (t *trail) anew() *trail {
	return &trail{r: t.r, q: t.q, job: t.job, name: t.q.Name, again: true}
}

// overtaken tells whether something better has come for a hop that was taken past
// its TTL while another was waited for: an alias that was replaced meanwhile is not
// to be told any more. Nor is one that expired meanwhile and may not be told as
// stale. Then the trail begins anew, once.
func (t *trail) overtaken(now clock.Mono) bool {
	gone := func(h Hop) bool { return !h.stale && h.lapses(now) && h.Entry.State(now) == stale.Gone }
	switch {
	case t.again:
		return false
	case t.past.hops > 0 && slices.ContainsFunc(t.chain, gone):
		return true
	case !t.past.waitedSince:
		return false
	}
	look := trail{r: t.r, q: &Query{Type: t.q.Type}, job: t.job, unasked: true}
	return slices.ContainsFunc(t.chain, func(h Hop) bool {
		if look.name = h.Entry.Name; h.Alias != "" {
			look.name = h.Alias
		}
		if !h.stale {
			return false
		}
		_, state := look.known(now)
		return state == stale.Fresh
	})
}

// ends tells whether a hop is the chain's last: no alias, or the one that was
// asked for.
func (t *trail) ends(h *Hop) bool {
	return h.Target == "" || h.Alias != "" && t.q.Type == wire.TypeCNAME
}

// visited tells whether a name is already a hop of the chain.
func (t *trail) visited(name dnsname.Name) bool {
	for i := range t.chain {
		h := &t.chain[i]
		if name == h.Alias || h.Alias == "" && name == h.Entry.Name {
			return true
		}
	}
	return false
}

// finish makes the answer of a whole chain.
func (t *trail) finish(now clock.Mono) *Answer {
	last := &t.chain[len(t.chain)-1]
	if last.refused {
		return failed(true, t.tell...)
	}
	t.explainHops()
	a := t.newAnswer()
	*a = Answer{Chain: t.chain, Errors: t.tell, At: now, DO: t.q.DO, Local: t.chain[0].local, room: t.job.room}
	t.protect(a)
	switch {
	case last.Entry.Kind == cache.NXDomain:
		a.Rcode = wire.RcodeNXDomain
	case last.Alias != "" && last.Target == "": // a DNAME whose result is too long (RFC 6672 §2.2)
		a.Rcode = wire.RcodeYXDomain
	case !t.r.minimal:
		t.r.extraAddresses(a, &last.Entry.Set)
	}
	a.AD = !a.Local && (t.q.AD || t.q.DO) && a.Rcode != wire.RcodeYXDomain && a.secure(a.At)
	t.underNegative(a)
	if t.past.hops > 0 {
		return t.tellStale(a)
	}
	return a
}

// hop puts what speaks for the trail's present name at the chain's end: fresh in the
// cache, brought by a flight, or the last good answer, as the policy decides; or
// it gives the failure. Hops are large, and whoever waits here may be one of
// thousands, each with a stack: they are not handed up by value.
func (t *trail) hop(ctx context.Context) *Answer {
	now := t.r.clock.Now()
	a := t.look(now)
	if a == nil {
		return nil
	}
	defer a.leave()
	for {
		switch d := a.decide(now); d.Action {
		case stale.ServeStale:
			if !a.Bogus || !t.addUnchecked(now) {
				a.serve(now, d.Refresh)
			}
			return nil
		case stale.Wait:
			if a.wait(ctx, now, d.Until) {
				return nil
			}
		default:
			switch added, found := a.lastLook(now); {
			case added:
				return nil
			case !found && t.addUnchecked(now):
				return nil
			case !found:
				return a.fail(now)
			}
		}
		now = t.r.clock.Now()
	}
}

// look adds the hop if the cache has it fresh, else begins the attempt to get it.
func (t *trail) look(now clock.Mono) *attempt {
	t.job.seen = t.r.flights.landed.Load()
	h, state := t.known(now)
	if state == stale.Fresh {
		t.chain = append(t.chain, h)
		return nil
	}
	t.checked = t.settled(&h.Entry, state)
	return t.attempt(now, h, state)
}

// addUnchecked adds what is bogus for a client who checks it himself. Inlined, its
// hops would stand on the stack of everybody who waits.
//
//go:noinline
func (t *trail) addUnchecked(now clock.Mono) bool {
	h, ok := t.unchecked(now)
	if ok {
		t.chain = append(t.chain, h)
	}
	return ok
}

// settled tells whether the last good answer was validated, where that is possible:
// nothing else takes its place (see [cache.Cache.Put]), not even for finding servers.
func (t *trail) settled(e *cache.Entry, state stale.State) bool {
	v := t.r.validator
	return v != nil && t.job.raw && state == stale.Stale && e.Security != rrset.Unchecked && v.Anchored(e.Name, e.Type)
}

// cause guards against a result without any.
func cause(e *ede.Error) *ede.Error {
	if e == nil {
		return &ede.Error{Code: ede.Other, ID: "NOAN", Text: "the resolution brought no answer"}
	}
	return e
}

// unflown tells a client why its question has no flight, or why it does not
// wait for it any longer.
func (r *Resolver) unflown(err error) (e *ede.Error) {
	switch {
	case errors.Is(err, iterator.ErrLoop):
		e = &ede.Error{Code: ede.NoReachableAuthority, ID: "LOOP", Text: "name servers that need each other"}
	case errors.Is(err, errTooManyFlights):
		r.stats.tooMany.Add(1)
		e = &ede.Error{Code: ede.Other, ID: "FULL", Text: "too many questions are being resolved"}
	case errors.Is(err, errClosing), errors.Is(err, context.Canceled):
		e = &ede.Error{Code: ede.NotReady, ID: "STOP", Text: "stopped before there was an answer"}
	default:
		e = &ede.Error{Code: ede.NoReachableAuthority, ID: "DEAD", Text: "no answer within the resolution deadline"}
	}
	return e
}

// known looks for the hop in the local data and among the special names, to
// which an alias or a name server's name may lead (RFC 7686 §2: nothing is looked
// up), in what the flights brought and in the cache. The state is that of the
// hop: what is there is fresh, or the last good answer, or nothing (Gone).
func (t *trail) known(now clock.Mono) (Hop, stale.State) {
	if t.job.depth == 0 {
		if own, ok := t.r.local.find(t.name, t.q.Type); ok {
			if own.blocked {
				t.tell = append(t.tell, errBlocked())
			}
			return own.hop(t.name, t.q.Type, now), stale.Fresh
		}
	}
	if a := t.r.special.answer(&Query{Name: t.name, Type: t.q.Type}, now); a != nil {
		t.tell = append(t.tell, a.Errors...)
		return a.Chain[0], stale.Fresh
	}
	if h, ok := t.among(t.have); ok {
		return h, stale.Fresh
	}
	h, state := t.cached(now)
	if state != stale.Fresh {
		if made, ok := t.synthesised(now, &h, state); ok {
			return made, stale.Fresh
		}
	}
	return h, state
}

// cached looks for the hop in the cache: the name itself, then a DNAME above it
// (RFC 6672 §3.2), the fresh ones before those past their TTL, of which the one
// speaks that came last: it replaced the others.
func (t *trail) cached(now clock.Mono) (last Hop, state stale.State) {
	rd := t.r.readers.Get().(*cache.Reader)
	defer t.r.readers.Put(rd) // steps are made of copies
	rd.Unasked = t.unasked
	state = stale.Gone
	if hit, ok := t.r.cache.Lookup(rd, now, t.name, t.q.Type); ok && speaks(&hit, t.q.Type, t.job.link > 0) && t.r.takes(hit.Security(), t.job.raw) {
		if t.r.prefetches != nil && t.q.RD && hit.Due() {
			t.r.offer(&hit, t.name, t.q.Type)
		}
		last, state = t.step(hit.Entry()), hit.State(now)
	}
	for up := t.name; state != stale.Fresh && !up.IsRoot(); {
		up = up.Parent()
		hit, ok := t.r.cache.Lookup(rd, now, up, wire.TypeDNAME)
		if !ok || hit.Kind() != cache.Data || hit.Type() != wire.TypeDNAME || !t.r.takes(hit.Security(), t.job.raw) {
			continue
		}
		if s := hit.State(now); s == stale.Fresh || state == stale.Gone || hit.Stored() > last.Entry.Stored {
			last, state = t.step(hit.Entry()), s
		}
	}
	return last, state
}

// speaks tells whether what the cache has for a name is of use to a question of
// a type. A DS record is the parent's (RFC 4035 §2.4), and an alias at the same
// name may be the child's, wrong as it is at the top of a zone: it is asked for.
// What a referral proves is enough for a link of a chain of trust, but without the SOA
// record of a denial no answer (RFC 2308 §2.2).
func speaks(hit *cache.Hit, t wire.Type, link bool) bool {
	switch {
	case t != wire.TypeDS:
		return true
	case hit.Kind() == cache.Data:
		return hit.Type() == wire.TypeDS
	}
	return link || hit.Security() == rrset.Unchecked || hit.ProofLen() > 0 && hit.ProofAt(0).Type == wire.TypeSOA
}

// take keeps what a flight brought. What a resolver that is forwarded to has left of
// better times is kept from those who get nothing stale, and told as what is stale;
// where nothing is ever served stale by us it is passed on as it is.
func (t *trail) take(res *iterator.Result) {
	if !res.Borrowed || t.job.depth > 0 { // name servers' addresses are used, whoever is told of them
		if t.have == nil {
			t.have = slices.Clip(res.Entries) // who has landed with it reads it too
		} else {
			t.have = append(t.have, res.Entries...)
		}
		return
	}
	for _, e := range res.Entries {
		p := t.r.stale.For(e.Name)
		if p.Never || !t.takesStale() {
			continue
		}
		if p.Enabled {
			e.Expiry = e.Stored.Add(time.Duration(p.TTL(e.TTL)) * time.Second)
		}
		t.have = append(t.have, e)
	}
}

// among finds the hop in a list of entries.
func (t *trail) among(entries []cache.Entry) (Hop, bool) {
	for i := range entries {
		if e := &entries[i]; e.Name == t.name && (e.Kind == cache.NXDomain || e.Type == t.q.Type) {
			return t.step(*e), true
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.Kind != cache.Data {
			continue
		}
		if e.Type == wire.TypeCNAME && e.Name == t.name || e.Type == wire.TypeDNAME && t.name.Below(e.Name) {
			return t.step(*e), true
		}
	}
	return Hop{}, false
}

// step makes a hop of an entry that speaks for the present name.
func (t *trail) step(e cache.Entry) Hop {
	h := Hop{Entry: e}
	if e.Kind != cache.Data || e.Name == t.name && e.Type == t.q.Type {
		return h
	}
	to, ok := e.Set.Target()
	switch {
	case !ok:
	case e.Type == wire.TypeCNAME:
		h.Target = to
	case e.Type == wire.TypeDNAME:
		h.Alias = t.name
		if name, err := t.name.Rebase(e.Name, to); err == nil {
			h.Target = name
		}
	}
	return h
}
