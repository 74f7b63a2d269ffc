package authority

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// Signing says how a zone is signed.
type Signing struct {
	From, Until time.Time // of all signatures, but for breaks
	Keys        []*Key
	NSEC3       *NSEC3 // nil: NSEC
	Breaks      []Break

	strangers map[*Key]map[string]*Key // what breaks sign with in place of each, by their words
}

var errNoKey = errors.New("no key to sign with")

// made are the types that signing makes.
var made = []wire.Type{wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeNSEC3PARAM, wire.TypeDNSKEY}

// Sign gives the zone with DNSKEY records, a chain of NSEC or NSEC3 records, and
// signatures. What a former signing left is replaced; the zone itself does not
// change.
func (z *Zone) Sign(s Signing) (*Zone, error) {
	if len(s.Keys) == 0 {
		return nil, fmt.Errorf("signing %s: %w", z.origin, errNoKey)
	}
	if err := s.findStrangers(z.origin); err != nil {
		return nil, err
	}
	records := slices.DeleteFunc(z.Records(), func(r Record) bool { return slices.Contains(made, r.Type) })
	for _, k := range s.Keys {
		if k.role == Hidden {
			continue
		}
		r, err := k.DNSKEY()
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	bare, err := NewZone(z.origin, records)
	if err != nil {
		return nil, err
	}
	chain := bare.nsecChain
	if s.NSEC3 != nil {
		chain = func() ([]Record, error) { return bare.nsec3Chain(*s.NSEC3) }
	}
	denials, err := chain()
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", z.origin, err)
	}
	records = append(records, denials...)
	chained, err := NewZone(z.origin, records)
	if err != nil {
		return nil, err
	}
	sigs, err := chained.signatures(&s)
	if err != nil {
		return nil, err
	}
	signed, err := NewZone(z.origin, append(records, sigs...))
	if err == nil {
		signed.lies = liesOf(s.Breaks)
	}
	return signed, err
}

// authoritative lists the names that the zone has authority over or delegates,
// in canonical order: neither glue nor empty non-terminals.
func (z *Zone) authoritative() []dnsname.Name {
	var names []dnsname.Name
	for name, n := range z.nodes {
		_, _, cut := z.walk(name, wire.TypeDS)
		if len(n.sets) > 0 && cut == "" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, dnsname.Compare)
	return names
}

// signedTypes lists the types at a name that get signatures: all, but at a cut
// only what is the parent's (RFC 4035 §2.2).
func (n *node) signedTypes() (types []wire.Type) {
	for _, s := range n.sets {
		if !s.Empty() && (!n.cut || s.Type == wire.TypeDS || s.Type == wire.TypeNSEC) {
			types = append(types, s.Type)
		}
	}
	return types
}

// nsecChain makes the NSEC records (RFC 4034 §4), one for each authoritative
// name, with the TTL of negative answers (RFC 9077).
func (z *Zone) nsecChain() ([]Record, error) {
	names := z.authoritative()
	var chain []Record
	for i, name := range names {
		types := append(z.nodes[name].told(), dns.TypeNSEC, dns.TypeRRSIG)
		slices.Sort(types)
		r, err := fromRR(&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name.String(), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: z.soa.TTL},
			NextDomain: names[(i+1)%len(names)].String(),
			TypeBitMap: types,
		})
		if err != nil {
			return nil, err
		}
		chain = append(chain, r)
	}
	return chain, nil
}

// told lists the types at a name that a denial tells of: at a cut not the glue.
func (n *node) told() (types []uint16) {
	for _, s := range n.sets {
		if !s.Empty() && (!n.cut || s.Type == wire.TypeDS || s.Type == wire.TypeNS) {
			types = append(types, uint16(s.Type))
		}
	}
	return types
}

// signatures signs every authoritative set, and the chain of hashed names.
func (z *Zone) signatures(s *Signing) ([]Record, error) {
	var sigs []Record
	add := func(name dnsname.Name, n *node, types []wire.Type) error {
		for _, t := range types {
			list, err := s.sign(z.origin, name, n, t)
			if err != nil {
				return fmt.Errorf("signing %s %s: %w", name, t, err)
			}
			sigs = append(sigs, list...)
		}
		return nil
	}
	for _, name := range z.authoritative() {
		n := z.nodes[name]
		if err := add(name, n, n.signedTypes()); err != nil {
			return nil, err
		}
	}
	for _, name := range z.hashed.order {
		if err := add(name, z.hashed.nodes[name], []wire.Type{wire.TypeNSEC3}); err != nil {
			return nil, err
		}
	}
	return sigs, nil
}

// sign makes the signatures of one set, as the breaks want them.
func (s *Signing) sign(zone, name dnsname.Name, n *node, t wire.Type) ([]Record, error) {
	set, _ := n.set(t)
	var rrs []dns.RR
	for rdata := range set.Data.All() {
		rr, err := Record{Name: name, Type: t, TTL: set.TTL, Data: rdata}.toRR()
		if err != nil {
			return nil, err
		}
		rrs = append(rrs, rr)
	}
	var sigs []Record
	for _, k := range s.Keys {
		if !k.signs(uint16(t)) {
			continue
		}
		d := draft{zone: zone, key: k, strangers: s.strangers[k], set: rrs, from: s.From, until: s.Until, copies: 1}
		for _, b := range s.Breaks {
			if b.of(name, t) {
				d.spoil(b)
			}
		}
		list, err := d.sign()
		if err != nil {
			return nil, err
		}
		sigs = append(sigs, list...)
	}
	return sigs, nil
}
