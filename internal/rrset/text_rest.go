package rrset

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"

	"lastgood/internal/dnsname"
)

// appendLOC is RFC 1876 §3.
func appendLOC(dst, b []byte) ([]byte, bool) {
	if len(b) != 16 || b[0] != 0 {
		return dst, false
	}
	dst, okLat := appendAngle(dst, binary.BigEndian.Uint32(b[4:]), 90, 'N', 'S')
	dst, okLong := appendAngle(append(dst, ' '), binary.BigEndian.Uint32(b[8:]), 180, 'E', 'W')
	dst = append(dst, ' ')
	altitude := int64(binary.BigEndian.Uint32(b[12:])) - 100_000_00 // cm
	if altitude < 0 {
		dst = append(dst, '-')
		altitude = -altitude
	}
	dst = strconv.AppendInt(dst, altitude/100, 10)
	dst = append(dst, '.', '0'+byte(altitude/10%10), '0'+byte(altitude%10), 'm')
	ok := okLat && okLong
	for _, size := range b[1:4] {
		base, power := size>>4, int(size&15)
		ok = ok && base <= 9 && power <= 9 && (base != 0 || power == 0)
		dst = appendSize(append(dst, ' '), base, power)
	}
	return dst, ok
}

// appendAngle appends degrees, minutes and seconds; v counts thousandths of a
// second from 2^31.
func appendAngle(dst []byte, v uint32, limit int64, plus, minus byte) ([]byte, bool) {
	angle, side := int64(v)-1<<31, plus
	if angle < 0 {
		angle, side = -angle, minus
	}
	dst = strconv.AppendInt(dst, angle/3_600_000, 10)
	dst = strconv.AppendInt(append(dst, ' '), angle/60_000%60, 10)
	dst = strconv.AppendInt(append(dst, ' '), angle/1000%60, 10)
	dst = append(dst, '.', '0'+byte(angle/100%10), '0'+byte(angle/10%10), '0'+byte(angle%10), ' ', side)
	return dst, angle <= limit*3_600_000
}

// appendSize appends base·10^power centimetres in metres.
func appendSize(dst []byte, base byte, power int) []byte {
	if power < 2 {
		digits := [2]byte{'0', '0' + base}
		if power == 1 {
			digits = [2]byte{'0' + base, '0'}
		}
		return append(dst, '0', '.', digits[0], digits[1], 'm')
	}
	dst = append(dst, '0'+base)
	for range power - 2 {
		dst = append(dst, '0')
	}
	return append(dst, 'm')
}

// appendAPL is RFC 3123 §5. Addresses with trailing zero octets, forbidden by
// §4, have no other form than the generic one.
func appendAPL(dst, b []byte) ([]byte, bool) {
	for first := true; len(b) >= 4; first = false {
		family, prefix, n := binary.BigEndian.Uint16(b), b[2], int(b[3]&0x7f)
		var octets [16]byte
		size := map[uint16]int{1: 4, 2: 16}[family]
		if n > size || int(prefix) > 8*size || n > 0 && b[3+n] == 0 {
			return dst, false
		}
		copy(octets[:], b[4:4+n])
		addr, ok := netip.AddrFromSlice(octets[:size])
		if !ok {
			return dst, false
		}
		if !first {
			dst = append(dst, ' ')
		}
		if b[3]&0x80 != 0 {
			dst = append(dst, '!')
		}
		dst = append(appendUint(dst, uint32(family)), ':')
		dst = append(addr.AppendTo(dst), '/')
		dst = appendUint(dst, uint32(prefix))
		b = b[4+n:]
	}
	return dst, true
}

// appendIPSECKEY is RFC 4025 §3.1.
func appendIPSECKEY(dst, b []byte) ([]byte, bool) {
	kind, key := b[1], b[3:]
	for _, n := range b[:3] {
		dst = append(appendUint(dst, uint32(n)), ' ')
	}
	switch kind {
	case 0:
		dst = append(dst, '.')
	case 1, 2:
		n := 4 << (2 * (kind - 1))
		addr, _ := netip.AddrFromSlice(key[:n])
		dst, key = addr.AppendTo(dst), key[n:]
	case 3:
		n := dnsname.WireLen(key)
		dst, key = dnsname.AppendText(dst, key[:n]), key[n:]
	default:
		return dst, false
	}
	if len(key) == 0 {
		return dst, true
	}
	return base64.StdEncoding.AppendEncode(append(dst, ' '), key), true
}

// appendHIP is RFC 8005 §6.
func appendHIP(dst, b []byte) ([]byte, bool) {
	tag, key := int(b[0]), int(binary.BigEndian.Uint16(b[2:]))
	dst = append(appendUint(dst, uint32(b[1])), ' ')
	dst = append(appendHex(dst, b[4:4+tag]), ' ')
	dst = base64.StdEncoding.AppendEncode(dst, b[4+tag:4+tag+key])
	for servers := b[4+tag+key:]; len(servers) > 0; {
		n := dnsname.WireLen(servers)
		dst = dnsname.AppendText(append(dst, ' '), servers[:n])
		servers = servers[n:]
	}
	return dst, key > 0
}
