package resolver

import (
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// maxExtras bounds the RRsets of an additional section.
const maxExtras = 16

// extraAddresses adds the addresses of the names in an answer (RFC 1035 §3.3,
// RFC 2782), which the client did not ask for but may want next, from the cache
// only. Only with `minimal-responses: false`.
func (r *Resolver) extraAddresses(a *Answer, set *rrset.Set) {
	switch set.Type {
	case wire.TypeNS, wire.TypeMX, wire.TypeSRV:
	default:
		return
	}
	for rd := range set.Data.All() {
		host, ok := rrset.Target(set.Type, rd)
		if !ok {
			continue
		}
		for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
			if s, ok := r.freshSet(a, host, t); ok && len(a.Extra) < maxExtras {
				a.Extra = append(a.Extra, s)
			}
		}
	}
}

// freshSet reads an RRset from the cache, its TTL what is left.
func (r *Resolver) freshSet(a *Answer, name dnsname.Name, t wire.Type) (rrset.Set, bool) {
	if _, ok := r.local.find(name, t); ok {
		return rrset.Set{}, false
	}
	var rd cache.Reader
	hit, ok := r.cache.Lookup(&rd, a.At, name, t)
	if !ok || hit.State(a.At) != stale.Fresh || hit.Kind() != cache.Data || hit.Type() != t || !r.takes(hit.Security(), false) {
		return rrset.Set{}, false
	}
	if p := r.private; p != nil && p.found(t, hit.Data()) && !(p.trusts(a.Chain[0].Entry.Name) && p.trusts(name)) {
		return rrset.Set{}, false
	}
	e := hit.Entry()
	e.Set.TTL = ttlAt(&e, a.At)
	return e.Set, true
}
