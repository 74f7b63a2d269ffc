package resolver

import (
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// Cached answers q when every hop of its chain is in the cache and fresh: it
// adds the records behind the question that stands in b. False, and nothing
// written, otherwise. It allocates nothing and takes no lock
// (BenchmarkCachedHit), but for what is to be told of something insecure. reader is the caller's own; q.Arrival is the moment
// that TTLs are told for.
func (r *Resolver) Cached(reader *cache.Reader, q *Query, b *wire.Builder) (Outcome, bool) {
	if q.Type == wire.TypeANY || !r.minimal || r.sentinel(q) {
		return Outcome{}, false
	}
	mark := b.Mark()
	name, fits, secure := q.Name, true, q.AD || q.DO
	var why *ede.Error
	for range r.cnameHops + 1 {
		if own, ok := r.local.find(name, q.Type); ok {
			if name == q.Name {
				return own.write(q, b)
			}
			break // an alias leads to it
		}
		hit, ok := r.cache.Lookup(reader, q.Arrival, name, q.Type)
		if !ok || hit.State(q.Arrival) != stale.Fresh || !speaks(&hit, q.Type, false) || !r.takes(hit.Security(), false) {
			break
		}
		if r.validator != nil && r.validator.Against(name, q.Type) != nil {
			break // which is to be told
		}
		if hit.Why() != 0 && r.tellsWhy(name, q.Type) {
			if why != nil && why.Code != hit.Why() {
				break // more is to be told
			} else if why == nil {
				why = validator.Remembered(hit.Why(), name)
			}
		}
		secure = secure && hit.Security() == rrset.Secure
		last := hit.Kind() != cache.Data || hit.Type() == q.Type
		if !last && q.DO && hit.ProofLen() > 0 {
			break // an alias made of a wildcard: its proof goes behind the whole chain
		}
		if last && hit.Kind() == cache.Data && r.hides(q, name, &hit) {
			break
		}
		if r.prefetches != nil && q.RD && hit.Due() {
			r.offer(&hit, name, q.Type)
		}
		fits = fits && writeHit(b, name, &hit, q)
		if last {
			return Outcome{Rcode: rcodeOf(hit.Kind()), AD: secure, Truncated: !fits, Why: why}, true
		}
		n := target(reader.Alias[:], &hit)
		if n == 0 {
			break
		}
		name = dnsname.Alias(reader.Alias[:n])
	}
	b.Rewind(mark)
	return Outcome{}, false
}

// hides tells whether an answer holds private addresses that are to be removed.
func (r *Resolver) hides(q *Query, name dnsname.Name, hit *cache.Hit) bool {
	p := r.private
	return p != nil && concerns(q.Type) && p.found(q.Type, hit.Data()) && !(p.trusts(q.Name) && p.trusts(name))
}

// target copies where the alias leads to buf, lower case; 0 when it is malformed.
func target(buf []byte, hit *cache.Hit) int {
	to := hit.Data().First()
	n := dnsname.WireLen(to)
	dnsname.Lower(buf[:n], to[:n])
	return n
}

func rcodeOf(k cache.Kind) wire.Rcode {
	if k == cache.NXDomain {
		return wire.RcodeNXDomain
	}
	return wire.RcodeNoError
}

// writeHit writes one entry: whole RRsets, false when one does not fit.
func writeHit(b *wire.Builder, name dnsname.Name, hit *cache.Hit, q *Query) bool {
	ttl := hit.TTL(q.Arrival)
	mark := b.Mark()
	ok := true
	if hit.Kind() == cache.Data {
		ok = b.Set(wire.AnswerSection, name, hit.Type(), ttl, hit.Data()) &&
			(!q.DO || b.Set(wire.AnswerSection, name, wire.TypeRRSIG, ttl, hit.Sigs()))
	}
	for i := 0; ok && i < hit.ProofLen(); i++ {
		p := hit.ProofAt(i)
		if proofWanted(p.Type, q.DO) {
			ok = writeSet(b, wire.AuthoritySection, &p, ttl, q.DO)
		}
	}
	if !ok {
		b.Rewind(mark)
	}
	return ok
}
