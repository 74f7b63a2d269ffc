package iterator

import (
	"encoding/binary"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// maxProofs bounds the record sets that prove one denial.
const maxProofs = 12

// proofWithoutSOA is how long a denial lives that came with signed proof but
// without the SOA record that would say how long, in seconds.
const proofWithoutSOA = 60

// entries makes of a classified reply what the cache stores: the aliases and
// the answer in chain order, or the denial.
func entries(m *message, c *class, a asked) []cache.Entry {
	rank := cache.RankAnswer
	if m.aa {
		rank = cache.RankAuthAnswer
	}
	n := len(c.chain.hops)
	if c.denied {
		n++
	}
	out := make([]cache.Entry, 0, n)
	for _, s := range c.chain.hops {
		e := cache.Entry{Kind: cache.Data, Name: s.Name, Type: s.Type, Rank: rank, Set: *s, Cut: a.zone, TTL: s.TTL}
		if expanded(s) {
			e.Proof = proofs(m, nil)
			e.TTL = leastTTL(e.TTL, e.Proof)
		}
		out = append(out, e)
	}
	if c.denied {
		out = append(out, denial(m, c, a, rank))
	}
	return out
}

// denial makes the entry that says what does not exist.
func denial(m *message, c *class, a asked, rank cache.Rank) cache.Entry {
	e := cache.Entry{Kind: cache.NoData, Name: c.chain.end, Type: a.Type, Rank: rank, Cut: a.zone}
	if m.rcode == wire.RcodeNXDomain {
		e.Kind, e.Type = cache.NXDomain, wire.TypeNone
	}
	e.Proof = proofs(m, c.soa)
	switch {
	case c.soa != nil:
		e.TTL = leastTTL(e.Proof[0].TTL, e.Proof)
	case len(e.Proof) > 0:
		e.TTL = leastTTL(proofWithoutSOA, e.Proof)
	}
	return e // without either TTL 0: RFC 2308 §5 forbids to cache it
}

// proofs collects the SOA record, if given, and the NSEC or NSEC3 records of
// the authority section.
func proofs(m *message, soa *rrset.Set) []rrset.Set {
	var out []rrset.Set
	if soa != nil {
		s := *soa
		s.TTL = negativeTTL(soa)
		out = append(out, s)
	}
	for i := range m.authority {
		if isProof(m.authority[i].Type) && len(out) < maxProofs {
			out = append(out, m.authority[i])
		}
	}
	return out
}

// negativeTTL is the lesser of an SOA record's TTL and MINIMUM (RFC 2308 §5).
func negativeTTL(soa *rrset.Set) uint32 {
	data := soa.Data.First()
	if len(data) < 4 {
		return 0
	}
	return min(soa.TTL, binary.BigEndian.Uint32(data[len(data)-4:]))
}

func leastTTL(ttl uint32, sets []rrset.Set) uint32 {
	for i := range sets {
		ttl = min(ttl, sets[i].TTL)
	}
	return ttl
}

// expanded tells whether a signature says that the set was made of a wildcard
// (RFC 4034 §3.1.3): then the proof that the name itself does not exist
// belongs to the answer (RFC 4035 §3.1.3.3).
func expanded(s *rrset.Set) bool {
	labels := s.Name.Labels()
	if s.Name.FirstLabel() == "*" {
		labels--
	}
	for sig := range s.Sigs.All() {
		if len(sig) > 3 && int(sig[3]) < labels {
			return true
		}
	}
	return false
}

// inZone tells whether all that follows the first entry is of the given
// configured zone too; what is not is cut off: another's servers are to be
// asked for it.
func inZone(out []cache.Entry, same func(dnsname.Name) bool) []cache.Entry {
	for i := 1; i < len(out); i++ {
		if !same(out[i].Name) {
			return out[:i]
		}
	}
	return out
}
