package cache

import (
	"bytes"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

var onPolicy = stale.Policy{Enabled: true, Max: 24 * time.Hour, Negative: time.Hour}

var onRules = stale.NewRules(onPolicy, nil, nil)

func TestLifetimeBounds(t *testing.T) {
	const week = 7 * 24 * 3600
	bounded := Options{MinTTL: 5 * time.Second, MaxTTL: time.Minute, MinNegativeTTL: 2 * time.Second, MaxNegativeTTL: 10 * time.Second}
	for _, v := range []struct {
		what     string
		o        Options
		negative bool
		ttl      uint32
		want     uint32 // 0: not stored
	}{
		{"as it came", Options{}, false, 300, 300},
		{"zero is for the one who waits (RFC 8767 section 4)", Options{}, false, 0, 0},
		{"zero of a denial", Options{}, true, 0, 0},
		{"a week is the cap", Options{}, false, week + 1, week},
		{"the high bit makes a large number (RFC 8767 section 4)", Options{}, false, 1 << 31, week},
		{"all bits", Options{}, false, 1<<32 - 1, week},
		{"a denial's own cap", Options{}, true, 1 << 31, 3600},
		{"raised", bounded, false, 0, 5},
		{"lowered", bounded, false, 61, 60},
		{"denial raised", bounded, true, 0, 2},
		{"denial lowered", bounded, true, 60, 10},
		{"the maximum wins", Options{MinTTL: time.Hour, MaxTTL: time.Minute}, false, 1, 60},
	} {
		v.o.Size = minSize
		c := New(v.o)
		e := address(name("a.example."), v.ttl)
		if v.negative {
			e = denial(NoData, name("a.example."), wire.TypeA, v.ttl)
		}
		if ok := c.Put(at(0), e); ok != (v.want != 0) {
			t.Errorf("%s: stored %v", v.what, ok)
		}
		got, ok := look(c, at(0), e.Name, wire.TypeA)
		if ok != (v.want != 0) || got.TTL != v.want {
			t.Errorf("%s: %d, want %d", v.what, got.TTL, v.want)
		}
	}
}

func TestNoLongerThanSigned(t *testing.T) {
	for most, want := range map[uint32]uint32{0: 10, 7: 7, 20: 10} {
		e := address(name("a.example."), 3)
		e.Most = most
		if c := New(Options{Size: minSize, MinTTL: 10 * time.Second}); !c.Put(at(0), e) || e.Expiry != at(time.Duration(want)*time.Second) {
			t.Errorf("most %d: until %v", most, e.Expiry)
		}
	}
}

func TestStaleUntilIsStored(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	c.Put(at(0), address(name("a.example."), 60))
	c.Put(at(0), denial(NXDomain, name("b.example."), wire.TypeNone, 60))
	var r Reader
	for _, v := range []struct {
		n     dnsname.Name
		until time.Duration
	}{{name("a.example."), time.Minute + onPolicy.Max}, {name("b.example."), time.Minute + onPolicy.Negative}} {
		h, ok := c.Lookup(&r, at(time.Minute), v.n, wire.TypeA)
		if !ok || h.State(at(time.Minute)) != stale.Stale || h.TTL(at(time.Minute)) != 0 || h.StaleUntil() != at(v.until) {
			t.Errorf("%v at its expiry: %v, until %v", v.n, ok, h.StaleUntil())
		}
		if _, ok := c.Lookup(&r, at(v.until), v.n, wire.TypeA); ok {
			t.Errorf("%v found when it is gone", v.n)
		}
	}
	if st := c.Stats(); st.StaleHits != 2 || st.Misses != 2 {
		t.Errorf("%+v", st)
	}
}

// What stands at a name after an older entry was followed by a newer one.
func TestNewerEvictsContradictory(t *testing.T) {
	n := name("n.example.")
	a, mx, nsec, ds := data(n, wire.TypeA, 60, 1), data(n, wire.TypeMX, 60, 2), data(n, wire.TypeNSEC, 60, 3), data(n, wire.TypeDS, 60, 4)
	cname := data(n, wire.TypeCNAME, 60, []byte(name("t.example."))...)
	dname := data(n, wire.TypeDNAME, 60, []byte(name("t.example."))...)
	noA, noMX, noCNAME := denial(NoData, n, wire.TypeA, 60), denial(NoData, n, wire.TypeMX, 60), denial(NoData, n, wire.TypeCNAME, 60)
	noDS, nx := denial(NoData, n, wire.TypeDS, 60), denial(NXDomain, n, wire.TypeNone, 60)
	for _, v := range []struct {
		old, new *Entry
		both     bool
	}{
		{a, a, false}, {a, noA, false}, {noA, a, false}, {nx, nx, false},
		{a, mx, true}, {a, noMX, true}, {noA, mx, true}, {noA, noMX, true},
		{a, nx, false}, {noA, nx, false}, {cname, nx, false}, {nsec, nx, false}, {ds, nx, false},
		{nx, a, false}, {nx, noA, false}, {nx, cname, false}, {nx, nsec, false},
		{a, cname, false}, {cname, a, false}, {noA, cname, false}, {cname, noA, false}, {cname, noCNAME, false}, {noCNAME, cname, false},
		{cname, dname, false}, {a, dname, true}, {a, noCNAME, true},
		{nsec, cname, true}, {cname, nsec, true}, {noDS, cname, true}, {cname, noDS, true}, {cname, ds, true},
	} {
		expectAfter(t, v.old, v.new, v.both, at(1))
		// The same when the old one expired a while ago: it must not come back.
		expectAfter(t, v.old, v.new, v.both, at(30*time.Minute))
	}
}

// expectAfter puts one entry, then another at a moment, and looks whether both
// stand.
func expectAfter(t *testing.T, first, second *Entry, both bool, now clock.Mono) {
	t.Helper()
	c := New(Options{Size: minSize, Stale: onRules})
	c.Put(at(0), first)
	c.Put(now, second)
	want := 1
	if both {
		want = 2
	}
	n := second.Name
	if got := c.Names(n); len(got) != want {
		t.Errorf("%v %v, then %v %v: %d entries, want %d", first.Kind, first.Type, second.Kind, second.Type, len(got), want)
	}
	typ := second.Type
	if second.Kind == NXDomain {
		typ = wire.TypeAAAA
	}
	if e, ok := look(c, now, n, typ); !ok || e.Kind != second.Kind || e.Type != second.Type {
		t.Errorf("%v %v, then %v %v: found %v %v %v", first.Kind, first.Type, second.Kind, second.Type, e.Kind, e.Type, ok)
	}
	if e, ok := look(c, now, n, first.Type); ok && !both && (e.Kind != second.Kind || e.Type != second.Type) {
		t.Errorf("%v %v, then %v %v: the old one answers still", first.Kind, first.Type, second.Kind, second.Type)
	}
	checkAll(t, c)
}

// A TTL of zero is never stale, not even where a minimum made it storable, nor
// after a restart.
func TestRaisedZeroIsNeverStale(t *testing.T) {
	o := Options{Size: minSize, Stale: onRules, MinTTL: 5 * time.Second}
	c, again := New(o), New(o)
	for _, ttl := range []uint32{0, 1} {
		c.Put(at(0), address(numbered("n", int(ttl)), ttl))
	}
	var snapshot bytes.Buffer
	if n, err := c.WriteSnapshot(&snapshot, at(0), time.Unix(1e9, 0), SnapshotHeader{}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := again.ReadSnapshot(bytes.NewReader(snapshot.Bytes()), at(0), time.Unix(1e9, 0), SnapshotHeader{}); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*Cache{"stored": c, "restored": again} {
		for ttl := range 2 {
			n := numbered("n", ttl)
			if _, ok := look(c, at(5*time.Second-1), n, wire.TypeA); !ok {
				t.Errorf("%s with TTL %d: not there", what, ttl)
			}
			if _, ok := look(c, at(5*time.Second), n, wire.TypeA); ok != (ttl > 0) {
				t.Errorf("%s with TTL %d: found %v when it expired", what, ttl, ok)
			}
		}
	}
}

func TestLowerRankDoesNotDisplaceWhileFresh(t *testing.T) {
	n := name("n.example.")
	ranked := func(e *Entry, r Rank) *Entry { e.Rank = r; return e }
	old := ranked(data(n, wire.TypeNS, 60, 1), RankAuthAnswer)
	for _, v := range []struct {
		what string
		e    *Entry
		now  clock.Mono
		want bool
	}{
		{"the same type, lower", ranked(data(n, wire.TypeNS, 60, 2), RankAuthority), at(1), false},
		{"the same rank", ranked(data(n, wire.TypeNS, 60, 2), RankAuthAnswer), at(1), true},
		{"lower, when the old one expired", ranked(data(n, wire.TypeNS, 60, 2), RankAuthority), at(time.Minute), true},
		{"a contradiction of lower rank", ranked(denial(NXDomain, n, wire.TypeNone, 60), RankAnswer), at(1), false},
		{"lower, but no contradiction", ranked(data(n, wire.TypeA, 60, 2), RankAuthority), at(1), true},
	} {
		c := New(Options{Size: minSize, Stale: onRules})
		c.Put(at(0), old)
		if got := c.Put(v.now, v.e); got != v.want {
			t.Errorf("%s: stored %v", v.what, got)
		}
		if _, ok := look(c, v.now, n, wire.TypeNS); !ok {
			t.Errorf("%s: nothing is left", v.what)
		}
		if st := c.Stats(); (st.Outranked == 1) == v.want {
			t.Errorf("%s: %d outranked", v.what, st.Outranked)
		}
	}
}

func TestTypesOfANameAreBounded(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	n := name("n.example.")
	c.Put(at(0), data(n, wire.Type(1000), 600, 1)) // the oldest
	c.Put(at(1), data(n, wire.Type(1001), 1, 1))   // soon gone
	for i := range MaxTypes - 2 {
		c.Put(at(2), data(n, wire.Type(2000+i), 600, 1))
	}
	has := func(typ wire.Type) bool { _, ok := look(c, at(time.Minute), n, typ); return ok }
	c.Put(at(time.Minute), data(n, wire.Type(3000), 600, 1))
	if !has(1000) || !has(3000) || c.Stats().Entries != MaxTypes {
		t.Error("what is gone did not make room")
	}
	c.Put(at(time.Minute), data(n, wire.Type(3001), 600, 1))
	if st := c.Stats(); has(1000) || !has(3001) || st.Entries != MaxTypes || st.EvictTypes+st.EvictGone != 2 {
		t.Errorf("the oldest did not make room: %+v", st)
	}
	c.Put(at(time.Minute), data(n, wire.Type(3001), 600, 2))
	if st := c.Stats(); st.EvictTypes+st.EvictGone != 2 || st.Replaced != 1 {
		t.Errorf("a replacement needs no room: %+v", st)
	}
	checkAll(t, c)
}

// Readers never see a name without its entry while a newer one takes its place:
// the shard's sequence moves once.
func TestReplacementIsOneChange(t *testing.T) {
	c := New(Options{Size: minSize})
	n := name("n.example.")
	s := &c.store.shards[0]
	c.Put(at(0), data(n, wire.TypeA, 60, 1))
	c.Put(at(0), data(n, wire.TypeMX, 60, 1))
	for _, e := range []*Entry{data(n, wire.TypeA, 60, 2), data(n, wire.TypeCNAME, 60, []byte(n)...), denial(NXDomain, n, wire.TypeNone, 60)} {
		before := s.seq.Load()
		if c.Put(at(1), e); s.seq.Load() != before+2 {
			t.Errorf("%v %v: %d steps", e.Kind, e.Type, s.seq.Load()-before)
		}
	}
}

func TestPutRefusesMalformed(t *testing.T) {
	c := New(Options{Size: minSize})
	good := func() *Entry { return address(name("a.example."), 60) }
	for what, spoil := range map[string]func(*Entry){
		"no name":              func(e *Entry) { e.Name = "" },
		"name is no name":      func(e *Entry) { e.Name = "\x05abc\x00" },
		"no records":           func(e *Entry) { e.Set.Data = nil },
		"meta type":            func(e *Entry) { e.Type = wire.TypeANY },
		"NXDomain with a type": func(e *Entry) { e.Kind = NXDomain },
		"unknown kind":         func(e *Entry) { e.Kind = 3 },
		"proof without owner":  func(e *Entry) { e.Proof = append(e.Proof, e.Set); e.Proof[0].Name = "" },
		"256 proofs": func(e *Entry) {
			for range 256 {
				e.Proof = append(e.Proof, e.Set)
			}
		},
	} {
		e := good()
		spoil(e)
		if c.Put(at(0), e) {
			t.Errorf("%s: stored", what)
		}
	}
	if !c.Put(at(0), good()) || c.Stats().Entries != 1 {
		t.Error("what is well-formed was refused")
	}
}
