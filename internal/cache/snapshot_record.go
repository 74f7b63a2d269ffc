package cache

import (
	"encoding/binary"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// number reads an integer of n octets, eight at most.
func (c *cursor) number(n uint64) uint64 {
	var b [8]byte
	copy(b[:], c.take(n))
	return binary.LittleEndian.Uint64(b[:])
}

// fullName reads a name behind its length, into memory of its own.
func (c *cursor) fullName() dnsname.Name { return dnsname.Name(c.take(uint64(c.byte()))) }

// putHead writes the words of a record's head that are not of its contents.
func (s stamp) putHead(rec []byte) {
	binary.LittleEndian.PutUint64(rec, uint64(s.tag)|uint64(s.staleMillis())<<32)
	binary.LittleEndian.PutUint64(rec[8:], uint64(s.gen)|uint64(s.ttl)<<32)
	binary.LittleEndian.PutUint64(rec[16:], uint64(s.stored))
}

// sound tells whether a record that decodes holds what encode could have been
// given: an entry that was cached from replies.
func sound(h *Hit) bool {
	name := h.Name()
	if cut := h.Cut(); !nameFits(name) || cut != "" && !nameFits(cut) || h.Security() >= rrset.Bogus {
		return false
	}
	switch h.Kind() {
	case Data:
		if h.Type().IsMeta() || len(h.Data()) == 0 || !soundSet(h.Type(), h.Data(), h.Sigs()) {
			return false
		}
	case NoData:
		if h.Type().IsMeta() {
			return false
		}
	case NXDomain:
		if h.Type() != wire.TypeNone {
			return false
		}
	default:
		return false
	}
	return soundProof(h)
}

// soundProof reads the proof to its end, which is that of the record.
func soundProof(h *Hit) bool {
	c := cursor{b: h.rec[h.proofAt:]}
	for range h.ProofLen() {
		name := dnsname.Alias(c.name(h.name(), c.byte()))
		t := wire.Type(c.number(2))
		_, data, sigs := c.set()
		if c.bad || !nameFits(name) || !soundSet(t, data, sigs) {
			return false
		}
	}
	if timed(h.Kind(), h.Security(), h.Type()) {
		return len(c.b) == validLen
	}
	return len(c.b) == 0
}

func soundSet(t wire.Type, data, sigs rrset.Packed) bool {
	return soundData(t, data) && soundData(wire.TypeRRSIG, sigs)
}

// soundData tells whether packed data ends where it says and has its type's shape.
func soundData(t wire.Type, p rrset.Packed) bool {
	n := 0
	for rd := range p.All() {
		if wire.CheckRdata(t, rd) != nil {
			return false
		}
		n += 2 + len(rd)
	}
	return n == len(p)
}

// nameFits tells whether a name is one that a cache keeps: in wire form and
// lower case.
func nameFits(n dnsname.Name) bool {
	if !nameOK(n) {
		return false
	}
	for i := range len(n) {
		if 'A' <= n[i] && n[i] <= 'Z' {
			return false
		}
	}
	return true
}

// outcome is what became of something that was to be restored.
type outcome uint8

const (
	restored outcome = iota
	restoreNewer
	restoreTooLarge
)

// restore stores the record of an entry, unless what is there is as new or
// better. The record is complete, its generation included; hits is what Walk
// told of the entry.
func (s *shard) restore(now clock.Mono, e *Entry, rec []byte, hits uint8) outcome {
	tag, gen := binary.LittleEndian.Uint32(rec), binary.LittleEndian.Uint32(rec[8:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(rec) > s.maxRecord() {
		return restoreTooLarge
	}
	var all [MaxTypes]ref
	same := s.ofName(all[:0], tag, e.Name)
	if s.tombs.covers(e.Name, gen) || s.asNew(e, same) || s.outranked(now, e, same) {
		return restoreNewer
	}
	s.makeRoom(cellsFor(len(rec)), now)
	s.begin()
	defer s.end()
	queue, mark := s.displace(now, e, s.ofName(all[:0], tag, e.Name))
	if hits > markFreq {
		queue = mainQueue
	}
	s.insert(rec, codeOf(e.Kind, e.Type), queue, max(mark, uint32(hits)&markFreq))
	s.counts.puts++
	return restored
}

// asNew tells whether e would have to displace something not older than it.
func (s *shard) asNew(e *Entry, same []ref) bool {
	for _, r := range same {
		meta := s.meta(r)
		if s.stored(r) >= e.Stored && contradict(e.Kind, e.Type, metaKindOf(meta), metaType(meta)) && !s.buried(r) {
			return true
		}
	}
	return false
}

// restore stores a delegation that is complete but for its place, unless one
// that was learned as late is there.
func (t *delegations) restore(now clock.Mono, e *cut) outcome {
	if e.cost > t.limit {
		return restoreTooLarge
	}
	s := t.shard(e.d.Cut)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.byCut[e.d.Cut]
	if t.tombs.covers(e.d.Cut, e.gen) || ok && old.d.Learned >= e.d.Learned && !t.tombs.covers(e.d.Cut, old.gen) {
		return restoreNewer
	}
	if ok {
		t.remove(s, old)
	}
	t.add(now, s, e)
	return restored
}
