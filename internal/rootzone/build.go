package rootzone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Record is one record of class IN, its data in uncompressed wire form.
type Record struct {
	Name dnsname.Name
	Type wire.Type
	TTL  uint32 // seconds
	Data []byte
}

// Build makes a root zone of records in any order; those that come twice count
// once. It ends with the first error that records gives. It copies the data.
func Build(records iter.Seq2[Record, error]) (*Data, error) {
	l := loader{origin: dnsname.Root}
	for r, err := range records {
		if err == nil {
			err = l.add(r)
		}
		if err != nil {
			return nil, err
		}
	}
	return l.build()
}

// loader collects records.
type loader struct {
	origin dnsname.Name
	rows   []row
	size   int
	buf    []byte // room for the data of the next rows
}

// row is one record, a signature with the type that it covers.
type row struct {
	name dnsname.Name
	t    wire.Type
	sig  bool
	ttl  uint32
	data []byte // in canonical form
}

func (r *row) String() string {
	if r.sig {
		return fmt.Sprintf("%s RRSIG of %s", r.name, r.t)
	}
	return fmt.Sprintf("%s %s", r.name, r.t)
}

// compareRows is the order in which they are stored.
func compareRows(a, b row) int {
	if a.name != b.name {
		return dnsname.Compare(a.name, b.name)
	}
	if a.t != b.t {
		return cmp.Compare(a.t, b.t)
	}
	if a.sig != b.sig {
		if a.sig {
			return 1
		}
		return -1
	}
	return bytes.Compare(a.data, b.data)
}

var (
	errManyRecords = fmt.Errorf("more than %d records", MaxRecords)
	errLarge       = fmt.Errorf("more than %d octets", MaxSize)
	errSOA         = errors.New("the zone has no SOA record, or more than one")
)

// bufSize is how much memory is taken at a time for data.
const bufSize = 64 << 10

// add takes one record. What lies outside the zone is left out (RFC 8976 §3.3.1).
func (l *loader) add(r Record) error {
	if !r.Name.Under(l.origin) {
		return nil
	}
	next, err := l.row(r)
	if err != nil {
		return err
	}
	if len(l.rows) == MaxRecords {
		return errManyRecords
	}
	if l.size += len(next.data) + 2; l.size > MaxSize {
		return errLarge
	}
	if n := len(l.rows); n > 0 && l.rows[n-1].name == next.name {
		next.name = l.rows[n-1].name // the same memory
	}
	l.rows = append(l.rows, next)
	return nil
}

func (l *loader) row(r Record) (row, error) {
	next := row{name: r.Name, t: r.Type, ttl: r.TTL}
	switch err := wire.CheckRdata(r.Type, r.Data); {
	case r.Type.IsMeta():
		return row{}, fmt.Errorf("%s %s: not a type of data", r.Name, r.Type)
	case err != nil:
		return row{}, fmt.Errorf("%s %s: %w", r.Name, r.Type, err)
	case len(r.Data) > math.MaxUint16:
		return row{}, fmt.Errorf("%s %s: %w", r.Name, r.Type, errLarge)
	case r.TTL > math.MaxInt32: // RFC 2181 §8
		return row{}, fmt.Errorf("%s %s: TTL of %d s", r.Name, r.Type, r.TTL)
	case r.Type == wire.TypeSOA && r.Name != l.origin:
		return row{}, fmt.Errorf("%s has an SOA record in the zone %s", r.Name, l.origin)
	}
	if r.Type == wire.TypeRRSIG {
		next.sig, next.t = true, wire.Type(binary.BigEndian.Uint16(r.Data))
	}
	if cap(l.buf)-len(l.buf) < len(r.Data) {
		l.buf = make([]byte, 0, max(bufSize, len(r.Data)))
	}
	at := len(l.buf)
	l.buf = rrset.AppendCanonical(l.buf, r.Type, r.Data)
	next.data = l.buf[at:len(l.buf):len(l.buf)]
	return next, nil
}

// build makes the zone.
func (l *loader) build() (*Data, error) {
	slices.SortFunc(l.rows, compareRows)
	l.rows = slices.CompactFunc(l.rows, func(a, b row) bool { return a.ttl == b.ttl && compareRows(a, b) == 0 })
	d := &Data{origin: l.origin, records: len(l.rows)}
	b := packer{rows: l.rows, out: make([]byte, 0, l.size+l.size/4)}
	for len(b.rows) > 0 {
		d.index = append(d.index, uint32(len(b.out)))
		if err := b.node(); err != nil {
			return nil, err
		}
		if len(b.out) > MaxSize {
			return nil, errLarge
		}
	}
	d.index = slices.Clip(append(d.index, uint32(len(b.out))))
	d.nodes = bytes.Clone(b.out) // without the room that was left
	return d, d.findSOA()
}

func (d *Data) findSOA() error {
	apex, ok := d.at(d.origin)
	if !ok {
		return errSOA
	}
	set, _ := apex.set(wire.TypeSOA)
	if d.soa, ok = readSOA(set.Data.First()); !ok || set.Data.Len() != 1 {
		return errSOA
	}
	return nil
}

// packer writes sorted rows.
type packer struct {
	rows []row
	out  []byte
}

// mostSets is how many types one name can have records of.
const mostSets = math.MaxUint8

// node writes the sets of the first row's name.
func (p *packer) node() error {
	name := p.rows[0].name
	p.out = append(p.out, name...)
	count := len(p.out)
	p.out = append(p.out, 0)
	for len(p.rows) > 0 && p.rows[0].name == name {
		if p.out[count] == mostSets {
			return fmt.Errorf("%s has records of more than %d types", name, mostSets)
		}
		p.out[count]++
		if err := p.set(); err != nil {
			return err
		}
	}
	return nil
}

// set writes the set of the first row. Its records must have one TTL (RFC 2181
// §5.2), the signatures too (RFC 4034 §3), as the digest of the zone is of it.
func (p *packer) set() error {
	first := p.rows[0]
	p.out = binary.BigEndian.AppendUint16(p.out, uint16(first.t))
	p.out = binary.BigEndian.AppendUint32(p.out, first.ttl)
	head := len(p.out)
	p.out = append(p.out, 0, 0, 0, 0, 0, 0, 0, 0)
	data := 0
	for len(p.rows) > 0 && p.rows[0].name == first.name && p.rows[0].t == first.t {
		r := &p.rows[0]
		if r.ttl != first.ttl {
			return fmt.Errorf("%s: TTLs of %d and %d s in one set", r, first.ttl, r.ttl)
		}
		if p.out = rrset.Packed(p.out).Append(r.data); !r.sig {
			data = len(p.out) - head - 8
		}
		p.rows = p.rows[1:]
	}
	binary.BigEndian.PutUint32(p.out[head:], uint32(data))
	binary.BigEndian.PutUint32(p.out[head+4:], uint32(len(p.out)-head-8-data))
	return nil
}
