package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// sigBy is a signature of a set by a zone, as far as the index reads it.
func sigBy(zone dnsname.Name, t wire.Type, labels int) []byte {
	head := []byte{byte(t >> 8), byte(t), 15, byte(labels), 0, 0, 14, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return append(append(head, zone...), 1, 2, 3)
}

func signedSet(zone, owner dnsname.Name, t wire.Type, ttl uint32, rdata []byte) rrset.Set {
	s := rrset.Set{Name: owner, Type: t, TTL: ttl, Data: rrset.Packed(nil).Append(rdata)}
	labels := owner.Labels()
	if owner.FirstLabel() == "*" {
		labels--
	}
	s.Sigs = s.Sigs.Append(sigBy(zone, t, labels))
	return s
}

func nsecSet(zone, owner, next string, ttl uint32) rrset.Set {
	return signedSet(name(zone), name(owner), wire.TypeNSEC, ttl, append([]byte(name(next)), 0, 1, 0x40))
}

// nsec3Set has hashes that are a letter and a digit twenty times over.
func nsec3Set(zone string, own, next byte, ttl uint32) rrset.Set {
	label := strings.ToLower(base32Hex.EncodeToString(bytes.Repeat([]byte{own}, 20)))
	rdata := append([]byte{1, 0, 0, 0, 1, 0xab, 20}, bytes.Repeat([]byte{next}, 20)...)
	return signedSet(name(zone), name(label+"."+zone), wire.TypeNSEC3, ttl, append(rdata, 0, 1, 0x40))
}

func soaSet(zone string, ttl uint32) rrset.Set {
	return signedSet(name(zone), name(zone), wire.TypeSOA, ttl, make([]byte, 22))
}

// denied is a secure denial proven by some sets.
func denied(c *Cache, now clock.Mono, n string, ttl uint32, proof ...rrset.Set) *Entry {
	e := &Entry{
		Kind: NXDomain, Name: name(n), Rank: RankAuthAnswer, Security: rrset.Secure, Proof: proof, TTL: ttl,
		Cut: name("example."), Valid: time.Unix(4000, 0).UTC(),
	}
	c.PutRanges(now, c.Generation(), e) // has no times yet: nothing
	c.Put(now, e)
	c.PutRanges(now, c.Generation(), e)
	return e
}

func withRanges(size int64) *Cache { return New(Options{Size: size, Ranges: true}) }

// bears tells which NSEC record bears on a name: its owner, "" for none.
func bears(c *Cache, now clock.Mono, n string) string {
	z, ok := c.Ranges(now, name(n))
	if !ok {
		return ""
	}
	if r := z.NSEC(name(n)); r != nil {
		return r.Set.Name.String()
	}
	return ""
}

// Keys compare as names do.
func TestOrderKey(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	labels := []string{"a", "b", "ab", "\x00", "\x01", "\x02", "\x00a", "*", "a\x00", "a\x01"}
	random := func() dnsname.Name {
		n := dnsname.Root
		for range r.IntN(4) {
			n, _ = n.Prepend(labels[r.IntN(len(labels))])
		}
		return n
	}
	for range 20_000 {
		a, b := random(), random()
		if got, want := bytes.Compare(orderKey(nil, a), orderKey(nil, b)), dnsname.Compare(a, b); got != want {
			t.Fatalf("%s and %s: %d, want %d", a, b, got, want)
		}
	}
}

// A range is found for the names that it covers and its owner, as long as it is
// fresh, by the zone that signed it.
func TestRangesAreFound(t *testing.T) {
	c := withRanges(1 << 20)
	denied(c, at(0), "c.example.", 300, soaSet("example.", 600), nsecSet("example.", "b.example.", "d.example.", 900))
	denied(c, at(0), "z.example.", 300, nsecSet("example.", "y.example.", "example.", 60))
	denied(c, at(0), "x.sub.example.", 300, nsecSet("sub.example.", "sub.example.", "y.sub.example.", 300))
	for n, want := range map[string]string{
		"b.example.": "b.example.", "c.example.": "b.example.", "x.c.example.": "b.example.", "x.b.example.": "b.example.",
		"d.example.": "", "a.example.": "", "example.": "", "yy.example.": "y.example.", "com.": "",
		"x.sub.example.": "sub.example.", "z.sub.example.": "", "sub.example.": "sub.example.",
	} {
		if got := bears(c, at(0), n); got != want {
			t.Errorf("%s: %q, want %q", n, got, want)
		}
	}
	if z, _ := c.Ranges(at(0), name("c.example.")); z.Name() != "\x07example\x00" || z.SOA() == nil || z.SOA().Expiry != at(300*time.Second) {
		t.Errorf("zone %s, SOA %+v", z.Name(), z.SOA())
	}
	if got := bears(c, at(61*time.Second), "yy.example."); got != "" {
		t.Errorf("past its own TTL there is %s", got)
	}
	if got := bears(c, at(299*time.Second), "c.example."); got != "b.example." {
		t.Error("the range is gone before its denial")
	}
	if got := bears(c, at(300*time.Second), "c.example."); got != "" {
		t.Errorf("past the TTL of the denial there is %s", got)
	}
	if z, ok := c.Ranges(at(300*time.Second), name("c.example.")); ok && z.SOA() != nil {
		t.Error("the SOA record is past its TTL, and there")
	}
}

// A least TTL makes denials live longer, and not what they prove of other names.
func TestRangesAreNotRaised(t *testing.T) {
	c := New(Options{Size: 1 << 20, Ranges: true, MinNegativeTTL: time.Hour})
	e := denied(c, at(0), "c.example.", 300, nsecSet("example.", "b.example.", "d.example.", 900))
	if e.Expiry != at(time.Hour) || bears(c, at(299*time.Second), "c.example.") == "" || bears(c, at(300*time.Second), "c.example.") != "" {
		t.Error("the range does not live as long as the zone says")
	}
}

// What is not secure, or may be of another zone, or says nothing of other names, is
// not taken; nor is anything when ranges are not kept.
func TestRangesNotTaken(t *testing.T) {
	two := nsecSet("example.", "b.example.", "d.example.", 300)
	two.Sigs = two.Sigs.Append(sigBy(name("."), wire.TypeNSEC, 2))
	star := nsecSet("example.", "b.example.", "d.example.", 300)
	star.Sigs = rrset.Packed(nil).Append(sigBy(name("example."), wire.TypeNSEC, 1))
	bare := nsecSet("example.", "b.example.", "d.example.", 300)
	bare.Sigs = nil
	far := nsecSet("other.", "b.other.", "d.other.", 300)
	far.Name = name("b.example.")
	near := nsec3Set("example.", 'a', 'a', 300)
	for what, set := range map[string]rrset.Set{
		"two signers": two, "of a wildcard": star, "unsigned": bare, "of another zone": far,
		"minimal": nsecSet("example.", "c.example.", "\\000.c.example.", 300), "minimal NSEC3": near,
		"an address":      signedSet(name("example."), name("b.example."), wire.TypeA, 300, []byte{192, 0, 2, 1}),
		"out of the zone": nsecSet("example.", "b.example.", "org.", 300),
		"no TTL":          nsecSet("example.", "b.example.", "d.example.", 0),
	} {
		c := withRanges(1 << 20)
		if denied(c, at(0), "c.example.", 300, set); c.Stats().Ranges != 0 {
			t.Errorf("%s: taken", what)
		}
	}
	good := nsecSet("example.", "b.example.", "d.example.", 300)
	c := withRanges(1 << 20)
	e := &Entry{Kind: NXDomain, Name: name("c.example."), Security: rrset.Insecure, Proof: []rrset.Set{good}, TTL: 300}
	c.Put(at(0), e)
	if c.PutRanges(at(0), c.Generation(), e); c.Stats().Ranges != 0 {
		t.Error("insecure: taken")
	}
	if denied(c, at(0), "c.example.", 300, good); c.Stats().Ranges != 1 {
		t.Error("a good one is not taken")
	}
	off := New(Options{Size: 1 << 20})
	if denied(off, at(0), "c.example.", 300, good); off.Stats().Ranges != 0 {
		t.Error("taken where none are kept")
	}
}

// A newer version of the zone displaces what it contradicts: names that are gone,
// and denials of names that came.
func TestRangesOfAnotherVersion(t *testing.T) {
	c := withRanges(1 << 20)
	for _, s := range [][2]string{{"a", "d"}, {"f", "h"}, {"h", "k"}, {"k", "m"}} {
		denied(c, at(0), "nope.example.", 300, nsecSet("example.", s[0]+".example.", s[1]+".example.", 300))
	}
	denied(c, at(1), "nope.example.", 300, nsecSet("example.", "b.example.", "d.example.", 300)) // b came
	denied(c, at(1), "nope.example.", 300, nsecSet("example.", "f.example.", "k.example.", 300)) // h went
	for n, want := range map[string]string{"aa": "", "c": "b", "g": "f", "h": "f", "i": "f", "l": "k"} {
		if want != "" {
			want += ".example."
		}
		if got := bears(c, at(1), n+".example."); got != want {
			t.Errorf("%s: %q, want %q", n, got, want)
		}
	}
	for _, h := range [][2]byte{{10, 20}, {20, 30}, {90, 5}, {2, 3}} {
		denied(c, at(1), "nope.example.", 300, nsec3Set("example.", h[0], h[1], 300))
	}
	find := func(h byte) int {
		z, _ := c.Ranges(at(1), name("example."))
		r := z.NSEC3(bytes.Repeat([]byte{h}, 20))
		if r == nil {
			return -1
		}
		return int(r.key[0])
	}
	for h, want := range map[byte]int{10: 10, 15: 10, 25: 20, 95: -1, 1: -1, 2: 2, 35: -1} {
		if got := find(h); got != want {
			t.Errorf("hash %d: %d, want %d", h, got, want)
		}
	}
	denied(c, at(1), "nope.example.", 300, nsec3Set("example.", 90, 5, 300))
	if find(2) != 90 || find(95) != 90 {
		t.Error("the chain's last does not displace the first")
	}
	other := nsec3Set("example.", 40, 50, 300)
	other.Data = rrset.Packed(nil).Append(append([]byte{1, 0, 0, 7}, other.Data.First()[4:]...))
	denied(c, at(1), "nope.example.", 300, other)
	if find(15) != -1 || find(45) != 40 {
		t.Error("with other parameters the chain does not begin anew")
	}
}

// What is flushed is not proven by what is left: a name, a subtree, all denials.
func TestRangesAreFlushed(t *testing.T) {
	full := func() *Cache {
		c := withRanges(1 << 20)
		denied(c, at(0), "nope.example.", 300, soaSet("example.", 300), nsecSet("example.", "b.example.", "d.example.", 300),
			nsecSet("example.", "f.example.", "x.f.example.", 300), nsecSet("example.", "x.f.example.", "h.example.", 300),
			nsec3Set("example.", 10, 20, 300), nsecSet("sub.example.", "k.sub.example.", "m.sub.example.", 300))
		if got := c.Stats().Ranges; got != 6 {
			t.Fatalf("%d ranges", got)
		}
		return c
	}
	for what, tc := range map[string]struct {
		flush func(*Cache)
		left  string // of b, f, x.f, k.sub and the hashed one
	}{
		"a name between":    {func(c *Cache) { c.Flush(name("c.example."), wire.TypeNone) }, "f x k"},
		"an owner's type":   {func(c *Cache) { c.Flush(name("f.example."), wire.TypeA) }, "b x k"},
		"a subtree":         {func(c *Cache) { c.FlushBelow(name("f.example.")) }, "b k"},
		"a denied subtree":  {func(c *Cache) { c.FlushBelow(name("c.example.")) }, "f x k"},
		"the zone":          {func(c *Cache) { c.FlushBelow(name("example.")) }, ""},
		"the other zone":    {func(c *Cache) { c.FlushBelow(name("sub.example.")) }, "b f x"},
		"another name":      {func(c *Cache) { c.Flush(name("example.org."), wire.TypeNone) }, "b f x k 3"},
		"negative":          {func(c *Cache) { c.FlushNegative(at(0)) }, ""},
		"a tombstone":       {func(c *Cache) { c.Bury(at(0), name("f.example.")) }, "b k 3"},
		"a tombstone above": {func(c *Cache) { c.Bury(at(0), name("example.")) }, ""},
	} {
		c := full()
		tc.flush(c)
		var left []string
		for _, n := range []string{"b", "f", "x.f", "k.sub"} {
			if bears(c, at(0), n+".example.") != "" {
				left = append(left, n[:1])
			}
		}
		if z, ok := c.Ranges(at(0), name("example.")); ok && z.NSEC3(bytes.Repeat([]byte{15}, 20)) != nil {
			left = append(left, "3")
		}
		if got := strings.Join(left, " "); got != tc.left {
			t.Errorf("%s: left %q, want %q", what, got, tc.left)
		}
		before := c.Stats().Ranges
		for c.Sweep(at(0)) {
		}
		if got := c.Stats().Ranges; strings.HasPrefix(what, "a tomb") && got >= before {
			t.Errorf("%s: %d ranges after a sweep of %d", what, got, before)
		}
	}
}

// What was begun before something was buried proves nothing after it.
func TestRangesOfAnEarlierGeneration(t *testing.T) {
	c := withRanges(1 << 20)
	gen := c.Generation()
	c.Bury(at(0), name("c.example."))
	e := &Entry{Kind: NXDomain, Name: name("nope.example."), Security: rrset.Secure, TTL: 300, Proof: []rrset.Set{nsecSet("example.", "b.example.", "d.example.", 300)}}
	c.Date(at(0), e)
	if c.PutRanges(at(0), gen, e); c.Stats().Ranges != 0 {
		t.Error("a range from before is taken")
	}
	if c.PutRanges(at(0), c.Generation(), e); c.Stats().Ranges != 1 {
		t.Error("one from after it is not")
	}
}

// A snapshot brings the index back, with the times that the records had.
func TestSnapshotBringsRangesBack(t *testing.T) {
	c := withRanges(1 << 20)
	denied(c, at(0), "c.example.", 300, soaSet("example.", 600), nsecSet("example.", "b.example.", "d.example.", 100))
	b := save(t, c, at(0), noon, SnapshotHeader{})
	d := withRanges(1 << 20)
	load(t, d, b, at(30*time.Second), noon.Add(30*time.Second), SnapshotHeader{})
	z, ok := d.Ranges(at(30*time.Second), name("cc.example."))
	if !ok {
		t.Fatal("no ranges")
	}
	r, soa := z.NSEC(name("cc.example.")), z.SOA()
	if r == nil || soa == nil {
		t.Fatalf("range %v, SOA %v", r, soa)
	}
	if r.Stored != at(0) || r.Expiry != at(100*time.Second) || soa.Expiry != at(300*time.Second) || !r.Valid.Equal(time.Unix(4000, 0)) {
		t.Errorf("stored %v, until %v, %v; valid %v", r.Stored, r.Expiry, soa.Expiry, r.Valid)
	}
	e := New(Options{Size: 1 << 20})
	if load(t, e, b, at(0), noon, SnapshotHeader{}); e.Stats().Ranges != 0 {
		t.Error("ranges come back where none are kept")
	}
	f := withRanges(1 << 20)
	if load(t, f, b, at(0), noon.Add(-time.Hour), SnapshotHeader{}); f.Stats().Ranges != 0 {
		t.Error("ranges come back from what is past its TTL")
	}
}

// The index stays within its share; what answered something outlives what did not.
func TestRangesAreBounded(t *testing.T) {
	c := withRanges(1 << 20)
	x := &c.ranges
	useful := nsecSet("example.", "b.example.", "d.example.", 3600)
	denied(c, at(0), "c.example.", 3600, useful)
	for i := range 2000 {
		o := fmt.Sprintf("e%05d.example.", i)
		denied(c, at(0), "nope.example.", 3600, nsecSet("example.", o, strings.Replace(o, ".", "x.", 1), 3600))
		if bears(c, at(0), "c.example.") == "" {
			t.Fatalf("after %d the range that is used is gone", i)
		}
		if st := x.bytes.Load(); st > x.limit {
			t.Fatalf("%d bytes of %d", st, x.limit)
		}
	}
	st := c.Stats()
	if st.EvictRanges == 0 || st.Ranges+int64(st.EvictRanges) != 2001 || st.Ranges < 50 {
		t.Errorf("%d ranges, %d evicted", st.Ranges, st.EvictRanges)
	}
	if bears(c, at(0), "e01999x.example.") != "" || bears(c, at(0), "e01999a.example.") == "" {
		t.Error("the newest is not there")
	}
	for range 10 {
		c.Sweep(at(2 * time.Hour))
	}
	if n := c.Stats().Ranges; n != 0 || len(x.zones) != 0 || x.bytes.Load() != 0 {
		t.Errorf("%d ranges, %d zones, %d bytes after their time", n, len(x.zones), x.bytes.Load())
	}
}

// Standing tells of what shows that a name exists, in any state but gone.
func TestStanding(t *testing.T) {
	c := New(Options{Size: 1 << 20, Stale: rules(time.Hour)})
	n := name("www.example.")
	c.Put(at(0), address(n, 60))
	c.Put(at(10*time.Second), data(n, wire.TypeTXT, 30, 1, 'x'))
	c.Put(at(0), denial(NXDomain, name("nope.example."), wire.TypeNone, 60))
	c.Put(-at(time.Minute), address(name("old.example."), 3600))
	for _, tc := range []struct {
		n      dnsname.Name
		now    clock.Mono
		stored clock.Mono
		state  stale.State
	}{
		{n, at(20 * time.Second), at(10 * time.Second), stale.Fresh}, {n, at(50 * time.Second), at(10 * time.Second), stale.Fresh},
		{n, at(70 * time.Second), at(10 * time.Second), stale.Stale}, {n, at(3 * time.Hour), 0, stale.Gone},
		{name("nope.example."), at(1), 0, stale.Gone}, {name("other.example."), at(1), 0, stale.Gone},
		{name("old.example."), at(1), -at(time.Minute), stale.Fresh}, // from before the start
	} {
		if stored, state := c.Standing(tc.now, tc.n); stored != tc.stored || state != tc.state {
			t.Errorf("%s at %v: %v %v", tc.n, tc.now, stored, state)
		}
	}
}

// TestRangesAgainstAList holds the index against a list of the same ranges that is
// searched from end to end.
func TestRangesAgainstAList(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	c := withRanges(1 << 20)
	type span struct{ own, next int }
	var list []span
	label := func(i int) string { return fmt.Sprintf("n%03d.example.", i) }
	hits := 0
	for round := range 5000 {
		a := r.IntN(200)
		s := span{a, a + 1 + r.IntN(6)}
		denied(c, at(0), "nope.example.", 300, nsecSet("example.", label(s.own), label(s.next), 300))
		kept := list[:0]
		for _, o := range list {
			if o.own != s.own && !(s.own < o.own && o.own < s.next) && !(o.own < s.own && s.own < o.next) {
				kept = append(kept, o)
			}
		}
		if list = append(kept, s); r.IntN(10) == 0 {
			victim := list[r.IntN(len(list))]
			c.Flush(name(label(victim.own)), wire.TypeNone)
			for i, o := range list {
				if o == victim {
					list = append(list[:i], list[i+1:]...)
					break
				}
			}
		}
		for range 5 {
			want, n := "", r.IntN(206)
			at2 := "x" + label(n) // sorts behind all of ours, and so covers nothing
			if r.IntN(4) > 0 {
				at2 = label(n)
				for _, o := range list {
					if o.own <= n && n < o.next {
						want = label(o.own)
						hits++
					}
				}
			}
			if got := bears(c, at(0), at2); got != want {
				t.Fatalf("round %d: %s: %q, want %q", round, at2, got, want)
			}
		}
		if int(c.Stats().Ranges) != len(list) {
			t.Fatalf("round %d: %d ranges, want %d", round, c.Stats().Ranges, len(list))
		}
	}
	if hits < 5000 {
		t.Errorf("only %d found", hits)
	}
}

// Many use the index at once; the race detector watches.
func TestRangesAmongOthers(t *testing.T) {
	c := withRanges(256 << 10)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 2))
			for i := range 1500 {
				n, now := r.IntN(300), at(time.Duration(i)*time.Second)
				own, next := fmt.Sprintf("n%03d.example.", n), fmt.Sprintf("n%03d.example.", n+1+r.IntN(3))
				switch r.IntN(12) {
				case 0:
					c.Flush(name(own), wire.TypeNone)
				case 1:
					c.Bury(now, name(own))
				case 2:
					c.Sweep(now)
				case 3:
					c.FlushBelow(name(own))
				case 4:
					denied(c, now, own, 300, soaSet("example.", 300), nsec3Set("example.", byte(n), byte(n+1), 300))
				default:
					denied(c, now, own, 300, nsecSet("example.", own, next, 300))
				}
				if z, ok := c.Ranges(now, name(own)); ok {
					z.SOA()
					z.NSEC3([]byte(own))
					if r := z.NSEC(name(own)); r != nil && (r.Set.Name != name(own) && !r.covers(orderKey(nil, name(own))) || now >= r.Expiry) {
						t.Errorf("%s: found %s", own, r.Set.Name)
					}
				}
			}
		})
	}
	all.Wait()
	if x := &c.ranges; x.bytes.Load() > x.limit || x.count.Load() != int64(len(x.ring)) {
		t.Errorf("%d bytes of %d, %d of %d", x.bytes.Load(), x.limit, x.count.Load(), len(x.ring))
	}
}

