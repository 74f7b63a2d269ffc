package cache

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/wire"
)

// ask looks www.example. up and gives the hit.
func ask(t *testing.T, c *Cache, r *Reader, now clock.Mono) Hit {
	t.Helper()
	h, ok := c.Lookup(r, now, question.Name, wire.TypeA)
	if !ok {
		t.Fatalf("not found at %v", now)
	}
	return h
}

func TestDue(t *testing.T) {
	const s = time.Second
	for _, v := range []struct {
		what string
		ttl  uint32
		asks []time.Duration // the last one is to be due or not
		want bool
	}{
		{"asked once", 100, []time.Duration{95 * s}, false},
		{"asked twice", 100, []time.Duration{10 * s, 95 * s}, true},
		{"twice in the window", 100, []time.Duration{91 * s, 95 * s}, true},
		{"often", 100, []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 95 * s}, true},
		{"when the window begins", 100, []time.Duration{1, 90 * s}, true},
		{"just before", 100, []time.Duration{1, 2, 3, 90*s - 1}, false},
		{"expired: that is no prefetch", 100, []time.Duration{1, 2, 100 * s}, false},
		{"the shortest life that is worth it", 10, []time.Duration{1, 9 * s}, true},
		{"shorter", 9, []time.Duration{1, 2, 9*s - 1}, false},
	} {
		c := New(Options{Size: minSize, Stale: onRules})
		c.Put(at(0), address(question.Name, v.ttl))
		var r Reader
		var h Hit
		for _, d := range v.asks {
			h = ask(t, c, &r, at(d))
		}
		if h.Due() != v.want {
			t.Errorf("%s: due %v", v.what, h.Due())
		}
	}
}

func TestClaimIsForOneAndForWhatWasFound(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	c.Put(at(0), address(question.Name, 100))
	var r Reader
	late := at(95 * time.Second)
	ask(t, c, &r, late)
	first, second := ask(t, c, &r, late), ask(t, c, &r, late)
	if !first.Due() || !second.Due() {
		t.Fatal("not due")
	}
	if !first.Claim() || second.Claim() || first.Claim() {
		t.Error("claimed by none or by several")
	}
	if h := ask(t, c, &r, late); h.Due() || h.Claim() {
		t.Error("due although claimed")
	}
	c.Put(late, address(question.Name, 100))
	if second.Claim() {
		t.Error("what was replaced can still be claimed")
	}
	later := at(190 * time.Second)
	if h := ask(t, c, &r, later); h.Due() {
		t.Error("a replacement is due for its predecessor's questions")
	}
	h := ask(t, c, &r, later)
	if !h.Due() || !h.Claim() {
		t.Error("a replacement cannot be claimed")
	}
	c.Flush(question.Name, wire.TypeNone)
	c.Put(later, denial(NoData, name("other.example."), wire.TypeA, 100)) // in the same cell
	if h.Claim() || c.store.shards[0].slab.mark(h.at)&markClaimed != 0 {
		t.Error("the cell's next owner was claimed")
	}
	if new(Hit).Claim() {
		t.Error("nothing was claimed")
	}
	c.Walk(func(h *Hit, _ uint8) bool {
		if h.Due() || h.Claim() {
			t.Error("claimed in a walk")
		}
		return true
	})
}

// What the eviction's hand spares stays claimed.
func TestSparingKeepsTheClaim(t *testing.T) {
	c := New(Options{Size: minSize})
	c.Put(at(0), address(question.Name, 3600))
	var r Reader
	h := ask(t, c, &r, at(0))
	if !h.Claim() {
		t.Fatal("not claimed")
	}
	s := &c.store.shards[0]
	for s.slab.mark(h.at)&markFreq > 0 {
		if !s.spared(h.at, queueOf(s.meta(h.at))) {
			t.Fatal("not spared")
		}
	}
	if h.Claim() {
		t.Error("claimed again")
	}
}

// However many find an entry at the same time, and whatever writers do
// meanwhile, each stored entry is claimed once.
func TestClaimConcurrently(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	const entries, readers = 150, 3
	var claims [entries + 1]atomic.Int32
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			var r Reader
			for !stop.Load() {
				for _, n := range [...]string{"www.example.", "b.example."} {
					// 99 seconds after the first; the writer's clock moves by nanoseconds.
					h, ok := c.Lookup(&r, at(99*time.Second), name(n), wire.TypeA)
					if ok && h.Due() && h.Claim() && n == "www.example." {
						claims[h.Stored()-at(0)].Add(1)
					}
				}
				runtime.Gosched()
			}
		})
	}
	for i := range entries {
		now := at(time.Duration(i))
		c.Put(now, address(question.Name, 100))
		c.Put(now, address(name("b.example."), 100))
		for range 1000 {
			if claims[i].Load() > 0 {
				break
			}
			look(c, at(50*time.Second), question.Name, wire.TypeA)
			runtime.Gosched()
		}
		c.Flush(name("b.example."), wire.TypeNone)
	}
	stop.Store(true)
	wg.Wait()
	claimed := 0
	for i := range claims {
		switch n := claims[i].Load(); {
		case n > 1:
			t.Errorf("entry %d was claimed %d times", i, n)
		case n == 1:
			claimed++
		}
	}
	if claimed < entries/10 {
		t.Errorf("%d of %d entries were claimed: too few to prove anything", claimed, entries)
	}
}

func TestClaimAllocatesNothing(t *testing.T) {
	c := New(Options{Size: minSize})
	c.Put(at(0), address(question.Name, 100))
	var r Reader
	ask(t, c, &r, at(0))
	due := 0
	n := testing.AllocsPerRun(100, func() {
		if h := ask(t, c, &r, at(95*time.Second)); h.Due() {
			due++
			h.Claim()
		}
	})
	if n != 0 || due != 1 {
		t.Errorf("%v allocations, %d times due", n, due)
	}
}
