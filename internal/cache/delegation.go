package cache

import (
	"sync"
	"sync/atomic"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
)

// Bounds of the number of shards, and how much each should have at least.
const (
	delegationShards    = 32
	delegationShardSize = 64 << 10
)

// delegations is the table of cuts, bounded by an estimate of its memory. Its
// values are immutable; reading takes a shared lock of one shard for each
// label of the name.
type delegations struct {
	hash   hasher
	limit  int64 // bytes, of a shard
	tombs  *tombs
	count  atomic.Int64
	bytes  atomic.Int64
	evicts atomic.Uint64
	shards []delegationShard
}

type delegationShard struct {
	mu    sync.RWMutex
	byCut map[dnsname.Name]*cut
	ring  []*cut // the same, in the order in which eviction comes by
	hand  int
	bytes int64
	idle  []*cut     // who goes first, from the end; see draw
	drawn clock.Mono // when idle is drawn up anew
	_     [64]byte
}

// cut is a delegation with what the table knows of it.
type cut struct {
	d      *Delegation
	until  clock.Mono // when it is gone, as package stale set it
	labels int
	gen    uint32
	at     int // in the ring
	cost   int64
	asked  atomic.Uint32 // how often, up to maxAsked; a count lost in a race does no harm
}

func (t *delegations) init(budget int64, h hasher, tb *tombs) {
	t.shards = make([]delegationShard, min(max(budget/delegationShardSize, 1), delegationShards))
	t.limit, t.hash, t.tombs = budget/int64(len(t.shards)), h, tb
	for i := range t.shards {
		t.shards[i].byCut = map[dnsname.Name]*cut{}
	}
}

func (t *delegations) shard(name dnsname.Name) *delegationShard {
	return &t.shards[t.hash.name(name)>>32%uint64(len(t.shards))]
}

// PutDelegation stores what a referral taught and replaces what was known of
// the cut, lapsed or not. Its lifetime is TTL within the cache's bounds; with
// TTL 0 and an Expiry ahead, that Expiry. It stays beyond that, as long as
// package stale says for the cut: lapsed, see Lapsed. The servers must not be
// changed afterwards.
func (c *Cache) PutDelegation(now clock.Mono, d *Delegation) {
	c.PutDelegationSince(now, c.Generation(), d)
}

// PutDelegationSince is PutDelegation for what was begun in an earlier generation:
// nothing changes if the cut was buried since.
func (c *Cache) PutDelegationSince(now clock.Mono, gen uint32, d *Delegation) {
	nd := *d
	if nd.TTL != 0 || nd.Expiry <= now {
		nd.TTL = c.opt.lifetime(nd.TTL, false)
		nd.Learned, nd.Expiry = now, now.Add(seconds(nd.TTL))
	}
	if nd.Expiry > now {
		c.keepDelegation(now, gen, &nd)
	}
}

// keepDelegation stores a delegation, which it makes its own, with the times
// that it has: unless it is gone.
func (c *Cache) keepDelegation(now clock.Mono, gen uint32, nd *Delegation) {
	if !nameOK(nd.Cut) {
		return
	}
	nd.Cut = cloneName(nd.Cut)
	t := &c.delegations
	e := &cut{
		d: nd, until: c.opt.Stale.For(nd.Cut).Until(nd.Learned, nd.Expiry, false),
		labels: nd.Cut.Labels(), gen: gen, cost: delegationCost(nd),
	}
	if e.state(now) == stale.Gone {
		return
	}
	if e.cost > t.limit {
		t.evicts.Add(1)
		return
	}
	s := t.shard(nd.Cut)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.tombs.covers(nd.Cut, gen) {
		return
	}
	if old, ok := s.byCut[nd.Cut]; ok {
		e.asked.Store(old.asked.Load())
		t.remove(s, old)
	}
	t.add(now, s, e)
}

