package wire

import (
	"encoding/binary"

	"lastgood/internal/dnsname"
)

// compressionSlots bounds the names that a message's compression looks back
// at; beyond, names are written in full.
const compressionSlots = 128

// Builder writes one message into a buffer that the caller owns. It allocates
// only if that buffer's capacity is below the limit. The zero Builder wants
// Reset. Every method that adds a record leaves the message as it was when the
// record does not fit.
type Builder struct {
	buf     []byte // the caller's, with what stood before the message
	start   int    // of the message in buf
	limit   int    // of the message in octets
	section Section
	qname   int                      // length of the first question's name, for the commonest pointer
	slots   [compressionSlots]uint16 // offsets of names by hash, 0 empty
}

// Header is what goes into a message's first twelve octets, counts aside.
type Header struct {
	ID                               uint16
	Opcode                           Opcode
	Response, AA, TC, RD, RA, AD, CD bool
	Rcode                            Rcode
}

// Reset starts a message behind dst, at most limit octets long, with a header.
func (b *Builder) Reset(dst []byte, limit int, h Header) {
	b.buf, b.start, b.limit = dst, len(dst), min(limit, MaxMessage)
	b.section, b.qname = QuestionSection, 0
	b.slots = [compressionSlots]uint16{}
	b.buf = append(b.buf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b.SetHeader(h)
}

// SetHeader rewrites the header; counts stay. Rcode bits above four are the
// OPT record's (see OPT).
func (b *Builder) SetHeader(h Header) {
	flags := uint16(h.Opcode&15)<<11 | uint16(h.Rcode&15)
	for _, f := range [...]struct {
		set bool
		bit uint16
	}{{h.Response, bitQR}, {h.AA, bitAA}, {h.TC, bitTC}, {h.RD, bitRD}, {h.RA, bitRA}, {h.AD, bitAD}, {h.CD, bitCD}} {
		if f.set {
			flags |= f.bit
		}
	}
	putU16(b.buf, b.start, h.ID)
	putU16(b.buf, b.start+2, flags)
}

// Limit changes how long the message may become, for instance to keep room for
// an OPT record and to give it back.
func (b *Builder) Limit(limit int) { b.limit = min(limit, MaxMessage) }

// Len is the message's length so far.
func (b *Builder) Len() int { return len(b.buf) - b.start }

// Bytes is the buffer given to Reset with the message behind what it held.
func (b *Builder) Bytes() []byte { return b.buf }

// Question adds a question; name keeps its case.
func (b *Builder) Question(name dnsname.Name, t Type, c Class) bool {
	if b.Len()+len(name)+4 > b.limit {
		return false
	}
	if b.qname == 0 {
		b.qname = len(name)
		b.appendName(name)
	} else {
		b.appendName(name)
	}
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(t))
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(c))
	b.count(QuestionSection)
	return true
}

// Record adds a record with uncompressed rdata; sections must be filled in
// order. False, and no change, when it does not fit.
func (b *Builder) Record(s Section, owner dnsname.Name, t Type, c Class, ttl uint32, rdata []byte) bool {
	mark := len(b.buf)
	b.appendName(owner)
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(t))
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(c))
	b.buf = binary.BigEndian.AppendUint32(b.buf, ttl)
	b.buf = append(b.buf, 0, 0)
	data := len(b.buf)
	if compressible(t) {
		b.appendRdata(t, rdata)
	} else {
		b.buf = append(b.buf, rdata...)
	}
	if b.Len() > b.limit || s < b.section || len(b.buf)-data > 0xffff {
		b.Truncate(mark)
		return false
	}
	putU16(b.buf, data-2, uint16(len(b.buf)-data))
	b.section = s
	b.count(s)
	return true
}

