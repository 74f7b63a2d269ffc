package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// chain3 is what is at hand of a zone's NSEC3 chain (RFC 5155 §3): records with
// the parameters of the first. A nil chain3 proves nothing.
type chain3 struct {
	zone       dnsname.Name
	iterations uint16
	salt       []byte
	records    []nsec3
	budget     *Budget
	hashed     map[dnsname.Name][]byte
	short      bool // the budget was spent
}

type nsec3 struct {
	owner, next []byte // hashes
	optOut      bool
	types       bitmap
}

const (
	hashSHA1   = 1    // RFC 5155 §11, the only one
	flagOptOut = 0x01 // RFC 5155 §3.1.2.1
)

var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// add reads an NSEC3 set of the zone. Records that cannot be understood are
// ignored (RFC 5155 §8.1, §8.2), and those with other parameters than the first.
func (c *chain3) add(zone dnsname.Name, s *rrset.Set, p *Policy, b *Budget) *chain3 {
	data := s.Data.First()
	if s.Name.IsRoot() || s.Name.Parent() != zone || len(data) < 6 || data[0] != hashSHA1 || data[1]&^flagOptOut != 0 {
		return c
	}
	iterations, salted := binary.BigEndian.Uint16(data[2:]), int(data[4])
	rest := data[5:]
	if len(rest) < salted+1 {
		return c
	}
	salt, rest := rest[:salted], rest[salted:]
	n := int(rest[0])
	owner, err := hashOf(s.Name)
	if err != nil || n != sha1.Size || len(owner) != sha1.Size || len(rest) < 1+n {
		return c
	}
	if c == nil {
		c = &chain3{zone: zone, iterations: iterations, salt: salt, budget: b, hashed: map[dnsname.Name][]byte{}}
	}
	if c.iterations == iterations && bytes.Equal(c.salt, salt) {
		c.records = append(c.records, nsec3{owner, rest[1 : 1+n], data[1]&flagOptOut != 0, bitmap(rest[1+n:])})
	}
	return c
}

// hashOf reads the hash that is an NSEC3 record's owner.
func hashOf(owner dnsname.Name) ([]byte, error) {
	return base32Hex.DecodeString(strings.ToUpper(owner.FirstLabel()))
}

func (c *chain3) spent() bool { return c != nil && c.short }

// hash is RFC 5155 §5; nil when the budget is spent.
func (c *chain3) hash(name dnsname.Name) []byte {
	if h, ok := c.hashed[name]; ok {
		return h
	}
	held, ok := c.budget.hash(c.iterations)
	if !ok {
		c.short = true
		return nil
	}
	defer c.budget.done(held)
	h := sha1.Sum(append([]byte(name), c.salt...))
	buf := make([]byte, 0, len(h)+len(c.salt))
	for range c.iterations {
		h = sha1.Sum(append(append(buf[:0], h[:]...), c.salt...))
	}
	c.hashed[name] = h[:]
	return h[:]
}

// matching finds the record of a name.
func (c *chain3) matching(name dnsname.Name) *nsec3 {
	h := c.hash(name)
	for i := range c.records {
		if h != nil && bytes.Equal(c.records[i].owner, h) {
			return &c.records[i]
		}
	}
	return nil
}

// covering finds the record between whose hashes a name's lies.
func (c *chain3) covering(name dnsname.Name) *nsec3 {
	h := c.hash(name)
	for i := range c.records {
		if h != nil && c.records[i].covers(h) {
			return &c.records[i]
		}
	}
	return nil
}

func (r *nsec3) covers(h []byte) bool {
	afterOwner, beforeNext := bytes.Compare(r.owner, h) < 0, bytes.Compare(h, r.next) < 0
	if bytes.Compare(r.owner, r.next) < 0 {
		return afterOwner && beforeNext
	}
	return afterOwner || beforeNext
}

// encloser is the proof of the closest encloser (RFC 5155 §8.3): the longest
// ancestor that exists, and the record that covers the next closer name.
func (c *chain3) encloser(name dnsname.Name) (closest dnsname.Name, next *nsec3) {
	if c == nil || !name.Below(c.zone) {
		return "", nil
	}
	for closer := name; closer != c.zone; closer = closer.Parent() {
		r := c.matching(closer.Parent())
		if r == nil {
			if c.short {
				break
			}
			continue
		}
		if r.types.delegates() || r.types.has(wire.TypeDNAME) {
			break // not the parent's to say (RFC 5155 §8.3)
		}
		return closer.Parent(), c.covering(closer)
	}
	return "", nil
}

func (c *chain3) nxDomain(name dnsname.Name) Proof {
	closest, next := c.encloser(name)
	if next == nil || c.covering(wildcard(closest)) == nil {
		return Unproven
	}
	return next.proof()
}

// proof is what covering a next closer name proves.
func (r *nsec3) proof() Proof {
	if r.optOut {
		return OptOut
	}
	return Proven
}

func (c *chain3) noData(name dnsname.Name, t wire.Type) Proof {
	if c == nil || !name.Under(c.zone) {
		return Unproven
	}
	if r := c.matching(name); r != nil {
		if r.types.denies(t, name.IsRoot()) {
			return Proven
		}
		return Unproven
	}
	closest, next := c.encloser(name)
	switch {
	case next == nil:
		return Unproven
	case next.optOut:
		// An unsigned delegation (RFC 5155 §8.6), or an empty non-terminal above such
		// ones only, which needs no record of its own either.
		return OptOut
	}
	if r := c.matching(wildcard(closest)); r != nil && r.types.denies(t, false) {
		return next.proof()
	}
	return Unproven
}

func (c *chain3) expanded(name dnsname.Name, encloser int) Proof {
	if c == nil || !name.Below(c.zone) || encloser < c.zone.Labels() || encloser >= name.Labels() {
		return Unproven
	}
	if r := c.covering(name.Suffix(encloser + 1)); r != nil {
		return r.proof()
	}
	return Unproven
}

func (c *chain3) noDS(name dnsname.Name) (Cut, Proof) {
	if c == nil || !name.Under(c.zone) {
		return Unknown, Unproven
	}
	if r := c.matching(name); r != nil {
		if !r.types.denies(wire.TypeDS, name.IsRoot()) {
			return Unknown, Unproven
		}
		return cutBy(r.types), Proven
	}
	switch _, next := c.encloser(name); {
	case next == nil:
		return Unknown, Unproven
	case next.optOut:
		return Delegated, OptOut
	}
	return NoName, Proven
}
