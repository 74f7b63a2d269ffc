package rrset

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// svcKeys are the registered service parameters (RFC 9460 §14.3.2, RFC 9461,
// RFC 9540), by number.
var svcKeys = [...]string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"}

// svcReserved is the key that stands for none.
const svcReserved = 0xffff

// appendSvcParams is RFC 9460 §2.1.
func appendSvcParams(dst, b []byte) ([]byte, bool) {
	for first := true; len(b) >= 4; first = false {
		key, n := binary.BigEndian.Uint16(b), 4+int(binary.BigEndian.Uint16(b[2:]))
		if !first {
			dst = append(dst, ' ')
		}
		var ok bool
		if dst, ok = appendSvcValue(appendSvcKey(dst, key), key, b[4:n]); !ok {
			return dst, false
		}
		b = b[n:]
	}
	return dst, true
}

func appendSvcKey(dst []byte, key uint16) []byte {
	if int(key) < len(svcKeys) {
		return append(dst, svcKeys[key]...)
	}
	return appendUint(append(dst, "key"...), uint32(key))
}

// appendSvcValue appends = and the value as its key has it; false when the
// value is not what the key demands.
func appendSvcValue(dst []byte, key uint16, v []byte) ([]byte, bool) {
	switch key {
	case 0:
		return appendMandatory(append(dst, '='), v)
	case 1:
		return appendALPN(append(dst, '='), v)
	case 2, 8:
		return dst, len(v) == 0
	case 3:
		if len(v) != 2 {
			return dst, false
		}
		return appendUint(append(dst, '='), uint32(binary.BigEndian.Uint16(v))), true
	case 4:
		return appendHints(append(dst, '='), v, 4)
	case 5:
		return base64.StdEncoding.AppendEncode(append(dst, '='), v), len(v) > 0
	case 6:
		return appendHints(append(dst, '='), v, 16)
	}
	if len(v) == 0 {
		return dst, key != svcReserved
	}
	return appendQuoted(append(dst, '='), v), key != svcReserved
}

// appendMandatory appends keys in ascending order, itself not among them (§8).
func appendMandatory(dst, v []byte) ([]byte, bool) {
	ok := len(v) > 0 && len(v)%2 == 0
	for last := uint16(0); ok && len(v) > 0; v = v[2:] {
		key := binary.BigEndian.Uint16(v)
		ok = key > last && key != svcReserved
		if last != 0 {
			dst = append(dst, ',')
		}
		dst, last = appendSvcKey(dst, key), key
	}
	return dst, ok
}

// appendALPN appends protocol names. One that would have to be escaped within
// the list (§A.1) is not written so, as readers differ: the generic form is.
func appendALPN(dst, v []byte) ([]byte, bool) {
	ok := len(v) > 0
	dst = append(dst, '"')
	for first := true; ok && len(v) > 0; first = false {
		n := 1 + int(v[0])
		if n == 1 || n > len(v) || bytes.ContainsFunc(v[1:n], needsEscape) {
			return dst, false
		}
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, v[1:n]...)
		v = v[n:]
	}
	return append(dst, '"'), ok
}

func needsEscape(r rune) bool {
	return r <= ' ' || r > '~' || r == ',' || r == '\\' || r == '"'
}

// appendHints appends addresses of size octets.
func appendHints(dst, v []byte, size int) ([]byte, bool) {
	ok := len(v) > 0 && len(v)%size == 0
	for first := true; ok && len(v) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		addr, _ := netip.AddrFromSlice(v[:size])
		dst, v = addr.AppendTo(dst), v[size:]
	}
	return dst, ok
}
