package cache

import (
	"sync"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// store is the first, simple form: records in a map, dropped at random when
// the budget is reached.
type store struct {
	mu     sync.RWMutex
	budget int64
	used   int64
	tombs  *tombs
	names  map[dnsname.Name][][]byte
}

func (s *store) init(budget int64, t *tombs) {
	s.budget, s.tombs, s.names = budget, t, map[dnsname.Name][][]byte{}
}

// Put stores e.
func (c *Cache) Put(now clock.Mono, e *Entry) bool {
	if !storable(e) {
		return false
	}
	ttl := c.opt.lifetime(e.TTL, e.Kind != Data)
	if ttl == 0 {
		return false
	}
	st := stamp{gen: c.tombs.gen.Load(), ttl: ttl, stored: now}
	st.until = c.opt.Stale.Until(now, st.expiry(), e.Kind != Data)
	rec := encode(nil, e, st)
	s := &c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	var keep [][]byte
	for _, r := range s.names[e.Name] {
		h, _ := decode(r)
		if contradicts(e.Kind, e.Type, h.Kind(), h.Type()) {
			if now < h.expiry && h.Rank() > e.Rank && !s.tombs.covers(e.Name, h.gen) {
				return false
			}
			continue
		}
		keep = append(keep, r)
	}
	s.names[cloneName(e.Name)] = append(keep, rec)
	s.used += int64(len(rec)) + 200
	for n := range s.names {
		if s.used <= s.budget {
			break
		}
		for _, r := range s.names[n] {
			s.used -= int64(len(r)) + 200
		}
		delete(s.names, n)
	}
	return true
}

// contradicts tells whether an entry cannot stand beside a newer one of the
// same name.
func contradicts(nk Kind, nt wire.Type, ok Kind, ot wire.Type) bool {
	switch {
	case nk == NXDomain || ok == NXDomain || nt == ot:
		return true
	case besideAlias(nt) || besideAlias(ot):
		return false
	}
	return nk == Data && nt == wire.TypeCNAME || ok == Data && ot == wire.TypeCNAME
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

// Reader is the scratch memory of one goroutine that looks things up.
type Reader struct{ _ [8]byte }

// Lookup finds what speaks for (name, t).
func (c *Cache) Lookup(_ *Reader, now clock.Mono, name dnsname.Name, t wire.Type) (Hit, bool) {
	s := &c.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found Hit
	ok := false
	for _, r := range s.names[name] {
		h, _ := decode(r)
		if stale.StateOf(now, h.expiry, h.until) == stale.Gone || s.tombs.covers(name, h.gen) {
			continue
		}
		if h.Type() == t && h.Kind() != NXDomain {
			return h, true
		}
		if h.Kind() == NXDomain || h.Kind() == Data && h.Type() == wire.TypeCNAME {
			found, ok = h, true
		}
	}
	return found, ok
}

// Bury removes everything at or below a zone, at once for those who look.
func (c *Cache) Bury(_ clock.Mono, zone dnsname.Name) { c.tombs.add(zone) }

// Sweep frees what is gone, a bounded piece at a time, and tells whether more
// waits.
func (c *Cache) Sweep(now clock.Mono) bool { c.failures.sweep(now); return false }

// Stats are counts of a cache.
type Stats struct {
	Size, Bytes, Entries, Delegations, Failures, Tombstones int64
	Hits, Misses                                            uint64
}

// Stats counts.
func (c *Cache) Stats() Stats {
	return Stats{Size: c.opt.Size, Delegations: c.delegations.count.Load(), Failures: c.failures.count.Load(), Tombstones: int64(c.tombs.count())}
}
