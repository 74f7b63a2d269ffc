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

	at    ref    // the entry that was found; 0: none
	link  uint64 // of its first cell
	alias bool   // the name has a CNAME or NXDomain
}

// Lookup finds what speaks for (name, t) at a moment, fresh or stale: the data
// or denial of t, else the CNAME or NXDomain of the name. name is in lower
// case and may be an alias. A lookup takes no lock unless writers keep
// disturbing it, and allocates only to let the Reader grow to the largest
// entry it met.
func (c *Cache) Lookup(r *Reader, now clock.Mono, name dnsname.Name, t wire.Type) (h Hit, ok bool) {
	hash := c.hash.name(name)
	s := c.store.shard(hash)
	w := want{tag: uint32(hash), typ: t, now: now, name: name}
	s.lookup(r, &w, &h)
	if w.at == 0 {
		h = Hit{}
	}
	if r.Unasked {
		return h, w.at != 0
	}
	n := c.store.stripe(r)
	if w.at == 0 {
		n.misses.Add(1)
		return h, false
	}
	old := h.State(now) == stale.Stale
	h.foundAt(&s.slab, w.at, s.slab.at(w.at).asked(w.link, old), now)
	if old {
		n.stale.Add(1)
	} else {
		n.hits.Add(1)
	}
	return h, true
}

func (s *shard) lookup(r *Reader, w *want, h *Hit) {
	for range attempts {
		if s.find(r, w, h) {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(r, w, h)
}

// find walks the index without a lock. False: a writer was there and what was
// found means nothing.
func (s *shard) find(r *Reader, w *want, h *Hit) bool {
	seq := s.seq.Load()
	if seq&1 != 0 {
		return false
	}
	w.at, w.alias = 0, false
	s.walk(r, w, h, seq, false)
	if w.at == 0 && w.alias {
		s.walk(r, w, h, seq, true)
	}
	return s.seq.Load() == seq
}

// walk looks at the slots of a tag: for the type itself, or in its absence for
// an alias or NXDomain, of which it notes whether it saw one.
func (s *shard) walk(r *Reader, w *want, h *Hit, seq uint64, instead bool) {
	x := s.index()
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
				s.candidate(r, w, h, slotRef(v), seq, instead) {
				w.at = slotRef(v)
				return
			}
		}
		i = x.next(i)
	}
}

// candidate copies an entry and tells whether it is what is wanted.
func (s *shard) candidate(r *Reader, w *want, h *Hit, at ref, seq uint64, instead bool) bool {
	c := s.slab.at(at)
	if c == nil {
		return false
	}
	w.link = atomic.LoadUint64(&c[wordLink])
	n := linkLength(w.link)
	if n < headLen || n > s.maxRecord() {
		return false
	}
	room := roomFor(n)
	if room > cap(r.buf) && s.seq.Load() != seq {
		return false
	}
	buf := r.room(room)
	if !s.slab.read(buf, c) || !decode(h, buf[:n]) ||
		string(h.name()) != string(w.name) || h.State(w.now) == stale.Gone {
		return false
	}
	fits := h.Kind() != NXDomain && h.Type() == w.typ
	if instead {
		fits = h.Kind() == NXDomain || h.Kind() == Data && h.Type() == wire.TypeCNAME
	}
	return fits && !s.tombs.covers(w.name, h.gen)
}
