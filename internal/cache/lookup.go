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

// want is what a lookup is after.
type want struct {
	tag  uint32
	typ  wire.Type
	now  clock.Mono
	name dnsname.Name
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
	h, at, ok := s.lookup(r, &w)
	n := c.store.stripe(r)
	if !ok {
		n.misses.Add(1)
		return Hit{}, false
	}
	old := h.State(now) == stale.Stale
	s.slab.asked(at, old)
	if old {
		n.stale.Add(1)
	} else {
		n.hits.Add(1)
	}
	return h, true
}

func (s *shard) lookup(r *Reader, w *want) (Hit, ref, bool) {
	for range attempts {
		if h, at, clean := s.find(r, w); clean {
			return h, at, at != 0
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, at, _ := s.find(r, w)
	return h, at, at != 0
}

// find walks the index without a lock. Unless clean, a writer was there and
// the result means nothing. at 0: there is no such entry.
func (s *shard) find(r *Reader, w *want) (h Hit, at ref, clean bool) {
	seq := s.seq.Load()
	if seq&1 != 0 {
		return Hit{}, 0, false
	}
	h, at, alias := s.walk(r, w, seq, false)
	if at == 0 && alias {
		h, at, _ = s.walk(r, w, seq, true)
	}
	return h, at, s.seq.Load() == seq
}

// walk looks at the slots of a tag: for the type itself, or in its absence for
// an alias or NXDomain, of which it tells whether it saw one.
func (s *shard) walk(r *Reader, w *want, seq uint64, instead bool) (h Hit, at ref, alias bool) {
	x := s.index.Load()
	other := codeOf(NoData, w.typ)
	i := x.home(w.tag)
	for range x.slots {
		v := x.at(i)
		if v == 0 {
			break
		}
		if slotTag(v) == w.tag {
			code := slotCode(v)
			special := code < codeOther
			alias = alias || special
			if special && (instead || w.typ == wire.TypeCNAME) || !instead && code == other {
				if h, ok := s.candidate(r, w, slotRef(v), seq, instead); ok {
					return h, slotRef(v), alias
				}
			}
		}
		i = x.next(i)
	}
	return Hit{}, 0, alias
}

// candidate copies an entry and tells whether it is what is wanted.
func (s *shard) candidate(r *Reader, w *want, at ref, seq uint64, instead bool) (Hit, bool) {
	c, base := s.slab.at(at)
	if c == nil {
		return Hit{}, false
	}
	n := int(atomic.LoadUint64(&c.words[base+wordLink]) >> 32)
	room := (n + 7) &^ 7
	if n < headLen || n > s.maxRecord() || room > cap(r.buf) && s.seq.Load() != seq {
		return Hit{}, false
	}
	buf := r.room(room)
	if !s.slab.read(buf, at) {
		return Hit{}, false
	}
	h, ok := decode(buf[:n])
	if !ok || string(h.name) != string(w.name) || h.State(w.now) == stale.Gone {
		return Hit{}, false
	}
	if instead {
		ok = h.Kind() == NXDomain || h.Kind() == Data && h.Type() == wire.TypeCNAME
	} else {
		ok = h.Kind() != NXDomain && h.Type() == w.typ
	}
	if !ok || s.tombs.covers(w.name, h.gen) {
		return Hit{}, false
	}
	return h, true
}
