package dnssec

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// nsec is an NSEC record: the only name from owner to before next is owner
// (RFC 4034 §4).
type nsec struct {
	owner, next dnsname.Name
	types       bitmap
}

func readNSEC(zone dnsname.Name, s *rrset.Set) (nsec, bool) {
	data := s.Data.First()
	n := dnsname.WireLen(data)
	if n == 0 || !s.Name.Under(zone) {
		return nsec{}, false
	}
	next, err := dnsname.FromWire(data[:n])
	return nsec{s.Name, next, bitmap(data[n:])}, err == nil && next.Under(zone)
}

// covers tells whether a name lies between the record's two.
func (n *nsec) covers(name dnsname.Name) bool {
	afterOwner, beforeNext := dnsname.Compare(n.owner, name) < 0, dnsname.Compare(name, n.next) < 0
	if dnsname.Compare(n.owner, n.next) < 0 {
		return afterOwner && beforeNext
	}
	return afterOwner || beforeNext // the chain's last record, which leads to its first
}

// cutsOff tells whether the record is of a name above which another zone, or a
// DNAME, speaks for what is below: then it says nothing of that (RFC 6840 §4.1,
// RFC 6672 §5.3.4.1).
func (n *nsec) cutsOff(name dnsname.Name) bool {
	return name.Below(n.owner) && (n.types.delegates() || n.types.has(wire.TypeDNAME))
}

// noName tells whether an NSEC record proves that a name does not exist: an empty
// non-terminal does (RFC 4592 §2.2.2).
func (d *Denial) noName(name dnsname.Name) bool {
	n := d.covering(name)
	return n != nil && !n.next.Below(name)
}

// covering finds the record that covers a name in the zone.
func (d *Denial) covering(name dnsname.Name) *nsec {
	if !name.Below(d.zone) {
		return nil
	}
	for i := range d.nsec {
		if n := &d.nsec[i]; n.covers(name) && !n.cutsOff(name) {
			return n
		}
	}
	return nil
}

// noType tells whether an NSEC record proves that a name has no records of a type.
func (d *Denial) noType(name dnsname.Name, t wire.Type) bool {
	for i := range d.nsec {
		if n := &d.nsec[i]; n.owner == name {
			return n.types.denies(t, name.IsRoot())
		}
	}
	n := d.covering(name)
	return n != nil && n.next.Below(name)
}

// encloser is the closest ancestor of a name that exists, as the record that
// covers it tells: what it has in common with one of that record's names.
func (d *Denial) encloser(name dnsname.Name) dnsname.Name {
	n := d.covering(name)
	if n == nil {
		return d.zone
	}
	return name.Suffix(max(dnsname.CommonLabels(name, n.owner), dnsname.CommonLabels(name, n.next)))
}
