package cache

import (
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

func name(s string) dnsname.Name { return dnsname.MustParse(s) }

// data is an entry with one record.
func data(n string, t wire.Type, ttl uint32, rdata ...byte) *Entry {
	e := &Entry{Kind: Data, Name: name(n), Type: t, Rank: RankAuthAnswer, Cut: name("example."), TTL: ttl}
	e.Set = rrset.Set{Name: e.Name, Type: t, TTL: ttl, Data: rrset.Packed(nil).Append(rdata)}
	return e
}

func address(n string, ttl uint32) *Entry { return data(n, wire.TypeA, ttl, 192, 0, 2, 1) }

func denial(k Kind, n string, t wire.Type, ttl uint32) *Entry {
	soa := rrset.Set{Name: name("example."), Type: wire.TypeSOA, TTL: ttl, Data: rrset.Packed(nil).Append(make([]byte, 40))}
	return &Entry{
		Kind: k, Name: name(n), Type: t, Rank: RankAuthAnswer, Cut: soa.Name, TTL: ttl,
		Proof: []rrset.Set{soa},
	}
}

func at(d time.Duration) clock.Mono { return clock.Mono(time.Second).Add(d) }

func look(c *Cache, now clock.Mono, n string, t wire.Type) (Entry, bool) {
	var r Reader
	h, ok := c.Lookup(&r, now, name(n), t)
	if !ok {
		return Entry{}, false
	}
	return h.Entry(), true
}

func TestPutThenLookup(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	if !c.Put(at(0), address("www.example.", 300)) {
		t.Fatal("not stored")
	}
	var r Reader
	h, ok := c.Lookup(&r, at(10*time.Second), name("www.example."), wire.TypeA)
	if !ok || h.TTL(at(10*time.Second)) != 290 || h.Data().Len() != 1 || h.Cut() != name("example.") {
		t.Fatalf("%+v %v", h, ok)
	}
	if _, ok := c.Lookup(&r, at(300*time.Second), name("www.example."), wire.TypeA); ok {
		t.Error("found at its expiry")
	}
	if _, ok := c.Lookup(&r, at(0), name("www.example."), wire.TypeAAAA); ok {
		t.Error("found under another type")
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	c := New(Options{Size: 4 << 20})
	c.Put(at(0), address("www.example.", 300))
	c.Put(at(0), denial(NXDomain, "no.example.", wire.TypeNone, 300))
	var r Reader
	hit, absent, none := name("www.example."), name("no.example."), name("x.example.")
	c.Lookup(&r, at(1), hit, wire.TypeA)
	sum := 0
	n := testing.AllocsPerRun(1000, func() {
		for _, q := range [...]dnsname.Name{hit, absent, none} {
			h, ok := c.Lookup(&r, at(1), q, wire.TypeA)
			if !ok {
				continue
			}
			for i := range h.ProofLen() {
				p := h.ProofAt(i)
				sum += len(p.Data)
			}
			for rd := range h.Data().All() {
				sum += len(rd)
			}
			sum += int(h.TTL(at(1))) + len(h.Sigs()) + len(h.Cut()) + int(h.State(at(1)))
		}
	})
	if n != 0 || sum == 0 {
		t.Errorf("%v allocations a hit, sum %d", n, sum)
	}
}

func BenchmarkHit(b *testing.B) {
	c, names := filled(100_000)
	b.ReportAllocs()
	b.Run("serial", func(b *testing.B) {
		var r Reader
		for i := 0; b.Loop(); i++ {
			if _, ok := c.Lookup(&r, at(1), names[i%len(names)], wire.TypeA); !ok {
				b.Fatal("miss")
			}
		}
	})
	b.Run("hot", func(b *testing.B) {
		var r Reader
		for b.Loop() {
			c.Lookup(&r, at(1), names[0], wire.TypeA)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			var r Reader
			for i := 0; pb.Next(); i++ {
				c.Lookup(&r, at(1), names[i*7%len(names)], wire.TypeA)
			}
		})
	})
}

func filled(n int) (*Cache, []dnsname.Name) {
	c := New(Options{Size: 64 << 20})
	names := make([]dnsname.Name, n)
	for i := range names {
		e := address("w"+dec(i)+".zone"+dec(i%1000)+".example.", 3600)
		names[i] = e.Name
		c.Put(at(0), e)
	}
	return c, names
}
func dec(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return dec(i/10) + string(rune('0'+i%10))
}
