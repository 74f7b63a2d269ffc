package cache

import "sync/atomic"

// Marks of a record, eight bits in the link of its first cell, which a lookup reads
// anyhow. Readers set them, with at most one store each and none once nothing is left
// to set; writers clear them.
const (
	markFreq    = 3      // how often the entry was asked for, up to 3; eviction takes from it
	markStale   = 1 << 2 // asked for since it expired
	markFirst   = 1 << 3 // the cell is the first of a record
	markAsked   = 3 << 4 // how often the entry was asked for since it was stored, up to 2
	markClaimed = 1 << 6 // somebody refreshes the entry, see Hit.Claim
	markAll     = 1<<8 - 1

	askedOnce  = 1 << 4
	askedTwice = 2 << 4
)

func (s *slab) mark(r ref) uint32 { return linkMark(s.get(r, wordLink)) }

// setMark replaces the marks of a first cell.
func (s *slab) setMark(r ref, m uint32) {
	link := &s.at(r)[wordLink]
	for {
		old := atomic.LoadUint64(link)
		if atomic.CompareAndSwapUint64(link, old, withMark(old, m)) {
			return
		}
	}
}

func withMark(link uint64, m uint32) uint64 {
	return link&^(markAll<<refBits) | uint64(m)<<refBits
}

// spend takes up to n from how often an entry was asked for. What readers mark
// meanwhile is kept, above all that one of them claimed the entry.
func (s *slab) spend(r ref, n uint32) {
	link := &s.at(r)[wordLink]
	for {
		old := atomic.LoadUint64(link)
		m := linkMark(old)
		if atomic.CompareAndSwapUint64(link, old, withMark(old, m-min(m&markFreq, n))) {
			return
		}
	}
}

// asked marks that a reader found the entry, whose link it read, and gives the marks
// the entry then has. The reader let go of the sequence: the cell may belong to
// another entry by now, which then has a mark too many if its link is the same. That
// does no harm, nor does it where the cell is no entry's first any more: links are
// read without marks.
func (c *cell) asked(link uint64, stale bool) uint32 {
	m := linkMark(link)
	if m&markFreq < markFreq {
		m++
	}
	if m&markAsked < askedTwice {
		m += askedOnce
	}
	if stale {
		m |= markStale
	}
	if v := withMark(link, m); v != link {
		atomic.CompareAndSwapUint64(&c[wordLink], link, v) // a lost race loses one mark
	}
	return m
}
