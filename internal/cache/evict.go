package cache

import (
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/stale"
)

// Who has to go when room is needed, in this order:
//
//  1. entries that are gone, which the wheel knows of;
//  2. entries that expired and that nobody asked for since, longest first;
//  3. by recency and frequency, whatever the freshness. Entries begin in the
//     probation queue and leave it at its end: forgotten, or to the main queue
//     if they were asked for. The main queue goes round; an entry there is
//     forgotten when it comes by as often as it was asked for and once more.
//
// The main queue has at most nine tenths of the memory, and takes from nobody
// but itself what it has more. Thus entries that came once displace only each
// other, however many come. A name that was just forgotten from probation and
// comes again is remembered as a ghost and goes to the main queue.
//
// An entry that was asked for while it was fresh has as long as it lived (five
// minutes at least, an hour at most) to be asked for again before it falls
// under the second rule: the names that everybody wants must not be the first
// victims in the moment they expire.
const (
	probation = iota
	mainQueue
	expired
	queueCount
)

const (
	graceMin = 5 * time.Minute
	graceMax = time.Hour
)

// Bounds of the work of one call.
const (
	dueEachPut = 16   // entries whose time has come, looked at for every Put
	dueForRoom = 512  // the same before a living entry is evicted
	mainSpared = 1024 // entries of the main queue spared before one is evicted all the same
)

// reason says why an entry left.
type reason uint8

const (
	replaced reason = iota
	contradicted
	wasGone
	unasked
	recency
	tooManyTypes
	buried
	flushed
	reasonCount
)

// queue is a list through the entries' first cells, the oldest at the head.
type queue struct {
	head, tail ref
	cells      int
}

// In the upper bits of meta: the queue (2 bits), the wheel's list (10), and
// whether the entry is counted among those that expired (1).
const (
	metaQueue   = metaLists
	metaWheel   = metaLists + 2
	metaExpired = metaLists + 12
)

func links(prev, next ref) uint64         { return uint64(prev) | uint64(next)<<32 }
func unpack(v uint64) (prev, next ref)    { return ref(uint32(v)), ref(v >> 32) }
func queueOf(meta uint64) int             { return int(meta >> metaQueue & 3) }
func wheelList(meta uint64) int           { return int(meta >> metaWheel & 1023) }
func withQueue(meta uint64, q int) uint64 { return meta&^(3<<metaQueue) | uint64(q)<<metaQueue }
func withWheel(meta uint64, l int) uint64 { return meta&^(1023<<metaWheel) | uint64(l)<<metaWheel }
func (s *shard) setPrev(r ref, w int, p ref) {
	_, n := unpack(s.slab.get(r, w))
	s.slab.set(r, w, links(p, n))
}
func (s *shard) setNext(r ref, w int, n ref) {
	p, _ := unpack(s.slab.get(r, w))
	s.slab.set(r, w, links(p, n))
}

// push puts an entry that is in no queue at a queue's tail.
func (s *shard) push(r ref, to int) {
	q := &s.queues[to]
	s.slab.set(r, wordQueue, links(q.tail, 0))
	s.slab.set(r, wordMeta, withQueue(s.meta(r), to))
	if q.tail == 0 {
		q.head = r
	} else {
		s.setNext(q.tail, wordQueue, r)
	}
	q.tail = r
	q.cells += cellsFor(s.slab.length(r))
}

// unlink takes an entry out of its queue.
func (s *shard) unlink(r ref) {
	q := &s.queues[queueOf(s.meta(r))]
	prev, next := unpack(s.slab.get(r, wordQueue))
	if prev == 0 {
		q.head = next
	} else {
		s.setNext(prev, wordQueue, next)
	}
	if next == 0 {
		q.tail = prev
	} else {
		s.setPrev(next, wordQueue, prev)
	}
	q.cells -= cellsFor(s.slab.length(r))
}

func (s *shard) move(r ref, to int) {
	s.unlink(r)
	s.push(r, to)
}

// arm puts an entry that is in no list of the wheel into the one of a moment.
func (s *shard) arm(r ref, at clock.Mono) {
	list := s.wheel.place(at)
	head := s.wheel.heads[list]
	s.slab.set(r, wordWheel, links(0, head))
	s.slab.set(r, wordMeta, withWheel(s.meta(r), list))
	if head != 0 {
		s.setPrev(head, wordWheel, r)
	}
	s.wheel.heads[list] = r
	s.wheel.used[list>>6] |= 1 << (list & 63)
}

// disarm takes an entry out of its list of the wheel.
func (s *shard) disarm(r ref) {
	list := wheelList(s.meta(r))
	prev, next := unpack(s.slab.get(r, wordWheel))
	if next != 0 {
		s.setPrev(next, wordWheel, prev)
	}
	if prev != 0 {
		s.setNext(prev, wordWheel, next)
		return
	}
	s.wheel.heads[list] = next
	if next == 0 {
		s.wheel.used[list>>6] &^= 1 << (list & 63)
	}
}