// FuzzRanges: whatever a record is, it does no harm, and what is found covers.
func FuzzRanges(f *testing.F) {
	for _, s := range []rrset.Set{nsecSet("example.", "b.example.", "d.example.", 9), nsec3Set("example.", 1, 2, 9), soaSet("example.", 9)} {
		f.Add([]byte(s.Name), uint16(s.Type), s.Data.First(), s.Sigs.First())
	}
	f.Fuzz(func(t *testing.T, owner []byte, typ uint16, data, sig []byte) {
		n, err := dnsname.FromWire(owner)
		if err != nil || len(data) > 1000 || len(sig) > 1000 {
			return
		}
		s := rrset.Set{Name: n, Type: wire.Type(typ), TTL: 9, Data: rrset.Packed(nil).Append(data), Sigs: rrset.Packed(nil).Append(sig)}
		c := withRanges(256 << 10)
		for range 2 {
			denied(c, at(0), "c.example.", 9, s, nsecSet("example.", "b.example.", "d.example.", 9))
		}
		if z, ok := c.Ranges(at(0), n); ok {
			z.SOA()
			z.AnyNSEC3()
			z.NSEC3(data)
			if r := z.NSEC(n); r != nil && r.Set.Name != n && !r.covers(orderKey(nil, n)) {
				t.Errorf("%s is not covered by %s", n, r.Set.Name)
			}
		}
		c.FlushBelow(dnsname.Root)
		if c.Stats().Ranges != 0 {
			t.Error("something is left")
		}
	})
}

