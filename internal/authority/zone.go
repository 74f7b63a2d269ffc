package authority

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Record is one record of class IN, the data in uncompressed wire form.
type Record struct {
	Name dnsname.Name
	Type wire.Type
	TTL  uint32 // seconds
	Data []byte

	at string // file and line, for errors; "" when not from a file
}

// Zone is the data of one zone. It is immutable: to change data, make another
// Zone and give it to the Server.
type Zone struct {
	origin  dnsname.Name
	nodes   map[dnsname.Name]*node // empty non-terminals too
	records []Record
	soa     rrset.Set      // for negative answers: TTL as RFC 2308 §3 wants it
	chain   []dnsname.Name // owners of NSEC records in canonical order, empty without
	hashed  hashed         // NSEC3 records, which stand beside the names
	lies    lies
}

// node is what stands at one name.
type node struct {
	sets []rrset.Set // empty for an empty non-terminal
	cut  bool        // NS records that are not the zone's own
}

func (n *node) set(t wire.Type) (rrset.Set, bool) {
	for _, s := range n.sets {
		if s.Type == t && !s.Empty() {
			return s, true
		}
	}
	return rrset.Set{}, false
}

// add puts a record into its set; a signature goes to the set that it covers.
func (n *node) add(r Record) {
	t := r.Type
	if t == wire.TypeRRSIG && len(r.Data) >= 2 {
		t = wire.Type(binary.BigEndian.Uint16(r.Data))
	}
	i := slices.IndexFunc(n.sets, func(s rrset.Set) bool { return s.Type == t })
	if i < 0 {
		i = len(n.sets)
		n.sets = append(n.sets, rrset.Set{Name: r.Name, Type: t})
	}
	if r.Type == wire.TypeRRSIG {
		n.sets[i].Sigs = n.sets[i].Sigs.Append(r.Data)
		return
	}
	n.sets[i].Add(r.TTL, r.Data)
}

// NewZone makes a zone of records. It wants one SOA record, at the origin, and
// every record within the zone; whether the zone makes sense beyond that is for
// [Zone.Check] to say, so that tests can have zones that make none.
func NewZone(origin dnsname.Name, records []Record) (*Zone, error) {
	z := &Zone{origin: origin, nodes: map[dnsname.Name]*node{}, records: slices.Clone(records)}
	for _, r := range records {
		if !r.Name.Under(origin) {
			return nil, r.errorf("%s lies outside the zone %s", r.Name, origin)
		}
		if r.Type == wire.TypeSOA && r.Name != origin {
			return nil, r.errorf("SOA at %s, which is not the origin %s", r.Name, origin)
		}
		if r.hashed() {
			z.hashed.add(r)
			continue
		}
		z.node(r.Name).add(r)
	}
	z.hashed.close()
	for name, n := range z.nodes {
		_, ns := n.set(wire.TypeNS)
		n.cut = ns && name != origin
		if _, ok := n.set(wire.TypeNSEC); ok {
			z.chain = append(z.chain, name)
		}
	}
	slices.SortFunc(z.chain, dnsname.Compare)
	return z, z.findSOA()
}

func (r Record) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if r.at != "" {
		return fmt.Errorf("%s: %w", r.at, err)
	}
	return err
}

// node gives the node of a name, and makes it and those above it up to the
// origin (RFC 4592 §2.2.2: they exist).
func (z *Zone) node(name dnsname.Name) *node {
	if n := z.nodes[name]; n != nil {
		return n
	}
	n := new(node)
	z.nodes[name] = n
	if name != z.origin {
		z.node(name.Parent())
	}
	return n
}

var errNoSOA = errors.New("no SOA record")

// findSOA prepares the SOA record of negative answers, whose TTL is the lesser
// of its own and its MINIMUM field (RFC 2308 §3).
func (z *Zone) findSOA() error {
	n := z.nodes[z.origin]
	if n == nil {
		return fmt.Errorf("zone %s: %w", z.origin, errNoSOA)
	}
	soa, ok := n.set(wire.TypeSOA)
	if !ok || soa.Data.Len() != 1 || len(soa.Data.First()) < 22 {
		return fmt.Errorf("zone %s: %w, or more than one", z.origin, errNoSOA)
	}
	data := soa.Data.First()
	soa.TTL = min(soa.TTL, binary.BigEndian.Uint32(data[len(data)-4:]))
	z.soa = soa
	return nil
}

// Origin is the zone's name.
func (z *Zone) Origin() dnsname.Name { return z.origin }

// Serial is the serial number in the SOA record.
func (z *Zone) Serial() uint32 {
	data := z.soa.Data.First()
	return binary.BigEndian.Uint32(data[len(data)-20:])
}

// Records gives a copy of the records that the zone was made of, in their order.
func (z *Zone) Records() []Record { return slices.Clone(z.records) }

// Signed tells whether the zone has a chain of NSEC or NSEC3 records.
func (z *Zone) Signed() bool { return len(z.chain) > 0 || len(z.hashed.order) > 0 }

// Check looks for what a careful operator would not publish: CNAME beside other
// data, no NS records at the origin, names below a DNAME, servers inside a
// delegation without addresses. It gives all findings.
func (z *Zone) Check() error {
	var found []error
	say := func(format string, args ...any) {
		found = append(found, fmt.Errorf("zone %s: "+format, append([]any{z.origin}, args...)...))
	}
	if _, ok := z.nodes[z.origin].set(wire.TypeNS); !ok {
		say("no NS records at the origin")
	}
	for name, n := range z.nodes {
		if s, ok := n.set(wire.TypeCNAME); ok && (len(n.dataTypes()) > 1 || s.Data.Len() > 1) {
			say("%s has a CNAME beside other data", name)
		}
		if _, dname, _ := z.walk(name, wire.TypeNone); dname != "" && dname != name {
			say("%s lies below the DNAME at %s", name, dname)
		}
		if n.cut {
			z.checkGlue(name, n, say)
		}
	}
	slices.SortFunc(found, func(a, b error) int { // a map has no order of its own
		return slices.Compare([]byte(a.Error()), []byte(b.Error()))
	})
	return errors.Join(found...)
}

// dataTypes lists the types at the node without those that may stand anywhere.
func (n *node) dataTypes() (types []wire.Type) {
	for _, s := range n.sets {
		if s.Type != wire.TypeNSEC && !s.Empty() {
			types = append(types, s.Type)
		}
	}
	return types
}

func (z *Zone) checkGlue(cut dnsname.Name, n *node, say func(string, ...any)) {
	ns, _ := n.set(wire.TypeNS)
	for rdata := range ns.Data.All() {
		host, ok := rrset.Target(wire.TypeNS, rdata)
		if ok && host.Under(cut) && len(z.addresses(host)) == 0 {
			say("delegation of %s to %s without glue", cut, host)
		}
	}
}
