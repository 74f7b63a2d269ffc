// Package rrset holds record sets as data: an owner, a type, a TTL and the
// record data in uncompressed wire form. It must not know messages, nor what
// time it is: a TTL is a number here.
package rrset

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"strconv"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// Packed is a list of record data, each behind its length in two octets, big
// endian: one piece of memory however many records there are.
type Packed []byte

// Append adds one record's data (at most 65,535 octets).
func (p Packed) Append(rdata []byte) Packed {
	p = binary.BigEndian.AppendUint16(p, uint16(len(rdata)))
	return append(p, rdata...)
}

// All gives the data of each record; the slices alias p.
func (p Packed) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := p; len(rest) >= 2; {
			n := 2 + int(binary.BigEndian.Uint16(rest))
			if n > len(rest) || !yield(rest[2:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// Len counts the records.
func (p Packed) Len() int {
	n := 0
	for range p.All() {
		n++
	}
	return n
}

// First is the data of the first record, nil without one.
func (p Packed) First() []byte {
	for rd := range p.All() {
		return rd
	}
	return nil
}

// Contains tells whether some record has exactly this data, octet by octet.
func (p Packed) Contains(rdata []byte) bool {
	for rd := range p.All() {
		if bytes.Equal(rd, rdata) {
			return true
		}
	}
	return false
}

// Set is an RRset of class IN: all records of a name and type, with the
// signatures that cover them. A denial's proof is a list of Sets.
type Set struct {
	Name dnsname.Name
	Type wire.Type
	TTL  uint32 // seconds, as received (high bit and cap applied), RFC 2181 §5.2: the least of the records'
	Data Packed
	Sigs Packed // RRSIG data
}

// Add puts a record into the set unless it is there (RFC 2181 §5, sameness as
// in SameData). The set's TTL becomes the lesser of the two. It looks at every
// record of the set: who adds bounds how many.
func (s *Set) Add(ttl uint32, rdata []byte) {
	if len(s.Data) == 0 || ttl < s.TTL {
		s.TTL = ttl
	}
	for rd := range s.Data.All() {
		if SameData(s.Type, rd, rdata) {
			return
		}
	}
	s.Data = s.Data.Append(rdata)
}

// Empty tells whether the set has no records.
func (s *Set) Empty() bool { return len(s.Data) == 0 }

// Target is the name in the data of a CNAME, DNAME, NS, PTR, MX, SRV…; false
// where the type has none or the data is malformed.
func Target(t wire.Type, rdata []byte) (dnsname.Name, bool) {
	off := wire.NameIn(t)
	if off < 0 || off >= len(rdata) {
		return "", false
	}
	n := dnsname.WireLen(rdata[off:])
	if n == 0 {
		return "", false
	}
	name, err := dnsname.FromWire(rdata[off : off+n])
	return name, err == nil
}

// Target is the target of the set's first record.
func (s *Set) Target() (dnsname.Name, bool) { return Target(s.Type, s.Data.First()) }

// Equal tells whether two sets have the same owner, type and records (as in
// SameData), whatever their order, TTL and signatures.
func (s *Set) Equal(o *Set) bool {
	if s.Name != o.Name || s.Type != o.Type || len(s.Data) != len(o.Data) {
		return false
	}
	return bytes.Equal(s.Data, o.Data) || bytes.Equal(Canonical(s.Type, s.Data), Canonical(o.Type, o.Data))
}

// Clone copies the set's memory.
func (s *Set) Clone() Set {
	c := *s
	c.Data, c.Sigs = slices.Clone(s.Data), slices.Clone(s.Sigs)
	return c
}

// Security is the validator's verdict (RFC 4035 §4.3).
type Security uint8

// The verdicts. Unchecked is what nobody validated.
const (
	Unchecked Security = iota
	Insecure
	Secure
	Indeterminate
	Bogus
)

func (s Security) String() string {
	switch s {
	case Unchecked:
		return "unchecked"
	case Insecure:
		return "insecure"
	case Secure:
		return "secure"
	case Indeterminate:
		return "indeterminate"
	case Bogus:
		return "bogus"
	}
	return "security " + strconv.Itoa(int(s))
}
