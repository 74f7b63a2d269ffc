package rrset

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// AppendText appends data in presentation form, as a master file has it and dig
// prints it (with +nosplit): each type's own where the RFC gives one, else the
// generic form of RFC 3597 §5. Data that is malformed, or that its type's own
// form could not give back octet by octet, is generic too. rdata is
// uncompressed.
func AppendText(dst []byte, t wire.Type, rdata []byte) []byte {
	base, rest := len(dst), rdata
	for _, f := range []byte(wire.Shape(t)) {
		n, err := wire.FieldLen(rest, wire.Field(f))
		if err != nil {
			return appendGeneric(dst[:base], rdata)
		}
		before := len(dst)
		if before > base {
			dst = append(dst, ' ')
		}
		start, ok := len(dst), false
		if dst, ok = appendField(dst, wire.Field(f), rest[:n]); !ok {
			return appendGeneric(dst[:base], rdata)
		}
		if len(dst) == start { // an empty bitmap, no parameters
			dst = dst[:before]
		}
		rest = rest[n:]
	}
	if len(rest) != 0 || len(rdata) == 0 {
		return appendGeneric(dst[:base], rdata)
	}
	return dst
}

// Text is AppendText as a string.
func Text(t wire.Type, rdata []byte) string { return string(AppendText(nil, t, rdata)) }

// Line is a record as a master file has it. Data in generic form comes with the
// type's number, which every reader takes, whatever types it knows (RFC 3597 §5).
func Line(owner dnsname.Name, ttl uint32, t wire.Type, rdata []byte) string {
	data, typ := Text(t, rdata), t.String()
	if strings.HasPrefix(data, `\#`) {
		typ = "TYPE" + strconv.Itoa(int(t))
	}
	return owner.String() + " " + strconv.FormatUint(uint64(ttl), 10) + " IN " + typ + " " + data
}

// appendGeneric is RFC 3597 §5.
func appendGeneric(dst, rdata []byte) []byte {
	dst = strconv.AppendInt(append(dst, `\# `...), int64(len(rdata)), 10)
	if len(rdata) > 0 {
		dst = appendHex(append(dst, ' '), rdata)
	}
	return dst
}

// appendField appends one field; false when there is no faithful form.
func appendField(dst []byte, f wire.Field, b []byte) ([]byte, bool) {
	switch f {
	case wire.FieldName, wire.FieldPlainName:
		return dnsname.AppendText(dst, b), true
	case wire.FieldU8:
		return appendUint(dst, uint32(b[0])), true
	case wire.FieldU16:
		return appendUint(dst, uint32(binary.BigEndian.Uint16(b))), true
	case wire.FieldU32:
		return appendUint(dst, binary.BigEndian.Uint32(b)), true
	case wire.FieldType:
		return append(dst, wire.Type(binary.BigEndian.Uint16(b)).String()...), true
	case wire.FieldTime:
		return appendTime(dst, binary.BigEndian.Uint32(b)), true
	case wire.FieldA, wire.FieldAAAA:
		addr, ok := netip.AddrFromSlice(b)
		return addr.AppendTo(dst), ok
	case wire.FieldString:
		return appendQuoted(dst, b[1:]), true
	case wire.FieldText:
		return appendQuoted(dst, b), true
	case wire.FieldTag:
		return append(dst, b[1:]...), isTag(b[1:])
	case wire.FieldSalt:
		return appendSalt(dst, b[1:]), true
	case wire.FieldHash:
		return base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode(dst, b[1:]), len(b) > 1
	case wire.FieldEUI48, wire.FieldEUI64:
		return appendEUI(dst, b), true
	}
	return appendRest(dst, f, b)
}

// appendRest appends a field that takes the rest of the data.
func appendRest(dst []byte, f wire.Field, b []byte) ([]byte, bool) {
	switch f {
	case wire.FieldStrings:
		return appendStrings(dst, b), true
	case wire.FieldHex:
		return appendHex(dst, b), len(b) > 0
	case wire.FieldBase64:
		return base64.StdEncoding.AppendEncode(dst, b), len(b) > 0
	case wire.FieldBitmap:
		return appendBitmap(dst, b)
	case wire.FieldSvcParams:
		return appendSvcParams(dst, b)
	case wire.FieldLOC:
		return appendLOC(dst, b)
	case wire.FieldAPL:
		return appendAPL(dst, b)
	case wire.FieldIPSECKEY:
		return appendIPSECKEY(dst, b)
	case wire.FieldHIP:
		return appendHIP(dst, b)
	}
	return dst, false
}

func appendUint(dst []byte, n uint32) []byte { return strconv.AppendUint(dst, uint64(n), 10) }

// appendTime is RFC 4034 §3.2: the number is read as seconds since 1970, good
// until 2106. Serial arithmetic would need the present time.
func appendTime(dst []byte, seconds uint32) []byte {
	return time.Unix(int64(seconds), 0).UTC().AppendFormat(dst, "20060102150405")
}

func appendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

func appendSalt(dst, b []byte) []byte {
	if len(b) == 0 {
		return append(dst, '-')
	}
	return appendHex(dst, b)
}

func appendEUI(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for i, c := range b {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

func appendStrings(dst, b []byte) []byte {
	for first := true; len(b) > 0; first = false {
		if !first {
			dst = append(dst, ' ')
		}
		n := 1 + int(b[0])
		dst = appendQuoted(dst, b[1:n])
		b = b[n:]
	}
	return dst
}

// appendQuoted is a character-string (RFC 1035 §5.1).
func appendQuoted(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// isTag tells whether b may stand unquoted: letters and digits, all that an X25
// address (RFC 1183 §3.1) or a CAA tag (RFC 8659 §4.1) may hold.
func isTag(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(b) > 0
}

// appendBitmap is RFC 4034 §4.2. A window that ends in a zero octet (§4.1.2
// forbids it) has no other form than the generic one.
func appendBitmap(dst, b []byte) ([]byte, bool) {
	for first := true; len(b) >= 2; {
		window, n := int(b[0])<<8, 2+int(b[1])
		for i, octet := range b[2:n] {
			for bit := range 8 {
				if octet&(0x80>>bit) == 0 {
					continue
				}
				if !first {
					dst = append(dst, ' ')
				}
				first = false
				dst = append(dst, wire.Type(window|i<<3|bit).String()...)
			}
		}
		if b[n-1] == 0 {
			return dst, false
		}
		b = b[n:]
	}
	return dst, true
}
