package cache

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
)

// RangeZone is what the cache has of a zone's ranges at a moment: what it gives is
// fresh, and stands at or below no tombstone.
type RangeZone struct {
	x   *ranges
	z   *rangeZone
	now clock.Mono
}

// Ranges finds the deepest zone at or above a name of which there are ranges.
func (c *Cache) Ranges(now clock.Mono, name dnsname.Name) (RangeZone, bool) {
	x := &c.ranges
	if x.count.Load() == 0 {
		return RangeZone{}, false
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	for {
		if z := x.zones[name]; z != nil {
			return RangeZone{x, z, now}, true
		}
		if len(name) <= 1 {
			return RangeZone{}, false
		}
		name = name.Parent()
	}
}

// Name is the zone's.
func (z RangeZone) Name() dnsname.Name { return z.z.name }

// SOA is the zone's SOA record; nil: there is none that is fresh.
func (z RangeZone) SOA() *Range {
	z.x.mu.RLock()
	defer z.x.mu.RUnlock()
	return z.usable(z.z.soa)
}

// NSEC is the record that has a name for its owner, or else covers it; nil: none.
func (z RangeZone) NSEC(name dnsname.Name) *Range {
	var buf [2 * dnsname.MaxLen]byte
	return z.find(&z.z.plain, orderKey(buf[:0], name))
}

// NSEC3 is the record that is of a hash, or else covers it; nil: none.
func (z RangeZone) NSEC3(hash []byte) *Range { return z.find(&z.z.hashed, hash) }

// AnyNSEC3 is some NSEC3 record, fresh or not, for the parameters that all have; nil:
// there is none.
func (z RangeZone) AnyNSEC3() *Range {
	z.x.mu.RLock()
	defer z.x.mu.RUnlock()
	return z.z.hashed.root
}

func (z RangeZone) find(t *rangeTree, key []byte) *Range {
	z.x.mu.RLock()
	defer z.x.mu.RUnlock()
	r := t.floor(key)
	if r == nil {
		r = t.last()
	}
	if r == nil || r.key != string(key) && !r.covers(key) {
		return nil
	}
	return z.usable(r)
}

// usable gives a range that is fresh, of which it notes that it was of use.
func (z RangeZone) usable(r *Range) *Range {
	if r == nil || z.now >= r.Expiry || z.x.tombs.covers(r.Set.Name, r.gen) {
		return nil
	}
	if !r.used.Load() {
		r.used.Store(true)
	}
	return r
}

// Standing tells of what shows that a name exists, data of it and denials of some of
// its types: when the last of that was stored, and whether any is fresh, or all past
// their TTL; Gone: there is nothing.
func (c *Cache) Standing(now clock.Mono, name dnsname.Name) (stored clock.Mono, state stale.State) {
	state = stale.Gone
	tag := c.hash.name(name)
	s := c.store.shard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [MaxTypes]ref
	for _, r := range s.ofName(all[:0], uint32(tag), name) {
		its := s.state(r, now)
		if metaKindOf(s.meta(r)) == NXDomain || its == stale.Gone || s.buried(r) {
			continue
		}
		if state == stale.Gone || s.stored(r) > stored {
			stored = s.stored(r)
		}
		if state != stale.Fresh {
			state = its
		}
	}
	return stored, state
}
