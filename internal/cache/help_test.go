package cache

import (
	"fmt"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

func name(s string) dnsname.Name { return dnsname.MustParse(s) }

// numbered is a name of its own for each number.
func numbered(kind string, i int) dnsname.Name { return name(fmt.Sprintf("%s%d.example.", kind, i)) }

// data is an entry with one record.
func data(n dnsname.Name, t wire.Type, ttl uint32, rdata ...byte) *Entry {
	e := &Entry{Kind: Data, Name: n, Type: t, Rank: RankAuthAnswer, Cut: name("example."), TTL: ttl}
	e.Set = rrset.Set{Name: n, Type: t, TTL: ttl, Data: rrset.Packed(nil).Append(rdata)}
	return e
}

func address(n dnsname.Name, ttl uint32) *Entry { return data(n, wire.TypeA, ttl, 192, 0, 2, 1) }

func denial(k Kind, n dnsname.Name, t wire.Type, ttl uint32) *Entry {
	soa := rrset.Set{Name: name("example."), Type: wire.TypeSOA, TTL: ttl, Data: rrset.Packed(nil).Append(make([]byte, 40))}
	return &Entry{
		Kind: k, Name: n, Type: t, Rank: RankAuthAnswer, Cut: soa.Name, TTL: ttl,
		Proof: []rrset.Set{soa},
	}
}

// at is a moment.
func at(d time.Duration) clock.Mono { return clock.Mono(time.Second).Add(d) }

func look(c *Cache, now clock.Mono, n dnsname.Name, t wire.Type) (Entry, bool) {
	var r Reader
	h, ok := c.Lookup(&r, now, n, t)
	if !ok {
		return Entry{}, false
	}
	return h.Entry(), true
}

// found counts how many of the first n names of a kind have an address.
func found(c *Cache, now clock.Mono, kind string, n int) int {
	var r Reader
	count := 0
	for i := range n {
		if _, ok := c.Lookup(&r, now, numbered(kind, i), wire.TypeA); ok {
			count++
		}
	}
	return count
}

// fill puts addresses until the cache has had to evict something, at most max,
// and tells how many.
func fill(t testing.TB, c *Cache, now clock.Mono, kind string, ttl uint32, limit int) int {
	t.Helper()
	for i := range limit {
		if !c.Put(now, address(numbered(kind, i), ttl)) {
			t.Fatalf("%s%d not stored", kind, i)
		}
	}
	return limit
}

// capacity is how many addresses a cache holds, found by trying.
func capacity(t testing.TB, o Options) int {
	t.Helper()
	c := New(o)
	for i := 0; ; i++ {
		c.Put(at(0), address(numbered("try", i), 3600))
		if i%32 == 0 && c.Stats().EvictRecency > 0 {
			return i - 32
		}
	}
}

// checkAll looks whether the shards' structures agree with each other.
func checkAll(t *testing.T, c *Cache) {
	t.Helper()
	for i := range c.store.shards {
		if err := c.store.shards[i].check(); err != nil {
			t.Fatalf("shard %d: %v", i, err)
		}
	}
}

func (s *shard) check() error {
	inIndex := map[ref]bool{}
	x := s.index()
	for i := range x.slots {
		v := x.at(i)
		if v == 0 {
			continue
		}
		r := slotRef(v)
		if inIndex[r] || s.tag(r) != slotTag(v) || s.slab.mark(r)&markFirst == 0 {
			return fmt.Errorf("slot %d: bad entry %x", i, r)
		}
		inIndex[r] = true
		for j := x.home(slotTag(v)); j != i; j = x.next(j) {
			if x.at(j) == 0 {
				return fmt.Errorf("slot %d is out of reach", i)
			}
		}
	}
	if len(inIndex) != s.entries {
		return fmt.Errorf("%d entries in the index, %d counted", len(inIndex), s.entries)
	}
	cells := 0
	inQueue := map[ref]bool{}
	for q := range s.queues {
		sum, prev := 0, ref(0)
		for r := s.queues[q].head; r != 0; {
			p, next := unpack(s.slab.get(r, wordQueue))
			if inQueue[r] || !inIndex[r] || p != prev || queueOf(s.meta(r)) != q {
				return fmt.Errorf("queue %d: bad entry %x", q, r)
			}
			inQueue[r] = true
			sum += cellsFor(s.slab.length(r))
			prev, r = r, next
		}
		if sum != s.queues[q].cells || prev != s.queues[q].tail {
			return fmt.Errorf("queue %d: %d cells, %d counted", q, sum, s.queues[q].cells)
		}
		cells += sum
	}
	if len(inQueue) != s.entries || cells != s.slab.used {
		return fmt.Errorf("%d of %d entries in queues, %d of %d cells", len(inQueue), s.entries, cells, s.slab.used)
	}
	if n := s.checkWheel(inIndex); n != s.entries {
		return fmt.Errorf("%d of %d entries in the wheel", n, s.entries)
	}
	free := 0
	for r := s.slab.free; r != 0; r = linkNext(s.slab.get(r, wordLink)) {
		free++
	}
	if free != s.slab.nfree || free+s.slab.bump+s.slab.used != max(0, s.slab.filled*chunkCells-idleCells) {
		return fmt.Errorf("cells: %d free, %d counted, %d never used, %d used", free, s.slab.nfree, s.slab.bump, s.slab.used)
	}
	return nil
}

// checkWheel counts the entries that are where the wheel would find them.
func (s *shard) checkWheel(known map[ref]bool) int {
	n := 0
	for l, r := range s.wheel.heads {
		if (r != 0) != (s.wheel.used[l>>6]>>(l&63)&1 != 0) {
			return -1
		}
		for ; r != 0; _, r = unpack(s.slab.get(r, wordWheel)) {
			if !known[r] || wheelList(s.meta(r)) != l {
				return -1
			}
			n++
		}
	}
	return n
}
