package wire

import (
	"bytes"
	"encoding/binary"
	"iter"
	"unicode/utf8"
)

// OptionCode numbers EDNS options.
type OptionCode uint16

// Options that lastgood knows.
const (
	OptionNSID      OptionCode = 3  // RFC 5001
	OptionCookie    OptionCode = 10 // RFC 7873
	OptionKeepalive OptionCode = 11 // RFC 7828
	OptionPadding   OptionCode = 12 // RFC 7830
	OptionEDE       OptionCode = 15 // RFC 8914

	OptionReportChannel OptionCode = 18 // RFC 9567
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

// All gives every option with its content, in order. The slices alias Options.
func (e EDNS) All() iter.Seq2[OptionCode, []byte] {
	return func(yield func(OptionCode, []byte) bool) {
		for o := e.Options; len(o) >= 4; {
			n := 4 + int(binary.BigEndian.Uint16(o[2:]))
			if n > len(o) || !yield(OptionCode(binary.BigEndian.Uint16(o)), o[4:n:n]) {
				return
			}
			o = o[n:]
		}
	}
}

// Option gives the content of the first option of a code.
func (e EDNS) Option(code OptionCode) ([]byte, bool) {
	for c, data := range e.All() {
		if c == code {
			return data, true
		}
	}
	return nil, false
}

// AppendOption appends an option in wire form; data is at most 65,535 octets.
func AppendOption(dst []byte, code OptionCode, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// maxExtraText bounds what AppendEDE writes of a text, in octets: enough for a
// server and a cause, little enough to leave a datagram to the answer.
const maxExtraText = 255

// AppendEDE appends an extended error (RFC 8914 §2). The text is cut at 255
// octets, between characters.
func AppendEDE(dst []byte, code uint16, text string) []byte {
	for n := maxExtraText; len(text) > maxExtraText; n-- {
		if utf8.RuneStart(text[n]) || n == 0 {
			text = text[:n]
		}
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(OptionEDE))
	dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(text)))
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, text...)
}

// ReadEDE takes the content of an extended error option apart. The text is the
// sender's: not to be trusted, and a zero octet may end it (RFC 8914 §2).
func ReadEDE(data []byte) (code uint16, text []byte, ok bool) {
	if len(data) < 2 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(data), bytes.TrimSuffix(data[2:], []byte{0}), true
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
