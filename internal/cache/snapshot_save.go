package cache

import (
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/stale"
)

// Entries that were asked for so much, as Walk tells, come first in a snapshot, up to so many:
// whoever asks after a restart asks for them first, and in a smaller cache they
// are the ones to be kept.
const (
	hotHits = 2
	hotMost = 1 << 18
)

// WriteSnapshot writes what may be served now or later, the entries asked for
// most first, and tells how many entries there were. wall is the time of day
// at now; moments are written as times of day.
//
// Memory is bounded by two blocks and a table of 4 MiB. The cache goes on being
// used as during a Walk; what is stored meanwhile may or may not be in the
// snapshot.
func (c *Cache) WriteSnapshot(w io.Writer, now clock.Mono, wall time.Time, h SnapshotHeader) (int, error) {
	if len(h.Memory) > maxMemory {
		h.Memory = nil // what counts is the entries
	}
	s := &saver{c: c, now: now, wall: wall.UnixNano(), out: newSnapshotWriter(w), rests: rests{rest: h.Rest}}
	s.header(h)
	delegations := s.delegations()
	entries := s.entries()
	s.out.next(blockEnd)
	s.out.moment(int64(delegations))
	s.out.moment(int64(entries))
	s.out.flush()
	return entries, s.out.err
}

// saver writes one snapshot.
type saver struct {
	c    *Cache
	now  clock.Mono
	wall int64 // Unix nanoseconds at now
	out  *snapshotWriter
	rests
}

// timeOf is the time of day of a moment.
func (s *saver) timeOf(m clock.Mono) int64 { return s.wall - int64(s.now.Sub(m)) }

func (s *saver) header(h SnapshotHeader) {
	o := s.out
	o.next(blockHeader)
	o.moment(s.wall)
	o.uvarint(uint64(len(h.Zones)))
	for _, zone := range slices.Sorted(maps.Keys(h.Zones)) {
		o.name(zone)
		sum := h.Zones[zone]
		o.buf = append(o.buf, sum[:]...)
	}
	for part := range slices.Chunk(h.Memory, blockUsual) {
		o.next(blockMemory)
		o.buf = append(o.buf, part...)
	}
}

// entries writes all entries, those that are hot in a first walk, and tells how
// many.
func (s *saver) entries() int {
	count := 0
	hot := newKeySet(min(int(s.c.Stats().Entries), hotMost))
	each := func(least uint8, want func(h *Hit) bool) {
		s.c.walk(&walk{least: least, rests: s.rests}, func(h *Hit, hits uint8) bool {
			if h.State(s.now) != stale.Gone && len(h.rec) <= recordMost && !s.c.tombs.covers(h.Name(), h.gen) && want(h) {
				s.out.entry(h, hits, s.timeOf(h.Stored()))
				count++
			}
			return s.out.err == nil
		})
	}
	key := func(h *Hit) uint64 { return s.c.hash.name(h.Name()) ^ uint64(h.Type())<<8 ^ uint64(h.Kind()) | 1 }
	each(hotHits, func(h *Hit) bool { return hot.add(key(h)) })
	each(0, func(h *Hit) bool { return !hot.has(key(h)) })
	return count
}

// entry is: lifetime in seconds (32 bits), moment of storing (64), meta of the
// record (48), hits (16), length of its payload (uvarint), payload.
func (s *snapshotWriter) entry(h *Hit, hits uint8, stored int64) {
	s.next(blockEntries)
	s.buf = binary.LittleEndian.AppendUint32(s.buf, h.ttl)
	s.moment(stored)
	s.buf = binary.LittleEndian.AppendUint64(s.buf, h.meta&(1<<metaLists-1)|uint64(hits)<<metaLists)
	payload := h.rec[headLen:]
	s.uvarint(uint64(len(payload)))
	s.buf = append(s.buf, payload...)
}

// delegations writes what is known of cuts and tells how many there are.
func (s *saver) delegations() int {
	count := 0
	t := &s.c.delegations
	for i := range t.shards {
		for _, d := range t.held(i) {
			if until := s.c.opt.Stale.For(d.Cut).Until(d.Learned, d.Expiry, false); stale.StateOf(s.now, d.Expiry, until) != stale.Gone {
				s.out.delegation(d, s.timeOf(d.Learned))
				count++
			}
		}
	}
	return count
}

// held copies the list of a shard's delegations, without those that are buried.
func (t *delegations) held(shard int) []*Delegation {
	s := &t.shards[shard]
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*Delegation, 0, len(s.ring))
	for _, e := range s.ring {
		if !t.tombs.covers(e.d.Cut, e.gen) {
			list = append(list, e.d)
		}
	}
	return list
}

// delegation is: cut, parent, TTL (32 bits), moment of learning, lifetime in
// nanoseconds, number of servers (uvarint), of each its name, number of
// addresses (uvarint) and of each its length (8 bits) and octets.
func (s *snapshotWriter) delegation(d *Delegation, learned int64) {
	s.next(blockDelegations)
	s.name(d.Cut)
	s.name(d.Parent)
	s.buf = binary.LittleEndian.AppendUint32(s.buf, d.TTL)
	s.moment(learned)
	s.moment(int64(d.Expiry.Sub(d.Learned)))
	s.uvarint(uint64(len(d.Servers)))
	for i := range d.Servers {
		ns := &d.Servers[i]
		s.name(ns.Name)
		s.uvarint(uint64(len(ns.Addrs)))
		for _, addr := range ns.Addrs {
			b := addr.AsSlice()
			s.buf = append(append(s.buf, byte(len(b))), b...)
		}
	}
}

// keySet is a set of a fixed number of keys other than 0.
type keySet struct {
	slots []uint64
	room  int
}

func newKeySet(room int) *keySet {
	n := 16
	for n < 2*room {
		n *= 2
	}
	return &keySet{slots: make([]uint64, n), room: room}
}

// add takes a key in; false if it is there or there is no room.
func (k *keySet) add(key uint64) bool {
	i := k.find(key)
	if k.slots[i] == key || k.room == 0 {
		return false
	}
	k.slots[i] = key
	k.room--
	return true
}

func (k *keySet) has(key uint64) bool { return k.slots[k.find(key)] == key }

// find is where the key is or would go; at least half of the slots are free.
func (k *keySet) find(key uint64) int {
	mask := uint64(len(k.slots) - 1)
	i := key >> 17 & mask
	for k.slots[i] != 0 && k.slots[i] != key {
		i = (i + 1) & mask
	}
	return int(i)
}
