package config

import (
	"regexp"
	"strconv"
	"strings"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// recordAt is where the parser of zone files says a mistake is, which is on line
// 1 of a record.
var recordAt = regexp.MustCompile(`^(record:|line )[0-9]+: `)

// recordExample is a record as it is written.
const recordExample = `"printer.corp.example. 300 IN A 192.0.2.9"`

// parseRecord reads one record in presentation form (RFC 1035 §5.1). TTL and
// class may be left out.
func parseRecord(text string) (rrset.Set, *problem) {
	const remedy = "write one such as " + recordExample
	list, err := authority.ParseRecords(dnsname.Root, text)
	switch {
	case err != nil:
		why := recordAt.ReplaceAllString(err.Error(), "")
		return rrset.Set{}, &problem{quote(text) + " is no record (" + why + ")", remedy}
	case len(list) != 1:
		return rrset.Set{}, &problem{quote(text) + " is not one record", remedy}
	}
	r := list[0]
	if bad := localType(r.Type); bad != nil {
		return rrset.Set{}, bad
	}
	if strings.Contains(string(r.Name.Parent()), "\x01*") {
		return rrset.Set{}, &problem{quote(text) + " has an asterisk that is not its first label", remedy}
	}
	return rrset.Set{Name: r.Name, Type: r.Type, TTL: r.TTL, Data: rrset.Packed(nil).Append(r.Data)}, nil
}

// localType refuses types that would need more than being answered with.
func localType(t wire.Type) *problem {
	switch t {
	case wire.TypeDNAME:
		return &problem{"DNAME is not answered locally", "write a local zone of the type redirect with a CNAME at its apex"}
	case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeDNSKEY, wire.TypeDS:
		return &problem{t.String() + " is not answered locally", "local data is not signed; serve the zone elsewhere and name its servers under stub"}
	}
	if t.IsMeta() {
		return &problem{t.String() + " is no type of data", "write one such as " + recordExample}
	}
	return nil
}

// checkLocal looks at the local zones and records together: what would never be
// answered is a mistake.
func (r *reader) checkLocal() {
	zones := map[dnsname.Name]string{}
	types := map[dnsname.Name]string{}
	for i, z := range r.cfg.LocalZones {
		r.once("local-zones", i, z.Zone, zones)
		types[z.Zone] = z.Type
		if z.Zone.FirstLabel() == "*" {
			r.fail(r.given["local-zones"].Content[i], "local-zones", &problem{quote(z.Zone.String()) + " is one name with an asterisk, no wildcard",
				"write " + strconv.Quote(z.Zone.Parent().String()) + ", which has all names below"})
		}
	}
	aliases, others := map[dnsname.Name]int{}, map[dnsname.Name]int{}
	for i, d := range r.cfg.LocalData {
		if d.Type == wire.TypeCNAME {
			aliases[d.Name]++
		} else {
			others[d.Name]++
		}
		switch owner := d.Name.String(); {
		case aliases[d.Name] > 1:
			r.failRecord(i, &problem{owner + " has two CNAME records", "delete one"})
		case aliases[d.Name] > 0 && others[d.Name] > 0:
			r.failRecord(i, &problem{owner + " has a CNAME record and others", "delete one: an alias stands alone (RFC 2181 §10.1)"})
		}
		r.checkReached(i, d.Name, types)
	}
}

// checkReached refuses a record that its zone hides.
func (r *reader) checkReached(i int, owner dnsname.Name, types map[dnsname.Name]string) {
	for zone := owner; ; zone = zone.Parent() {
		switch kind := types[zone]; {
		case kind == "nxdomain":
			r.failRecord(i, &problem{"nothing exists in the local zone " + quote(zone.String()), "delete the record, or make the zone static"})
		case kind == "redirect" && owner != zone:
			r.failRecord(i, &problem{"all names of the local zone " + quote(zone.String()) + " have the data of its apex", "move the record there, or make the zone static"})
		}
		if types[zone] != "" || zone.IsRoot() {
			return
		}
	}
}

func (r *reader) failRecord(i int, p *problem) {
	r.fail(r.given["local-data"].Content[i], "local-data", p)
}
