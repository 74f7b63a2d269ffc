package dnssec

import "lastgood/internal/wire"

// bitmap is a list of types (RFC 4034 §4.1.2).
type bitmap []byte

// has tells whether a type is in it.
func (b bitmap) has(t wire.Type) bool {
	for len(b) >= 2 {
		window, n := b[0], int(b[1])
		if len(b) < 2+n {
			return false
		}
		if window == byte(t>>8) {
			i := int(t&0xff) / 8
			return i < n && b[2+i]&(0x80>>(t&7)) != 0
		}
		b = b[2+n:]
	}
	return false
}

// delegates tells whether the types are those of a cut, as its parent sees it.
func (b bitmap) delegates() bool { return b.has(wire.TypeNS) && !b.has(wire.TypeSOA) }

// denies tells whether the types say that one is not there, nor an alias for it.
// At a cut the parent may deny DS alone, and the child everything but DS (RFC
// 6840 §4.1, §4.4).
func (b bitmap) denies(t wire.Type, root bool) bool {
	switch {
	case b.has(t) || b.has(wire.TypeCNAME) && t != wire.TypeNSEC:
		return false
	case t == wire.TypeDS:
		return root || !b.has(wire.TypeSOA)
	}
	return !b.delegates()
}
