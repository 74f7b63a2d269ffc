package cache

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// Random insertions and removals, with tags that crowd, against a set.
func TestIndexAgainstSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	x := index{make([]uint64, 97)}
	have := map[uint64]bool{}
	next := ref(1)
	for step := range 20_000 {
		if len(have) < x.full() && r.IntN(2) == 0 {
			tag := r.Uint32() &^ (1<<28 - 1) // sixteen homes
			v := makeSlot(tag, byte(step), next)
			next++
			x.insert(v)
			have[v] = true
		} else {
			for v := range have {
				x.remove(slotTag(v), slotRef(v))
				delete(have, v)
				break
			}
		}
		for v := range have {
			i := x.home(slotTag(v))
			for x.at(i) != v {
				if x.at(i) == 0 {
					t.Fatalf("step %d: %x is lost", step, v)
				}
				i = x.next(i)
			}
		}
		if n := len(x.slots) - count(x.slots, 0); n != len(have) {
			t.Fatalf("step %d: %d slots, want %d", step, n, len(have))
		}
	}
}

func count(s []uint64, v uint64) int {
	n := 0
	for _, e := range s {
		if e == v {
			n++
		}
	}
	return n
}

// The wheel gives everything back in the order of time, at most a second late
// and never early.
func TestWheelKeepsTime(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	c := New(Options{Size: 1 << 20, MaxTTL: 1 << 62})
	s := &c.store.shards[0]
	var due []clock.Mono
	for i := range 2000 {
		ttl := 1 + r.Uint32()>>r.IntN(31)
		c.Put(at(0), address(numbered("n", i), ttl))
		due = append(due, at(seconds(ttl)))
	}
	slices.Sort(due)
	now := at(0)
	for i := 0; i < len(due) && due[i] < clock.Mono(lastTick)*clock.Mono(time.Second); {
		now = max(now, due[i]-1)
		s.settleDue(now, 1<<20)
		if s.entries != len(due)-i {
			t.Fatalf("at %v, just before the next: %d left, want %d", now, s.entries, len(due)-i)
		}
		now = due[i].Add(time.Second)
		for i < len(due) && due[i] <= now {
			i++
		}
		s.settleDue(now, 1<<20)
		if late := s.entries - (len(due) - i); late < 0 || late > 0 && due[i-1] <= now.Add(-time.Second) {
			t.Fatalf("at %v: %d too late", now, late)
		}
	}
	checkAll(t, c)
}

func TestHashDependsOnSeedAndEveryOctet(t *testing.T) {
	base := []byte("0123456789abcdef0123456789abcdef0123456789")
	seen := map[uint64]bool{}
	for seed := range uint64(4) {
		h := newHasher(seed)
		for n := range len(base) {
			for i := range n {
				b := slices.Clone(base[:n])
				b[i] ^= 0x40
				seen[h.name(dnsname.Alias(b))] = true
			}
		}
	}
	if want := 4 * len(base) * (len(base) - 1) / 2; len(seen) != want {
		t.Errorf("%d different hashes of %d names", len(seen), want)
	}
}
