package wire

import (
	"encoding/binary"

	"lastgood/internal/dnsname"
)

// Record is one record of a message, in place.
type Record struct {
	Section Section
	Type    Type
	Class   Class
	// TTL in seconds as sent; the high bit is for the reader to judge (RFC 8767 §4).
	TTL   uint32
	msg   []byte
	name  int // offset of the owner name
	rdata int
	end   int
}

// Cursor walks the records of a message in order. Use it as
//
//	for c := v.Records(); c.Next(); { r := c.Record() }
type Cursor struct {
	v       View
	off     int
	section Section
	left    int
	rec     Record
	err     error
}

// Records starts a walk over answer, authority and additional section. On a
// View that Read accepted it cannot fail; where Read or ReadHeader left off
// earlier it finds nothing.
func (v View) Records() Cursor {
	if v.questions == 0 {
		return Cursor{section: AdditionalSection}
	}
	return Cursor{v: v, off: int(v.questions)}
}

// Next moves to the next record and tells whether there is one.
func (c *Cursor) Next() bool {
	for c.left == 0 {
		if c.section == AdditionalSection {
			return false
		}
		c.section++
		c.left = c.v.Count(c.section)
	}
	msg := c.v.msg
	fixed, err := skipName(msg, c.off)
	if err == nil && fixed+10 > len(msg) {
		err = ErrShort
	}
	if err != nil {
		c.fail(err)
		return false
	}
	c.rec = Record{
		Section: c.section,
		Type:    Type(binary.BigEndian.Uint16(msg[fixed:])),
		Class:   Class(binary.BigEndian.Uint16(msg[fixed+2:])),
		TTL:     binary.BigEndian.Uint32(msg[fixed+4:]),
		msg:     msg, name: c.off, rdata: fixed + 10,
		end: fixed + 10 + int(binary.BigEndian.Uint16(msg[fixed+8:])),
	}
	if c.rec.end > len(msg) {
		c.fail(ErrShort)
		return false
	}
	c.off = c.rec.end
	c.left--
	return true
}

func (c *Cursor) fail(err error) {
	c.err, c.left, c.section = err, 0, AdditionalSection
}

// Record is the current record.
func (c *Cursor) Record() Record { return c.rec }

// Rdata is the record's data as it stands in the message, names perhaps compressed.
func (r Record) Rdata() []byte { return r.msg[r.rdata:r.end:r.end] }

// AppendName appends the owner's name, uncompressed, in the message's case.
func (r Record) AppendName(dst []byte) ([]byte, error) {
	dst, _, err := AppendName(dst, r.msg, r.name)
	return dst, err
}

// Name is the owner as a comparable name: one allocation.
func (r Record) Name() (dnsname.Name, error) {
	var buf [dnsname.MaxLen]byte
	b, err := r.AppendName(buf[:0])
	if err != nil {
		return "", err
	}
	dnsname.Lower(b, b)
	return dnsname.Name(b), nil
}
