//go:build !race

package rrset

import (
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// TestNoAllocation holds what the path of a cache hit uses to nothing.
func TestNoAllocation(t *testing.T) {
	s := Set{Name: dnsname.Root, Type: wire.TypeMX}
	for i := range byte(10) {
		s.Add(300, mx(i, "\x04mail\x00"))
	}
	same, other := mx(3, "\x04MAIL\x00"), mx(3, "\x04nail\x00")
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		for rd := range s.Data.All() {
			sum += len(rd)
		}
		sum += s.Data.Len() + len(s.Data.First())
		_ = SameData(s.Type, same, other)
		s.Add(300, same)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTextNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 4096)
	for _, s := range samples(t) {
		if s.t == wire.TypeNSEC3 || s.t == wire.TypeNSEC || s.t == wire.TypeCSYNC || s.t == wire.TypeRRSIG || s.t == wire.TypeSIG {
			continue // names of types, an encoding without padding
		}
		if n := testing.AllocsPerRun(10, func() { buf = AppendText(buf[:0], s.t, s.rdata) }); n != 0 {
			t.Errorf("%v %s: %v allocations", s.t, s.text, n)
		}
	}
}
