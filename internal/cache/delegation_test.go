package cache

import (
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// referral is a delegation with two servers.
func referral(cut dnsname.Name) *Delegation {
	d := &Delegation{Cut: cut, Parent: cut.Parent(), TTL: 3600}
	for _, label := range []string{"ns1", "ns2"} {
		n, _ := cut.Prepend(label)
		d.Servers = append(d.Servers, NameServer{Name: n, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}})
	}
	return d
}

func closest(c *Cache, now time.Duration, n string) string {
	d, ok := c.Closest(at(now), name(n))
	if !ok {
		return "none"
	}
	return d.Cut.String()
}

func TestClosestIsTheDeepestThatHasNotExpired(t *testing.T) {
	c := New(Options{Size: 1 << 20, MaxTTL: 2 * time.Hour})
	if got := closest(c, 0, "a.b.example."); got != "none" {
		t.Errorf("empty cache: %s", got)
	}
	for cut, ttl := range map[string]uint32{".": 1 << 31, "example.": 3600, "b.example.": 60, "zero.example.": 0} {
		d := referral(name(cut))
		d.TTL = ttl
		c.PutDelegation(at(0), d)
	}
	for _, v := range []struct {
		now     time.Duration
		n, want string
	}{
		{0, "a.b.example.", "b.example."}, {0, "b.example.", "b.example."}, {0, "c.example.", "example."},
		{0, "example.", "example."}, {0, "test.", "."}, {0, ".", "."}, {0, "zero.example.", "example."},
		{time.Minute, "a.b.example.", "example."}, {time.Hour, "a.b.example.", "."},
		{2 * time.Hour, ".", "none"},
	} {
		if got := closest(c, v.now, v.n); got != v.want {
			t.Errorf("%v %s: %s, want %s", v.now, v.n, got, v.want)
		}
	}
	c.DropDelegation(name("b.example."))
	if got := closest(c, 0, "a.b.example."); got != "example." {
		t.Errorf("after dropping it: %s", got)
	}
}

func TestDelegationIsReplacedAndKeepsItsExpiry(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	d := referral(name("example."))
	c.PutDelegation(at(0), d)
	if d.Expiry != 0 {
		t.Error("the caller's value was changed")
	}
	d.Servers, d.TTL, d.Expiry = d.Servers[:1], 0, at(time.Minute)
	c.PutDelegation(at(time.Second), d)
	got, ok := c.Closest(at(time.Second), name("example."))
	if !ok || len(got.Servers) != 1 || got.Expiry != at(time.Minute) || c.Stats().Delegations != 1 {
		t.Errorf("%+v %v", got, ok)
	}
}

// A flood of cuts leaves root, top-level domains and those that are asked for.
func TestDelegationEvictionOrder(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	c.PutDelegation(at(0), referral(dnsname.Root))
	c.PutDelegation(at(0), referral(name("example.")))
	c.PutDelegation(at(0), referral(name("popular.example.")))
	for i := range 3000 {
		c.PutDelegation(at(0), referral(numbered("flood", i)))
		c.Closest(at(0), numbered("flood", i))
		if i%10 == 0 {
			closest(c, 0, "www.popular.example.")
		}
	}
	if got := closest(c, 0, "www.popular.example."); got != "popular.example." {
		t.Errorf("popular.example.: %s is left", got)
	}
	if got := closest(c, 0, "nowhere.example."); got != "example." {
		t.Errorf("example.: %s is left", got)
	}
	if got := closest(c, 0, "nowhere."); got != "." {
		t.Errorf("the root: %s is left", got)
	}
	if st := c.Stats(); st.EvictCuts == 0 || st.Delegations > 400 {
		t.Errorf("%+v", st)
	}
}