// What the index says that it takes is about what it takes.
func TestRangesTakeWhatTheySay(t *testing.T) {
	c := withRanges(64 << 20)
	x := &c.ranges
	before := heap()
	for i := range 5000 {
		s := nsecSet("example.", fmt.Sprintf("a-longer-name%05d.example.", i), fmt.Sprintf("a-longer-name%05dx.example.", i), 3600)
		s.Sigs = rrset.Packed(nil).Append(append(s.Sigs.First(), make([]byte, 64)...))
		e := Entry{Name: name("nope.example."), Security: rrset.Secure, TTL: 3600, Stored: at(0), Expiry: at(time.Hour), Proof: []rrset.Set{s}}
		x.take(at(0), 0, &e)
	}
	held, said := heap()-before, x.bytes.Load()
	if x.count.Load() != 5000 || held > said*115/100 || held < said/2 {
		t.Errorf("%d ranges take %d bytes, %d are said", x.count.Load(), held, said)
	}
	t.Logf("%d bytes each, %d said", held/5000, said/5000)
	runtime.KeepAlive(c)
}

// BenchmarkRanges is a search among many.
func BenchmarkRanges(b *testing.B) {
	c := withRanges(64 << 20)
	for i := range 5000 {
		o := fmt.Sprintf("e%05d.example.", i)
		denied(c, at(0), "nope.example.", 3600, nsecSet("example.", o, strings.Replace(o, ".", "x.", 1), 3600))
	}
	n := name("e02500a.example.")
	b.ReportAllocs()
	for b.Loop() {
		z, ok := c.Ranges(at(0), n)
		if !ok || z.NSEC(n) == nil {
			b.Fatal("not found")
		}
	}
}
