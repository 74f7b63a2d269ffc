package xdp

import (
	"encoding/binary"
	"math/bits"
)

// The Internet checksum (RFC 1071) does not depend on the order of octets in a
// word, as long as it is read and written in the same one: here the lowest first,
// eight octets at a time.

// sum adds octets to a sum that is not folded yet. Of several slices only the
// last may have an odd length.
func sum(acc uint64, b []byte) uint64 {
	var c uint64
	for len(b) >= 32 { // one chain of carries for four words
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), c)
		acc += c
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc += c
		b = b[8:]
	}
	var rest uint64 // of the octets that are left
	if len(b) >= 4 {
		rest = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		rest += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		rest += uint64(b[0])
	}
	acc, c = bits.Add64(acc, rest, 0)
	return acc + c
}

// fold makes 16 bits of a sum.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc)
}

// pseudo begins the sum of a UDP datagram with what is not in it: the addresses,
// the protocol and the length (RFC 768, RFC 8200 §8.1).
func pseudo(addresses []byte, length int) uint64 {
	acc, c := bits.Add64(sum(0, addresses), uint64(bits.ReverseBytes16(uint16(length)))+protocolUDP<<8, 0)
	return acc + c
}
