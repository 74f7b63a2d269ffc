package cache

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// A walk beside writers that replace, remove and evict: it comes by every name
// that is there all the while, once for each type, and shows whole entries.
func TestWalkBesideWriters(t *testing.T) {
	c := New(Options{Size: 4 << 20, Stale: onRules})
	gen := rand.New(rand.NewPCG(1, 11))
	const constant, moving = 300, 1500
	stay := make([]*Entry, constant)
	for i := range stay {
		stay[i] = sealed(gen, numbered("stay", i), uint32(i))
		stay[i].Set.Data, stay[i].Set.Sigs, stay[i].Proof = small(gen, stay[i].Name, uint32(i))
		c.Put(at(0), stay[i])
		look(c, at(0), stay[i].Name, wire.TypeTXT)
	}
	var writers sync.WaitGroup
	var stop atomic.Bool
	for w := range uint64(2) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(w, 12))
			for i := 0; !stop.Load(); i++ {
				now := at(time.Duration(i))
				e := *stay[r.IntN(constant)]
				c.Put(now, &e) // which moves to other cells
				n := numbered("move", r.IntN(moving))
				if r.IntN(3) == 0 {
					c.Flush(n, wire.TypeNone)
				} else {
					c.Put(now, address(n, 300))
				}
			}
		})
	}
	for range 20 {
		seen := map[dnsname.Name]int{}
		c.Walk(func(h *Hit, _ uint8) bool {
			if h.Type() == wire.TypeTXT {
				n := h.Entry().Name
				seen[n]++
				if !whole(h, n) {
					t.Errorf("%v is not whole", n)
				}
			}
			return true
		})
		for _, e := range stay {
			if seen[e.Name] != 1 {
				t.Errorf("%v was shown %d times", e.Name, seen[e.Name])
			}
		}
		if t.Failed() {
			break
		}
	}
	stop.Store(true)
	writers.Wait()
	checkAll(t, c)
	if st := c.Stats(); st.Replaced == 0 || st.Flushed == 0 {
		t.Errorf("too quiet to prove anything: %+v", st)
	}
}

// small is what sealed makes, not so large.
func small(r *rand.Rand, n dnsname.Name, serial uint32) (data, sigs rrset.Packed, proof []rrset.Set) {
	for {
		e := sealed(r, n, serial)
		if len(e.Set.Data)+len(e.Set.Sigs)+len(e.Proof[0].Data) < 1000 {
			return e.Set.Data, e.Set.Sigs, e.Proof
		}
	}
}

// While fn runs, no lock is held: it may use the cache as it likes.
func TestWalkerMayUseTheCache(t *testing.T) {
	c := New(Options{Size: minSize})
	fill(t, c, at(0), "n", 300, 100)
	seen := 0
	c.Walk(func(h *Hit, _ uint8) bool {
		n := h.Entry().Name
		seen++
		if !c.Put(at(1), address(n, 300)) || c.Flush(n, wire.TypeA) != 1 || len(c.Names(n)) != 0 {
			t.Errorf("%v: not used as it should", n)
		}
		c.Walk(func(*Hit, uint8) bool { return false })
		return true
	})
	if st := c.Stats(); seen != 100 || st.Entries != 0 {
		t.Errorf("came by %d, %d left", seen, st.Entries)
	}
}

func TestWalkEndsWhenTold(t *testing.T) {
	c := New(Options{Size: 8 << 20})
	fill(t, c, at(0), "n", 300, 1000)
	seen := 0
	c.Walk(func(*Hit, uint8) bool {
		seen++
		return seen < 10
	})
	if seen != 10 {
		t.Errorf("%d calls", seen)
	}
	c.Bury(at(0), name("example."))
	c.Walk(func(h *Hit, _ uint8) bool {
		t.Errorf("came by %v, which is buried", h.Name())
		return false
	})
}

// A walk copies at most spanBytes, or what stands at one name.
func TestWalkIsBounded(t *testing.T) {
	c := New(Options{Size: 32 << 20})
	const n, size = 400, 20_000
	for i := range n {
		c.Put(at(0), data(numbered("large", i), wire.TypeTXT, 300, make([]byte, size)...))
	}
	var w walk
	seen := 0
	for i := range c.store.shards {
		for low := uint64(0); low < noTag; {
			low = w.copy(&c.store.shards[i], low)
			w.show(&c.tombs, func(*Hit, uint8) bool { seen++; return true })
			if len(w.buf) > spanBytes {
				t.Fatalf("%d octets in one hold", len(w.buf))
			}
		}
	}
	if seen != n {
		t.Errorf("came by %d of %d", seen, n)
	}
}

// hits puts what is asked for before what is not.
func TestWalkTellsWhatIsHot(t *testing.T) {
	o := Options{Size: minSize}
	c, n := New(o), capacity(t, o)
	fill(t, c, at(0), "n", 300, 3)
	for i := range 3 {
		for range i {
			look(c, at(0), numbered("n", i), wire.TypeA)
		}
	}
	hot := func() (list [3]uint8) {
		c.Walk(func(h *Hit, hits uint8) bool {
			if i := slices.Index([]dnsname.Name{numbered("n", 0), numbered("n", 1), numbered("n", 2)}, h.Name()); i >= 0 {
				list[i] = hits
			}
			return true
		})
		return list
	}
	if got := hot(); got != [3]uint8{0, 1, 2} {
		t.Errorf("asked for not at all, once and twice: %v", got)
	}
	fill(t, c, at(0), "flood", 300, n+n/10)
	if got := hot(); got[2] <= markFreq || got[1] <= markFreq {
		t.Errorf("in the main queue: %v", got)
	}
}

func TestNames(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	n := name("n.example.")
	c.Put(at(0), data(n, wire.TypeMX, 600, 2))
	c.Put(at(0), data(n, wire.TypeA, 60, 1))
	c.Put(at(0), denial(NoData, n, wire.TypeAAAA, 60))
	c.Put(at(0), address(name("other.example."), 60))
	now := at(2 * time.Minute)
	all := c.Names(n)
	got := make([]string, 0, len(all))
	for i := range all {
		got = append(got, all[i].Type.String()+" "+all[i].State(now).String())
	}
	if want := []string{"A stale", "MX fresh", "AAAA stale"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	c.Bury(now, n)
	if got := c.Names(n); len(got) != 0 {
		t.Errorf("buried: %+v", got)
	}
}
