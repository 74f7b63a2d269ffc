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

const (
	handSteps = 1024 // of the eviction's hand for one delegation
	maxAsked  = 3
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
	_     [64]byte
}

// cut is a delegation with what the table knows of it.
type cut struct {
	d      *Delegation
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
	e := &cut{d: &nd, labels: nd.Cut.Labels(), cost: delegationCost(&nd)}
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

// victim chooses from a ring that is not empty. The hand goes round and stops
// at what expired, or at what it came by as often as it was asked for and once
// more; root and top-level domains it passes over, for they serve everybody.
// Where it would have to go on for too long, the least of what it saw has to go.
func (s *delegationShard) victim(now clock.Mono) *cut {
	var least *cut
	score := 0
	for range min(handSteps, (maxAsked+1)*len(s.ring)) {
		if s.hand++; s.hand >= len(s.ring) {
			s.hand = 0
		}
		e := s.ring[s.hand]
		n := e.asked.Load()
		if now >= e.d.Expiry || n == 0 && e.labels > 1 {
			return e
		}
		if n > 0 {
			e.asked.Store(n - 1)
		}
		if v := e.labels - int(n)<<8; least == nil || v > score {
			least, score = e, v
		}
	}
	return least
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
	if n := e.asked.Load(); n < maxAsked {
		e.asked.Store(n + 1)
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
