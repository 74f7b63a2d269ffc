package dnssec

import (
	"fmt"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Proof is what a denial proves of a name.
type Proof uint8

// Proofs.
const (
	Unproven Proof = iota
	Proven
	OptOut   // but for an unsigned delegation that may be there (RFC 5155 §6, §9.2): insecure
	Unwanted // by NSEC3 with more iterations than are computed: insecure (RFC 9276 §3.2)
)

func (p Proof) String() string { return [...]string{"unproven", "proven", "opt-out", "unwanted"}[p&3] }

// Cut is what a denial says of a name that may be the top of a zone.
type Cut uint8

// Cuts.
const (
	Unknown   Cut = iota // nothing that could be relied on
	Delegated            // a cut, and its parent has no DS records of it: insecure
	NoCut                // the name is there, and no cut
	NoName               // the name is not there
)

func (c Cut) String() string { return [...]string{"unknown", "delegated", "no cut", "no name"}[c&3] }

// Denial is a set of NSEC or NSEC3 records of one zone, which the caller has
// verified: what they say together does not exist. It is for one goroutine.
type Denial struct {
	zone   dnsname.Name
	nsec   []nsec
	nsec3  *chain3 // nil: none
	policy *Policy
}

// NewDenial reads the NSEC and NSEC3 sets among those given, which must be of
// the zone and must not have come from a wildcard.
func NewDenial(zone dnsname.Name, sets []rrset.Set, p *Policy, b *Budget) *Denial {
	d := &Denial{zone: zone, policy: p}
	for i := range sets {
		switch s := &sets[i]; s.Type {
		case wire.TypeNSEC:
			if n, ok := readNSEC(zone, s); ok {
				d.nsec = append(d.nsec, n)
			}
		case wire.TypeNSEC3:
			d.nsec3 = d.nsec3.add(zone, s, p, b)
		}
	}
	return d
}

// NXDomain tells whether a name is proven not to exist, nor a wildcard that
// would stand for it (RFC 4035 §5.4, RFC 5155 §8.4).
func (d *Denial) NXDomain(name dnsname.Name) (Proof, *ede.Error) {
	if p, err, ok := d.unwanted(); ok {
		return p, err
	}
	if d.noName(name) && d.noName(wildcard(d.encloser(name))) {
		return Proven, nil
	}
	if p := d.nsec3.nxDomain(name); p != Unproven {
		return p, nil
	}
	return Unproven, d.missing("that %s does not exist", name)
}

// NoData tells whether a name is proven to exist without records of a type, or
// to be answered by such a wildcard (RFC 4035 §5.4, RFC 5155 §8.5–8.7).
func (d *Denial) NoData(name dnsname.Name, t wire.Type) (Proof, *ede.Error) {
	if p, err, ok := d.unwanted(); ok {
		return p, err
	}
	if d.noType(name, t) || d.noName(name) && d.noType(wildcard(d.encloser(name)), t) {
		return Proven, nil
	}
	if p := d.nsec3.noData(name, t); p != Unproven {
		return p, nil
	}
	return Unproven, d.missing("that %s has no %s record", name, t)
}

// Expanded tells whether a name, for which a wildcard was answered below an
// encloser of so many labels, is proven not to exist itself (RFC 4035 §5.3.4,
// RFC 5155 §8.8).
func (d *Denial) Expanded(name dnsname.Name, encloser int) (Proof, *ede.Error) {
	if p, err, ok := d.unwanted(); ok {
		return p, err
	}
	if d.noName(name) && d.encloser(name).Labels() == encloser {
		return Proven, nil
	}
	if p := d.nsec3.expanded(name, encloser); p != Unproven {
		return p, nil
	}
	return Unproven, d.missing("that %s does not exist, so that a wildcard may answer for it", name)
}

// NoDS tells what the zone says of a name below it that has no DS records.
func (d *Denial) NoDS(name dnsname.Name) (Cut, Proof, *ede.Error) {
	if p, err, ok := d.unwanted(); ok {
		if p == Unwanted {
			return Delegated, p, err
		}
		return Unknown, p, err
	}
	for i := range d.nsec {
		if n := &d.nsec[i]; n.owner == name && n.types.denies(wire.TypeDS, name.IsRoot()) {
			return cutBy(n.types), Proven, nil
		}
	}
	switch {
	case d.noType(name, wire.TypeDS): // an empty non-terminal
		return NoCut, Proven, nil
	case d.noName(name):
		return NoName, Proven, nil
	}
	if c, p := d.nsec3.noDS(name); c != Unknown {
		return c, p, nil
	}
	return Unknown, Unproven, d.missing("that %s has no DS record", name)
}

func cutBy(types bitmap) Cut {
	if types.delegates() {
		return Delegated
	}
	return NoCut
}

// unwanted is the proof that is left when there are only NSEC3 records that are
// not computed.
func (d *Denial) unwanted() (Proof, *ede.Error, bool) {
	c := d.nsec3
	if len(d.nsec) > 0 || c == nil || c.iterations <= d.policy.Iterations {
		return Unproven, nil, false
	}
	text := fmt.Sprintf("%s has NSEC3 records with %d iterations, more than %d", d.zone, c.iterations, d.policy.Iterations)
	if c.iterations > d.policy.Refused {
		return Unproven, &ede.Error{Code: ede.UnsupportedNSEC3Iter, ID: "ITEB", Text: text}, true
	}
	return Unwanted, &ede.Error{Code: ede.UnsupportedNSEC3Iter, ID: "ITER", Text: text}, true
}

func (d *Denial) missing(format string, args ...any) *ede.Error {
	what := fmt.Sprintf(format, args...)
	switch {
	case d.nsec3.spent():
		return TooMuch("to see " + what)
	case len(d.nsec) == 0 && d.nsec3 == nil:
		return &ede.Error{Code: ede.NSECMissing, ID: "NNSC", Text: d.zone.String() + " gives no proof " + what}
	}
	return &ede.Error{Code: ede.NSECMissing, ID: "NPRF", Text: d.zone.String() + " does not prove " + what}
}

// wildcard is the name that would stand for all below an encloser. What is too
// long for a name is no name: the root, of which nothing is ever denied.
func wildcard(encloser dnsname.Name) dnsname.Name {
	w, err := encloser.Prepend("*")
	if err != nil {
		return dnsname.Root
	}
	return w
}
