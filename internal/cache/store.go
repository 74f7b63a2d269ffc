package cache

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Bounds of the number of shards, and how much each should have at least.
const (
	maxShards = 256
	shardSize = 1 << 20
)

// store is the entries: shards by the hash of the name.
type store struct {
	shards  []shard
	mask    uint64
	arena   arena
	records sync.Pool // of *[]byte, to encode into

	stripes [stripeCount]stripe
	turn    atomic.Uint32 // the next Reader's stripe

	sweepMu sync.Mutex
	sweep   sweep
}

func (s *store) init(budget int64, memory func(octets int) []byte, t *tombs) {
	s.arena.memory = memory
	n := uint64(min(max(budget/shardSize, 1), maxShards))
	n = 1 << (bits.Len64(n) - 1)
	s.mask = n - 1
	s.shards = make([]shard, n)
	for i := range s.shards {
		s.shards[i].init(budget/int64(n), t, &s.arena)
	}
	s.records.New = func() any { return new([]byte) }
}

// shard is where a name with a hash belongs. The lower half of the hash is the
// tag within it.
func (s *store) shard(hash uint64) *shard { return &s.shards[hash>>56&s.mask] }
