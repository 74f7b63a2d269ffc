package cache

import (
	"encoding/binary"
	"sync/atomic"
)

// A shard's memory is made of cells of one cache line. A record lies in a
// chain of them: whatever is evicted, its cells serve whatever comes next, so
// nothing fragments and the budget is met to the cell. Half a cell is wasted
// for each record, on average.
//
// The first cell of a record holds its link, the links of the queue and of the
// wheel that it is in, and five words of record; the others hold a link and
// seven words.
const (
	cellWords  = 8
	chunkCells = 256
	chunkBytes = chunkCells * cellWords * 8
	maxChunks  = 1 << 16 // as many as a ref can tell apart
	idleCells  = 2       // of the first chunk, see init
	pageCells  = 64      // of a page of memory

	wordLink  = 0 // next cell (24 bits); in a first cell also marks (8) and the record's length (32)
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

const refBits = 24

// Parts of the link of a cell.
func linkNext(link uint64) ref    { return ref(link & (1<<refBits - 1)) }
func linkMark(link uint64) uint32 { return uint32(link >> refBits & markAll) }
func linkLength(link uint64) int  { return int(link >> 32) }

// cell is one cache line. Its words are written under the shard's mutex within its
// sequence, but for the links and marks, and read by anybody; all access is atomic.
type cell [cellWords]uint64

// chunk is what a slab grows by.
type chunk [chunkCells]cell

// slab hands out cells. Chunks come as they are needed and stay.
type slab struct {
	chunks []atomic.Pointer[chunk] // as many as the budget allows
	from   *arena
	next   *chunk // that the slab grows by, see prepare
	filled int    // chunks that are in use
	bump   int    // cells of the last chunk that were never used
	free   ref    // chain of the cells that were given back
	nfree  int
	used   int
}

// init makes an empty slab. Its first cells are never used: 0 is no ref, and most
// records take two cells, which then lie in a pair of cache lines that processors
// like to fetch together.
func (s *slab) init(chunks int, from *arena) {
	s.chunks, s.from = make([]atomic.Pointer[chunk], chunks), from
}

// capacity is how many cells there can be.
func (s *slab) capacity() int { return len(s.chunks)*chunkCells - idleCells }

func (s *slab) available() int { return s.capacity() - s.used }

// at is the cell that a ref names; nil for one that names none, as one read in the
// middle of a change may.
func (s *slab) at(r ref) *cell {
	i := int(r >> 8)
	if i >= len(s.chunks) {
		return nil
	}
	c := s.chunks[i].Load()
	if c == nil {
		return nil
	}
	return &c[uint8(r)]
}

func (s *slab) get(r ref, word int) uint64 { return atomic.LoadUint64(&s.at(r)[word]) }

func (s *slab) set(r ref, word int, v uint64) { atomic.StoreUint64(&s.at(r)[word], v) }

// cellsFor is the number of cells of a record of n octets.
func cellsFor(n int) int {
	words := (n + 7) / 8
	return 1 + (max(words-firstWords, 0)+restWords-1)/restWords
}

// roomFor is how many octets of record its cells hold: what read copies.
func roomFor(n int) int { return (firstWords + (cellsFor(n)-1)*restWords) * 8 }

// take gives a cell. There must be one available.
func (s *slab) take() ref {
	s.used++
	if s.free != 0 {
		r := s.free
		s.free = linkNext(s.get(r, wordLink))
		s.nfree--
		return r
	}
	if s.bump == 0 {
		s.prepare(1)
		s.chunks[s.filled].Store(s.next)
		s.next = nil
		s.filled++
		s.bump = chunkCells
		if s.filled == 1 {
			s.bump -= idleCells
		}
	}
	r := ref((s.filled-1)<<8 | (chunkCells - s.bump))
	s.bump--
	return r
}

// prepare has a chunk at hand, its memory ready, if there might be need of one for so
// many cells. The system may take its time to give memory: readers must not wait for it,
// as they do while the sequence is odd.
func (s *slab) prepare(cells int) {
	if s.next != nil || s.nfree+s.bump >= cells || s.filled == len(s.chunks) {
		return
	}
	c := s.from.chunk()
	for i := 0; i < chunkCells; i += pageCells {
		atomic.StoreUint64(&c[i][wordLink], 0)
	}
	s.next = c
}

// write lays a record into fresh cells, which must be available, gives it marks and
// returns the first.
func (s *slab) write(rec []byte, mark uint32) ref {
	first := s.take()
	link := uint64(len(rec))<<32 | uint64(mark)<<refBits
	at, word := first, firstWord
	for {
		c := s.at(at)
		for ; word < cellWords && len(rec) > 0; word++ {
			atomic.StoreUint64(&c[word], word64(rec))
			rec = rec[min(8, len(rec)):]
		}
		if len(rec) == 0 {
			atomic.StoreUint64(&c[wordLink], link)
			return first
		}
		next := s.take()
		atomic.StoreUint64(&c[wordLink], link|uint64(next))
		at, word, link = next, restWord, 0
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
	link := s.get(first, wordLink)
	n := cellsFor(linkLength(link))
	last := first
	for range n - 1 {
		last = linkNext(s.get(last, wordLink))
	}
	s.set(first, wordLink, uint64(linkNext(link)))
	s.set(last, wordLink, uint64(s.free))
	s.free = first
	s.nfree += n
	s.used -= n
}

// length is that of the record in octets.
func (s *slab) length(first ref) int { return linkLength(s.get(first, wordLink)) }

// read copies the record that begins in a cell to dst, whose length is roomFor its
// own, and whatever its last cell holds behind it. False: the chain does not hold
// together, since it is being changed. Written out a word at a time, for it is most
// of what a lookup does.
func (s *slab) read(dst []byte, c *cell) bool {
	head := (*[firstWords * 8]byte)(dst)
	binary.LittleEndian.PutUint64(head[0:], atomic.LoadUint64(&c[firstWord]))
	binary.LittleEndian.PutUint64(head[8:], atomic.LoadUint64(&c[firstWord+1]))
	binary.LittleEndian.PutUint64(head[16:], atomic.LoadUint64(&c[firstWord+2]))
	binary.LittleEndian.PutUint64(head[24:], atomic.LoadUint64(&c[firstWord+3]))
	binary.LittleEndian.PutUint64(head[32:], atomic.LoadUint64(&c[firstWord+4]))
	for dst = dst[len(head):]; len(dst) > 0; {
		next := linkNext(atomic.LoadUint64(&c[wordLink]))
		if c = s.at(next); c == nil || next == 0 {
			return false
		}
		rest := (*[restWords * 8]byte)(dst)
		binary.LittleEndian.PutUint64(rest[0:], atomic.LoadUint64(&c[restWord]))
		binary.LittleEndian.PutUint64(rest[8:], atomic.LoadUint64(&c[restWord+1]))
		binary.LittleEndian.PutUint64(rest[16:], atomic.LoadUint64(&c[restWord+2]))
		binary.LittleEndian.PutUint64(rest[24:], atomic.LoadUint64(&c[restWord+3]))
		binary.LittleEndian.PutUint64(rest[32:], atomic.LoadUint64(&c[restWord+4]))
		binary.LittleEndian.PutUint64(rest[40:], atomic.LoadUint64(&c[restWord+5]))
		binary.LittleEndian.PutUint64(rest[48:], atomic.LoadUint64(&c[restWord+6]))
		dst = dst[len(rest):]
	}
	return true
}
