package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// shard holds the entries of the names that hash to it. Those who read take no
// lock: they copy what they need and look whether seq is as it was before and
// even. Those who write hold mu, and make seq odd while they change anything
// that readers look at.
type shard struct {
	seq   atomic.Uint64
	index atomic.Pointer[index]
	slab  slab
	_     [64]byte

	mu         sync.Mutex
	changes    int // that are being made, see begin
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

func (s *shard) init(budget int64, t *tombs) {
	chunks := int(min(max((budget-shardCost)/chunkCost, 2), maxChunks))
	s.slab.init(chunks)
	s.maxSlots = chunks * slotsPerChunk
	s.index.Store(newIndex(min(firstSlots, s.maxSlots)))
	s.tombs = t
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
	var rec [headLen + dnsname.MaxLen + 8]byte
	n := int(s.meta(r) >> metaName & 0xff)
	s.slab.read(rec[:(headLen+n+7)&^7], r)
	copy(s.nameBuf[:], rec[headLen:headLen+n])
	return dnsname.Alias(s.nameBuf[:n])
}

// buried tells whether a tombstone covers the entry.
func (s *shard) buried(r ref) bool {
	return s.tombs.list.Load() != nil && s.tombs.covers(s.name(r), s.gen(r))
}

// insert adds a record, for which there must be room, to a queue.
func (s *shard) insert(rec []byte, code byte, queue int, mark uint32) {
	s.begin()
	r := s.slab.write(rec)
	s.entries++
	x := s.index.Load()
	if s.entries > x.full() {
		x = x.grown(min(2*len(x.slots), s.maxSlots))
		s.index.Store(x)
	}
	x.insert(makeSlot(s.tag(r), code, r))
	s.end()
	s.slab.setMark(r, mark|markFirst)
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
	s.index.Load().remove(s.tag(r), r)
	s.slab.release(r)
	s.end()
	s.entries--
}
