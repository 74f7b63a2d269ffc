package iterator

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// chain is the path from the question's name through the answer section.
type chain struct {
	hops []*rrset.Set // aliases, and the answer at the end if it is there
	end  dnsname.Name // the name that the path ends at, asked for or aliased to
	data bool         // the last hop answers the question
	away bool         // what is asked of end is not in the zone: another is to give it
	// tooLong: the last hop is a DNAME whose result is longer than a name may
	// be (RFC 6672 §2.2, YXDOMAIN).
	tooLong bool
	loop    bool // the aliases lead in a circle, or further than is followed
}

// follow walks from the name asked for through the sets of a scrubbed answer section. Only
// what is on the way is part of the answer; the rest is junk. Who asked for a
// CNAME below a DNAME is answered by the DNAME: the alias is made of it.
func (c *chain) follow(sets []rrset.Set, a *asked) {
	t, zone := a.Type, a.zone
	c.end = a.Name
	for hops := 0; ; hops++ {
		// An alias to the top of the zone: its DS records are the parent's to give
		// or to deny (RFC 4035 §3.1.4.1).
		if !c.end.Under(zone) || hops > 0 && t == wire.TypeDS && c.end == zone && !zone.IsRoot() {
			c.away = true
			return
		}
		s := aliasOf(sets, c.end)
		made := t == wire.TypeCNAME && s != nil && s.Type == wire.TypeDNAME
		if data := get(sets, c.end, t); data != nil && !made {
			c.hops, c.data = append(c.hops, data), true
			return
		}
		if s == nil {
			return
		}
		// At a CNAME before: a circle. A DNAME may apply again, to another name;
		// there the number of hops is the bound.
		if hops >= a.hops || c.on(s) && s.Type == wire.TypeCNAME {
			c.loop = true
			return
		}
		c.hops = append(c.hops, s)
		target, ok := s.Target()
		if ok && s.Type == wire.TypeDNAME {
			var err error
			if target, err = c.end.Rebase(s.Name, target); err != nil {
				c.tooLong = true
				return
			}
		}
		if c.data = ok && made; !ok || made {
			return
		}
		c.end = target
	}
}

// aliasOf finds what leads on from name. A DNAME above it wins over a CNAME at
// it, which then is the one that the server made of the DNAME (RFC 6672 §3.1);
// we make our own.
func aliasOf(sets []rrset.Set, name dnsname.Name) *rrset.Set {
	for i := range sets {
		if sets[i].Type == wire.TypeDNAME && name.Below(sets[i].Name) {
			return &sets[i]
		}
	}
	return get(sets, name, wire.TypeCNAME)
}

// on tells whether a set is part of the path.
func (c *chain) on(s *rrset.Set) bool {
	for _, h := range c.hops {
		if h == s {
			return true
		}
	}
	return false
}

// made tells whether a set is a CNAME that the server made of a DNAME on the
// path: nothing is wrong with it, we just make our own.
func (c *chain) made(s *rrset.Set) bool {
	if s.Type != wire.TypeCNAME {
		return false
	}
	for _, h := range c.hops {
		if h.Type == wire.TypeDNAME && s.Name.Below(h.Name) {
			return true
		}
	}
	return false
}

// single cuts a CNAME or DNAME set to its first record: more than one at an
// owner is an error (RFC 2181 §10.1, RFC 6672 §2.4), and the first is what
// peers follow.
func single(m *message) {
	for i := range m.answer {
		s := &m.answer[i]
		if (s.Type == wire.TypeCNAME || s.Type == wire.TypeDNAME) && s.Data.Len() > 1 {
			m.drop(wire.AnswerSection, s.Name, s.Type, "more than one alias at a name")
			s.Data = rrset.Packed(nil).Append(s.Data.First())
		}
	}
}
