package cache

import (
	"testing"
	"time"

	"lastgood/internal/wire"
)

func TestFlush(t *testing.T) {
	n := name("n.example.")
	fresh := func() *Cache {
		c := New(Options{Size: minSize, Stale: onRules})
		c.Put(at(0), data(n, wire.TypeA, 60, 1))
		c.Put(at(0), data(n, wire.TypeNS, 60, 2))
		c.Put(at(0), denial(NoData, n, wire.TypeAAAA, 60))
		c.Put(at(0), address(name("below.n.example."), 60))
		c.Put(at(0), denial(NXDomain, name("no.example."), wire.TypeNone, 60))
		c.Put(at(0), data(name("alias.example."), wire.TypeCNAME, 60, []byte(n)...))
		c.PutDelegation(at(0), referral(n))
		for _, typ := range []wire.Type{wire.TypeA, wire.TypeMX} {
			c.Fail(at(0), Question{Name: n, Type: typ}, nil, false)
		}
		return c
	}
	for _, v := range []struct {
		n                     string
		t                     wire.Type
		want                  int
		delegations, failures int64 // that are left
	}{
		{"n.example.", wire.TypeA, 1, 1, 1},
		{"n.example.", wire.TypeAAAA, 1, 1, 2},
		{"n.example.", wire.TypeTXT, 0, 1, 2},
		{"n.example.", wire.TypeNS, 1, 0, 2},
		{"n.example.", wire.TypeNone, 3, 0, 0},
		{"no.example.", wire.TypeA, 1, 1, 2}, // it is what denies the type
		{"alias.example.", wire.TypeA, 0, 1, 2},
		{"alias.example.", wire.TypeCNAME, 1, 1, 2},
		{"example.", wire.TypeNone, 0, 1, 2},
	} {
		c := fresh()
		before := c.Stats()
		got := c.Flush(name(v.n), v.t)
		after := c.Stats()
		if got != v.want || before.Entries-after.Entries != int64(v.want) || after.Flushed != uint64(v.want) ||
			after.Delegations != v.delegations || after.Failures != v.failures {
			t.Errorf("%s %v: %d, want %d; left %+v", v.n, v.t, got, v.want, after)
		}
		checkAll(t, c)
	}
	c := fresh()
	c.Bury(at(0), n)
	if got := c.Flush(n, wire.TypeNone); got != 0 {
		t.Errorf("%d of what was buried before", got)
	}
}

// What is stored after a flush stays, even in the same moment.
func TestFlushBelowIsAtOnceAndOnce(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	put := func() {
		for _, n := range []string{"example.", "b.example.", "x.b.example.", "xb.example.", "b.test."} {
			c.Put(at(0), address(name(n), 300))
			c.PutDelegation(at(0), referral(name(n)))
		}
	}
	put()
	c.Bury(at(0), name("x.b.example."))
	if got := c.FlushBelow(name("b.example.")); got != 1 {
		t.Errorf("%d entries, want the one that was not buried before", got)
	}
	if got := c.FlushBelow(name("b.example.")); got != 0 {
		t.Errorf("%d entries the second time", got)
	}
	if _, ok := c.Delegation(at(0), name("b.example.")); ok {
		t.Error("its delegation is there")
	}
	put()
	for c.Sweep(at(0)) {
	}
	if got := c.FlushBelow(name("b.example.")); got != 2 {
		t.Errorf("%d of the two that came after", got)
	}
	if _, ok := look(c, at(0), name("xb.example."), wire.TypeA); !ok {
		t.Error("more went than asked")
	}
	for i := range 3 * maxTombs / 2 {
		c.FlushBelow(numbered("zone", i))
	}
	if n := c.Stats().Tombstones; n >= maxTombs {
		t.Errorf("%d tombstones", n)
	}
	checkAll(t, c)
}

func TestFlushStaleAndNegative(t *testing.T) {
	c := New(Options{Size: 2 << 20, Stale: onRules})
	fill(t, c, at(0), "old", 60, 200)
	fill(t, c, at(0), "fresh", 600, 300)
	for i := range 50 {
		c.Put(at(0), denial(NXDomain, numbered("no", i), wire.TypeNone, 600))
		c.Put(at(0), denial(NoData, numbered("none", i), wire.TypeA, 60))
	}
	lapsed := referral(name("lapsed.example."))
	lapsed.TTL = 60
	c.PutDelegation(at(0), lapsed)
	c.PutDelegation(at(0), referral(name("example.")))
	c.Fail(at(0), question, nil, false)
	now := at(2 * time.Minute)
	if got := c.FlushStale(now); got != 250 {
		t.Errorf("%d stale entries, want 250", got)
	}
	if st := c.Stats(); st.Entries != 350 || st.Delegations != 1 || st.Failures != 1 || st.Stale != 0 {
		t.Errorf("left: %+v", st)
	}
	if got := c.FlushNegative(now); got != 50 {
		t.Errorf("%d denials, want 50", got)
	}
	if st := c.Stats(); st.Entries != 300 || st.Failures != 0 || st.Flushed != 300 {
		t.Errorf("left: %+v", st)
	}
	if got := found(c, now, "fresh", 300); got != 300 {
		t.Errorf("%d of 300 fresh ones are left", got)
	}
	checkAll(t, c)
}
