package listener

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"

	"lastgood/internal/clock"
)

// gateShards keeps clients from waiting for each other's lock.
const gateShards = 32

// gate bounds the questions that wait: in all, and for one client; and those that are
// taken while there is more to do than can be done. Cached questions never come here.
type gate struct {
	all, each int
	waiting   atomic.Int64
	askers    atomic.Int64 // clients with a question waiting
	congestion
	seed   maphash.Seed
	shards [gateShards]struct {
		mu      sync.Mutex
		clients map[netip.Addr]int // of those with a question waiting: at most all
	}
}

func newGate(all, each int) *gate {
	g := &gate{all: all, each: each, seed: maphash.MakeSeed()}
	g.congestion.init()
	for i := range g.shards {
		g.shards[i].clients = make(map[netip.Addr]int)
	}
	return g
}

// enter takes a place for a client's question; the reason tells which bound was hit.
// Whoever begins with it calls begun.
func (g *gate) enter(client netip.Addr, now clock.Mono) (Drop, bool) {
	pressed := g.pressure(now)
	if pressed == takeNothing {
		return DropCongestion, false
	}
	waiting := g.waiting.Add(1)
	if waiting > int64(g.all) {
		g.waiting.Add(-1)
		return DropWaiting, false
	}
	s := &g.shards[maphash.Comparable(g.seed, client)%gateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.clients[client]
	switch {
	case mine >= g.each:
		g.waiting.Add(-1)
		return DropClient, false
	case pressed == shareOut && mine > 0 && int64(2*mine) >= waiting/max(g.askers.Load(), 1):
		g.waiting.Add(-1)
		return DropCongestion, false
	case mine == 0:
		g.askers.Add(1)
	}
	s.clients[client] = mine + 1
	g.taken(now)
	return 0, true
}

// leave gives back what enter took.
func (g *gate) leave(client netip.Addr) {
	s := &g.shards[maphash.Comparable(g.seed, client)%gateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[client]--; s.clients[client] <= 0 {
		delete(s.clients, client)
		g.askers.Add(-1)
	}
	g.waiting.Add(-1)
}