func TestClosestAllocatesNothing(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	c.PutDelegation(at(0), referral(name("example.")))
	n := name("a.b.c.d.example.")
	if got := testing.AllocsPerRun(100, func() { c.Closest(at(0), n) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func lapsed(c *Cache, now time.Duration, n string) string {
	d, ok := c.Lapsed(at(now), name(n))
	if !ok {
		return "none"
	}
	return d.Cut.String()
}

// What expired is no longer the closest, but is there until its zone's limit.
func TestDelegationsLapse(t *testing.T) {
	c := New(Options{Size: 1 << 20, Stale: modelRules})
	for cut, ttl := range map[string]uint32{"test.": 3600, "n2.test.": 60, "n1.test.": 60, "a.n2.test.": 7200, "n3.example.": 60, "example.": 30} {
		d := referral(name(cut))
		d.TTL = ttl
		c.PutDelegation(at(0), d)
	}
	const day = 24 * time.Hour
	for _, v := range []struct {
		now          time.Duration
		n            string
		fresh, stale string
	}{
		{0, "w.n2.test.", "n2.test.", "none"},
		{time.Minute - 1, "w.n2.test.", "n2.test.", "none"},
		{time.Minute, "w.n2.test.", "test.", "n2.test."},
		{time.Minute, "n2.test.", "test.", "n2.test."},
		{time.Minute, "test.", "test.", "none"},
		{time.Minute, "w.a.n2.test.", "a.n2.test.", "n2.test."}, // the fresh one is deeper
		{2 * time.Hour, "w.a.n2.test.", "none", "a.n2.test."},
		{day + time.Minute - 1, "w.n2.test.", "none", "n2.test."},
		{day + time.Minute, "w.n2.test.", "none", "test."}, // gone
		{time.Minute, "w.n1.test.", "test.", "none"},       // a zone of which nothing is served stale
		{2 * time.Minute, "n3.example.", "none", "n3.example."},
		{time.Hour, "n3.example.", "none", "n3.example."},
		{2 * time.Hour, "w.n4.example.", "none", "none"},
	} {
		if got := closest(c, v.now, v.n); got != v.fresh {
			t.Errorf("%v %s: closest is %s, want %s", v.now, v.n, got, v.fresh)
		}
		if got := lapsed(c, v.now, v.n); got != v.stale {
			t.Errorf("%v %s: lapsed is %s, want %s", v.now, v.n, got, v.stale)
		}
	}
	for now, want := range map[time.Duration]bool{0: true, time.Minute: true, day: true, day + time.Minute: false} {
		d, ok := c.Delegation(at(now), name("n2.test."))
		if ok != want || ok && d.Cut != name("n2.test.") {
			t.Errorf("%v: the delegation itself: %v", now, ok)
		}
	}
	if _, ok := c.Delegation(at(0), name("w.n2.test.")); ok {
		t.Error("a delegation of a name that is no cut")
	}
	for c.Sweep(at(time.Hour)) {
	}
	if got := lapsed(c, time.Hour, "w.n2.test."); got != "n2.test." {
		t.Errorf("after a sweep: %s", got)
	}
}

// What ends a lapsed delegation: a new one, the parent's denial, a tombstone, the
// sweep when it is gone.
func TestLapsedDelegationsEnd(t *testing.T) {
	cut, now := name("b.example."), at(2*time.Hour)
	for what, end := range map[string]func(*Cache){
		"a referral":    func(c *Cache) { c.PutDelegation(now, referral(cut)) },
		"denied":        func(c *Cache) { c.DropDelegation(cut) },
		"buried":        func(c *Cache) { c.Bury(now, name("example.")) },
		"flushed":       func(c *Cache) { c.FlushBelow(cut) },
		"flushed alone": func(c *Cache) { c.Flush(cut, wire.TypeNone) },
	} {
		c := New(Options{Size: 1 << 20, Stale: onRules})
		c.PutDelegation(at(0), referral(cut))
		if _, ok := c.Lapsed(now, cut); !ok {
			t.Fatal("not lapsed: the test proves nothing")
		}
		end(c)
		if d, ok := c.Lapsed(now, cut); ok {
			t.Errorf("%s: still lapsed: %+v", what, d)
		}
	}
	c := New(Options{Size: 1 << 20, Stale: onRules})
	c.PutDelegation(at(0), referral(cut))
	for range 2 * delegationShards {
		c.Sweep(now)
	}
	if n := c.Stats().Delegations; n != 1 {
		t.Errorf("%d delegations before it is gone", n)
	}
	for range 2 * delegationShards {
		c.Sweep(at(26 * time.Hour))
	}
	if n := c.Stats().Delegations; n != 0 {
		t.Errorf("%d delegations when it is gone", n)
	}
}

// Room is made by what is gone, then by what lapsed and nobody asks for; what
// lapsed and is asked for stays like what is fresh.
func TestDelegationEvictionPrefersLapsed(t *testing.T) {
	c := New(Options{Size: 1 << 20, Stale: onRules})
	s := len(c.delegations.shards)
	if s != 1 {
		t.Fatalf("%d shards: the test wants one", s)
	}
	put := func(now time.Duration, kind string, n int, ttl uint32) {
		for i := range n {
			d := referral(numbered(kind, i))
			d.TTL = ttl
			c.PutDelegation(at(now), d)
		}
	}
	has := func(now time.Duration, kind string, n int) (count int) {
		for i := range n {
			e := c.delegations.shards[0].byCut[numbered(kind, i)]
			if e != nil && e.state(at(now)) != stale.Gone {
				count++
			}
		}
		return count
	}
	put(0, "lapsed", 20, 60)
	put(0, "wanted", 20, 60)
	put(0, "fresh", 20, 7200)
	now := 30 * time.Minute
	for i := range 20 {
		lapsed(c, now, numbered("wanted", i).String())
	}
	i := 0
	for ; c.Stats().EvictCuts < 20 && i < 1000; i++ {
		c.PutDelegation(at(now), referral(numbered("flood", i)))
	}
	if n := has(now, "lapsed", 20); n != 0 {
		t.Errorf("%d of 20 lapsed ones are left that nobody asked for", n)
	}
	if a, b, f := has(now, "wanted", 20), has(now, "fresh", 20), has(now, "flood", i); a != 20 || b != 20 || f != i {
		t.Errorf("left of 20 wanted ones %d, of 20 fresh ones %d, of %d of the flood %d", a, b, i, f)
	}
	// A flood that goes on, while the wanted ones are asked for.
	for i := range 3000 {
		c.PutDelegation(at(now), referral(numbered("more", i)))
		if i%50 == 0 {
			for j := range 20 {
				lapsed(c, now, numbered("wanted", j).String())
			}
		}
	}
	if a := has(now, "wanted", 20); a != 20 {
		t.Errorf("%d of 20 wanted ones survived the flood", a)
	}
}
