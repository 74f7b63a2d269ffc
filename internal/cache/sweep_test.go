package cache

import (
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// A tombstone ends at once what was stored before, and nothing that came
// after, even in the same moment.
func TestBuryTakesEffectAtOnce(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	names := []string{"example.", "b.example.", "x.b.example.", "other.example.", "b.test."}
	store := func(n dnsname.Name) {
		c.Put(at(0), address(n, 300))
		c.PutDelegation(at(0), referral(n))
		c.Fail(at(0), Question{Name: n, Type: wire.TypeMX}, nil, false)
	}
	has := func(n dnsname.Name) (got [3]bool) {
		_, got[0] = look(c, at(0), n, wire.TypeA)
		d, ok := c.Closest(at(0), n)
		got[1] = ok && d.Cut == n
		_, got[2] = c.Failure(at(0), Question{Name: n, Type: wire.TypeMX})
		return got
	}
	for _, n := range names {
		store(name(n))
	}
	c.Bury(at(0), name("b.example."))
	for _, n := range names {
		want := !name(n).Under(name("b.example."))
		if got := has(name(n)); got != [3]bool{want, want, want} {
			t.Errorf("%s: %v, want %v", n, got, want)
		}
	}
	store(name("x.b.example."))
	for c.Sweep(at(0)) {
	}
	if got := c.Stats().Tombstones; got != 1 {
		t.Errorf("%d tombstones rest", got)
	}
	c.Sweep(at(tombRest))
	if got := has(name("x.b.example.")); got != [3]bool{true, true, true} {
		t.Errorf("stored anew: %v", got)
	}
	if st := c.Stats(); st.Tombstones != 0 || st.EvictBuried != 2 || st.Entries != 4 || st.Delegations != 4 || st.Failures != 4 {
		t.Errorf("%+v", st)
	}
	checkAll(t, c)
}

// What is buried outranks nothing and passes on no popularity.
func TestBuriedDoesNotStandInTheWay(t *testing.T) {
	c := New(Options{Size: minSize})
	c.Put(at(0), address(question.Name, 300))
	c.Bury(at(0), question.Name)
	low := address(question.Name, 60)
	low.Rank = RankAuthority
	if !c.Put(at(1), low) {
		t.Error("refused for something that is buried")
	}
	if e, ok := look(c, at(1), question.Name, wire.TypeA); !ok || e.TTL != 60 {
		t.Errorf("%+v %v", e, ok)
	}
}

// What was begun before its subtree was buried is not stored afterwards, swept or
// not, and takes nothing away that came since.
func TestBuryTakesWhatIsUnderWay(t *testing.T) {
	c := New(Options{Size: minSize})
	before := c.Generation()
	c.Bury(at(0), name("b.example."))
	denied := denial(NXDomain, name("x.b.example."), wire.TypeNone, 60)
	for _, swept := range []bool{false, true} {
		if swept {
			for c.Sweep(at(0)) {
			}
		}
		if !c.Put(at(0), denied) {
			t.Fatal("the denial was refused")
		}
		for _, ttl := range []uint32{0, 300} {
			if c.PutSince(at(0), before, address(name("x.b.example."), ttl)) {
				t.Error("what was buried came back")
			}
		}
		if e, ok := look(c, at(0), name("x.b.example."), wire.TypeA); !ok || e.Kind != NXDomain {
			t.Errorf("swept %v: %v %+v", swept, ok, e)
		}
		c.PutDelegationSince(at(0), before, referral(name("x.b.example.")))
		if _, ok := c.Delegation(at(0), name("x.b.example.")); ok {
			t.Errorf("swept %v: the delegation came back", swept)
		}
	}
	if !c.PutSince(at(0), before, address(name("xb.example."), 60)) {
		t.Error("refused beside what was buried")
	}
	if !c.PutSince(at(0), c.Generation(), address(name("b.example."), 60)) {
		t.Error("refused although begun afterwards")
	}
	checkAll(t, c)
}

func TestSweepIsBoundedAndComesToAnEnd(t *testing.T) {
	c := New(Options{Size: 32 << 20})
	fill(t, c, at(0), "n", 300, 80_000)
	c.Bury(at(0), name("example."))
	calls := 1
	for c.Sweep(at(0)) {
		if calls++; calls > 100 {
			t.Fatal("no end")
		}
	}
	c.Sweep(at(tombRest))
	if st := c.Stats(); calls < 2 || st.Entries != 0 || st.EvictBuried != 80_000 || st.Tombstones != 0 {
		t.Errorf("%d calls: %+v", calls, st)
	}
	fill(t, c, at(0), "n", 300, 80_000)
	for c.Sweep(at(time.Hour)) {
	}
	if st := c.Stats(); st.Entries != 0 || st.EvictGone != 80_000 {
		t.Errorf("%+v", st)
	}
	checkAll(t, c)
}

func TestTombstonesAreBounded(t *testing.T) {
	c := New(Options{Size: minSize})
	c.Put(at(0), address(name("keep.example."), 300))
	for i := range 3 * maxTombs {
		c.Bury(at(0), numbered("gone", i))
	}
	if n := c.Stats().Tombstones; n >= maxTombs {
		t.Errorf("%d tombstones", n)
	}
	if _, ok := look(c, at(0), name("keep.example."), wire.TypeA); !ok {
		t.Error("more was buried than asked")
	}
}
