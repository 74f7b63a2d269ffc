package resolver

import (
	"context"
	"slices"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// Validator judges what a flight brought.
type Validator interface {
	Judge(ctx context.Context, f validator.Fetcher, q event.Question, entries []cache.Entry, b *dnssec.Budget) validator.Verdict
	// Anchored tells whether what a name has of a type can be validated: it is then
	// judged before it is stored, and is insecure otherwise.
	Anchored(name dnsname.Name, t wire.Type) bool
	// Against gives the negative trust anchor that keeps it from being validated, nil
	// for none. It allocates nothing.
	Against(name dnsname.Name, t wire.Type) *anchor.Against
	// Explain tells of the chain of trust of an entry, link by link.
	Explain(ctx context.Context, f validator.Fetcher, e *cache.Entry, b *dnssec.Budget) []validator.Link
	// Wall is the time that signatures are judged by.
	Wall() time.Time
	// Regardless judges as if there were no negative trust anchors.
	Regardless() *validator.Validator
}

const (
	// mostLinks is how many flights for links of a chain of trust may wait for one
	// another: two for each zone above the deepest.
	mostLinks = 40
	// mostHanded is how many links of referrals flights hand on.
	mostHanded = 16
)

// referred gives what referrals said of a zone's DS records, the flight's own or those
// of the flights that wait for it, which saves asking for them: judged, and stored for
// others. Flights share what they were told, so a copy is judged.
func (l chainLinks) referred(ctx context.Context, zone dnsname.Name) (cache.Entry, bool) {
	for _, said := range [...]referrals{{l.f.result.Since, l.f.result.Links}, l.f.above} {
		i := slices.IndexFunc(said.links, func(e cache.Entry) bool { return e.Name == zone && e.Type == wire.TypeDS })
		if i < 0 {
			continue
		}
		e := slices.Clone(said.links[i : i+1])
		q := event.Question{Name: zone, Type: wire.TypeDS}
		if v := l.r.validator.Judge(ctx, l, q, e, l.f.work); v.Good == 1 && !v.Lapsed {
			now := l.r.clock.Now()
			l.r.cache.PutSince(now, said.since, &e[0])
			l.r.prove(now, said.since, &e[0])
			return e[0], true
		}
	}
	return cache.Entry{}, false
}

// referrals are what referrals said of zones' DS records, which nobody judged.
type referrals struct {
	since uint32        // cache.Generation before
	links []cache.Entry // at most mostHanded; shared, not to be changed
}

// handed are the links that a flight hands to those that it waits for.
func (f *flight) handed() referrals {
	own := referrals{f.result.Since, f.result.Links}
	if len(f.above.links) > 0 {
		own.links = append(slices.Clip(own.links), f.above.links...)
		own.since = min(own.since, f.above.since)
	}
	own.links = own.links[:min(len(own.links), mostHanded)]
	return own
}

// settle marks what cannot be validated: it needs no judgement to be stored.
func (r *Resolver) settle(e *cache.Entry) {
	if r.validator != nil && e.Security == rrset.Unchecked && !r.validator.Anchored(e.Name, e.Type) {
		e.Security = rrset.Insecure
	}
}

// takes tells whether an entry of the cache may be used for a question: where
// answers are validated, name servers' addresses alone may come from what is not.
func (r *Resolver) takes(s rrset.Security, raw bool) bool {
	return raw || r.validator == nil || s != rrset.Unchecked
}

// storeBogus keeps what a flight brought that may not be believed, for those who
// check themselves (RFC 4035 §3.2.2): who waits for the flight, and who comes soon.
func (r *Resolver) storeBogus(now clock.Mono, f *flight) {
	if f.result.Failure == nil {
		f.bogus = nil
	}
	for i := range f.bogus {
		r.cache.Date(now, &f.bogus[i])
		f.bogus[i].Security = rrset.Bogus
	}
	if len(f.bogus) > 0 {
		r.cache.PutBogus(now, cache.Question{Name: f.key.name, Type: f.key.typ}, f.bogus)
	}
}

// unchecked finds what is bogus for a client who checks it himself.
func (t *trail) unchecked(now clock.Mono) (Hop, bool) {
	if !t.q.CD || t.r.validator == nil {
		return Hop{}, false
	}
	entries, ok := t.r.cache.Bogus(now, t.question())
	if !ok {
		return Hop{}, false
	}
	return t.among(entries)
}

// chainLinks fetches links of chains of trust on behalf of a flight.
type chainLinks struct {
	r *Resolver
	f *flight
}

// Fetch gets the DS or DNSKEY set of a zone, or its denial: as any client's
// question, but for its budgets, which are the flight's.
func (l chainLinks) Fetch(ctx context.Context, zone dnsname.Name, typ wire.Type) (cache.Entry, bool, *ede.Error) {
	r, f := l.r, l.f
	if f.link >= mostLinks {
		r.flights.cramp(f.req.Flight)
		r.budget(job{from: f.req.Flight}, "chain-of-trust")
		return cache.Entry{}, false, errTooLong(zone)
	}
	if typ == wire.TypeDS {
		if e, ok := l.referred(ctx, zone); ok {
			return e, false, nil
		}
	}
	q := Query{Name: zone, Type: typ, RD: true, Arrival: r.clock.Now()}
	t := trail{r: r, q: &q, name: zone, job: job{
		from: f.req.Flight, budget: f.req.Budget, work: f.work, depth: max(f.req.Depth, 1), link: f.link + 1, behind: f.behind, above: f.handed(),
	}}
	if failed := t.hop(ctx); failed != nil {
		return cache.Entry{}, false, worst(failed.Errors)
	}
	e, lapsed := t.chain[0].Entry, t.chain[0].stale
	if e.Security == rrset.Indeterminate { // see lapse
		e.Security, lapsed = rrset.Secure, true
	}
	return e, lapsed, nil
}

// worst is what is wrong with a link, among what a client would be told of it.
func worst(list []*ede.Error) *ede.Error {
	for _, e := range list {
		switch e.Code {
		case ede.StaleAnswer, ede.StaleNXDOMAIN, ede.CachedError:
		default:
			return e
		}
	}
	if len(list) > 0 {
		return list[0]
	}
	return cause(nil)
}

// secure tells whether all of a chain may be said to be authentic (RFC 4035
// §3.2.3): what is past its TTL is not, however it was signed (RFC 8767 §10).
func (a *Answer) secure(now clock.Mono) bool {
	for i := range a.Chain {
		h := &a.Chain[i]
		if h.stale || h.lapses(now) || h.Entry.Security != rrset.Secure {
			return false
		}
	}
	return len(a.Chain) > 0
}