// add makes room for a delegation and takes it in. Its cut must not be there.
func (t *delegations) add(now clock.Mono, s *delegationShard, e *cut) {
	for s.bytes+e.cost > t.limit {
		t.remove(s, s.victim(now))
		t.evicts.Add(1)
	}
	e.at = len(s.ring)
	s.ring = append(s.ring, e)
	s.byCut[e.d.Cut] = e
	s.bytes += e.cost
	t.bytes.Add(e.cost)
	t.count.Add(1)
}

func (e *cut) state(now clock.Mono) stale.State { return stale.StateOf(now, e.d.Expiry, e.until) }

// delegationCost estimates the memory of a delegation in bytes.
func delegationCost(d *Delegation) int64 {
	n := 336 + 2*len(d.Cut) + len(d.Parent)
	for i := range d.Servers {
		n += 64 + len(d.Servers[i].Name) + 32*cap(d.Servers[i].Addrs)
	}
	return int64(n)
}

// remove takes a delegation out; the last of the ring moves to its place.
func (t *delegations) remove(s *delegationShard, e *cut) {
	last := s.ring[len(s.ring)-1]
	s.ring[e.at], last.at = last, e.at
	s.ring[len(s.ring)-1] = nil
	s.ring = s.ring[:len(s.ring)-1]
	delete(s.byCut, e.d.Cut)
	s.bytes -= e.cost
	t.bytes.Add(-e.cost)
	t.count.Add(-1)
}

// Closest is the deepest delegation at or above a name that has not expired.
// Its result is shared and must not be changed.
func (c *Cache) Closest(now clock.Mono, name dnsname.Name) (*Delegation, bool) {
	return c.delegations.deepest(now, name, stale.Fresh)
}

// Lapsed is the deepest delegation at or above a name that expired, but may
// still be used while its parent gives no word (docs/architecture.md, invariant
// 7). It tells nothing of one that is fresh, which may lie deeper: see Closest.
// Its result is shared and must not be changed.
func (c *Cache) Lapsed(now clock.Mono, name dnsname.Name) (*Delegation, bool) {
	return c.delegations.deepest(now, name, stale.Stale)
}

// Delegation is the one of exactly this cut, fresh or lapsed. Its result is
// shared and must not be changed.
func (c *Cache) Delegation(now clock.Mono, name dnsname.Name) (*Delegation, bool) {
	if d, ok := c.delegations.get(now, name, stale.Fresh); ok {
		return d, true
	}
	return c.delegations.get(now, name, stale.Stale)
}

func (t *delegations) deepest(now clock.Mono, name dnsname.Name, want stale.State) (*Delegation, bool) {
	for {
		if d, ok := t.get(now, name, want); ok {
			return d, true
		}
		if len(name) <= 1 {
			return nil, false
		}
		name = name.Parent()
	}
}

func (t *delegations) get(now clock.Mono, name dnsname.Name, want stale.State) (*Delegation, bool) {
	s := t.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.byCut[name]
	if !ok || e.state(now) != want || t.tombs.covers(name, e.gen) {
		return nil, false
	}
	if n := e.asked.Load(); n < maxAsked {
		e.asked.Store(n + 1)
	}
	return e.d, true
}

// DropDelegation forgets a cut, lapsed or not.
func (c *Cache) DropDelegation(name dnsname.Name) {
	t := &c.delegations
	s := t.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byCut[name]; ok {
		t.remove(s, e)
	}
}

// sweep drops what is gone or was buried from one shard.
func (t *delegations) sweep(now clock.Mono, shard int) {
	t.drop(shard, func(e *cut) bool { return e.state(now) == stale.Gone || t.tombs.covers(e.d.Cut, e.gen) })
}

// drop drops what matches from one shard.
func (t *delegations) drop(shard int, match func(*cut) bool) {
	s := &t.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.ring) - 1; i >= 0; i-- {
		if e := s.ring[i]; match(e) {
			t.remove(s, e)
		}
	}
	clear(s.idle) // which may hold what was dropped
	s.idle, s.drawn = s.idle[:0], 0
}
