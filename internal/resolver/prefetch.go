package resolver

import (
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// Bounds of prefetching. What they leave out expires, and is refreshed by the
// next question for it.
const (
	prefetchQueue = 256 // that wait for Run
	prefetchMost  = 64  // under way
)

// popular is a question whose answer is about to expire. It is all in one piece,
// so that sending it costs no memory.
type popular struct {
	typ  wire.Type
	len  uint8
	name [dnsname.MaxLen]byte
}

// offer has an answer refreshed that is about to expire and is asked for often:
// once for each that is stored. It neither waits nor allocates.
func (r *Resolver) offer(hit *cache.Hit, name dnsname.Name, t wire.Type) {
	if !hit.Claim() {
		return
	}
	p := popular{typ: t}
	p.len = uint8(copy(p.name[:], name))
	select {
	case r.prefetches <- p:
	default:
		r.stats.prefetchesDropped.Add(1)
	}
}

// prefetch starts the flight.
func (r *Resolver) prefetch(p *popular) {
	if r.prefetching.Add(1) > prefetchMost {
		r.prefetching.Add(-1)
		r.stats.prefetchesDropped.Add(1)
		return
	}
	key := flightKey{dnsname.Name(p.name[:p.len]), p.typ}
	// What the cache has is fresh: the flight is not to end for that.
	if !r.launch(key, job{early: true, stale: true, seen: r.flights.landed.Load()}) {
		r.prefetching.Add(-1) // it is being refreshed anyway, or there is no room
		return
	}
	r.stats.prefetches.Add(1)
	r.events.Emit(event.Prefetched{At: r.clock.Now(), Question: event.Question{Name: key.name, Type: key.typ}})
}
