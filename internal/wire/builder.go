package wire

import (
	"encoding/binary"

	"lastgood/internal/dnsname"
)

// Builder writes one message into a buffer that the caller owns. It never
// writes beyond the limit, and so allocates only if that buffer's capacity is
// below it. The zero Builder wants Reset. Every method that adds a record
// leaves the message as it was when the record does not fit.
type Builder struct {
	buf     []byte // the caller's, with what stood before the message
	start   int    // of the message in buf
	limit   int    // of the message in octets
	section Section
	qname   int   // length of the first question's name, for the commonest pointer
	known   names // that pointers may lead to; the question's join when first needed
}

// Header is what goes into a message's first twelve octets, counts aside.
type Header struct {
	ID                               uint16
	Opcode                           Opcode
	Response, AA, TC, RD, RA, AD, CD bool
	Rcode                            Rcode
}

// Reset starts a message behind dst, at most limit octets long, with a header.
// The limit is not below a header's 12 octets.
func (b *Builder) Reset(dst []byte, limit int, h Header) {
	b.buf, b.start, b.limit = dst, len(dst), min(limit, MaxMessage)
	b.section, b.qname = QuestionSection, 0
	b.known.reset()
	b.buf = append(b.buf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b.SetHeader(h)
}

// SetHeader rewrites the header; counts stay. Rcode bits above four are the
// OPT record's (see OPT).
func (b *Builder) SetHeader(h Header) {
	flags := uint16(h.Opcode&15)<<11 | uint16(h.Rcode&15) | bit(h.Response, bitQR) | bit(h.AA, bitAA) |
		bit(h.TC, bitTC) | bit(h.RD, bitRD) | bit(h.RA, bitRA) | bit(h.AD, bitAD) | bit(h.CD, bitCD)
	putU16(b.buf, b.start, h.ID)
	putU16(b.buf, b.start+2, flags)
}

// SetOutcome rewrites of the header what is known only when the sections are
// filled. Rcode bits above four are the OPT record's (see OPT).
func (b *Builder) SetOutcome(rcode Rcode, aa, tc, ad bool) {
	const outcome = bitAA | bitTC | bitAD | 15
	flags := binary.BigEndian.Uint16(b.buf[b.start+2:])&^outcome | bit(aa, bitAA) | bit(tc, bitTC) | bit(ad, bitAD)
	putU16(b.buf, b.start+2, flags|uint16(rcode&15))
}

// bit is b if set, without a branch.
func bit(set bool, b uint16) uint16 {
	if set {
		return b
	}
	return 0
}

// Limit changes how long the message may become, for instance to keep room for
// an OPT record and to give it back.
func (b *Builder) Limit(limit int) { b.limit = min(limit, MaxMessage) }

// Len is the message's length so far.
func (b *Builder) Len() int { return len(b.buf) - b.start }

// Bytes is the buffer given to Reset with the message behind what it held.
func (b *Builder) Bytes() []byte { return b.buf }

func (b *Builder) message() []byte { return b.buf[b.start:] }

// put appends octets if they fit.
func (b *Builder) put(octets ...byte) bool {
	if b.Len()+len(octets) > b.limit {
		return false
	}
	b.buf = append(b.buf, octets...)
	return true
}

// Question adds a question before any record; name keeps its case.
func (b *Builder) Question(name dnsname.Name, t Type, c Class) bool {
	if b.section != QuestionSection {
		return false
	}
	if b.Len() != HeaderLen {
		return b.another(name, t, c)
	}
	if HeaderLen+len(name)+4 > b.limit {
		return false
	}
	b.buf = append(b.buf, name...)
	b.buf = append(b.buf, byte(t>>8), byte(t), byte(c>>8), byte(c))
	b.qname = len(name)
	b.count(QuestionSection, 1)
	return true
}

// another adds a question behind the first.
func (b *Builder) another(name dnsname.Name, t Type, c Class) bool {
	mark := b.Mark()
	if !b.appendName(name) || !b.put(byte(t>>8), byte(t), byte(c>>8), byte(c)) {
		b.Rewind(mark)
		return false
	}
	b.count(QuestionSection, 1)
	return true
}

// Record adds a record with uncompressed rdata; sections must be filled in
// order. False, and no change, when it does not fit.
func (b *Builder) Record(s Section, owner dnsname.Name, t Type, c Class, ttl uint32, rdata []byte) bool {
	mark, known := len(b.buf), b.known.count
	if s < max(b.section, AnswerSection) || !b.appendName(owner) || !b.appendFixed(t, c, ttl, rdata) {
		b.truncate(mark, known)
		return false
	}
	b.section = s
	b.count(s, 1)
	return true
}

// Set adds a whole RRset of class IN, or nothing of it when it does not fit:
// packed holds the data of each record, uncompressed, behind its length in two
// octets (as rrset.Packed does). Only the first record's owner is looked for
// among the names that are known, the others point to where it stands.
func (b *Builder) Set(s Section, owner dnsname.Name, t Type, ttl uint32, packed []byte) bool {
	mark, known := len(b.buf), b.known.count
	if s < max(b.section, AnswerSection) {
		return false
	}
	n, to := 0, uint16(0)
	for len(packed) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(packed))
		if end > len(packed) {
			break
		}
		if !b.appendOwner(owner, &to) || !b.appendFixed(t, ClassIN, ttl, packed[2:end]) {
			b.truncate(mark, known)
			return false
		}
		packed = packed[end:]
		n++
	}
	if n > 0 {
		b.section = s
		b.count(s, n)
	}
	return true
}

