package cache

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// maxPooled bounds the encoding buffers that are kept.
const maxPooled = 16 << 10

// Put stores a copy of e, which replaces and evicts what contradicts it at the
// same name: the entry or denial of the type, for an NXDomain everything, and
// CNAME against other types (RFC 2181 §10.1). It is false, and nothing
// changes, if something that would have to go is fresh and of higher rank (RFC
// 2181 §5.4.1), if the entry is malformed, bogus, or larger than half a shard, or
// if it is Unchecked and what would have to go was judged and is not gone; what
// was judged goes before what was not, whatever their rank. It is
// false as well if the lifetime within the bounds is zero; but what such an entry
// contradicts goes all the same, for it is not the last good answer any more. A
// denial's rank is that of an answer of its message. In any case e learns its
// times within the bounds, so that whoever waited for it tells the same TTL as
// the cache.
func (c *Cache) Put(now clock.Mono, e *Entry) bool { return c.PutSince(now, c.Generation(), e) }

// PutSince is Put for what was begun in an earlier generation, of which nothing is
// taken that was buried since.
func (c *Cache) PutSince(now clock.Mono, gen uint32, e *Entry) bool {
	st := c.date(now, e)
	st.gen = gen
	switch {
	case !storable(e):
		return false
	case st.ttl == 0 && c.tombs.covers(e.Name, gen):
		return false
	case st.ttl == 0:
		c.Supersede(now, e)
		return false
	}
	return c.keep(now, e, st)
}

// Supersede removes what an entry contradicts, unless that outranks it, and stores
// nothing.
func (c *Cache) Supersede(now clock.Mono, e *Entry) {
	hash := c.hash.name(e.Name)
	c.store.shard(hash).supersede(now, e, uint32(hash))
}

// keep stores an entry that is storable, with the times it has.
func (c *Cache) keep(now clock.Mono, e *Entry, st stamp) bool {
	hash := c.hash.name(e.Name)
	st.tag = uint32(hash)
	buf := c.store.records.Get().(*[]byte)
	*buf = encode((*buf)[:0], e, st)
	ok := c.store.shard(hash).put(now, e, st, *buf)
	if cap(*buf) <= maxPooled {
		c.store.records.Put(buf)
	}
	return ok
}

// Date gives e the times that Put would, and stores nothing.
func (c *Cache) Date(now clock.Mono, e *Entry) { c.date(now, e) }

func (c *Cache) date(now clock.Mono, e *Entry) stamp {
	negative := e.Kind != Data
	st := stamp{ttl: c.opt.lifetime(e.TTL, negative), zero: e.TTL == 0, stored: now}
	if e.Most > 0 {
		st.ttl = min(st.ttl, e.Most)
	}
	st.until = c.staleUntil(e.Name, st, negative && !proves(e.Kind, e.Type, e.Security))
	e.Stored, e.Expiry, e.StaleUntil = now, st.expiry(), st.until
	return st
}

// proves tells of a proof that a zone has no DS records. It is a link of a chain of
// trust as the records are, which holds while the parent is out of reach, and has
// their limit.
func proves(k Kind, t wire.Type, s rrset.Security) bool {
	return k == NoData && t == wire.TypeDS && s != rrset.Unchecked
}

// staleUntil is until when an entry that is stored so may be served. A TTL of
// zero that was raised still is one (RFC 8767 §4).
func (c *Cache) staleUntil(name dnsname.Name, st stamp, negative bool) clock.Mono {
	if st.zero {
		return st.expiry()
	}
	return c.opt.Stale.For(name).Until(st.stored, st.expiry(), negative)
}

// put stores a record.
func (s *shard) put(now clock.Mono, e *Entry, st stamp, rec []byte) bool {
	tag := st.tag
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(rec) > s.maxRecord() {
		s.counts.oversize++
		return false
	}
	var all [MaxTypes]ref
	if s.outranked(now, e, s.ofName(all[:0], tag, e.Name)) {
		s.counts.outranked++
		return false
	}
	if s.tombs.covers(e.Name, st.gen) {
		return false
	}
	s.settleDue(now, dueEachPut)
	s.makeRoom(cellsFor(len(rec)), now)
	// From here on readers see all of it or nothing: never a name without its
	// entry while one takes another's place.
	s.begin()
	defer s.end()
	queue, mark := s.displace(now, e, s.ofName(all[:0], tag, e.Name))
	code := codeOf(e.Kind, e.Type)
	if s.haunted(tag, code) {
		queue = mainQueue
	}
	s.insert(rec, code, queue, mark)
	s.counts.puts++
	return true
}

