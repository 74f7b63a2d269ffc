package cache

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"lastgood/internal/dnsname"
)

// hasher is a seeded hash of names, by multiplication of 16 octets at a time
// (after wyhash). All that data meets is derived from the seed: whoever does
// not know it cannot choose names that collide.
type hasher struct{ a, b, c uint64 }

func newHasher(seed uint64) hasher {
	a := mul(seed^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	b := mul(a^0x8ebc6af09c88c6e3, seed^0x589965cc75374cc3)
	return hasher{a: a, b: b, c: mul(b^0x1d8e4e27c47d124f, a^seed) | 1}
}

func (h *hasher) name(n dnsname.Name) uint64 {
	b := unsafe.Slice(unsafe.StringData(string(n)), len(n))
	acc := mul(h.a, uint64(len(b))^h.c)
	for len(b) > 16 {
		acc = mul(binary.LittleEndian.Uint64(b)^h.a, binary.LittleEndian.Uint64(b[8:])^acc^h.b)
		b = b[16:]
	}
	acc = mul(half(b)^h.b, half(b[min(8, len(b)):])^acc^h.c)
	return mul(acc^h.a, h.c)
}

// half reads up to eight octets.
func half(b []byte) uint64 {
	switch {
	case len(b) >= 8:
		return binary.LittleEndian.Uint64(b)
	case len(b) >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))<<32
	case len(b) > 0:
		return uint64(b[0]) | uint64(b[len(b)/2])<<8 | uint64(b[len(b)-1])<<16
	}
	return 0
}

func mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
