package cache

import (
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

func TestPutThenLookup(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	www := name("www.example.")
	if !c.Put(at(0), address(www, 300)) {
		t.Fatal("not stored")
	}
	var r Reader
	now := at(10 * time.Second)
	h, ok := c.Lookup(&r, now, www, wire.TypeA)
	if !ok || h.TTL(now) != 290 || h.Data().Len() != 1 || h.Cut() != name("example.") || h.Name() != www {
		t.Fatalf("%+v %v", h, ok)
	}
	if got := h.TTL(at(299*time.Second + 1)); got != 1 {
		t.Errorf("in the last second the TTL is %d, want 1", got)
	}
	if _, ok := c.Lookup(&r, at(300*time.Second), www, wire.TypeA); ok {
		t.Error("found at its expiry")
	}
	if _, ok := c.Lookup(&r, at(0), www, wire.TypeAAAA); ok {
		t.Error("found under another type")
	}
	st := c.Stats()
	if st.Hits != 1 || st.Misses != 2 || st.Puts != 1 || st.Entries != 1 {
		t.Errorf("%+v", st)
	}
}

// Looking at an entry unasked finds the same, and leaves it as it was.
func TestUnaskedLeavesNoTrace(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	www := name("www.example.")
	c.Put(at(0), address(www, 100))
	marks := func() (m uint8) {
		c.Walk(func(_ *Hit, hits uint8) bool { m = hits; return true })
		return m
	}
	before, counted := marks(), c.Stats()
	quiet, r := Reader{Unasked: true}, Reader{}
	now := at(95 * time.Second)
	for range 3 {
		if h, ok := c.Lookup(&quiet, now, www, wire.TypeA); !ok || h.Name() != www || h.Due() || h.Claim() {
			t.Error("not found, or due")
		}
		if _, ok := c.Lookup(&quiet, now, name("no.example."), wire.TypeA); ok {
			t.Error("found what is not there")
		}
	}
	if after := c.Stats(); marks() != before || after.Hits != counted.Hits || after.Misses != counted.Misses {
		t.Errorf("marks %d, before %d; %+v", marks(), before, after)
	}
	c.Lookup(&r, now, www, wire.TypeA)
	if h, _ := c.Lookup(&r, now, www, wire.TypeA); marks() == before || !h.Due() {
		t.Error("asking leaves no trace either: the test proves nothing")
	}
}

func TestAliasAndNXDomainSpeakForEveryType(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	alias, no := name("alias.example."), name("no.example.")
	c.Put(at(0), data(alias, wire.TypeCNAME, 60, []byte(name("www.example."))...))
	c.Put(at(0), denial(NXDomain, no, wire.TypeNone, 60))
	for _, typ := range []wire.Type{wire.TypeA, wire.TypeMX, wire.TypeCNAME, wire.Type(65280)} {
		if e, ok := look(c, at(0), alias, typ); !ok || e.Type != wire.TypeCNAME || e.Kind != Data {
			t.Errorf("%v: %+v %v", typ, e, ok)
		}
		if e, ok := look(c, at(0), no, typ); !ok || e.Kind != NXDomain || len(e.Proof) != 1 {
			t.Errorf("%v: %+v %v", typ, e, ok)
		}
	}
}

// Signatures and denials stand beside an alias and speak for themselves.
func TestAliasDoesNotHideWhatStandsBesideIt(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	n := name("alias.example.")
	c.Put(at(0), data(n, wire.TypeNSEC, 60, 1))
	c.Put(at(0), data(n, wire.TypeCNAME, 60, []byte(name("www.example."))...))
	c.Put(at(0), denial(NoData, n, wire.TypeDS, 60))
	for typ, want := range map[wire.Type]wire.Type{
		wire.TypeNSEC: wire.TypeNSEC, wire.TypeDS: wire.TypeDS, wire.TypeA: wire.TypeCNAME,
	} {
		if e, ok := look(c, at(0), n, typ); !ok || e.Type != want {
			t.Errorf("%v: found %v %v", typ, e.Type, ok)
		}
	}
}

// Two names with the same tag are told apart.
func TestTagsCollide(t *testing.T) {
	c := New(Options{Size: minSize})
	tags := map[uint32]int{}
	for i := range 1_000_000 {
		n := numbered("n", i)
		tag := uint32(c.hash.name(n))
		j, ok := tags[tag]
		tags[tag] = i
		if !ok {
			continue
		}
		other := numbered("n", j)
		c.Put(at(0), address(n, 60))
		if _, ok := look(c, at(0), other, wire.TypeA); ok {
			t.Errorf("%v found under %v", n, other)
		}
		c.Put(at(0), denial(NXDomain, other, wire.TypeNone, 60))
		if e, ok := look(c, at(0), n, wire.TypeA); !ok || e.Name != n {
			t.Errorf("%v was taken for %v", n, other)
		}
		return
	}
	t.Fatal("no two names collide")
}

func TestLargeEntry(t *testing.T) {
	c := New(Options{Size: 8 << 20})
	n := name("large.example.")
	e := data(n, wire.TypeTXT, 60)
	e.Set.Data = nil
	for i := range 9 {
		rd := make([]byte, 20_000)
		rd[0], rd[len(rd)-1] = byte(i), byte(i)
		e.Set.Data = e.Set.Data.Append(rd)
	}
	if !c.Put(at(0), e) {
		t.Fatal("180 kB refused by shards of 896 KiB")
	}
	got, ok := look(c, at(0), n, wire.TypeTXT)
	if !ok || !got.Set.Equal(&e.Set) {
		t.Fatal("not found as it was stored")
	}
	for range 5 {
		e.Set.Data = append(e.Set.Data, e.Set.Data...)
	}
	if c.Put(at(0), e) || c.Stats().Oversize != 1 {
		t.Error("5 MB accepted")
	}
	if _, ok := look(c, at(0), n, wire.TypeTXT); !ok {
		t.Error("the refused entry took the old one along")
	}
	checkAll(t, c)
}

func TestHitAllocatesNothing(t *testing.T) {
	c := New(Options{Size: 4 << 20, Stale: onRules})
	hit, absent, none := name("www.example."), name("no.example."), name("x.example.")
	c.Put(at(0), address(hit, 300))
	c.Put(at(0), denial(NXDomain, absent, wire.TypeNone, 300))
	var r Reader
	c.Lookup(&r, at(1), hit, wire.TypeA)
	for _, now := range []time.Duration{1, 301 * time.Second} {
		sum := 0
		n := testing.AllocsPerRun(1000, func() {
			for _, q := range [...]dnsname.Name{hit, absent, none} {
				h, ok := c.Lookup(&r, at(now), q, wire.TypeA)
				if !ok {
					continue
				}
				for i := range h.ProofLen() {
					p := h.ProofAt(i)
					sum += len(p.Data) + len(p.Name)
				}
				for rd := range h.Data().All() {
					sum += len(rd)
				}
				sum += int(h.TTL(at(now))) + len(h.Sigs()) + len(h.Cut()) + len(h.Name()) + int(h.State(at(now)))
			}
		})
		if n != 0 || sum == 0 {
			t.Errorf("%v allocations a hit, sum %d", n, sum)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	c, names := filled(100_000)
	run := func(name string, hot bool, f func(b *testing.B, next func(int) dnsname.Name)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			f(b, func(i int) dnsname.Name {
				if hot {
					return names[0]
				}
				return names[i*7%len(names)]
			})
		})
	}
	for _, hot := range []bool{true, false} {
		suffix := map[bool]string{true: "/hot", false: "/spread"}[hot]
		run("serial"+suffix, hot, func(b *testing.B, next func(int) dnsname.Name) {
			var r Reader
			for i := 0; b.Loop(); i++ {
				if _, ok := c.Lookup(&r, at(1), next(i), wire.TypeA); !ok {
					b.Fatal("miss")
				}
			}
		})
		run("parallel"+suffix, hot, func(b *testing.B, next func(int) dnsname.Name) {
			b.RunParallel(func(pb *testing.PB) {
				var r Reader
				for i := 0; pb.Next(); i++ {
					c.Lookup(&r, at(1), next(i), wire.TypeA)
				}
			})
		})
	}
}

func BenchmarkPutFull(b *testing.B) {
	c := New(Options{Size: 8 << 20})
	entries := make([]*Entry, 200_000)
	for i := range entries {
		entries[i] = address(numbered("put", i), 3600)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Put(at(time.Duration(i)), entries[i%len(entries)])
	}
}

// BenchmarkMemory reports what an address takes in a full cache, all included.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		c, _ := filled(100_000)
		st := c.Stats()
		b.ReportMetric(float64(st.Held)/float64(st.Entries), "B/entry")
	}
}

func filled(n int) (*Cache, []dnsname.Name) {
	c := New(Options{Size: 64 << 20})
	names := make([]dnsname.Name, n)
	for i := range names {
		names[i] = numbered("www.zone", i)
		c.Put(at(0), address(names[i], 3600))
	}
	return c, names
}
