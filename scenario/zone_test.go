package scenario

import (
	"fmt"
	"strings"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// zoneFile is the file that holds a zone when nothing else is said.
func zoneFile(zone dnsname.Name) string {
	if zone.IsRoot() {
		return "root.zone"
	}
	return strings.TrimSuffix(zone.String(), ".") + ".zone"
}

// load reads a zone and adds what its file leaves out; delegations only to the
// zones that are there from the beginning.
func (w *world) load(origin dnsname.Name, file string, first bool) (*authority.Zone, error) {
	text, ok := w.script.files[file]
	if !ok && file != zoneFile(origin) {
		return nil, fmt.Errorf("there is no file %s", file)
	}
	records, err := authority.ParseRecords(origin, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	z := &draft{w: w, origin: origin, records: records}
	if err := z.complete(first); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return authority.NewZone(origin, z.records)
}

// draft is a zone that may lack what every zone has.
type draft struct {
	w       *world
	origin  dnsname.Name
	records []authority.Record
}

func (z *draft) has(name dnsname.Name, types ...wire.Type) bool {
	for _, r := range z.records {
		for _, t := range types {
			if r.Name == name && r.Type == t {
				return true
			}
		}
	}
	return false
}

// add puts records in, given as in a zone file.
func (z *draft) add(format string, args ...any) error {
	records, err := authority.ParseRecords(z.origin, fmt.Sprintf(format, args...))
	z.records = append(z.records, records...)
	return err
}

// complete adds SOA and NS records, delegations of zones beneath and the
// addresses of servers, where the file has none.
func (z *draft) complete(delegations bool) error {
	if !z.has(z.origin, wire.TypeSOA) {
		if err := z.add("@ 3600 SOA ns. admin. 1 7200 900 1209600 300\n"); err != nil {
			return err
		}
	}
	if err := z.delegate(z.origin); err != nil {
		return err
	}
	for _, child := range z.w.zonesServed() {
		if delegations && child.Below(z.origin) && z.w.deepest(child.Parent()) == z.origin {
			if err := z.delegate(child); err != nil {
				return err
			}
		}
	}
	for _, s := range z.w.servers {
		name := dnsname.MustParse(s.name)
		if z.holds(name) {
			if err := z.addresses(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// holds tells whether a server's address belongs here: as data, or as glue of a
// delegation that leads to a server inside the delegated zone.
func (z *draft) holds(name dnsname.Name) bool {
	home := z.w.deepest(name)
	if home == z.origin {
		return name.Under(z.origin)
	}
	for _, r := range z.records {
		if r.Type != wire.TypeNS || !name.Under(r.Name) || r.Name == z.origin {
			continue
		}
		if to, ok := rrset.Target(wire.TypeNS, r.Data); ok && to == name {
			return true
		}
	}
	return false
}

// delegate names a zone's servers.
func (z *draft) delegate(zone dnsname.Name) error {
	if z.has(zone, wire.TypeNS) {
		return nil
	}
	for _, s := range z.w.serves(zone) {
		if err := z.add("%s 86400 NS %s\n", zone, s.name); err != nil {
			return err
		}
	}
	return nil
}

func (z *draft) addresses(s *server) error {
	name := dnsname.MustParse(s.name)
	if z.has(name, wire.TypeA, wire.TypeAAAA, wire.TypeCNAME) {
		return nil
	}
	for _, a := range s.addrs {
		t := "A"
		if a.Is6() {
			t = "AAAA"
		}
		if err := z.add("%s 86400 %s %s\n", s.name, t, a); err != nil {
			return err
		}
	}
	return nil
}
