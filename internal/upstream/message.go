package upstream

import (
	"bytes"
	"encoding/binary"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// plan is how to send the question next.
type plan struct {
	tls     bool // then tcp too
	tcp     bool
	edns    bool
	cookies bool // only with edns
	mixed   bool // random letter case
}

func (p plan) transport() event.Transport {
	switch {
	case p.tls:
		return event.TLS
	case p.tcp:
		return event.TCP
	}
	return event.UDP
}

// message is a question as sent: at most 12+255+4 octets and an OPT record of
// 11+4+40, or over TLS 11+4 and the padding.
type message struct {
	id       uint16
	question []byte // the question section in msg
	msg      []byte // with room for two octets of length before it
	cookie   infra.Cookie
	cookies  bool
	mixed    bool                               // there were letters whose case was drawn
	random   [2 + 8 + dnsname.MaxLen/8 + 1]byte // for id, client cookie and case
	space    [2 + 512]byte
}

// compose writes the question as the plan says. The length octets of TCP stand
// in front of msg, so both transports send from the same memory.
func (m *message) compose(u *Upstream, now clock.Mono, q iterator.Query, p plan) {
	random := m.random[:2+8]
	if p.mixed {
		random = m.random[:2+8+len(q.Name)/8+1]
	}
	u.opt.Random(random)
	m.id = binary.BigEndian.Uint16(random)
	var nameBuf [dnsname.MaxLen]byte
	name := nameBuf[:copy(nameBuf[:], q.Name)]
	m.mixed = p.mixed && mixCase(name, random[2+8:])

	var b wire.Builder
	b.Reset(m.space[:2], 512, wire.Header{ID: m.id, RD: q.RD, CD: u.opt.DNSSEC})
	b.Question(dnsname.Alias(name), q.Type, wire.ClassIN)
	qend := b.Len()
	m.cookies = false
	if p.edns {
		var opts [4 + 4 + padTo]byte // a cookie is less
		e := wire.EDNS{UDPSize: uint16(u.opt.UDPSize), DO: u.opt.DNSSEC}
		if p.cookies {
			m.cookies = true
			m.cookie = u.opt.Infra.Cookie(now, q.Server, [8]byte(random[2:10]))
			data := append(m.cookie.Client[:len(m.cookie.Client):len(m.cookie.Client)], m.cookie.Server()...)
			e.Options = wire.AppendOption(opts[:0], wire.OptionCookie, data)
		}
		if p.tls {
			// We would hear how long the connection may be kept (RFC 7828 §3.2.1).
			e.Options = pad(wire.AppendOption(opts[:0], wire.OptionKeepalive, nil), b.Len()+optLen)
		}
		b.OPT(e, 0)
	}
	binary.BigEndian.PutUint16(m.space[:], uint16(b.Len()))
	m.msg = b.Bytes()[2:]
	m.question = m.msg[wire.HeaderLen:qend]
}

const (
	padTo  = 128 // RFC 8467 §4.1
	optLen = 11  // of an OPT record without options
)

// pad appends padding to the last options of a message that is so long without
// them (RFC 7830), that its length may tell little of the name.
func pad(options []byte, length int) []byte {
	var zeros [padTo]byte
	over := (length + len(options) + 4) % padTo
	return wire.AppendOption(options, wire.OptionPadding, zeros[:(padTo-over)%padTo])
}

// number gives a composed message another id.
func (m *message) number(id uint16) {
	m.id = id
	binary.BigEndian.PutUint16(m.msg, id)
}

// framed is the message with its length before it (RFC 1035 §4.2.2).
func (m *message) framed() []byte { return m.space[:2+len(m.msg)] }

// mixCase gives every letter of a name in wire form the case that its bit says and tells
// whether there were any. Length octets are no letters: they are at most 63.
func mixCase(name, bits []byte) (any bool) {
	for i, c := range name {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			continue
		}
		any = true
		name[i] = c&^0x20 | (bits[i/8]>>(i%8)&1)<<5
	}
	return any
}

// fit is how a datagram relates to a question.
type fit uint8

const (
	fits          fit = iota
	wrongShort        // no header, or no response to a query
	wrongID           //
	wrongQuestion     // name, type, class, or none where there must be one
	wrongCase         // all is right but the case of letters
	wrongCookie       // all is right but the client cookie
	malformed         // surely for this question, but broken behind it
)

// match compares a reply with the question. The view is whole for fits and
// wrongCookie; for others count on no more than its header, for those that are
// shorter not even on that.
func (m *message) match(msg []byte) (wire.View, fit) {
	head, err := wire.ReadHeader(msg)
	if err != nil || !head.IsResponse() || head.Opcode() != wire.OpcodeQuery {
		return head, wrongShort
	}
	if head.ID() != m.id {
		return head, wrongID
	}
	f := m.matchQuestion(head)
	switch {
	case f == wrongQuestion:
		return head, f
	case f == wrongCase && !m.mixed:
		f = fits // nothing was hidden in the case
	}
	v, err := wire.Read(msg)
	if err != nil && f == fits {
		return head, malformed
	}
	if f == fits && m.cookies && !m.ownCookie(v) {
		return v, wrongCookie
	}
	return v, f
}

// matchQuestion compares the question sections. A server that understood too
// little of a query may leave it out with an error (RFC 1035 leaves it open).
func (m *message) matchQuestion(head wire.View) fit {
	if head.Count(wire.QuestionSection) == 0 {
		switch head.Rcode() {
		case wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeServFail, wire.RcodeRefused:
			if head.Count(wire.AnswerSection) == 0 {
				return fits
			}
		}
		return wrongQuestion
	}
	rest := head.Bytes()[wire.HeaderLen:]
	if head.Count(wire.QuestionSection) != 1 || len(rest) < len(m.question) {
		return wrongQuestion
	}
	got := rest[:len(m.question)]
	if bytes.Equal(got, m.question) {
		return fits
	}
	n := len(m.question) - 4
	if !bytes.Equal(got[n:], m.question[n:]) {
		return wrongQuestion
	}
	for i, c := range got[:n] {
		if lower(c) != lower(m.question[i]) {
			return wrongQuestion
		}
	}
	return wrongCase
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// ownCookie tells whether a reply's COOKIE option, if it has one, holds our
// client cookie (RFC 7873 §5.3).
func (m *message) ownCookie(v wire.View) bool {
	e, _ := v.EDNS()
	c, ok := e.Option(wire.OptionCookie)
	return !ok || (len(c) == 8 || 16 <= len(c) && len(c) <= 40) && bytes.Equal(c[:8], m.cookie.Client[:])
}
