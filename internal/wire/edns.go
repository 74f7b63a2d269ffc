package wire

import "encoding/binary"

// OptionCode numbers EDNS options.
type OptionCode uint16

// Options that lastgood knows.
const (
	OptionNSID      OptionCode = 3  // RFC 5001
	OptionCookie    OptionCode = 10 // RFC 7873
	OptionKeepalive OptionCode = 11 // RFC 7828
	OptionPadding   OptionCode = 12 // RFC 7830
	OptionEDE       OptionCode = 15 // RFC 8914
)

// EDNS is the content of an OPT record (RFC 6891 §6.1). Its response-code bits
// are part of [View.Rcode]. Options is in wire form; from a View it aliases
// the message.
type EDNS struct {
	UDPSize uint16
	Version uint8
	DO      bool
	Options []byte
}

// EDNS gives the OPT record's content, false without one.
func (v View) EDNS() (EDNS, bool) {
	if v.opt == 0 {
		return EDNS{}, false
	}
	p := v.msg[v.opt:]
	n := int(binary.BigEndian.Uint16(p[8:]))
	return EDNS{
		UDPSize: binary.BigEndian.Uint16(p[2:]),
		Version: p[5],
		DO:      p[6]&0x80 != 0,
		Options: p[10 : 10+n : 10+n],
	}, true
}

// Option gives the content of the first option of a code.
func (e EDNS) Option(code OptionCode) ([]byte, bool) {
	for o := e.Options; len(o) >= 4; {
		n := int(binary.BigEndian.Uint16(o[2:]))
		if 4+n > len(o) {
			break
		}
		if OptionCode(binary.BigEndian.Uint16(o)) == code {
			return o[4 : 4+n : 4+n], true
		}
		o = o[4+n:]
	}
	return nil, false
}

// AppendOption appends an option in wire form; data is at most 65,535 octets.
func AppendOption(dst []byte, code OptionCode, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// AppendEDE appends an extended error (RFC 8914 §2).
func AppendEDE(dst []byte, code uint16, text string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(OptionEDE))
	dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(text)))
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, text...)
}

// validOptions checks that options fill o exactly.
func validOptions(o []byte) bool {
	for len(o) > 0 {
		if len(o) < 4 {
			return false
		}
		n := 4 + int(binary.BigEndian.Uint16(o[2:]))
		if n > len(o) {
			return false
		}
		o = o[n:]
	}
	return true
}
