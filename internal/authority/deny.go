package authority

import (
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// The proofs of what does not exist: NSEC records (RFC 4035 §3.1.3), or NSEC3
// records (RFC 5155 §7.2). An unsigned zone has none.

// proveNoName proves that neither the name exists nor a wildcard beside it.
func (z *Zone) proveNoName(dst []rrset.Set, q question, encloser dnsname.Name) []rrset.Set {
	wildcard, _ := encloser.Prepend("*") // no longer than the name
	if z.hashed.empty() {
		dst = z.cover(dst, q, q.name)
		return z.cover(dst, q, wildcard)
	}
	dst, closest := z.proveEncloser(dst, q, encloser)
	wildcard, _ = closest.Prepend("*")
	return z.coverHash(dst, q, wildcard)
}

// proveNoType proves that a name, or the wildcard that stands for it, does not
// have the type.
func (z *Zone) proveNoType(dst []rrset.Set, q question, owner dnsname.Name) []rrset.Set {
	switch {
	case z.hashed.empty():
		return z.cover(dst, q, owner)
	case owner != q.name: // RFC 5155 §7.2.5
		dst, _ = z.proveEncloser(dst, q, owner.Parent())
	case owner != z.origin && !z.hashed.has(owner): // opted out: RFC 5155 §7.2.4, §7.2.7
		dst, _ = z.proveEncloser(dst, q, owner.Parent())
		return dst
	}
	return z.add(dst, q, z.hashed.match(owner))
}

// proveExpanded proves that the name, for which a wildcard is answered, does not
// exist itself.
func (z *Zone) proveExpanded(dst []rrset.Set, q question, encloser dnsname.Name) []rrset.Set {
	if z.hashed.empty() {
		return z.cover(dst, q, q.name)
	}
	return z.coverHash(dst, q, q.name.Suffix(encloser.Labels()+1))
}

// proveEncloser is the closest encloser proof (RFC 5155 §7.2.1), of the closest
// that the chain has: not that of an unsigned delegation that was opted out.
func (z *Zone) proveEncloser(dst []rrset.Set, q question, closest dnsname.Name) ([]rrset.Set, dnsname.Name) {
	for closest.Below(z.origin) && !z.hashed.has(closest) {
		closest = closest.Parent()
	}
	dst = z.add(dst, q, z.hashed.match(closest))
	return z.coverHash(dst, q, q.name.Suffix(closest.Labels()+1)), closest
}

// coverHash adds the NSEC3 set that covers a name's hash.
func (z *Zone) coverHash(dst []rrset.Set, q question, name dnsname.Name) []rrset.Set {
	return z.add(dst, q, z.hashed.cover(name))
}

// cover adds the NSEC set at a name, or else the one whose span covers it.
func (z *Zone) cover(dst []rrset.Set, q question, name dnsname.Name) []rrset.Set {
	if len(z.chain) == 0 {
		return dst
	}
	i, exact := slices.BinarySearchFunc(z.chain, name, dnsname.Compare)
	if !exact {
		i-- // never below 0: the origin is the least name of its zone
	}
	return z.add(dst, q, z.chain[max(0, i)])
}

// add adds the NSEC or NSEC3 set at an owner, unless it is there already. A zone
// that lies adds none, or that of the next one.
func (z *Zone) add(dst []rrset.Set, q question, owner dnsname.Name) []rrset.Set {
	chain, nodes, t := z.hashed.order, z.hashed.nodes, wire.TypeNSEC3
	if z.hashed.empty() {
		chain, nodes, t = z.chain, z.nodes, wire.TypeNSEC
	}
	if owner == "" {
		return dst
	}
	switch z.lies.denial(q.name, q.t) {
	case noDenial:
		return dst
	case wrongDenial:
		owner = chain[(slices.Index(chain, owner)+1)%len(chain)]
	}
	if slices.ContainsFunc(dst, func(s rrset.Set) bool { return s.Name == owner && s.Type == t }) {
		return dst
	}
	s, _ := nodes[owner].set(t)
	return append(dst, s)
}