// appendOwner writes the owner of a set's record: as the pointer that to is, or,
// of the first, for which it is 0, in whatever way it can be told, which it
// leaves in to if a pointer can say it again.
func (b *Builder) appendOwner(owner dnsname.Name, to *uint16) bool {
	const pointer = 0xc000
	if *to == 0 && b.isQuestion(owner) {
		*to = pointer | HeaderLen
	}
	if *to != 0 {
		if b.Len()+2 > b.limit {
			return false
		}
		b.buf = append(b.buf, byte(*to>>8), byte(*to))
		return true
	}
	at := b.Len()
	if !b.appendName(owner) {
		return false
	}
	switch {
	case b.buf[b.start+at] >= pointer>>8: // nothing but a pointer was needed
		*to = binary.BigEndian.Uint16(b.buf[b.start+at:])
	case len(owner) > 1 && at < maxPointer:
		*to = pointer | uint16(at)
	}
	return true
}

// appendFixed writes what follows a record's owner.
func (b *Builder) appendFixed(t Type, c Class, ttl uint32, rdata []byte) bool {
	if b.Len()+10 > b.limit {
		return false
	}
	b.buf = append(b.buf, byte(t>>8), byte(t), byte(c>>8), byte(c),
		byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(rdata)>>8), byte(len(rdata)))
	if !compressible(t) {
		return b.put(rdata...)
	}
	data := len(b.buf)
	if !b.appendRdata(t, rdata) {
		return false
	}
	putU16(b.buf, data-2, uint16(len(b.buf)-data))
	return true
}

// appendRdata writes data of a compressible type: names and fields of fixed
// size. Data that is not of that shape is written as it is.
func (b *Builder) appendRdata(t Type, rdata []byte) bool {
	for _, f := range []byte(Shape(t)) {
		n, err := FieldLen(rdata, Field(f))
		if err != nil {
			break
		}
		field := rdata[:n]
		rdata = rdata[n:]
		if Field(f) != FieldName {
			if !b.put(field...) {
				return false
			}
		} else if !b.appendName(dnsname.Alias(field)) {
			return false
		}
	}
	return b.put(rdata...)
}

// OPT adds the OPT record (RFC 6891 §6.1.3) with the high bits of rcode. The
// limit holds for it too: what was reserved must be given back with Limit.
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
	b.count(AdditionalSection, 1)
	return true
}

// Mark is a point that Rewind can go back to.
type Mark struct {
	len     int
	known   int
	qname   int
	section Section
	counts  [8]byte
}

// Mark notes the present state.
func (b *Builder) Mark() Mark {
	m := Mark{len: len(b.buf), known: b.known.count, qname: b.qname, section: b.section}
	copy(m.counts[:], b.buf[b.start+4:])
	return m
}

// Rewind drops everything written since the mark.
func (b *Builder) Rewind(m Mark) {
	b.truncate(m.len, m.known)
	b.section, b.qname = m.section, m.qname
	copy(b.buf[b.start+4:], m.counts[:])
}

// truncate drops what stands in the buffer from the position to on, and all
// compression targets but the first known.
func (b *Builder) truncate(to, known int) {
	b.known.drop(b.message(), known)
	b.buf = b.buf[:to]
}

// count adds n to the records that the header tells of a section.
func (b *Builder) count(s Section, n int) {
	at := b.start + 4 + 2*int(s)
	putU16(b.buf, at, binary.BigEndian.Uint16(b.buf[at:])+uint16(n))
}
