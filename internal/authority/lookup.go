package authority

import (
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// maxChain bounds the aliases that one reply follows inside the zone.
const maxChain = 16

// answer is what a zone says to a question, before it is written.
type answer struct {
	rcode      wire.Rcode
	aa         bool
	needed     bool // the authority section belongs to the answer: a referral or denial
	glue       int  // so many additional sets must not be missing (RFC 9471 §3)
	answer     []rrset.Set
	authority  []rrset.Set
	additional []rrset.Set
}

// lookup answers a question for a name under the zone's origin (RFC 1034
// §4.3.2). With do it adds what DNSSEC wants (RFC 4035 §3.1).
func (z *Zone) lookup(name dnsname.Name, t wire.Type, do bool) *answer {
	a := &answer{aa: true}
	for range maxChain {
		next := z.step(a, name, t, do)
		if next == "" || !next.Under(z.origin) {
			break
		}
		name = next
	}
	return a
}

// step does one round of RFC 1034 §4.3.2 step 3 and gives the name at which an
// alias wants the next, "" when the answer is complete.
func (z *Zone) step(a *answer, name dnsname.Name, t wire.Type, do bool) (next dnsname.Name) {
	encloser, dname, cut := z.walk(name, t)
	switch {
	case dname != "":
		return z.rename(a, name, dname)
	case cut != "" && z.lies.denies(name, t):
		z.denyName(a, question{name, t}, cut, do)
		return ""
	case cut != "":
		z.refer(a, cut, do)
		return ""
	}
	n, owner := z.nodes[name], name
	if n != nil && name != z.origin && z.lies.denies(name, t) {
		n, encloser = nil, name.Parent()
	}
	if n == nil {
		wildcard, _ := encloser.Prepend("*")
		if n = z.nodes[wildcard]; n == nil {
			z.denyName(a, question{name, t}, encloser, do)
			return ""
		}
		owner = wildcard
	}
	if owner != name && do {
		a.authority = z.lies.shorten(z.proveExpanded(a.authority, question{name, t}, encloser), question{name, t})
	}
	if alias, ok := n.set(wire.TypeCNAME); ok && !atAlias(t) {
		alias.Name = name
		a.answer = append(a.answer, alias)
		target, _ := alias.Target()
		return target
	}
	sets := n.matching(t)
	if z.lies.withholds(name, t) {
		sets = nil
	}
	for _, s := range sets {
		s.Name = name
		a.answer = append(a.answer, s)
		a.additional = z.addTargets(a.additional, s)
	}
	if len(sets) == 0 {
		z.denyType(a, question{name, t}, owner, do)
	}
	return ""
}

// question is what a denial is about.
type question struct {
	name dnsname.Name
	t    wire.Type
}

// atAlias tells whether a question of type t is answered at a CNAME itself.
func atAlias(t wire.Type) bool {
	switch t {
	case wire.TypeCNAME, wire.TypeANY, wire.TypeRRSIG, wire.TypeNSEC:
		return true
	}
	return false
}

// matching gives the sets that answer a question of type t.
func (n *node) matching(t wire.Type) (sets []rrset.Set) {
	for _, s := range n.sets {
		switch {
		case t == wire.TypeRRSIG && len(s.Sigs) > 0:
			sets = append(sets, rrset.Set{Name: s.Name, Type: wire.TypeRRSIG, TTL: s.TTL, Data: s.Sigs})
		case (s.Type == t || t == wire.TypeANY) && !s.Empty():
			sets = append(sets, s)
		}
	}
	return sets
}

// walk goes down from the origin towards name: to the deepest name that exists,
// or to the first DNAME above it or zone cut on the way. A question for DS at a
// cut is the parent's (RFC 4035 §3.1.4.1), so that cut is walked past.
func (z *Zone) walk(name dnsname.Name, t wire.Type) (encloser, dname, cut dnsname.Name) {
	for labels := z.origin.Labels(); labels <= name.Labels(); labels++ {
		here := name.Suffix(labels)
		n := z.nodes[here]
		if n == nil {
			break
		}
		encloser = here
		if n.cut && (here != name || t != wire.TypeDS) {
			return encloser, "", here
		}
		if _, ok := n.set(wire.TypeDNAME); ok && here != name {
			return encloser, here, ""
		}
	}
	return encloser, "", ""
}

// rename answers with the DNAME at owner and the CNAME made of it (RFC 6672
// §3.1); YXDOMAIN when the new name would be too long.
func (z *Zone) rename(a *answer, name, owner dnsname.Name) (next dnsname.Name) {
	set, _ := z.nodes[owner].set(wire.TypeDNAME)
	a.answer = append(a.answer, set)
	to, ok := set.Target()
	if !ok {
		a.rcode = wire.RcodeServFail
		return ""
	}
	target, err := name.Rebase(owner, to)
	if err != nil {
		a.rcode = wire.RcodeYXDomain
		return ""
	}
	alias := rrset.Set{Name: name, Type: wire.TypeCNAME}
	alias.Add(set.TTL, []byte(target))
	a.answer = append(a.answer, alias)
	return target
}

// refer answers with the delegation at cut.
func (z *Zone) refer(a *answer, cut dnsname.Name, do bool) {
	n := z.nodes[cut]
	ns, _ := n.set(wire.TypeNS)
	a.needed = true
	if len(a.answer) == 0 {
		a.aa = false
	}
	a.authority = append(a.authority, ns)
	if do && z.Signed() {
		if ds, ok := n.set(wire.TypeDS); ok && !z.lies.withholds(cut, wire.TypeDS) {
			a.authority = append(a.authority, ds)
		} else {
			a.authority = z.lies.shorten(z.proveNoType(a.authority, question{cut, wire.TypeDS}, cut), question{cut, wire.TypeDS})
		}
	}
	var siblings []rrset.Set
	for rdata := range ns.Data.All() {
		host, ok := rrset.Target(wire.TypeNS, rdata)
		switch {
		case !ok:
		case host.Under(cut):
			a.additional = append(a.additional, z.addresses(host)...)
		default:
			siblings = append(siblings, z.addresses(host)...)
		}
	}
	a.glue = len(a.additional)
	a.additional = append(a.additional, siblings...)
}

// addresses gives the address sets at a name of this zone, glue included.
func (z *Zone) addresses(host dnsname.Name) (sets []rrset.Set) {
	n := z.nodes[host]
	if n == nil {
		return nil
	}
	for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
		if s, ok := n.set(t); ok {
			sets = append(sets, s)
		}
	}
	return sets
}

