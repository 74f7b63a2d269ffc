package cache

import (
	"encoding/binary"
	"strings"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// The serialised form of an entry, a record: a head of four words, then the
// payload. Numbers are little endian.
//
//	word 0  hash tag (32 bits), stale time after the expiry in milliseconds (32)
//	word 1  generation of tombstones at storing (32), lifetime in seconds (32)
//	word 2  moment of storing, nanoseconds
//	word 3  meta, see below
//	payload name | cut, unless it is an ancestor of the name |
//	        the RRset, of Data only | the proof's sets, each behind owner and type |
//	        of what is secure, until when: Unix seconds (32 bits)
//
// A set is its TTL, the lengths of data and signatures (uvarints), then both.
const headLen = 4 * 8

// meta, from the lowest bit: type 16, kind 2, rank 2, security 3 (with the reason of what
// is insecure, see securityBits), whether the
// TTL was zero and was raised 1, number of proof sets 8, length of the name 8, where in the name the cut
// begins 8. The upper 16 bits belong to the shard's lists.
const (
	metaKind     = 16
	metaRank     = 18
	metaSecurity = 20
	metaZero     = 23
	metaProofs   = 24
	metaName     = 32
	metaCut      = 40
	metaLists    = 48
)

// elsewhere in place of an offset says that a name follows in full.
const elsewhere = 0xff

const maxProofs = 255

// validLen is the length of the end of validity, at the end of the record.
const validLen = 4

// stamp is what encode needs beside the entry.
type stamp struct {
	tag    uint32
	gen    uint32
	ttl    uint32
	zero   bool // that was ttl before it was raised
	stored clock.Mono
	until  clock.Mono
}

func (s stamp) expiry() clock.Mono { return s.stored.Add(time.Duration(s.ttl) * time.Second) }

// staleMillis is the time after the expiry, at most 49 days.
func (s stamp) staleMillis() uint32 {
	d := s.until.Sub(s.expiry()).Milliseconds()
	return uint32(min(max(d, 0), 1<<32-1))
}

// encode appends the record of e to dst.
func encode(dst []byte, e *Entry, s stamp) []byte {
	cut := suffixOffset(e.Name, e.Cut)
	meta := uint64(e.Type) | uint64(e.Kind&3)<<metaKind | uint64(e.Rank&3)<<metaRank |
		securityBits(e)<<metaSecurity | uint64(len(e.Proof))<<metaProofs |
		uint64(len(e.Name))<<metaName | uint64(cut)<<metaCut
	if s.zero {
		meta |= 1 << metaZero
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.tag)|uint64(s.staleMillis())<<32)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.gen)|uint64(s.ttl)<<32)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.stored))
	dst = binary.LittleEndian.AppendUint64(dst, meta)
	dst = append(dst, e.Name...)
	if cut == elsewhere {
		dst = append(append(dst, byte(len(e.Cut))), e.Cut...)
	}
	if e.Kind == Data {
		dst = appendSet(dst, &e.Set)
	}
	for i := range e.Proof {
		p := &e.Proof[i]
		off := suffixOffset(e.Name, p.Name)
		dst = append(dst, off)
		if off == elsewhere {
			dst = append(append(dst, byte(len(p.Name))), p.Name...)
		}
		dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Type))
		dst = appendSet(dst, p)
	}
	if timed(e.Kind, e.Security, e.Type) {
		dst = binary.LittleEndian.AppendUint32(dst, validSeconds(e.Valid))
	}
	return dst
}

// reasons are the codes that are kept for what is signed and insecure. In a record they
// stand behind the securities, of which nothing above Bogus is stored: who does not know
// them takes the entry for none that can be stored.
var reasons = [...]ede.Code{ede.UnsupportedDNSKEYAlg, ede.UnsupportedDSDigest, ede.UnsupportedNSEC3Iter}

// securityBits is the security of an entry, and why.
func securityBits(e *Entry) uint64 {
	for i, code := range reasons {
		if e.Security == rrset.Insecure && e.Why == code {
			return uint64(rrset.Bogus) + 1 + uint64(i)
		}
	}
	return uint64(e.Security & 7)
}

func metaSecurityOf(meta uint64) rrset.Security {
	if s := rrset.Security(meta >> metaSecurity & 7); s <= rrset.Bogus {
		return s
	}
	return rrset.Insecure
}

func metaWhyOf(meta uint64) ede.Code {
	if s := rrset.Security(meta >> metaSecurity & 7); s > rrset.Bogus {
		return reasons[s-rrset.Bogus-1]
	}
	return 0
}

