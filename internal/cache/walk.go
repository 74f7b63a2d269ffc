package cache

import (
	"cmp"
	"slices"

	"lastgood/internal/dnsname"
)

// Bounds of what is done in one hold of a shard's lock by those who go through
// all entries.
const (
	spanSlots = 64       // slots of the index
	spanBytes = 64 << 10 // of records that are copied, besides those of one name
)

// noTag is behind the last hash tag.
const noTag = 1 << 32

// span collects the entries whose tags lie between low and the next span's
// begin, which it tells: noTag at the end. Entries of a name have one tag, and a
// tag has its place whatever is stored, replaced, removed or grown: whoever goes
// from span to span meets every name that is there all the while. The mutex is
// held.
func (s *shard) span(low uint64, dst []ref) (refs []ref, next uint64) {
	x := s.index()
	n := uint64(len(x.slots))
	first := uint64(x.home(uint32(low)))
	end := first + spanSlots
	next = (end<<32 + n - 1) / n // the first tag whose walk begins at end
	if end >= n {
		next = noTag
	}
	for i := first; i < first+n; i++ {
		v := x.at(int(i % n))
		if v == 0 && i >= end {
			break
		}
		if tag := uint64(slotTag(v)); v != 0 && low <= tag && tag < next {
			dst = append(dst, slotRef(v))
		}
	}
	return dst, next
}

// Walk shows fn every entry, fresh, stale or gone, until it says false. hits,
// 0 to 7, tells how much the entry was asked for; it ages, and is for comparing.
// The hit is a consistent copy and ends with the call; it cannot be claimed.
//
// No lock is held while fn runs, which may use the cache, and the cache goes on
// being used meanwhile: what is there all the while is shown once, and under
// its name what stands there at one moment of the walk. Each hold of a shard's
// lock, and the memory, is bounded by some dozen entries.
func (c *Cache) Walk(fn func(h *Hit, hits uint8) bool) { c.walk(&walk{}, fn) }

// walk is Walk of those that were asked for at least so much as w says: it copies no
// others. It rests for all of them.
func (c *Cache) walk(w *walk, fn func(h *Hit, hits uint8) bool) {
	for i := range c.store.shards {
		for low := uint64(0); low < noTag; {
			low = w.copy(&c.store.shards[i], low)
			if !w.show(&c.tombs, fn) {
				return
			}
			w.dealt(len(w.refs))
		}
	}
}

// walk is the copies of some entries.
type walk struct {
	least uint8 // hits of those that are copied
	rests

	refs   []ref
	buf    []byte
	copies []walked
	hit    Hit // that fn is shown
}

type walked struct {
	at, n int // in buf
	hits  uint8
}

// copy copies the entries of a span, or the first of them, and tells where to
// go on.
func (w *walk) copy(s *shard, low uint64) (next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.refs, next = s.span(low, w.refs[:0])
	slices.SortFunc(w.refs, func(a, b ref) int { return cmp.Compare(s.tag(a), s.tag(b)) })
	w.buf, w.copies = w.buf[:0], w.copies[:0]
	for i, r := range w.refs {
		if i > 0 && s.tag(r) != s.tag(w.refs[i-1]) && len(w.buf)+s.slab.length(r) > spanBytes {
			return uint64(s.tag(r))
		}
		w.take(s, r)
	}
	return next
}

// take copies one entry. The mutex is held.
func (w *walk) take(s *shard, r ref) {
	hits := uint8(s.slab.mark(r) & markFreq)
	if queueOf(s.meta(r)) == mainQueue {
		hits += markFreq + 1
	}
	if hits < w.least {
		return
	}
	n, at := s.slab.length(r), len(w.buf)
	room := roomFor(n)
	w.buf = slices.Grow(w.buf, room)[:at+room]
	s.slab.read(w.buf[at:], s.slab.at(r))
	w.copies = append(w.copies, walked{at, n, hits})
}

// show calls fn for the copies that are not buried.
func (w *walk) show(t *tombs, fn func(h *Hit, hits uint8) bool) bool {
	for _, e := range w.copies {
		h := &w.hit
		if !decode(h, w.buf[e.at:e.at+e.n]) || t.covers(h.Name(), h.gen) {
			continue
		}
		if !fn(h, e.hits) {
			return false
		}
	}
	return true
}

// Names is everything that stands at a name, fresh, stale or gone, by kind and
// type.
func (c *Cache) Names(name dnsname.Name) []Entry {
	hash := c.hash.name(name)
	var w walk
	w.copyName(c.store.shard(hash), uint32(hash), name)
	var all []Entry
	w.show(&c.tombs, func(h *Hit, _ uint8) bool {
		all = append(all, h.Entry())
		return true
	})
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Type, b.Type))
	})
	return all
}

func (w *walk) copyName(s *shard, tag uint32, name dnsname.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.ofName(nil, tag, name) {
		w.take(s, r)
	}
}
