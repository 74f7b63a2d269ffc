package cache

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// The Flush methods keep sweeps away, which would take what is to be counted,
// and wait for a snapshot that is being read, which would bring it back.

// Flush removes what speaks for a type at a name: the RRset or denial of the
// type, and an NXDomain; an alias only when CNAME is asked for. TypeNone stands
// for all types. It forgets as well what failed there or was bogus, and with
// TypeNone or TypeNS the delegation. It tells how many entries went.
func (c *Cache) Flush(name dnsname.Name, t wire.Type) int {
	c.store.sweepMu.Lock()
	defer c.store.sweepMu.Unlock()
	hash := c.hash.name(name)
	n := c.store.shard(hash).flush(uint32(hash), name, t)
	c.failures.flush(name, t)
	c.bogus.flush(name, t)
	c.ranges.flush(name, false)
	if t == wire.TypeNone || t == wire.TypeNS {
		c.DropDelegation(name)
	}
	return n
}

func (s *shard) flush(tag uint32, name dnsname.Name, t wire.Type) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	defer s.end()
	n := 0
	for _, r := range s.ofName(nil, tag, name) {
		meta := s.meta(r)
		if (t == wire.TypeNone || t == metaType(meta) || metaKindOf(meta) == NXDomain) && !s.buried(r) {
			s.remove(r, flushed)
			n++
		}
	}
	return n
}

// FlushBelow removes everything at or below a zone as Bury does, at once, and what
// the zones above it were proven not to have there. It tells how many entries went.
func (c *Cache) FlushBelow(zone dnsname.Name) int {
	c.store.sweepMu.Lock()
	defer c.store.sweepMu.Unlock()
	before := c.tombs.list.Load()
	c.tombs.add(zone)
	c.ranges.flush(zone, true)
	n := c.flushAll(func(s *shard, r ref) bool {
		name := s.name(r)
		return name.Under(zone) && !covered(before, name, s.gen(r)) && c.tombs.covers(name, s.gen(r))
	})
	for c.tombs.count() >= maxTombs && c.sweepBuried(0) { // no time: nothing but what is buried goes
	}
	return n
}

// FlushStale removes what expired, delegations included, and tells how many
// entries that could have been served went.
func (c *Cache) FlushStale(now clock.Mono) int {
	c.store.sweepMu.Lock()
	defer c.store.sweepMu.Unlock()
	for i := range c.delegations.shards {
		c.delegations.drop(i, func(e *cut) bool { return e.state(now) != stale.Fresh })
	}
	return c.flushAll(func(s *shard, r ref) bool { return s.state(r, now) == stale.Stale && !s.buried(r) })
}

// FlushNegative removes the denials of names and types, all that failed and all
// that was bogus; it tells how many entries that could have been served went.
func (c *Cache) FlushNegative(now clock.Mono) int {
	c.store.sweepMu.Lock()
	defer c.store.sweepMu.Unlock()
	c.RecoverBelow(dnsname.Root)
	c.bogus.drop(func(*bogus) bool { return true })
	c.ranges.flushAll()
	return c.flushAll(func(s *shard, r ref) bool {
		return metaKindOf(s.meta(r)) != Data && s.state(r, now) != stale.Gone && !s.buried(r)
	})
}

// flushAll removes the entries that match and tells how many they were. It
// holds a shard's lock for a few dozen entries at a time.
func (c *Cache) flushAll(match func(*shard, ref) bool) int {
	n := 0
	var refs []ref
	for i := range c.store.shards {
		s := &c.store.shards[i]
		for low := uint64(0); low < noTag; {
			s.mu.Lock()
			refs, low = s.span(low, refs[:0])
			for _, r := range refs {
				if match(s, r) {
					s.remove(r, flushed)
					n++
				}
			}
			s.mu.Unlock()
		}
	}
	return n
}
