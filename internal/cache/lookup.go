package cache

import (
	"sync/atomic"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// Bounds of a Reader's memory: what it begins with, and what it keeps. An
// entry that is larger than that has memory of its own for one Hit.
const (
	readerStart = 512
	readerKeep  = 64<<10 + 4<<10
)

// attempts bounds how often a lookup that writers disturb begins anew before
// it waits for their lock.
const attempts = 24

// Reader is the scratch memory of one goroutine that looks things up: the Hit
// of its last Lookup aliases it. Its zero value is ready.
type Reader struct {
	// Alias is for the caller: a place for the name that a Hit leads to, which
	// the next Lookup is to find.
	Alias [dnsname.MaxLen]byte

	// Unasked makes lookups leave no trace: they neither count as asking for what
	// they find, nor in the statistics, and nothing they find is due.
	Unasked bool

	buf    []byte
	stripe uint32 // of the counters, with stripeCount added so that 0 is none
}

// room gives n octets of scratch.
func (r *Reader) room(n int) []byte {
	if n <= cap(r.buf) {
		return r.buf[:n]
	}
	if n > readerKeep {
		return make([]byte, n)
	}
	r.buf = make([]byte, max(n, readerStart, min(2*cap(r.buf), readerKeep)))
	return r.buf[:n]
}

// want is what a lookup is after, and what it found.
type want struct {
	tag  uint32
	typ  wire.Type
	now  clock.Mono
	name dnsname.Name

	hit   Hit
	found ref // 0: nothing
	alias bool
}

// Lookup finds what speaks for (name, t) at a moment, fresh or stale: the data
// or denial of t, else the CNAME or NXDomain of the name. name is in lower
// case and may be an alias. A lookup takes no lock unless writers keep
// disturbing it, and allocates only to let the Reader grow to the largest
// entry it met.
func (c *Cache) Lookup(r *Reader, now clock.Mono, name dnsname.Name, t wire.Type) (Hit, bool) {
	hash := c.hash.name(name)
	s := c.store.shard(hash)
	w := want{tag: uint32(hash), typ: t, now: now, name: name}
	s.lookup(r, &w)
	if w.found == 0 {
		w.hit = Hit{}
	}
	if r.Unasked {
		return w.hit, w.found != 0
	}
	n := c.store.stripe(r)
	if w.found == 0 {
		n.misses.Add(1)
		return w.hit, false
	}
	old := w.hit.State(now) == stale.Stale
	w.hit.foundAt(&s.slab, w.found, s.slab.asked(w.found, old), now)
	if old {
		n.stale.Add(1)
	} else {
		n.hits.Add(1)
	}
	return w.hit, true
}

func (s *shard) lookup(r *Reader, w *want) {
	for range attempts {
		if s.find(r, w) {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(r, w)
}

// find walks the index without a lock. False: a writer was there and what was
// found means nothing.
func (s *shard) find(r *Reader, w *want) bool {
	seq := s.seq.Load()
	if seq&1 != 0 {
		return false
	}
	w.found, w.alias = 0, false
	s.walk(r, w, seq, false)
	if w.found == 0 && w.alias {
		s.walk(r, w, seq, true)
	}
	return s.seq.Load() == seq
}

// walk looks at the slots of a tag: for the type itself, or in its absence for
// an alias or NXDomain, of which it notes whether it saw one.
func (s *shard) walk(r *Reader, w *want, seq uint64, instead bool) {
	x := s.index.Load()
	other := codeOf(NoData, w.typ)
	i := x.home(w.tag)
	for range x.slots {
		v := x.at(i)
		if v == 0 {
			return
		}
		if slotTag(v) == w.tag {
			code := slotCode(v)
			special := code < codeOther
			w.alias = w.alias || special
			if (special && (instead || w.typ == wire.TypeCNAME) || !instead && code == other) &&
				s.candidate(r, w, slotRef(v), seq, instead) {
				w.found = slotRef(v)
				return
			}
		}
		i = x.next(i)
	}
}

// candidate copies an entry and tells whether it is what is wanted.
func (s *shard) candidate(r *Reader, w *want, at ref, seq uint64, instead bool) bool {
	c, base := s.slab.at(at)
	if c == nil {
		return false
	}
	n := int(atomic.LoadUint64(&c.words[base+wordLink]) >> 32)
	room := (n + 7) &^ 7
	if n < headLen || n > s.maxRecord() || room > cap(r.buf) && s.seq.Load() != seq {
		return false
	}
	buf := r.room(room)
	h := &w.hit
	if !s.slab.read(buf, at) || !decode(h, buf[:n]) ||
		string(h.name()) != string(w.name) || h.State(w.now) == stale.Gone {
		return false
	}
	fits := h.Kind() != NXDomain && h.Type() == w.typ
	if instead {
		fits = h.Kind() == NXDomain || h.Kind() == Data && h.Type() == wire.TypeCNAME
	}
	return fits && !s.tombs.covers(w.name, h.gen)
}
