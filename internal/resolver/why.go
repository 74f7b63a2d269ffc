package resolver

import (
	"slices"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// Why something signed is insecure (RFC 8914 §4.2, §4.3; RFC 9276 §3.2) is told beside
// the answer: by the flight that found it, in its words, and from then on by the code
// that the cache keeps with the entry.

// tellsWhy tells whether the reason that is kept of a name still counts: it is to be
// validated. It allocates nothing.
func (r *Resolver) tellsWhy(name dnsname.Name, t wire.Type) bool {
	return r.validator != nil && r.validator.Anchored(name, t)
}

// explain notes for the client why something is insecure that is signed.
func (t *trail) explain(why *ede.Error) {
	told := func(e *ede.Error) bool { return e.Code == why.Code }
	if why != nil && t.job.depth == 0 && !slices.ContainsFunc(t.tell, told) {
		t.tell = append(t.tell, why)
	}
}

// explainHops notes it for all hops of which the cache has a reason.
func (t *trail) explainHops() {
	for i := range t.chain {
		t.explain(t.r.whyOf(&t.chain[i].Entry, t.q.Type))
	}
}

// whyOf is what an entry's reason is in words, nil for none. asked is the type in the
// question, of which a denial of all types is told.
func (r *Resolver) whyOf(e *cache.Entry, asked wire.Type) *ede.Error {
	typ := e.Type
	if e.Kind == cache.NXDomain {
		typ = asked
	}
	if e.Why == 0 || !r.tellsWhy(e.Name, typ) {
		return nil
	}
	return validator.Remembered(e.Why, e.Name)
}