// addTargets adds the addresses of the hosts that an answer names (RFC 1034
// §4.3.2 step 6), as far as this zone has them.
func (z *Zone) addTargets(dst []rrset.Set, s rrset.Set) []rrset.Set {
	switch s.Type {
	case wire.TypeNS, wire.TypeMX, wire.TypeSRV:
	default:
		return dst
	}
	for rdata := range s.Data.All() {
		host, ok := rrset.Target(s.Type, rdata)
		if ok && !slices.ContainsFunc(dst, func(s rrset.Set) bool { return s.Name == host }) {
			dst = append(dst, z.addresses(host)...)
		}
	}
	return dst
}

// denyType answers that the name has no such type. The owner is the name or
// the wildcard that matched it.
func (z *Zone) denyType(a *answer, q question, owner dnsname.Name, do bool) {
	a.needed = true
	a.authority = append([]rrset.Set{z.soa}, a.authority...)
	if do {
		a.authority = z.lies.shorten(z.proveNoType(a.authority, q, owner), q)
	}
}

// denyName answers that the name does not exist (and, after aliases, their
// target: RFC 6604 §2.1).
func (z *Zone) denyName(a *answer, q question, encloser dnsname.Name, do bool) {
	a.rcode, a.needed = wire.RcodeNXDomain, true
	a.authority = append(a.authority, z.soa)
	if do {
		a.authority = z.lies.shorten(z.proveNoName(a.authority, q, encloser), q)
	}
}

// withServers adds the zone's own NS records and their addresses to a positive
// answer, as servers do that are not told to be brief.
func (z *Zone) withServers(a *answer) {
	ns, ok := z.nodes[z.origin].set(wire.TypeNS)
	if !ok || a.needed || len(a.answer) == 0 || a.answer[0].Type == wire.TypeNS {
		return
	}
	a.authority = append(a.authority, ns)
	a.additional = z.addTargets(a.additional, ns)
}
