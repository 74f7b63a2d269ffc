package cache

import "sync/atomic"

// Stats are the counts of a cache since it was made, and what it holds now.
// Bytes are what is held: cells of entries and their places in the index, and
// estimates for delegations and failures.
type Stats struct {
	Size  int64 // the budget in bytes
	Bytes int64 // of it in use
	Held  int64 // of it taken from the system so far, for entries

	Entries int64 // also those that are gone but not yet swept
	// Of the entries, those that are stale: expired, but servable. They are
	// counted when their time is noticed, by a Put to the same shard or by
	// Sweep: between two calls of Sweep the number lags behind.
	Stale       int64
	Delegations int64
	Failures    int64
	Bogus       int64 // answers that failed validation; not among Bytes
	Ranges      int64 // NSEC, NSEC3 and SOA records for synthesis
	Tombstones  int64

	Hits      uint64 // lookups answered with a fresh entry
	StaleHits uint64 // and with one that expired
	Misses    uint64

	Puts      uint64 // entries stored
	Outranked uint64 // refused for something fresh of higher rank, or that was judged
	Oversize  uint64 // refused for being larger than half a shard

	Replaced      uint64 // entries that a newer one of the same kind and type displaced
	EvictGone     uint64 // never to be served again
	EvictUnasked  uint64 // expired, and nobody had asked since
	EvictRecency  uint64 // to make room, by recency and frequency
	EvictContra   uint64 // contradicted by something newer
	EvictTypes    uint64 // beyond MaxTypes of a name
	EvictBuried   uint64 // beneath a tombstone
	Flushed       uint64 // by one of the Flush methods
	EvictCuts     uint64 // delegations, to make room
	EvictFailures uint64 // failures, to make room
	EvictBogus    uint64 // bogus answers, to make room
	EvictRanges   uint64 // ranges that were fresh, to make room
}

// counts are a shard's, under its mutex.
type counts struct {
	puts, outranked, oversize uint64
	removed                   [reasonCount]uint64
}

// stripeCount is how many Readers count without meeting each other.
const stripeCount = 64

// stripe counts the lookups of some Readers, on cache lines of its own.
type stripe struct {
	hits, stale, misses atomic.Uint64
	_                   [104]byte
}

// stripe is where a Reader counts.
func (s *store) stripe(r *Reader) *stripe {
	if r.stripe == 0 {
		r.stripe = s.turn.Add(1)%stripeCount + stripeCount
	}
	return &s.stripes[r.stripe%stripeCount]
}

// Stats counts. It takes each shard's lock for a moment.
func (c *Cache) Stats() Stats {
	st := Stats{
		Size:          c.opt.Size,
		Bytes:         c.delegations.bytes.Load() + c.failures.count.Load()*failureCost + c.ranges.bytes.Load(),
		Delegations:   c.delegations.count.Load(),
		Failures:      c.failures.count.Load(),
		Tombstones:    int64(c.tombs.count()),
		EvictCuts:     c.delegations.evicts.Load(),
		EvictFailures: c.failures.dropped.Load(),
		Bogus:         c.bogus.count.Load(),
		EvictBogus:    c.bogus.dropped.Load(),
		Ranges:        c.ranges.count.Load(),
		EvictRanges:   c.ranges.evicts.Load(),
	}
	for i := range c.store.stripes {
		n := &c.store.stripes[i]
		st.Hits += n.hits.Load()
		st.StaleHits += n.stale.Load()
		st.Misses += n.misses.Load()
	}
	for i := range c.store.shards {
		c.store.shards[i].addTo(&st)
	}
	return st
}

func (s *shard) addTo(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Entries += int64(s.entries)
	st.Stale += int64(s.staleCount)
	st.Bytes += int64(s.slab.used*cellWords+s.entries) * 8
	st.Held += int64(s.slab.filled)*chunkBytes + s.length.Load()*8 + int64(len(s.ghosts))*4
	n := &s.counts
	st.Puts += n.puts
	st.Outranked += n.outranked
	st.Oversize += n.oversize
	st.Replaced += n.removed[replaced]
	st.EvictGone += n.removed[wasGone]
	st.EvictUnasked += n.removed[unasked]
	st.EvictRecency += n.removed[recency]
	st.EvictContra += n.removed[contradicted]
	st.EvictTypes += n.removed[tooManyTypes]
	st.EvictBuried += n.removed[buried]
	st.Flushed += n.removed[flushed]
}