// OPT adds the OPT record (RFC 6891 §6.1.3) with the high bits of rcode. It
// ignores the limit's reserve: lift it with Limit first.
func (b *Builder) OPT(e EDNS, rcode Rcode) bool {
	if b.Len()+11+len(e.Options) > b.limit {
		return false
	}
	var do byte
	if e.DO {
		do = 0x80
	}
	b.buf = append(b.buf, 0, 0, byte(TypeOPT), byte(e.UDPSize>>8), byte(e.UDPSize), byte(rcode>>4), e.Version, do, 0)
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(len(e.Options)))
	b.buf = append(b.buf, e.Options...)
	b.section = AdditionalSection
	b.count(AdditionalSection)
	return true
}

// Mark is a point that Rewind can go back to.
type Mark struct {
	len     int
	section Section
	counts  [8]byte
}

// Mark notes the present state.
func (b *Builder) Mark() Mark {
	m := Mark{len: len(b.buf), section: b.section}
	copy(m.counts[:], b.buf[b.start+4:])
	return m
}

// Rewind drops everything written since the mark.
func (b *Builder) Rewind(m Mark) {
	b.Truncate(m.len)
	b.section = m.section
	copy(b.buf[b.start+4:], m.counts[:])
}

// Truncate drops octets from the position in the buffer on, and the
// compression targets among them. Counts are the caller's business.
func (b *Builder) Truncate(to int) {
	b.buf = b.buf[:to]
	for i, at := range b.slots {
		if b.start+int(at) >= to {
			b.slots[i] = 0
		}
	}
}

func (b *Builder) count(s Section) {
	at := b.start + 4 + 2*int(s)
	putU16(b.buf, at, binary.BigEndian.Uint16(b.buf[at:])+1)
}

// appendRdata writes data of a compressible type.
func (b *Builder) appendRdata(t Type, rdata []byte) {
	for _, f := range []byte(Shape(t)) {
		n := fixedLen(Field(f))
		if Field(f) == FieldName {
			if n = dnsname.WireLen(rdata); n > 0 {
				b.appendName(dnsname.Alias(rdata[:n]))
				rdata = rdata[n:]
				continue
			}
		}
		n = min(n, len(rdata))
		b.buf = append(b.buf, rdata[:n]...)
		rdata = rdata[n:]
	}
	b.buf = append(b.buf, rdata...)
}

// appendName writes a name, its longest known suffix as a pointer.
func (b *Builder) appendName(name dnsname.Name) {
	if b.qname == len(name) && b.qname > 1 && b.Len() > HeaderLen && b.nameAt(HeaderLen, name) {
		b.buf = append(b.buf, 0xc0, HeaderLen)
		return
	}
	rest := name
	for len(rest) > 1 {
		slot := hashName(rest) % compressionSlots
		at := int(b.slots[slot])
		if at != 0 && b.nameAt(at, rest) {
			b.buf = append(b.buf, name[:len(name)-len(rest)]...)
			b.buf = append(b.buf, 0xc0|byte(at>>8), byte(at))
			return
		}
		if here := b.Len() + len(name) - len(rest); at == 0 && here < 0x4000 {
			b.slots[slot] = uint16(here)
		}
		rest = rest.Parent()
	}
	b.buf = append(b.buf, name...)
}

func equalFold(a []byte, n dnsname.Name) bool {
	if len(a) != len(n) {
		return false
	}
	for i, c := range a {
		if c != n[i] && lower(c) != lower(n[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// nameAt tells whether the name at offset at of the message is name, any case.
func (b *Builder) nameAt(at int, name dnsname.Name) bool {
	msg := b.buf[b.start:]
	for len(name) > 0 {
		if at >= len(msg) {
			return false
		}
		if msg[at] >= 0xc0 {
			if at+1 >= len(msg) {
				return false
			}
			at = int(msg[at]&0x3f)<<8 | int(msg[at+1])
			continue
		}
		n := 1 + int(msg[at])
		if n > len(name) || at+n > len(msg) || !equalFold(msg[at:at+n], name[:n]) {
			return false
		}
		name = name[n:]
		at += n
	}
	return true
}

// hashName is FNV-1a over a name regardless of case.
func hashName(n dnsname.Name) uint32 {
	h := uint32(2166136261)
	for i := range len(n) {
		h = (h ^ uint32(lower(n[i]))) * 16777619
	}
	return h
}