// supersede removes what contradicts an entry that is not stored itself.
func (s *shard) supersede(now clock.Mono, e *Entry, tag uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [MaxTypes]ref
	same := s.ofName(all[:0], tag, e.Name)
	if s.outranked(now, e, same) {
		s.counts.outranked++
		return
	}
	for _, r := range same {
		if meta := s.meta(r); contradict(e.Kind, e.Type, metaKindOf(meta), metaType(meta)) {
			s.remove(r, contradicted)
		}
	}
}

// ofName collects the entries of a name; there are no more than MaxTypes.
func (s *shard) ofName(dst []ref, tag uint32, name dnsname.Name) []ref {
	x := s.index()
	i := x.home(tag)
	for range x.slots {
		v := x.at(i)
		if v == 0 {
			break
		}
		if slotTag(v) == tag && s.name(slotRef(v)) == name {
			dst = append(dst, slotRef(v))
		}
		i = x.next(i)
	}
	return dst
}

// outranked tells whether e would have to displace something better.
func (s *shard) outranked(now clock.Mono, e *Entry, same []ref) bool {
	for _, r := range same {
		meta := s.meta(r)
		if contradict(e.Kind, e.Type, metaKindOf(meta), metaType(meta)) && s.better(now, r, e) && !s.buried(r) {
			return true
		}
	}
	return false
}

// better tells whether what stands in the cache is worth more than e. What nobody
// judged never takes the place of what somebody did, not even of one that is the
// last good answer; else what is fresh and of higher rank is.
func (s *shard) better(now clock.Mono, r ref, e *Entry) bool {
	meta := s.meta(r)
	switch mine, its := e.Security != rrset.Unchecked, metaSecurityOf(meta) != rrset.Unchecked; {
	case its && !mine:
		return s.state(r, now) != stale.Gone
	case mine && !its:
		return false
	}
	return metaRankOf(meta) > e.Rank && now < s.expiry(r)
}

// displace removes what contradicts e, and one entry more if the name has too
// many. It tells where e belongs: in the place of the one it replaces.
func (s *shard) displace(now clock.Mono, e *Entry, same []ref) (queue int, mark uint32) {
	left := len(same)
	var rest [MaxTypes]ref
	keep := rest[:0]
	for _, r := range same {
		meta := s.meta(r)
		kind, typ := metaKindOf(meta), metaType(meta)
		if !contradict(e.Kind, e.Type, kind, typ) {
			keep = append(keep, r)
			continue
		}
		why := contradicted
		switch {
		case s.buried(r):
			why = buried
		case s.state(r, now) == stale.Gone:
			why = wasGone
		}
		if typ == e.Type && why != buried {
			if kind == e.Kind && why != wasGone {
				why = replaced
			}
			queue, mark = s.standing(r)
		}
		s.remove(r, why)
		left--
	}
	if left >= MaxTypes {
		s.remove(s.oldest(now, keep), tooManyTypes)
	}
	return queue, mark
}

// standing is the queue and mark that pass on to an entry's replacement.
func (s *shard) standing(r ref) (queue int, mark uint32) {
	mark = s.slab.mark(r)
	if queueOf(s.meta(r)) == mainQueue || mark&(markFreq|markStale) != 0 {
		queue = mainQueue
	}
	return queue, mark & markFreq
}

// oldest chooses among entries of a name: one that is gone, else the one that
// was stored first.
func (s *shard) oldest(now clock.Mono, among []ref) ref {
	first := among[0]
	for _, r := range among {
		if s.state(r, now) == stale.Gone {
			return r
		}
		if s.stored(r) < s.stored(first) {
			first = r
		}
	}
	return first
}

func (s *shard) state(r ref, now clock.Mono) stale.State {
	return stale.StateOf(now, s.expiry(r), s.staleUntil(r))
}

// contradict tells whether an entry (kind a, type at) cannot stand beside
// another of the same name.
func contradict(a Kind, at wire.Type, b Kind, bt wire.Type) bool {
	switch {
	case a == NXDomain || b == NXDomain || at == bt:
		return true
	case besideAlias(at) || besideAlias(bt):
		return false
	}
	return a == Data && at == wire.TypeCNAME || b == Data && bt == wire.TypeCNAME
}

// besideAlias tells which types may stand beside a CNAME: those of RFC 2181
// §10.1 and RFC 4035 §2.5, and DS, which is the parent's word (RFC 4035 §2.4).
func besideAlias(t wire.Type) bool {
	switch t {
	case wire.TypeSIG, wire.TypeKEY, wire.TypeNXT, wire.TypeRRSIG, wire.TypeNSEC, wire.TypeDS:
		return true
	}
	return false
}
