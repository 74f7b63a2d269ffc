package cache

import (
	"sync"
	"sync/atomic"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// Bounds of the number of shards, and how much each should have at least.
const (
	delegationShards    = 32
	delegationShardSize = 64 << 10
)

// evictionSample bounds how many delegations are looked at to choose one that
// has to go.
const evictionSample = 16

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
	_     [64]byte
}

// cut is a delegation with what the table knows of it.
type cut struct {
	d     *Delegation
	gen   uint32
	at    int // in the ring
	cost  int64
	asked atomic.Bool // since eviction last came by
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
// the cut. Its lifetime is TTL within the cache's bounds; with TTL 0 and an
// Expiry ahead, that Expiry. The servers must not be changed afterwards.
func (c *Cache) PutDelegation(now clock.Mono, d *Delegation) {
	nd := *d
	if nd.TTL != 0 || nd.Expiry <= now {
		nd.TTL = c.opt.lifetime(nd.TTL, false)
		nd.Learned, nd.Expiry = now, now.Add(seconds(nd.TTL))
	}
	if nd.Expiry <= now || !nameOK(nd.Cut) {
		return
	}
	nd.Cut = cloneName(nd.Cut)
	t := &c.delegations
	e := &cut{d: &nd, cost: delegationCost(&nd)}
	if e.cost > t.limit {
		t.evicts.Add(1)
		return
	}
	s := t.shard(nd.Cut)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.gen = t.tombs.gen.Load()
	if old, ok := s.byCut[nd.Cut]; ok {
		e.asked.Store(old.asked.Load())
		t.remove(s, old)
	}
	for s.bytes+e.cost > t.limit {
		t.remove(s, s.victim(now))
		t.evicts.Add(1)
	}
	e.at = len(s.ring)
	s.ring = append(s.ring, e)
	s.byCut[nd.Cut] = e
	s.bytes += e.cost
	t.bytes.Add(e.cost)
	t.count.Add(1)
}

// delegationCost estimates the memory of a delegation in bytes.
func delegationCost(d *Delegation) int64 {
	n := 320 + 2*len(d.Cut) + len(d.Parent)
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

// victim chooses among the next few of a ring that is not empty: expired
// before others, unasked before asked, deep before shallow. The root and the
// top-level domains thus go last.
func (s *delegationShard) victim(now clock.Mono) *cut {
	var worst *cut
	least := int(^uint(0) >> 1)
	for range min(evictionSample, len(s.ring)) {
		s.hand++
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		e := s.ring[s.hand]
		if w := e.worth(now); w < least {
			worst, least = e, w
		}
		if e.asked.Load() {
			e.asked.Store(false)
		}
	}
	return worst
}

func (e *cut) worth(now clock.Mono) int {
	labels := e.d.Cut.Labels()
	w := 127 - labels
	if labels <= 1 {
		w += 1 << 10
	}
	if e.asked.Load() {
		w += 1 << 9
	}
	if now < e.d.Expiry {
		w += 1 << 11
	}
	return w
}

// Closest is the deepest delegation at or above a name that has not expired.
// Its result is shared and must not be changed.
func (c *Cache) Closest(now clock.Mono, name dnsname.Name) (*Delegation, bool) {
	t := &c.delegations
	for {
		if d, ok := t.get(now, name); ok {
			return d, true
		}
		if len(name) <= 1 {
			return nil, false
		}
		name = name.Parent()
	}
}

func (t *delegations) get(now clock.Mono, name dnsname.Name) (*Delegation, bool) {
	s := t.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.byCut[name]
	if !ok || now >= e.d.Expiry || t.tombs.covers(name, e.gen) {
		return nil, false
	}
	if !e.asked.Load() {
		e.asked.Store(true)
	}
	return e.d, true
}

// DropDelegation forgets a cut.
func (c *Cache) DropDelegation(name dnsname.Name) {
	t := &c.delegations
	s := t.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byCut[name]; ok {
		t.remove(s, e)
	}
}

// sweep drops what expired or was buried from one shard.
func (t *delegations) sweep(now clock.Mono, shard int) {
	s := &t.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.ring) - 1; i >= 0; i-- {
		if e := s.ring[i]; now >= e.d.Expiry || t.tombs.covers(e.d.Cut, e.gen) {
			t.remove(s, e)
		}
	}
}
