package cache

import (
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// judged is an address that a validator spoke about.
func judged(s rrset.Security, rank Rank, last byte) *Entry {
	e := data(name("www.example."), wire.TypeA, 60, 192, 0, 2, last)
	e.Security, e.Rank = s, rank
	return e
}

// What nobody judged takes no place of what somebody did, as long as that may be
// served; and what was judged gives way to nothing but what was judged too.
func TestUncheckedReplacesNothingJudged(t *testing.T) {
	const secure, insecure, unchecked = rrset.Secure, rrset.Insecure, rrset.Unchecked
	fresh, old, gone := at(30*time.Second), at(time.Hour), at(48*time.Hour)
	for _, v := range []struct {
		what     string
		old, new *Entry
		now      clock.Mono
		replaced bool
	}{
		{"unchecked for secure", judged(secure, RankAnswer, 1), judged(unchecked, RankAuthAnswer, 2), fresh, false},
		{"unchecked for insecure", judged(insecure, RankAnswer, 1), judged(unchecked, RankAuthAnswer, 2), fresh, false},
		{"for the last good answer", judged(secure, RankAnswer, 1), judged(unchecked, RankAuthAnswer, 2), old, false},
		{"for what is gone", judged(secure, RankAuthAnswer, 1), judged(unchecked, RankAuthority, 2), gone, true},
		{"secure for unchecked of higher rank", judged(unchecked, RankAuthAnswer, 1), judged(secure, RankAuthority, 2), fresh, true},
		{"insecure for secure", judged(secure, RankAnswer, 1), judged(insecure, RankAnswer, 2), fresh, true},
		{"judged of lower rank for judged", judged(secure, RankAuthAnswer, 1), judged(insecure, RankAnswer, 2), fresh, false},
		{"the same, of one that expired", judged(secure, RankAuthAnswer, 1), judged(insecure, RankAnswer, 2), old, true},
		{"unchecked for unchecked", judged(unchecked, RankAnswer, 1), judged(unchecked, RankAnswer, 2), fresh, true},
		{"a denial for it", judged(secure, RankAnswer, 1), denial(NXDomain, name("www.example."), wire.TypeNone, 60), fresh, false},
		{"an alias for it", judged(secure, RankAnswer, 1), data(name("www.example."), wire.TypeCNAME, 60, []byte(name("t.example."))...), fresh, false},
		{"bogus", judged(unchecked, RankAnswer, 1), judged(rrset.Bogus, RankAuthAnswer, 2), fresh, false},
	} {
		for _, ttl := range []uint32{60, 0} {
			c := New(Options{Size: minSize, Stale: onRules})
			first, second := *v.old, *v.new
			second.TTL = ttl // 0: not stored, but what it contradicts goes all the same
			c.Put(at(0), &first)
			if ok := c.Put(v.now, &second); ok != (v.replaced && ttl != 0) {
				t.Errorf("%s, TTL %d: stored %v", v.what, ttl, ok)
			}
			got, ok := look(c, v.now, v.old.Name, wire.TypeA)
			stays := ok && got.Set.Equal(&v.old.Set)
			if stays == v.replaced {
				t.Errorf("%s, TTL %d: the old one stays: %v", v.what, ttl, stays)
			}
		}
	}
}

// What is found has the end of validity that it was stored with, to the second.
func TestValid(t *testing.T) {
	utc := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	for _, v := range []struct {
		what     string
		security rrset.Security
		given    time.Time
		want     time.Time
	}{
		{"secure", rrset.Secure, utc(1_900_000_000).Add(time.Second - 1), utc(1_900_000_000)},
		{"another zone of time", rrset.Secure, utc(1_900_000_000).In(time.FixedZone("", 3600)), utc(1_900_000_000)},
		{"nobody told", rrset.Secure, time.Time{}, time.Time{}},
		{"long ago", rrset.Secure, utc(-5), utc(1)},
		{"too far", rrset.Secure, utc(1 << 40), utc(1<<32 - 1)},
		{"verified with what is past its TTL", rrset.Indeterminate, utc(1_900_000_000), utc(1_900_000_000)},
		{"insecure", rrset.Insecure, utc(1_900_000_000), time.Time{}},
		{"unchecked", rrset.Unchecked, utc(1_900_000_000), time.Time{}},
	} {
		e := judged(v.security, RankAnswer, 1)
		e.Valid = v.given
		e.Set.Sigs = signature(name("example."))
		e.Proof = []rrset.Set{{Name: name("example."), Type: wire.TypeNSEC, TTL: 60, Data: rrset.Packed(nil).Append([]byte{0, 0, 1, 64})}}
		c := New(Options{Size: minSize})
		c.Put(at(0), e)
		var r Reader
		h, ok := c.Lookup(&r, at(0), e.Name, wire.TypeA)
		if !ok || h.Valid() != v.want || h.Entry().Valid != v.want {
			t.Errorf("%s: %v and %v, want %v", v.what, h.Valid(), h.Entry().Valid, v.want)
		}
		if p := h.ProofAt(0); !p.Equal(&e.Proof[0]) || !h.Set().Data.Contains([]byte{192, 0, 2, 1}) {
			t.Errorf("%s: the rest is not what it was: %+v", v.what, h.Entry())
		}
		if n := testing.AllocsPerRun(100, func() { _ = h.Valid() }); n != 0 {
			t.Errorf("%s: %v allocations", v.what, n)
		}
	}
}

// A snapshot brings nothing that nobody judged in place of what was judged since; what
// was judged goes before what is older.
func TestSnapshotOfUncheckedAfterJudged(t *testing.T) {
	for _, v := range []struct {
		security, want rrset.Security
		newer          int
	}{{rrset.Unchecked, rrset.Insecure, 1}, {rrset.Secure, rrset.Secure, 0}} {
		c := New(Options{Size: minSize, Stale: onRules})
		c.Put(at(time.Minute), judged(v.security, RankAuthAnswer, 1))
		b := save(t, c, at(time.Minute), noon, SnapshotHeader{})
		d := New(Options{Size: minSize, Stale: onRules})
		d.Put(at(0), judged(rrset.Insecure, RankAnswer, 2)) // stored earlier, of lower rank
		report := load(t, d, b, at(time.Minute), noon, SnapshotHeader{})
		if got, _ := look(d, at(time.Minute), name("www.example."), wire.TypeA); got.Security != v.want || report.Newer != v.newer {
			t.Errorf("%v: %+v, %+v", v.security, got, report)
		}
	}
}

// A proof that a zone has no DS records may be used for as long as the records could.
func TestProofOfNoDSLasts(t *testing.T) {
	rules := stale.NewRules(stale.Policy{Enabled: true, Max: 24 * time.Hour, Negative: time.Hour}, nil, nil)
	for _, v := range []struct {
		typ      wire.Type
		security rrset.Security
		want     time.Duration
	}{
		{wire.TypeDS, rrset.Secure, 24 * time.Hour},
		{wire.TypeDS, rrset.Insecure, 24 * time.Hour},
		{wire.TypeDS, rrset.Unchecked, time.Hour},
		{wire.TypeMX, rrset.Secure, time.Hour},
	} {
		c := New(Options{Size: minSize, Stale: rules})
		e := &Entry{Kind: NoData, Name: name("example."), Type: v.typ, Rank: RankAuthAnswer, Security: v.security, TTL: 60}
		c.Put(at(0), e)
		var r Reader
		if h, ok := c.Lookup(&r, at(0), e.Name, v.typ); !ok || h.StaleUntil() != at(time.Minute+v.want) {
			t.Errorf("%v %v: until %v", v.typ, v.security, h.StaleUntil())
		}
	}
}

// Why something signed is insecure is kept with it, in a snapshot too; nothing else is.
func TestWhy(t *testing.T) {
	for _, v := range []struct {
		security  rrset.Security
		why, want ede.Code
	}{
		{rrset.Insecure, ede.UnsupportedDNSKEYAlg, ede.UnsupportedDNSKEYAlg},
		{rrset.Insecure, ede.UnsupportedDSDigest, ede.UnsupportedDSDigest},
		{rrset.Insecure, ede.UnsupportedNSEC3Iter, ede.UnsupportedNSEC3Iter},
		{rrset.Insecure, 0, 0},
		{rrset.Insecure, ede.Bogus, 0},
		{rrset.Secure, ede.UnsupportedDSDigest, 0},
		{rrset.Unchecked, ede.UnsupportedDSDigest, 0},
	} {
		c, d := New(Options{Size: minSize, Stale: onRules}), New(Options{Size: minSize, Stale: onRules})
		e := judged(v.security, RankAuthAnswer, 1)
		e.Why = v.why
		c.Put(at(0), e)
		load(t, d, save(t, c, at(0), noon, SnapshotHeader{}), at(1), noon, SnapshotHeader{})
		for _, c := range []*Cache{c, d} {
			got, ok := look(c, at(1), e.Name, e.Type)
			if !ok || got.Security != v.security || got.Why != v.want {
				t.Errorf("%v, %d: found %v, %v, %d", v.security, v.why, ok, got.Security, got.Why)
			}
		}
	}
}
