package cache

import (
	"testing"
	"time"

	"lastgood/internal/wire"
)

// Names that are asked for survive any number of names that come once, even if
// they fill most of the cache.
func TestFloodLosesNoPopularName(t *testing.T) {
	for _, size := range []int64{minSize, 5 << 20 / 2} {
		o := Options{Size: size}
		n := capacity(t, o)
		for _, share := range []int{1, 85} {
			c := New(o)
			popular := fill(t, c, at(0), "popular", 3600, n*share/100)
			if got := found(c, at(1), "popular", popular); got != popular {
				t.Fatalf("%d of %d stored", got, popular)
			}
			fill(t, c, at(2), "flood", 3600, 2*n)
			if got := found(c, at(3), "popular", popular); got != popular {
				t.Errorf("size %d, %d%% popular: %d of %d survived", size, share, got, popular)
			}
			checkAll(t, c)
		}
	}
}

// A name that was forgotten as one of many and comes again is kept.
func TestGhostIsNotForgottenTwice(t *testing.T) {
	o := Options{Size: minSize}
	c, n := New(o), capacity(t, o)
	once := address(name("again.example."), 3600)
	c.Put(at(0), once)
	fill(t, c, at(0), "flood", 3600, n+n/10)
	if _, ok := look(c, at(1), once.Name, wire.TypeA); ok {
		t.Fatal("still there; the test proves nothing")
	}
	c.Put(at(1), once)
	fill(t, c, at(1), "another", 3600, 5*n)
	if _, ok := look(c, at(1), once.Name, wire.TypeA); !ok {
		t.Error("forgotten again")
	}
}

func TestGoneGoFirst(t *testing.T) {
	o := Options{Size: minSize}
	c, n := New(o), capacity(t, o)
	short := fill(t, c, at(0), "short", 60, n/2)
	long := fill(t, c, at(0), "long", 3600, n/2-1)
	now := at(2 * time.Minute)
	fill(t, c, now, "new", 3600, short)
	if got := found(c, now, "long", long); got != long {
		t.Errorf("%d of %d fresh ones left", got, long)
	}
	if st := c.Stats(); st.EvictRecency != 0 || st.EvictGone == 0 {
		t.Errorf("%+v", st)
	}
}

func TestExpiredUnaskedGoBeforeFresh(t *testing.T) {
	o := Options{Size: minSize, Stale: onRules}
	c, n := New(o), capacity(t, o)
	dull := fill(t, c, at(0), "dull", 60, n/4)
	wanted := fill(t, c, at(0), "wanted", 60, n/4)
	fresh := fill(t, c, at(0), "fresh", 7200, n/2-1)
	now := at(2 * time.Hour).Add(-time.Minute)
	if got := found(c, now, "wanted", wanted); got != wanted {
		t.Fatalf("%d of %d stale ones", got, wanted)
	}
	fill(t, c, now, "new", 3600, dull)
	if got := found(c, now, "fresh", fresh); got != fresh {
		t.Errorf("%d of %d fresh ones left", got, fresh)
	}
	if got := found(c, now, "wanted", wanted); got != wanted {
		t.Errorf("%d of %d left of those that were asked for since they expired", got, wanted)
	}
	if st := c.Stats(); st.EvictRecency != 0 || st.EvictUnasked == 0 {
		t.Errorf("%+v", st)
	}
	checkAll(t, c)
}

// Who already ranked among the expired that nobody wants, and is asked for after
// all, stays.
func TestExpiredAskedForAfterAllStays(t *testing.T) {
	o := Options{Size: minSize, Stale: onRules}
	c, n := New(o), capacity(t, o)
	wanted := fill(t, c, at(0), "wanted", 60, n/4)
	dull := fill(t, c, at(0), "dull", 60, n/2)
	now := at(2 * time.Hour)
	for c.Sweep(now) {
	}
	if got := found(c, now, "wanted", wanted); got != wanted {
		t.Fatalf("%d of %d stale ones", got, wanted)
	}
	fill(t, c, now, "new", 3600, n)
	if got := found(c, now, "wanted", wanted); got != wanted {
		t.Errorf("%d of %d left of those that were asked for", got, wanted)
	}
	if got := found(c, now, "dull", dull); got != 0 {
		t.Errorf("%d of %d left that nobody asked for", got, dull)
	}
	checkAll(t, c)
}

