package cache

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// Bounds of one call of Sweep.
const (
	sweepDue    = 256 // entries of a shard whose time has come
	sweepChunks = 512 // chunks of 252 cells searched for what is buried
)

// sweep is how far the search for buried entries has come.
type sweep struct {
	running      bool
	gen          uint32 // of the tombstones that retire at the end
	shard, chunk int
	turn         int // the shard of delegations to look at next
}

// Bury removes everything stored so far at or below a zone: entries, delegations,
// failures, bogus answers and ranges. It takes effect at once by a tombstone; Sweep
// frees the memory. Where too many tombstones wait, Bury sweeps itself.
func (c *Cache) Bury(now clock.Mono, zone dnsname.Name) {
	if c.tombs.add(zone) < maxTombs {
		return
	}
	for c.tombs.count() >= maxTombs && c.Sweep(now) {
	}
}

// Sweep frees what is gone and what was buried, a bounded piece at a time, and
// retires tombstones that have nothing left to cover. It tells whether more is
// waiting.
func (c *Cache) Sweep(now clock.Mono) bool {
	s := &c.store
	s.sweepMu.Lock()
	defer s.sweepMu.Unlock()
	more := false
	for i := range s.shards {
		more = s.shards[i].sweepGone(now) || more
	}
	c.failures.sweep(now)
	c.bogus.sweep(now)
	c.ranges.sweep(now)
	c.delegations.sweep(now, s.sweep.turn%len(c.delegations.shards))
	s.sweep.turn++
	return c.sweepBuried(now) || more
}

// sweepGone settles what is due in a shard and tells whether that was too much.
func (s *shard) sweepGone(now clock.Mono) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settleDue(now, sweepDue) == sweepDue
}

// sweepBuried searches the next chunks, and tells whether it has to go on. A pass
// is for the tombstones that were there when it began: whatever was stored since
// belongs to a later generation.
func (c *Cache) sweepBuried(now clock.Mono) bool {
	s := &c.store
	w := &s.sweep
	if !w.running {
		if c.tombs.settle(now, 0) == 0 {
			return false
		}
		w.running, w.gen, w.shard, w.chunk = true, c.tombs.gen.Load(), 0, 0
	}
	for range sweepChunks {
		if w.shard == len(s.shards) {
			w.running = false
			c.failures.sweep(now)
			c.bogus.sweep(now)
			c.ranges.dropBuried()
			for i := range c.delegations.shards {
				c.delegations.sweep(now, i)
			}
			return c.tombs.settle(now, w.gen) > 0
		}
		if s.shards[w.shard].sweepChunk(w.chunk) {
			w.chunk++
		} else {
			w.shard, w.chunk = w.shard+1, 0
		}
	}
	return true
}

// sweepChunk removes the buried entries that begin in a chunk; false if there
// is no such chunk.
func (s *shard) sweepChunk(chunk int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if chunk >= s.slab.filled {
		return false
	}
	for cell := range chunkCells {
		r := ref(chunk<<8 | cell)
		if s.slab.mark(r)&markFirst != 0 && s.buried(r) {
			s.remove(r, buried)
		}
	}
	return true
}
