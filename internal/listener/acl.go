package listener

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// acl is a set of addresses: sorted ranges that neither touch nor overlap, so
// that membership is one binary search. Immutable.
type acl struct {
	v4, v6 []span
	four   []uint64 // v4 once more, the two ends of each in one word
}

// span is a range of addresses, both ends included.
type span struct{ low, high addr128 }

// addr128 is an address as a number; of IPv4 the low half is used alone.
type addr128 struct{ hi, lo uint64 }

func number(a netip.Addr) addr128 {
	if a.Is4() {
		return addr128{0, uint64(number4(a))}
	}
	b := a.As16()
	return addr128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func (a addr128) compare(b addr128) int {
	return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

// last is the highest address of a prefix with that many bits of host part.
func (a addr128) last(host int) addr128 {
	if host >= 64 {
		return addr128{a.hi | (1<<(host-64) - 1), ^uint64(0)}
	}
	return addr128{a.hi, a.lo | (1<<host - 1)}
}

func newACL(prefixes []netip.Prefix) acl {
	var a acl
	for _, p := range prefixes {
		if !p.IsValid() {
			continue
		}
		p = unmapPrefix(p).Masked()
		low := number(p.Addr())
		s := span{low, low.last(p.Addr().BitLen() - p.Bits())}
		if p.Addr().Is4() {
			a.v4 = append(a.v4, s)
		} else {
			a.v6 = append(a.v6, s)
		}
	}
	a.v4, a.v6 = merge(a.v4), merge(a.v6)
	for _, s := range a.v4 {
		a.four = append(a.four, s.low.lo<<32|s.high.lo)
	}
	return a
}

// unmapPrefix makes ::ffff:192.0.2.0/120 the IPv4 prefix that it means.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.low.compare(b.low) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s.low.compare(merged[n-1].high) <= 0 {
			if s.high.compare(merged[n-1].high) > 0 {
				merged[n-1].high = s.high
			}
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// contains tells whether an address, IPv4 unmapped, is in the set.
func (a *acl) contains(addr netip.Addr) bool {
	if addr.Is4() {
		return a.contains4(number4(addr))
	}
	n := number(addr)
	low, high := 0, len(a.v6) // the last span that begins at or before n is at low-1
	for low < high {
		mid := (low + high) / 2
		if a.v6[mid].low.compare(n) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low > 0 && n.compare(a.v6[low-1].high) <= 0
}

func (a *acl) contains4(n uint32) bool {
	low, high := 0, len(a.four)
	for low < high {
		mid := (low + high) / 2
		if uint32(a.four[mid]>>32) <= n {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low > 0 && n <= uint32(a.four[low-1])
}

// clientKey is what limits per client count: an IPv4 address or an IPv6 /64,
// which is one subscriber's at least.
func clientKey(a netip.Addr) netip.Addr {
	if a.Is4() || !a.IsValid() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}
