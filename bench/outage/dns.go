package main

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// Numbers of the protocol.
const (
	headerSize = 12

	typeA   = 1
	typeNS  = 2
	typeSOA = 6
	typeOPT = 41
	classIN = 1

	rcodeServFail = 2
	rcodeNXDomain = 3
	rcodeRefused  = 5

	optionEDE       = 15
	edeStale        = 3
	edeStaleDenial  = 19
	udpSize         = 1232
	flagResponse    = 0x80 // of the third octet
	flagAuthority   = 0x04
	flagTruncated   = 0x02
	opcodeAndWanted = 0x79 // opcode and RD, which a reply repeats
)

// zoneName is the zone that is asked for. Its names are n0, n1 and so on.
const zoneName = "bench."

var errMessage = errors.New("not a DNS message of the expected form")

func appendName(b []byte, name string) []byte {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			b = append(append(b, byte(len(label))), label...)
		}
	}
	return append(b, 0)
}

// appendQuery appends a question for a name's address, with RD and EDNS.
func appendQuery(b []byte, id uint16, name string) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1)
	b = append(appendName(b, name), 0, typeA, 0, classIN)
	return appendOPT(b)
}

func appendOPT(b []byte) []byte {
	return append(b, 0, 0, typeOPT, udpSize>>8, udpSize&0xff, 0, 0, 0, 0, 0, 0)
}

// asked is the question of a query.
type asked struct {
	name  string // in small letters, with its dot
	qtype uint16
	end   int  // where the question ends
	edns  bool // whether anything follows it
}

func parseQuestion(msg []byte) (q asked, err error) {
	if len(msg) < headerSize || msg[2]&flagResponse != 0 || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return q, errMessage
	}
	var name strings.Builder
	at := headerSize
	for {
		if at >= len(msg) {
			return q, errMessage
		}
		n := int(msg[at])
		at++
		if n == 0 {
			break
		}
		if n > 63 || at+n > len(msg) {
			return q, errMessage
		}
		name.Write(msg[at : at+n])
		name.WriteByte('.')
		at += n
	}
	if at+4 > len(msg) {
		return q, errMessage
	}
	if q.name = strings.ToLower(name.String()); q.name == "" {
		q.name = "."
	}
	q.qtype, q.end = binary.BigEndian.Uint16(msg[at:]), at+4
	q.edns = binary.BigEndian.Uint16(msg[10:]) > 0
	return q, nil
}

// appendReply begins a reply: header and question, the letters as they were.
func appendReply(b, query []byte, q asked, flags, rcode byte) []byte {
	b = append(b, query[0], query[1], flagResponse|flags|query[2]&opcodeAndWanted, rcode)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	return append(b, query[headerSize:q.end]...)
}

// finish adds EDNS when the query had it.
func finish(msg []byte, q asked) []byte {
	if q.edns {
		msg[11]++
		msg = appendOPT(msg)
	}
	return msg
}

// errorReply is a reply with nothing but an error; nil when there was no question.
func errorReply(query []byte, rcode byte) []byte {
	q, err := parseQuestion(query)
	if err != nil {
		return nil
	}
	return finish(appendReply(nil, query, q, 0, rcode), q)
}

// reply is what is of interest of a reply to a client.
type reply struct {
	id        uint16
	rcode     int
	truncated bool
	name      int     // of the question: 7 for n7.bench., -1 for what is no such name
	found     bool    // whether there is an address
	address   [4]byte // the first
	ttl       uint32  // its TTL
	stale     bool    // whether an extended error says that it is
	cause     uint16  // the first other extended error; 0: none, or "other"
}

func parseReply(msg []byte) (r reply, err error) {
	if len(msg) < headerSize || msg[2]&flagResponse == 0 {
		return r, errMessage
	}
	r.id = binary.BigEndian.Uint16(msg)
	r.rcode, r.truncated, r.name = int(msg[3]&15), msg[2]&flagTruncated != 0, -1
	at := headerSize
	for i := range binary.BigEndian.Uint16(msg[4:]) {
		if i == 0 {
			r.name = nameNumber(msg[at:])
		}
		if at, err = skipName(msg, at); err != nil {
			return r, err
		}
		at += 4
	}
	for section := range 3 {
		for range binary.BigEndian.Uint16(msg[6+2*section:]) {
			if at, err = r.record(msg, at, section == 0); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// record reads the record at a place and gives where the next one is.
func (r *reply) record(msg []byte, at int, answer bool) (next int, err error) {
	if at, err = skipName(msg, at); err != nil {
		return 0, err
	}
	if at+10 > len(msg) {
		return 0, errMessage
	}
	kind, ttl := binary.BigEndian.Uint16(msg[at:]), binary.BigEndian.Uint32(msg[at+4:])
	data := at + 10
	next = data + int(binary.BigEndian.Uint16(msg[at+8:]))
	if next > len(msg) {
		return 0, errMessage
	}
	switch {
	case kind == typeA && answer && !r.found && next == data+4:
		r.found, r.ttl, r.address = true, ttl, [4]byte(msg[data:next])
	case kind == typeOPT:
		r.rcode |= int(ttl>>24) << 4
		r.options(msg[data:next])
	}
	return next, nil
}

// options reads the extended errors.
func (r *reply) options(b []byte) {
	for len(b) >= 4 {
		code, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if 4+size > len(b) {
			return
		}
		if code == optionEDE && size >= 2 {
			switch info := binary.BigEndian.Uint16(b[4:]); {
			case info == edeStale || info == edeStaleDenial:
				r.stale = true
			case r.cause == 0:
				r.cause = info
			}
		}
		b = b[4+size:]
	}
}

// skipName gives where the name at a place ends.
func skipName(msg []byte, at int) (int, error) {
	for at < len(msg) {
		switch n := int(msg[at]); {
		case n == 0:
			return at + 1, nil
		case n >= 0xc0:
			return at + 2, nil
		case n > 63:
			return 0, errMessage
		default:
			at += 1 + n
		}
	}
	return 0, errMessage
}

// nameNumber is the number of the name that a message has at a place.
func nameNumber(wire []byte) int {
	const rest = "\x05bench\x00"
	if len(wire) < 2 {
		return -1
	}
	n := int(wire[0])
	if n < 2 || len(wire) < 1+n+len(rest) || wire[1]|0x20 != 'n' || !strings.EqualFold(string(wire[1+n:1+n+len(rest)]), rest) {
		return -1
	}
	number, err := strconv.ParseUint(string(wire[2:1+n]), 10, 16)
	if err != nil {
		return -1
	}
	return int(number)
}