// settleDue looks at up to n entries whose time has come, and tells how many
// there were.
func (s *shard) settleDue(now clock.Mono, n int) int {
	for i := range n {
		list, ok := s.wheel.next(now)
		if !ok {
			return i
		}
		s.settle(s.wheel.heads[list], now)
	}
	return n
}

// settle removes an entry that is gone, and gives one that expired its rank.
func (s *shard) settle(r ref, now clock.Mono) {
	expiry, until := s.expiry(r), s.staleUntil(r)
	at := expiry
	switch stale.StateOf(now, expiry, until) {
	case stale.Gone:
		s.remove(r, wasGone)
		return
	case stale.Stale:
		s.countExpired(r)
		at = s.settleExpired(r, now, until)
	}
	s.disarm(r)
	s.arm(r, at)
}

// countExpired counts an entry among those that expired, once.
func (s *shard) countExpired(r ref) {
	if meta := s.meta(r); meta>>metaExpired&1 == 0 {
		s.slab.set(r, wordMeta, meta|1<<metaExpired)
		s.staleCount++
	}
}

// settleExpired gives an expired entry its queue and tells when to look again.
func (s *shard) settleExpired(r ref, now, until clock.Mono) clock.Mono {
	mark, q := s.slab.mark(r), queueOf(s.meta(r))
	switch grace := s.expiry(r).Add(min(max(s.lifetime(r), graceMin), graceMax)); {
	case mark&markStale != 0:
		if q == expired {
			s.move(r, mainQueue)
		}
	case now < grace && (q == mainQueue || mark&markFreq != 0):
		return min(grace, until)
	case q != expired:
		s.move(r, expired)
	}
	return until
}

// makeRoom evicts until there are cells and a slot for one entry more. It comes before
// begin, so that readers wait for none of it.
func (s *shard) makeRoom(cells int, now clock.Mono) {
	work := dueForRoom
	for s.slab.available() < cells || s.entries >= s.maxSlots*loadNum/loadDen {
		if work > 0 && s.settleDue(now, 1) > 0 {
			work--
			continue
		}
		s.evictOne()
	}
	s.grow()
	s.slab.prepare(cells)
}

// evictOne removes the entry that ranks last. There must be one. Each entry is
// spared once at most by probation and by the expired, which it leaves.
func (s *shard) evictOne() {
	for rounds := 0; ; {
		q := s.lastQueue()
		r := s.queues[q].head
		if q == mainQueue {
			rounds++
		}
		if rounds > mainSpared || !s.spared(r, q) {
			s.evict(r, q)
			return
		}
	}
}

// lastQueue is the queue that has to give.
func (s *shard) lastQueue() int {
	switch main := &s.queues[mainQueue]; {
	case s.queues[expired].head != 0:
		return expired
	case s.queues[probation].head == 0, main.cells > s.slab.capacity()*9/10:
		return mainQueue
	}
	return probation
}

// spared moves the head of a queue to where it belongs if it was asked for.
func (s *shard) spared(r ref, q int) bool {
	mark := s.slab.mark(r)
	freq := mark & markFreq
	switch {
	case q == expired && mark&markStale == 0, q != expired && freq == 0:
		return false
	case q == mainQueue:
		s.slab.spend(r, 1)
	default:
		s.slab.spend(r, markFreq)
	}
	s.move(r, mainQueue)
	return true
}

func (s *shard) evict(r ref, q int) {
	switch q {
	case expired:
		s.remove(r, unasked)
	case probation:
		meta := s.meta(r)
		s.haunt(s.tag(r), codeOf(metaKindOf(meta), metaType(meta)))
		s.remove(r, recency)
	default:
		s.remove(r, recency)
	}
}

// Ghosts: what was forgotten from probation, one word a name and type. They
// live in sets of a few, in which the newest displaces the oldest.

const ghostWays = 8

func ghostOf(tag uint32, code byte) uint32 { return (tag ^ uint32(code)<<16) | 1 }

func (s *shard) ghostSet(g uint32) []uint32 {
	at := int(uint64(g*0x9e3779b1)*uint64(len(s.ghosts)/ghostWays)>>32) * ghostWays
	return s.ghosts[at : at+ghostWays]
}

func (s *shard) haunt(tag uint32, code byte) {
	if s.ghosts == nil {
		s.ghosts = s.slab.from.ghosts(max(1, s.maxSlots/2/(2*ghostWays)) * 2 * ghostWays)
	}
	g := ghostOf(tag, code)
	set := s.ghostSet(g)
	copy(set[1:], set)
	set[0] = g
}

// haunted tells whether the name and type were forgotten a while ago, once.
func (s *shard) haunted(tag uint32, code byte) bool {
	if s.ghosts == nil {
		return false
	}
	g := ghostOf(tag, code)
	set := s.ghostSet(g)
	i := slices.Index(set, g)
	if i < 0 {
		return false
	}
	set[i] = 0
	return true
}
