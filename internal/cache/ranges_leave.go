package cache

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// How ranges leave. The lock is held by the callers of those that say nothing of it.

// remove takes a range out.
func (x *ranges) remove(r *Range) {
	z := r.zone
	switch r.Set.Type {
	case wire.TypeSOA:
		z.soa = nil
	case wire.TypeNSEC:
		z.plain.remove(r)
	default:
		z.hashed.remove(r)
	}
	if z.count--; z.count == 0 {
		delete(x.zones, z.name)
	}
	last := x.ring[len(x.ring)-1]
	x.ring[r.at], last.at = last, r.at
	x.ring[len(x.ring)-1] = nil
	x.ring = x.ring[:len(x.ring)-1]
	x.bytes.Add(-r.cost)
	x.count.Add(-1)
}

// empty removes a whole chain.
func (x *ranges) empty(t *rangeTree) {
	for t.root != nil {
		x.remove(t.root)
	}
}

// evict removes one range, of which there must be some.
func (x *ranges) evict(now clock.Mono) {
	for {
		x.hand++
		r := x.ring[x.hand%len(x.ring)]
		if now >= r.Expiry || !r.used.Load() {
			if now < r.Expiry {
				x.evicts.Add(1)
			}
			x.remove(r)
			return
		}
		r.used.Store(false)
	}
}

// sweptRanges bounds the ranges that one sweep looks at.
const sweptRanges = 1024

// sweep removes, of the next so many, those that expired or are buried.
func (x *ranges) sweep(now clock.Mono) {
	if x.count.Load() == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for range min(sweptRanges, len(x.ring)) {
		if len(x.ring) == 0 {
			return
		}
		x.broom = (x.broom + 1) % len(x.ring)
		if r := x.ring[x.broom]; now >= r.Expiry || x.tombs.covers(r.Set.Name, r.gen) {
			x.remove(r)
		}
	}
}

// dropBuried removes all that stands beneath a tombstone, which is to retire.
func (x *ranges) dropBuried() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := len(x.ring) - 1; i >= 0; i-- {
		if r := x.ring[i]; x.tombs.covers(r.Set.Name, r.gen) {
			x.remove(r)
		}
	}
}

// flushAll removes everything.
func (x *ranges) flushAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.ring) > 0 {
		x.remove(x.ring[len(x.ring)-1])
	}
}

// flush removes what speaks for a name, and with below for all names beneath it too,
// so that they are asked for: what stands there, and what denies them from above.
// Whom hashed records speak for is not told here: they all go, of the zones that the
// name is in.
func (x *ranges) flush(name dnsname.Name, below bool) {
	if x.count.Load() == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	key := orderKey(nil, name)
	for i := len(x.ring) - 1; below && i >= 0; i-- {
		if r := x.ring[i]; r.Set.Name.Under(name) {
			x.remove(r) // what takes its place was looked at
		}
	}
	for up := name; ; up = up.Parent() {
		if z := x.zones[up]; z != nil {
			if r := z.plain.floor(key); r != nil && (r.key == string(key) || r.covers(key)) {
				x.remove(r)
			}
			x.empty(&z.hashed)
		}
		if up.IsRoot() {
			return
		}
	}
}
