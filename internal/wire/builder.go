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
	mark := b.Mark()
	var ok bool
	if first := b.Len() == HeaderLen; first {
		if ok = b.Len()+len(name) <= b.limit; ok {
			b.buf = append(b.buf, name...)
		}
		b.qname = len(name)
	} else {
		ok = b.appendName(name)
	}
	if !ok || b.section != QuestionSection || !b.put(byte(t>>8), byte(t), byte(c>>8), byte(c)) {
		b.Rewind(mark)
		return false
	}
	b.count(QuestionSection)
	return true
}

// Record adds a record with uncompressed rdata; sections must be filled in
// order. False, and no change, when it does not fit.
func (b *Builder) Record(s Section, owner dnsname.Name, t Type, c Class, ttl uint32, rdata []byte) bool {
	mark, known := len(b.buf), b.known.count
	if s < max(b.section, AnswerSection) || !b.appendRecord(owner, t, c, ttl, rdata) {
		b.truncate(mark, known)
		return false
	}
	b.section = s
	b.count(s)
	return true
}

func (b *Builder) appendRecord(owner dnsname.Name, t Type, c Class, ttl uint32, rdata []byte) bool {
	if !b.appendName(owner) || !b.put(byte(t>>8), byte(t), byte(c>>8), byte(c),
		byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), 0, 0) {
		return false
	}
	data := len(b.buf)
	if compressible(t) {
		if !b.appendRdata(t, rdata) {
			return false
		}
	} else if !b.put(rdata...) {
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
	b.count(AdditionalSection)
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

func (b *Builder) count(s Section) {
	at := b.start + 4 + 2*int(s)
	putU16(b.buf, at, binary.BigEndian.Uint16(b.buf[at:])+1)
}
