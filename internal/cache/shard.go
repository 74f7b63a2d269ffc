package cache

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// shard holds the entries of the names that hash to it. Those who read take no
// lock: they copy what they need and look whether seq is as it was before and
// even. Those who write hold mu, and make seq odd while they change anything
// that readers look at.
//
// What a lookup needs of it is one cache line, which only those who write change.
type shard struct {
	seq    atomic.Uint64
	length atomic.Int64           // of the index, see (*shard).index
	slots  atomic.Pointer[uint64] // the first of the index
	slab   slab
	_      [64]byte

	mu         sync.Mutex
	lent       bool // the index's slots are, by Options.Memory
	changes    int  // that are being made, see begin
	maxSlots   int
	entries    int
	staleCount int // of them, as far as their time was noticed, see countExpired
	queues     [queueCount]queue
	wheel      wheel
	ghosts     []uint32
	counts     counts
	tombs      *tombs
	nameBuf    [dnsname.MaxLen + 1]byte
	_          [64]byte
}

// Codes of slots: what a walk must recognise without looking at the entry.
const (
	codeNXDomain = 1
	codeAlias    = 2
	codeOther    = 3 // and more: the type, folded
)

func codeOf(k Kind, t wire.Type) byte {
	switch {
	case k == NXDomain:
		return codeNXDomain
	case k == Data && t == wire.TypeCNAME:
		return codeAlias
	}
	return codeOther + byte(t%(256-codeOther))
}

// What a chunk costs: itself, its pointer, its share of index and ghosts.
const (
	slotsPerChunk = chunkCells * slotNum / slotDen
	chunkCost     = chunkBytes + 8 + slotsPerChunk*8 + slotsPerChunk/2*4
	shardCost     = 4 << 10
)

func (s *shard) init(budget int64, t *tombs, from *arena) {
	chunks := int(min(max((budget-shardCost)/chunkCost, 2), maxChunks))
	s.slab.init(chunks, from)
	s.maxSlots = chunks * slotsPerChunk
	x, _ := from.slots(min(firstSlots, s.maxSlots))
	s.setIndex(x)
	s.tombs = t
}

// index is the present one. Those who read without the mutex may meet another halfway:
// the length is read before the slots and written behind them, and no index is shorter
// than the one before it, so that there are always as many slots as it says.
func (s *shard) index() index {
	n := s.length.Load()
	return index{unsafe.Slice(s.slots.Load(), n)}
}

func (s *shard) setIndex(x index) {
	s.slots.Store(&x.slots[0])
	s.length.Store(int64(len(x.slots)))
}

// grow makes the index ready for one entry more. Readers go on with the old one until
// the new one is there, however large it is.
func (s *shard) grow() {
	old := s.index()
	if s.entries < old.full() || len(old.slots) == s.maxSlots {
		return
	}
	x, lent := s.slab.from.slots(min(2*len(old.slots), s.maxSlots))
	old.copyTo(&x)
	s.begin()
	s.setIndex(x)
	s.end()
	if s.lent {
		s.slab.from.giveBack(old)
	}
	s.lent = lent
}

// begin and end enclose changes that readers must not see halfway: those of
// the index and of cells, but for the links and marks that readers pass over.
// They nest. The mutex is held.
func (s *shard) begin() {
	if s.changes++; s.changes == 1 {
		s.seq.Add(1)
	}
}

func (s *shard) end() {
	if s.changes--; s.changes == 0 {
		s.seq.Add(1)
	}
}

// maxRecord is the longest record that is stored: one that takes half of the
// shard.
func (s *shard) maxRecord() int {
	return (s.slab.capacity()/2-1)*restWords*8 + firstWords*8
}

// Fields of an entry, for those who hold the mutex.

func (s *shard) meta(r ref) uint64 { return s.slab.get(r, wordMeta) }

func (s *shard) tag(r ref) uint32 { return uint32(s.slab.get(r, wordTag)) }

func (s *shard) gen(r ref) uint32 { return uint32(s.slab.get(r, wordGen)) }

func (s *shard) stored(r ref) clock.Mono { return clock.Mono(s.slab.get(r, wordStored)) }

func (s *shard) lifetime(r ref) time.Duration { return seconds(uint32(s.slab.get(r, wordGen) >> 32)) }

func (s *shard) expiry(r ref) clock.Mono { return s.stored(r).Add(s.lifetime(r)) }

func (s *shard) staleUntil(r ref) clock.Mono {
	return s.expiry(r).Add(time.Duration(s.slab.get(r, wordTag)>>32) * time.Millisecond)
}

func metaType(meta uint64) wire.Type { return wire.Type(meta) }
func metaKindOf(meta uint64) Kind    { return Kind(meta >> metaKind & 3) }
func metaRankOf(meta uint64) Rank    { return Rank(meta >> metaRank & 3) }

// name copies the owner of an entry to the shard's buffer.
func (s *shard) name(r ref) dnsname.Name {
	var rec [headLen + dnsname.MaxLen + lineSize]byte
	n := int(s.meta(r) >> metaName & 0xff)
	s.slab.read(rec[:roomFor(headLen+n)], s.slab.at(r))
	copy(s.nameBuf[:], rec[headLen:headLen+n])
	return dnsname.Alias(s.nameBuf[:n])
}

// buried tells whether a tombstone covers the entry.
func (s *shard) buried(r ref) bool {
	return s.tombs.list.Load() != nil && s.tombs.covers(s.name(r), s.gen(r))
}

// insert adds a record, for which there must be room in slab and index, to a queue.
func (s *shard) insert(rec []byte, code byte, queue int, mark uint32) {
	s.begin()
	r := s.slab.write(rec, mark|markFirst)
	s.entries++
	x := s.index()
	x.insert(makeSlot(s.tag(r), code, r))
	s.end()
	s.push(r, queue)
	s.arm(r, s.expiry(r))
}

// remove takes an entry out.
func (s *shard) remove(r ref, why reason) {
	s.counts.removed[why]++
	s.staleCount -= int(s.meta(r) >> metaExpired & 1)
	s.unlink(r)
	s.disarm(r)
	s.slab.setMark(r, 0)
	s.begin()
	x := s.index()
	x.remove(s.tag(r), r)
	s.slab.release(r)
	s.end()
	s.entries--
}
