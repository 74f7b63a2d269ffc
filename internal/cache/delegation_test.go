package cache

import (
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/dnsname"
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
