package rootzone

import (
	"encoding/binary"
	"iter"
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Bounds of a zone: the root had 25,000 records in 2 MB when they were set. What
// is beyond is refused, and root servers are asked.
const (
	MaxRecords = 150_000
	MaxSize    = 6 << 20 // octets of the stored form
)

// Data is a zone as it was read, believed by nobody so far. It is immutable and
// may be used from many goroutines.
//
// All of it is one piece of memory, nodes in canonical order of their names (RFC
// 4034 §6.1), data in canonical form and order, each record once:
//
//	node: name, number of sets (1 octet), sets in order of their types
//	set:  type (2), TTL (4), length of the data (4) and of the signatures (4), both as rrset.Packed
//
// A set without data has signatures that cover nothing.
type Data struct {
	origin  dnsname.Name
	nodes   []byte
	index   []uint32 // where each node begins, and behind the last one the end
	records int
	soa     soa
}

const setHead = 14

// soa is what the zone's own SOA record says.
type soa struct {
	serial, refresh, retry, expire, minimum uint32
}

// readSOA reads the numbers behind the two names; ok is false when data has not
// the shape of an SOA record.
func readSOA(data []byte) (s soa, ok bool) {
	if wire.CheckRdata(wire.TypeSOA, data) != nil {
		return s, false
	}
	n := data[len(data)-20:]
	for i, field := range [...]*uint32{&s.serial, &s.refresh, &s.retry, &s.expire, &s.minimum} {
		*field = binary.BigEndian.Uint32(n[4*i:])
	}
	return s, true
}

// Serial is the serial number in the SOA record.
func (d *Data) Serial() uint32 { return d.soa.serial }

// Len counts the records.
func (d *Data) Len() int { return d.records }

// Size is the memory that the zone takes, in octets.
func (d *Data) Size() int { return len(d.nodes) + 4*len(d.index) }

// node is one name with its sets, in place.
type node struct {
	name dnsname.Name
	sets []byte
}

// count is how many names have records.
func (d *Data) count() int { return len(d.index) - 1 }

func (d *Data) nameOf(i int) dnsname.Name {
	at := d.nodes[d.index[i]:]
	return dnsname.Alias(at[:dnsname.WireLen(at)])
}

func (d *Data) node(i int) node {
	at := d.nodes[d.index[i]:d.index[i+1]]
	n := dnsname.WireLen(at)
	return node{dnsname.Alias(at[:n]), at[n+1:]}
}

// search finds a name: where it is, or where it would be.
func (d *Data) search(name dnsname.Name) (int, bool) {
	return find(d.count(), func(i int) int { return dnsname.Compare(d.nameOf(i), name) })
}

// find is a binary search among n places.
func find(n int, compare func(i int) int) (int, bool) {
	low, high := 0, n
	for low < high {
		mid := int(uint(low+high) >> 1)
		switch c := compare(mid); {
		case c == 0:
			return mid, true
		case c < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return low, false
}

// at gives the node of a name, ok is false without one.
func (d *Data) at(name dnsname.Name) (n node, ok bool) {
	i, ok := d.search(name)
	if !ok {
		return node{}, false
	}
	return d.node(i), true
}

// readSet reads the set at the start of b. It aliases the zone, which never changes.
func (n node) readSet(b []byte) (s rrset.Set, rest []byte) {
	data := setHead + int(binary.BigEndian.Uint32(b[6:]))
	end := data + int(binary.BigEndian.Uint32(b[10:]))
	return rrset.Set{
		Name: n.name, Type: wire.Type(binary.BigEndian.Uint16(b)), TTL: binary.BigEndian.Uint32(b[2:]),
		Data: rrset.Packed(b[setHead:data:data]), Sigs: rrset.Packed(b[data:end:end]),
	}, b[end:]
}

// all gives each set of the node, those without data too.
func (n node) all() iter.Seq[rrset.Set] {
	return func(yield func(rrset.Set) bool) {
		for rest := n.sets; len(rest) > 0; {
			var s rrset.Set
			if s, rest = n.readSet(rest); !yield(s) {
				return
			}
		}
	}
}

// set gives the node's records of a type.
func (n node) set(t wire.Type) (s rrset.Set, ok bool) {
	for rest := n.sets; len(rest) > 0; {
		if s, rest = n.readSet(rest); s.Type == t {
			return s, !s.Empty()
		}
	}
	return rrset.Set{}, false
}

func (n node) has(t wire.Type) bool {
	_, ok := n.set(t)
	return ok
}

// Records gives each record, in canonical order but for signatures, which follow
// what they cover. The data aliases the zone.
func (d *Data) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for i := range d.count() {
			for s := range d.node(i).all() {
				for rdata := range s.Data.All() {
					if !yield(Record{s.Name, s.Type, s.TTL, rdata}) {
						return
					}
				}
				for rdata := range s.Sigs.All() {
					if !yield(Record{s.Name, wire.TypeRRSIG, s.TTL, rdata}) {
						return
					}
				}
			}
		}
	}
}

// same tells whether two zones are the same to the octet.
func (d *Data) same(o *Data) bool { return slices.Equal(d.nodes, o.nodes) }

// SerialOf is the serial number in the data of an SOA record; ok is false when it has
// not the shape of one.
func SerialOf(rdata []byte) (serial uint32, ok bool) {
	s, ok := readSOA(rdata)
	return s.serial, ok
}
