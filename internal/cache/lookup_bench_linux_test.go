package cache

import (
	"fmt"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// population is names that are made when they are needed, as a question's name
// comes with its packet: a table of them would be as many cache misses again.
type population struct {
	c     *Cache
	names int
	buf   [16]byte
}

// name is the one with a number, until the next call.
func (p *population) name(i int) dnsname.Name {
	const digits = "0123456789abcdef"
	p.buf = [16]byte{8, 15: 0}
	for d := range 8 {
		p.buf[1+d] = digits[i>>(4*d)&15]
	}
	copy(p.buf[9:], "\x05bench\x00")
	return dnsname.Alias(p.buf[:16])
}

// populated is a cache that holds an address of each of so many names.
func populated(b testing.TB, names int, o Options) *population {
	p := &population{c: New(o), names: names}
	for i := range names {
		p.c.Put(at(0), address(cloneName(p.name(i)), 3600))
	}
	if st := p.c.Stats(); st.Entries != int64(names) {
		b.Fatalf("%d of %d names are there", st.Entries, names)
	}
	return p
}

// any walks through the numbers below 2^24 without an order that a processor could
// foresee.
func (p *population) any(i int) int {
	x := uint32(i) * 0x9e3779b1
	x ^= x >> 15
	x *= 0x85ebca6b
	x ^= x >> 13
	return int(uint64(x) * uint64(p.names) >> 32)
}

// BenchmarkLookup finds names of few and of many, and none, alone and beside others.
func BenchmarkLookup(b *testing.B) {
	for _, names := range []int{1, 1000, 100_000, 1_000_000} {
		o := Options{Size: max(64<<20, int64(names)*256)}
		o.Memory = mapped(b, int(o.Size))
		p := populated(b, names, o)
		miss := func(int) int { return 1 << 28 }
		for _, run := range []struct {
			kind string
			pick func(i int) int
			want bool
		}{{"hit", p.any, true}, {"miss", func(i int) int { return p.any(i) | miss(i) }, false}} {
			b.Run(fmt.Sprintf("%s/%d", run.kind, names), func(b *testing.B) {
				b.ReportAllocs()
				var r Reader
				for i := 0; b.Loop(); i++ {
					if _, ok := p.c.Lookup(&r, at(1), p.name(run.pick(i)), wire.TypeA); ok != run.want {
						b.Fatal(ok)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("parallel/%d", names), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				own := *p
				var r Reader
				for i := 0; pb.Next(); i++ {
					own.c.Lookup(&r, at(time.Nanosecond), own.name(own.any(i)), wire.TypeA)
				}
			})
		})
	}
}
