package listener

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

// gateShards keeps clients from waiting for each other's lock.
const gateShards = 32

// gate bounds the questions that wait: in all, and for one client. Cached
// questions never come here.
type gate struct {
	all, each int
	waiting   atomic.Int64
	seed      maphash.Seed
	shards    [gateShards]struct {
		mu      sync.Mutex
		clients map[netip.Addr]int // of those with a question waiting: at most all
	}
}

func newGate(all, each int) *gate {
	g := &gate{all: all, each: each, seed: maphash.MakeSeed()}
	for i := range g.shards {
		g.shards[i].clients = make(map[netip.Addr]int)
	}
	return g
}

// enter takes a place for a client's question; the reason tells which bound was hit.
func (g *gate) enter(client netip.Addr) (Drop, bool) {
	if g.waiting.Add(1) > int64(g.all) {
		g.waiting.Add(-1)
		return DropWaiting, false
	}
	s := &g.shards[maphash.Comparable(g.seed, client)%gateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[client] >= g.each {
		g.waiting.Add(-1)
		return DropClient, false
	}
	s.clients[client]++
	return 0, true
}

// leave gives back what enter took.
func (g *gate) leave(client netip.Addr) {
	s := &g.shards[maphash.Comparable(g.seed, client)%gateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[client]--; s.clients[client] <= 0 {
		delete(s.clients, client)
	}
	g.waiting.Add(-1)
}
