package resolver

import (
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// Bounds of prefetching. What finds the queue full may be offered again by the next
// question for it; what never gets in expires, and is refreshed then.
const (
	prefetchQueue = 256 // that wait for Run
	prefetchMost  = 64  // under way; the others wait
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
	if len(r.prefetches) == cap(r.prefetches) {
		r.stats.prefetchesDropped.Add(1)
		return
	}
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

// offered is where Run takes what is to be prefetched from: nowhere while as many
// are under way as may be. prefetched tells when that ends.
func (r *Resolver) offered() <-chan popular {
	if r.prefetching.Load() >= prefetchMost {
		return nil
	}
	return r.prefetches
}

// prefetched notes that one is not under way any more.
func (r *Resolver) prefetched() {
	if r.prefetching.Add(-1) == prefetchMost-1 {
		select {
		case r.room <- struct{}{}:
		default: // Run is about to see it
		}
	}
}

// prefetch starts the flight. Only Run does.
func (r *Resolver) prefetch(p *popular) {
	r.prefetching.Add(1)
	key := flightKey{name: dnsname.Name(p.name[:p.len]), typ: p.typ}
	if !r.launch(key, job{early: true, stale: true}) {
		r.prefetching.Add(-1)
		if _, ok := r.flights.underWay(key); !ok { // else it is being refreshed anyway
			r.stats.prefetchesDropped.Add(1)
		}
		return
	}
	r.stats.prefetches.Add(1)
	r.events.Emit(event.Prefetched{At: r.clock.Now(), Question: event.Question{Name: key.name, Type: key.typ}})
}
