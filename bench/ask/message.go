// Package ask asks resolvers questions and reads what they reply, to check them: no
// benchmark's load, which has to be faster.
package ask

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

// Numbers of the protocol.
const (
	headerSize = 12

	typeA     = 1
	typeCNAME = 5
	typeOPT   = 41
	typeRRSIG = 46
	classIN   = 1

	flagResponse  = 0x80 // of the third octet
	flagTruncated = 0x02
	flagAD        = 0x20 // of the fourth

	udpSize = 1232
)

var errMessage = errors.New("not a DNS message of the expected form")

// Append appends a question for a name's address, with RD and EDNS, and the DO bit
// if it is wanted. The name is without its last dot or with it.
func Append(b []byte, id uint16, name string, do bool) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1)
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			b = append(append(b, byte(len(label))), label...)
		}
	}
	b = append(b, 0, 0, typeA, 0, classIN)
	flags := byte(0)
	if do {
		flags = 0x80
	}
	return append(b, 0, 0, typeOPT, udpSize>>8, udpSize&0xff, 0, 0, flags, 0, 0, 0)
}

// Reply is what is of interest of a reply.
type Reply struct {
	ID        uint16
	Rcode     int // without what EDNS adds to it
	AD        bool
	Truncated bool
	Addrs     []netip.Addr // of the answer section
	Aliases   int          // CNAME records there
	Signed    int          // RRSIG records there
	TTL       uint32       // the least there; 0 without records
}

// Parse reads a reply's header and answer section. It keeps nothing of the message.
func Parse(msg []byte) (r Reply, err error) {
	if len(msg) < headerSize || msg[2]&flagResponse == 0 {
		return r, errMessage
	}
	r = Reply{ID: binary.BigEndian.Uint16(msg), Rcode: int(msg[3] & 15), AD: msg[3]&flagAD != 0, Truncated: msg[2]&flagTruncated != 0}
	at := headerSize
	for range binary.BigEndian.Uint16(msg[4:]) {
		if at, err = skipName(msg, at); err != nil {
			return r, err
		}
		at += 4
	}
	for range binary.BigEndian.Uint16(msg[6:]) {
		if at, err = r.record(msg, at); err != nil {
			return r, err
		}
	}
	return r, nil
}

// record reads the record at a place and gives where the next one is.
func (r *Reply) record(msg []byte, at int) (next int, err error) {
	if at, err = skipName(msg, at); err != nil {
		return 0, err
	}
	if at+10 > len(msg) {
		return 0, errMessage
	}
	data := at + 10
	next = data + int(binary.BigEndian.Uint16(msg[at+8:]))
	if next > len(msg) {
		return 0, errMessage
	}
	if ttl := binary.BigEndian.Uint32(msg[at+4:]); r.TTL == 0 || ttl < r.TTL {
		r.TTL = ttl
	}
	switch binary.BigEndian.Uint16(msg[at:]) {
	case typeA:
		if addr, ok := netip.AddrFromSlice(msg[data:next]); ok {
			r.Addrs = append(r.Addrs, addr)
		}
	case typeCNAME:
		r.Aliases++
	case typeRRSIG:
		r.Signed++
	}
	return next, nil
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