// timed tells of what there is an end of validity: of what was verified, also when
// that was with what is past its TTL (Indeterminate), and of what may be a link of a
// chain of trust without being signed.
func timed(k Kind, s rrset.Security, t wire.Type) bool {
	return s == rrset.Secure || s == rrset.Indeterminate || s == rrset.Insecure && (k != Data || t == wire.TypeDS)
}

// validSeconds is how a record has the end of validity: 0 for none, and the last
// second there is for all that lie beyond it.
func validSeconds(at time.Time) uint32 {
	if at.IsZero() {
		return 0
	}
	return uint32(min(max(at.Unix(), 1), 1<<32-1))
}

func appendSet(dst []byte, s *rrset.Set) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.TTL))
	dst = binary.AppendUvarint(dst, uint64(len(s.Data)))
	dst = binary.AppendUvarint(dst, uint64(len(s.Sigs)))
	return append(append(dst, s.Data...), s.Sigs...)
}

// suffixOffset is where the ancestor begins in name, or elsewhere.
func suffixOffset(name, ancestor dnsname.Name) byte {
	if ancestor == "" || !name.Under(ancestor) {
		return elsewhere
	}
	return byte(len(name) - len(ancestor))
}

// storable tells whether the entry is one that encode and decode carry.
func storable(e *Entry) bool {
	if !nameOK(e.Name) || len(e.Cut) > dnsname.MaxLen || len(e.Proof) > maxProofs || e.Security >= rrset.Bogus {
		return false
	}
	for i := range e.Proof {
		if !nameOK(e.Proof[i].Name) {
			return false
		}
	}
	switch e.Kind {
	case Data:
		return !e.Type.IsMeta() && !e.Set.Empty()
	case NoData:
		return !e.Type.IsMeta()
	case NXDomain:
		return e.Type == wire.TypeNone
	}
	return false
}

func nameOK(n dnsname.Name) bool { return len(n) > 0 && dnsname.WireLen([]byte(n)) == len(n) }

// cursor reads a payload; after an error everything it reads is empty.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) byte() byte {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

// uvarint reads a number; nearly all are below 128.
func (c *cursor) uvarint() uint64 {
	if len(c.b) > 0 && c.b[0] < 0x80 {
		v := c.b[0]
		c.b = c.b[1:]
		return uint64(v)
	}
	return c.longUvarint()
}

func (c *cursor) longUvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return v
}

// name reads a name given as an offset into the entry's own.
func (c *cursor) name(own []byte, off byte) []byte {
	if off == elsewhere {
		return c.take(uint64(c.byte()))
	}
	if int(off) >= len(own) {
		c.bad = true
		return nil
	}
	return own[off:]
}

func (c *cursor) set() (ttl uint32, data, sigs rrset.Packed) {
	ttl = uint32(c.uvarint())
	nd, ns := c.uvarint(), c.uvarint()
	return ttl, rrset.Packed(c.take(nd)), rrset.Packed(c.take(ns))
}

// decode makes h a Hit that aliases rec. False: rec is no record.
func decode(h *Hit, rec []byte) bool {
	if len(rec) < headLen {
		return false
	}
	w0, w1 := binary.LittleEndian.Uint64(rec), binary.LittleEndian.Uint64(rec[8:])
	h.rec = rec
	h.gen, h.ttl = uint32(w1), uint32(w1>>32)
	h.stored = clock.Mono(binary.LittleEndian.Uint64(rec[16:]))
	h.meta = binary.LittleEndian.Uint64(rec[24:])
	h.expiry = h.stored.Add(seconds(h.ttl))
	h.until = h.expiry.Add(time.Duration(w0>>32) * time.Millisecond)
	n := int(h.meta >> metaName & 0xff)
	if n == 0 || headLen+n > len(rec) {
		return false
	}
	if timed(h.Kind(), h.Security(), h.Type()) {
		if rec = rec[:len(rec)-validLen]; headLen+n > len(rec) {
			return false
		}
	}
	c := cursor{b: rec[headLen+n:]}
	if off := byte(h.meta >> metaCut); off == elsewhere {
		c.take(uint64(c.byte()))
	} else if int(off) >= n {
		return false
	}
	h.setTTL, h.dataAt, h.sigsAt = 0, 0, 0
	if h.Kind() == Data {
		h.setTTL = uint32(c.uvarint())
		nd, ns := c.uvarint(), c.uvarint()
		h.dataAt = uint32(len(rec) - len(c.b))
		c.take(nd)
		h.sigsAt = uint32(len(rec) - len(c.b))
		c.take(ns)
	}
	h.proofAt = uint32(len(rec) - len(c.b))
	return !c.bad
}

// cloneName copies a name that may be an alias.
func cloneName(n dnsname.Name) dnsname.Name { return dnsname.Name(strings.Clone(string(n))) }
