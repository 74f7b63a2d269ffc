package cache

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// A shard's memory is made of cells of one cache line. A record lies in a
// chain of them: whatever is evicted, its cells serve whatever comes next, so
// nothing fragments and the budget is met to the cell. Half a cell is wasted
// for each record, on average.
//
// The first cell of a record holds its link and length, the links of the queue
// and of the wheel that it is in, and five words of record; the others hold a
// link and seven words.
const (
	cellWords  = 8
	chunkCells = 252 // with the marks a chunk fills an allocation of 16 KiB
	chunkBytes = 16 << 10
	maxChunks  = 1 << 16 // as many as a ref can tell apart

	wordLink  = 0 // next cell; in the upper half of a first cell the record's length
	wordQueue = 1 // previous and next entry of the queue, first cells only
	wordWheel = 2 // the same of the wheel's list
	firstWord = 3 // where the record begins in a first cell
	restWord  = 1 // and in the others

	firstWords = cellWords - firstWord
	restWords  = cellWords - restWord
)

// Words of the record in its first cell.
const (
	wordTag    = firstWord
	wordGen    = firstWord + 1
	wordStored = firstWord + 2
	wordMeta   = firstWord + 3
)

// ref names a cell: the chunk in the upper bits, the cell in the lower eight.
// 0 is none.
type ref uint32

// chunk is what a slab grows by. The words are written under the shard's mutex
// within its sequence, and read by anybody; all access is atomic. The marks
// are eight bits a cell, see mark.
type chunk struct {
	words [chunkCells * cellWords]uint64
	marks [(chunkCells + 3) / 4]atomic.Uint32
}

// The compiler holds a chunk to its allocation.
const _ = uint(chunkBytes - unsafe.Sizeof(chunk{}))

// slab hands out cells. Chunks come as they are needed and stay.
type slab struct {
	chunks []atomic.Pointer[chunk] // as many as the budget allows
	filled int                     // chunks that exist
	bump   int                     // cells of the last chunk that were never used
	free   ref                     // chain of the cells that were given back
	nfree  int
	used   int
}

func (s *slab) init(chunks int) { s.chunks = make([]atomic.Pointer[chunk], chunks) }

// capacity is how many cells there can be. The first is never used.
func (s *slab) capacity() int { return len(s.chunks)*chunkCells - 1 }

func (s *slab) available() int { return s.capacity() - s.used }

// at is the place of a cell's first word; nil for a ref that names none, as
// one read in the middle of a change may.
func (s *slab) at(r ref) (c *chunk, base int) {
	i, cell := int(r>>8), int(r&0xff)
	if i >= len(s.chunks) || cell >= chunkCells {
		return nil, 0
	}
	return s.chunks[i].Load(), cell * cellWords
}

func (s *slab) get(r ref, word int) uint64 {
	c, base := s.at(r)
	return atomic.LoadUint64(&c.words[base+word])
}

func (s *slab) set(r ref, word int, v uint64) {
	c, base := s.at(r)
	atomic.StoreUint64(&c.words[base+word], v)
}

// cellsFor is the number of cells of a record of n octets.
func cellsFor(n int) int {
	words := (n + 7) / 8
	return 1 + (max(words-firstWords, 0)+restWords-1)/restWords
}

// take gives a cell. There must be one available.
func (s *slab) take() ref {
	s.used++
	if s.free != 0 {
		r := s.free
		s.free = ref(uint32(s.get(r, wordLink)))
		s.nfree--
		return r
	}
	if s.bump == 0 {
		s.chunks[s.filled].Store(new(chunk))
		s.filled++
		s.bump = chunkCells
		if s.filled == 1 {
			s.bump-- // ref 0 is none
		}
	}
	r := ref((s.filled-1)<<8 | (chunkCells - s.bump))
	s.bump--
	return r
}

// write lays a record into fresh cells, which must be available, and returns
// the first.
func (s *slab) write(rec []byte) ref {
	first := s.take()
	link := uint64(len(rec)) << 32
	cell, word := first, firstWord
	for {
		for ; word < cellWords && len(rec) > 0; word++ {
			s.set(cell, word, word64(rec))
			rec = rec[min(8, len(rec)):]
		}
		if len(rec) == 0 {
			s.set(cell, wordLink, link)
			return first
		}
		next := s.take()
		s.set(cell, wordLink, link|uint64(next))
		cell, word, link = next, restWord, 0
	}
}

// word64 is the first word of what is left of a record.
func word64(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	var last [8]byte
	copy(last[:], b)
	return binary.LittleEndian.Uint64(last[:])
}

// release gives the cells of a record back.
func (s *slab) release(first ref) {
	n := cellsFor(int(s.get(first, wordLink) >> 32))
	last := first
	for range n - 1 {
		last = ref(uint32(s.get(last, wordLink)))
	}
	s.set(last, wordLink, uint64(s.free))
	if last != first {
		s.set(first, wordLink, uint64(uint32(s.get(first, wordLink))))
	}
	s.free = first
	s.nfree += n
	s.used -= n
}

// length is that of the record in octets.
func (s *slab) length(first ref) int { return int(s.get(first, wordLink) >> 32) }

// read copies the first n octets of a record that begins at first to dst,
// whose length is n rounded up to a word. False: the chain does not hold
// together, since it is being changed.
func (s *slab) read(dst []byte, first ref) bool {
	cell, word := first, firstWord
	for len(dst) > 0 {
		c, base := s.at(cell)
		if c == nil || cell == 0 {
			return false
		}
		words := c.words[base : base+cellWords]
		for ; word < cellWords && len(dst) > 0; word++ {
			binary.LittleEndian.PutUint64(dst, atomic.LoadUint64(&words[word]))
			dst = dst[8:]
		}
		cell, word = ref(uint32(atomic.LoadUint64(&words[wordLink]))), restWord
	}
	return true
}

// Marks of a first cell, eight bits. Readers set them, with at most one store
// each and none once nothing is left to set; writers clear them.
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

func (s *slab) marks(r ref) (word *atomic.Uint32, shift uint) {
	c, _ := s.at(r)
	i := uint(r & 0xff)
	return &c.marks[i/4], i % 4 * 8
}

func (s *slab) mark(r ref) uint32 {
	w, shift := s.marks(r)
	return w.Load() >> shift & markAll
}

// setMark replaces the marks of a cell. A reader's mark that comes meanwhile
// to a neighbour is kept.
func (s *slab) setMark(r ref, m uint32) {
	w, shift := s.marks(r)
	for {
		old := w.Load()
		if w.CompareAndSwap(old, old&^(markAll<<shift)|m<<shift) {
			return
		}
	}
}

// spend takes up to n from how often an entry was asked for. What readers mark
// meanwhile is kept, above all that one of them claimed the entry.
func (s *slab) spend(r ref, n uint32) {
	w, shift := s.marks(r)
	for {
		old := w.Load()
		if w.CompareAndSwap(old, old-min(old>>shift&markFreq, n)<<shift) {
			return
		}
	}
}

// asked marks that a reader found the entry, and gives the marks it then has.
// After the reader let go of the sequence the cell may belong to another: that
// one then has a mark too many, which does no harm.
func (s *slab) asked(r ref, stale bool) uint32 {
	w, shift := s.marks(r)
	old := w.Load()
	m := old >> shift & markAll
	if m&markFreq < markFreq {
		m++
	}
	if m&markAsked < askedTwice {
		m += askedOnce
	}
	if stale {
		m |= markStale
	}
	if v := old&^(markAll<<shift) | m<<shift; v != old {
		w.CompareAndSwap(old, v) // a lost race loses one mark
	}
	return m
}
