package cache

import (
	"sync/atomic"

	"lastgood/internal/clock"
	"lastgood/internal/stale"
)

// foundAt notes where Lookup found the hit, and whether it is due.
func (h *Hit) foundAt(from *slab, at ref, mark uint32, now clock.Mono) {
	h.from, h.at = from, at
	h.due = mark&(markAsked|markClaimed) == askedTwice && stale.PrefetchDue(now, h.stored, h.expiry)
}

// Due tells whether it is time to refresh the entry behind its answer: it is in
// the last tenth of its life, was asked for more than once since it was stored,
// this lookup included, and nobody claimed it before.
func (h *Hit) Due() bool { return h.due }

// Claim is true for exactly one of all callers that found the same stored
// entry, while it is in the cache; who gets it refreshes the entry. What is put
// in its place can be claimed anew. Claim takes no lock and allocates nothing,
// and needs nothing of the Reader: it may come after the next Lookup.
func (h *Hit) Claim() bool {
	if h.from == nil {
		return false
	}
	link := &h.from.at(h.at)[wordLink]
	for {
		old := atomic.LoadUint64(link)
		if linkMark(old)&(markFirst|markClaimed) != markFirst || !h.stands() {
			return false
		}
		// If the cell is given to another entry just here, that one is claimed by
		// nobody: it is not refreshed ahead of time, and nothing worse.
		if atomic.CompareAndSwapUint64(link, old, old|markClaimed<<refBits) {
			return h.stands()
		}
	}
}

// stands tells whether the cell still holds the entry that was found: another
// of the same shape was not stored in the same nanosecond.
func (h *Hit) stands() bool {
	const own = 1<<metaLists - 1
	s := h.from
	return s.get(h.at, wordStored) == uint64(h.stored) && s.get(h.at, wordGen) == uint64(h.gen)|uint64(h.ttl)<<32 &&
		(s.get(h.at, wordMeta)^h.meta)&own == 0
}
