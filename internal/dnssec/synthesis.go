package dnssec

import (
	"bytes"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Synthesis is what the records of a denial say of a question that the zone was not
// asked (RFC 8198).
type Synthesis uint8

// Syntheses.
const (
	NothingSaid Synthesis = iota
	NoSuchName            // NXDOMAIN
	NoSuchType            // NODATA
	MayExpand             // the name is not there, and nothing is said of the wildcard that would stand for it
)

// Like gives a denial without NSEC3 records the parameters of one, which does not
// become a part of it: those that Gather asks for are to have the same.
func (d *Denial) Like(set *rrset.Set, b *Budget) {
	if d.nsec3 = d.nsec3.add(d.zone, set, d.policy, b); d.nsec3 != nil {
		d.nsec3.records = nil
	}
}

// Gather finds the records that bear on a name: byName gives the NSEC record whose
// owner a name is, or else the one that covers it, byHash the NSEC3 record of a hash
// likewise, nil for none. Those of use become a part of the denial, and are given.
// Nothing is hashed with more iterations than the policy allows (RFC 9276 §3.2).
func (d *Denial) Gather(name dnsname.Name, byName func(dnsname.Name) *rrset.Set, byHash func(hash []byte) *rrset.Set) []*rrset.Set {
	var list []*rrset.Set
	take := func(s *rrset.Set) bool {
		n, ok := readNSEC(d.zone, s)
		if ok {
			d.nsec, list = append(d.nsec, n), append(list, s)
		}
		return ok
	}
	if s := byName(name); s != nil && take(s) {
		if d.noName(name) {
			if s := byName(wildcard(d.encloser(name))); s != nil && s != list[0] {
				take(s)
			}
		}
		return list
	}
	c := d.nsec3
	if c == nil || c.iterations > d.policy.Iterations {
		return nil
	}
	return c.gather(name, d.policy, byHash)
}

// gather finds the record of a name; without one those of the closest encloser, the
// next closer name and the wildcard (RFC 5155 §8.3, §8.4).
func (c *chain3) gather(name dnsname.Name, p *Policy, byHash func([]byte) *rrset.Set) (list []*rrset.Set) {
	take := func(s *rrset.Set) {
		if s != nil && (len(list) == 0 || s != list[0] && s != list[len(list)-1]) {
			c.add(c.zone, s, p, c.budget)
			list = append(list, s)
		}
	}
	s, its := c.look(name, byHash)
	if its {
		take(s)
		return list
	}
	for closer := name; closer != c.zone && !c.short; closer = closer.Parent() {
		up, is := c.look(closer.Parent(), byHash)
		switch {
		case is && s == nil:
			return nil // nothing is known of the next closer name
		case is:
			take(up)
			take(s)
			s, _ = c.look(wildcard(closer.Parent()), byHash)
			take(s)
			return list
		}
		s = up
	}
	return nil
}

// GatherCloser finds the NSEC3 record that covers the name below an encloser of so many
// labels, on the way to another: nil without one. Where a wildcard is known to be, what
// is above it exists, and need not be found.
func (d *Denial) GatherCloser(name dnsname.Name, encloser int, byHash func(hash []byte) *rrset.Set) *rrset.Set {
	c := d.nsec3
	if c == nil || c.iterations > d.policy.Iterations || encloser >= name.Labels() {
		return nil
	}
	s, its := c.look(name.Suffix(encloser+1), byHash)
	if s == nil || its {
		return nil
	}
	c.add(c.zone, s, d.policy, c.budget)
	return s
}

// look finds the record of a name (its), or the one that covers it.
func (c *chain3) look(name dnsname.Name, byHash func([]byte) *rrset.Set) (s *rrset.Set, its bool) {
	h := c.hash(name)
	if h == nil {
		return nil, false
	}
	if s = byHash(h); s == nil {
		return nil, false
	}
	own, err := hashOf(s.Name)
	return s, err == nil && bytes.Equal(own, h)
}

// Synthesise tells what the records say of a question, and for MayExpand below which
// name the wildcard would stand. What was opted out says nothing.
func (d *Denial) Synthesise(name dnsname.Name, t wire.Type) (Synthesis, dnsname.Name) {
	if _, _, ok := d.unwanted(); ok {
		return NothingSaid, ""
	}
	if d.noType(name, t) || d.nsec3.noData(name, t) == Proven {
		return NoSuchType, ""
	}
	if d.noName(name) {
		encloser := d.encloser(name)
		w := wildcard(encloser)
		switch {
		case d.noName(w):
			return NoSuchName, ""
		case d.noType(w, t):
			return NoSuchType, ""
		}
		return MayExpand, encloser
	}
	encloser, next := d.nsec3.encloser(name)
	if next == nil || next.optOut {
		return NothingSaid, ""
	}
	if r := d.nsec3.covering(wildcard(encloser)); r != nil && !r.optOut {
		return NoSuchName, ""
	}
	return MayExpand, encloser
}