// An outage: everything expires, the popular names go on being asked for, and
// a flood fills the cache several times over for two hours.
func TestOutageWithFloodLosesNoPopularName(t *testing.T) {
	o := Options{Size: minSize, Stale: onRules}
	c, n := New(o), capacity(t, o)
	popular := fill(t, c, at(0), "popular", 60, n/3)
	found(c, at(time.Second), "popular", popular)
	for minute := range 120 {
		now := at(time.Duration(minute) * time.Minute)
		for i := range n / 8 {
			c.Put(now, address(numbered("flood", minute*n+i), 300))
		}
		if minute%4 != 0 {
			continue
		}
		if got := found(c, now, "popular", popular); got != popular {
			t.Fatalf("minute %d: %d of %d last good answers left", minute, got, popular)
		}
	}
	if st := c.Stats(); st.EvictRecency+st.EvictUnasked+st.EvictGone < uint64(2*n) {
		t.Errorf("the flood was none: %+v", st)
	}
	checkAll(t, c)
}

// A full cache in an outage of a day: everything is expired, what is wanted was
// asked for since, and between two rounds of questions come twice as many
// first-time names as the cache holds, short-lived ones and long-lived ones.
// None of the last good answers that are asked for may go.
func TestFirstTimeNamesDisplaceNoStaleOnes(t *testing.T) {
	for _, share := range []int{10, 85} {
		for _, ttl := range []uint32{1, 7 * 24 * 3600} {
			o := Options{Size: minSize, Stale: onRules}
			c, n := New(o), capacity(t, o)
			popular := fill(t, c, at(0), "popular", 60, n*share/100)
			found(c, at(1), "popular", popular)
			fill(t, c, at(2), "dull", 60, n-popular-1)
			// The first round in the outage comes before the flood: what nobody
			// asked for since it expired may go, after its time of grace.
			if got := found(c, at(2*time.Minute), "popular", popular); got != popular {
				t.Fatalf("%d%%: %d of %d when the outage begins", share, got, popular)
			}
			for round := range 6 {
				now := at(time.Duration(round)*4*time.Hour + 3*time.Minute)
				for i := range 2 * n {
					c.Put(now, address(numbered("flood", round*2*n+i), ttl))
				}
				if got := found(c, now.Add(time.Minute), "popular", popular); got != popular {
					t.Fatalf("%d%% popular, flood with TTL %d, round %d: %d of %d last good answers left", share, ttl, round, got, popular)
				}
			}
			if st := c.Stats(); st.EvictRecency+st.EvictUnasked+st.EvictGone < uint64(11*n) || st.Stale < int64(popular) {
				t.Errorf("the flood was none, or nothing was stale: %+v", st)
			}
			checkAll(t, c)
		}
	}
}

// What everybody wants is not the first to go when it has just expired, but when
// nobody has wanted it for an hour.
func TestPopularNamesHaveTimeToBeAskedForAgain(t *testing.T) {
	o := Options{Size: minSize, Stale: onRules}
	c, n := New(o), capacity(t, o)
	popular := fill(t, c, at(0), "popular", 60, n/3)
	found(c, at(1), "popular", popular)
	now := at(time.Minute + graceMin - time.Second)
	fill(t, c, now, "flood", 8*3600, 3*n)
	if st := c.Stats(); st.EvictUnasked != 0 || st.EvictRecency == 0 {
		t.Errorf("within the grace after they expired: %+v", st)
	}
	before := c.Stats()
	fill(t, c, now.Add(graceMax), "later", 3600, popular)
	if st := c.Stats(); st.EvictUnasked == 0 || st.EvictRecency != before.EvictRecency {
		t.Errorf("an hour later: %+v", st)
	}
}

// What replaces a popular entry is as popular.
func TestReplacementKeepsItsRank(t *testing.T) {
	o := Options{Size: minSize}
	c, n := New(o), capacity(t, o)
	popular := fill(t, c, at(0), "popular", 300, n/4)
	found(c, at(1), "popular", popular)
	fill(t, c, at(2), "flood", 300, 2*n)
	fill(t, c, at(2), "popular", 300, n/4)
	fill(t, c, at(3), "another", 300, 2*n)
	if got := found(c, at(4), "popular", popular); got != popular {
		t.Errorf("%d of %d left", got, popular)
	}
}

// A full cache of popular names takes new ones that are asked for more often.
func TestPopularityPasses(t *testing.T) {
	o := Options{Size: minSize}
	c, n := New(o), capacity(t, o)
	old := fill(t, c, at(0), "old", 3600, n)
	found(c, at(0), "old", old)
	for round := range 40 {
		now := at(time.Duration(round) * time.Second)
		for i := range n / 2 {
			e := address(numbered("young", i), 3600)
			if _, ok := look(c, now, e.Name, wire.TypeA); !ok {
				c.Put(now, e)
			}
		}
	}
	if got := found(c, at(time.Minute), "young", n/2); got < n*45/100 {
		t.Errorf("%d of %d young ones had their place", got, n/2)
	}
	checkAll(t, c)
}
