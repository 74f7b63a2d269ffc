package resolver

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// renewEvery is how often a zone's keys are asked for anew though they are cached.
// Anybody can name a key that a zone does not have.
const renewEvery = 30 * time.Second

// renewals are when links were asked for anew. Safe for concurrent use.
type renewals struct {
	mu   sync.Mutex
	last map[dnsname.Name]clock.Mono
}

// allow takes the turn of a zone, if it is due.
func (r *renewals) allow(now clock.Mono, zone dnsname.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.last[zone]
	if ok && now.Sub(last) < renewEvery {
		return false
	}
	if !ok {
		r.last = roomIn(r.last)
	}
	r.last[zone] = now
	return true
}

// Renew asks for a link that is cached, since what it should verify is signed by a key
// that is not in it: a zone may have changed its keys in haste (RFC 6781 §4.2). False:
// that may not be asked for now, or brought nothing that may be believed.
func (l chainLinks) Renew(ctx context.Context, zone dnsname.Name, typ wire.Type) (cache.Entry, bool) {
	r, f := l.r, l.f
	if f.link >= mostLinks || !r.renewals.allow(r.clock.Now(), zone) {
		return cache.Entry{}, false
	}
	j := job{
		from: f.req.Flight, budget: f.req.Budget, work: f.work, depth: max(f.req.Depth, 1), link: f.link + 1, behind: f.behind,
		seen: r.flights.landed.Load(),
	}
	own, _, err := r.board(ctx, r.clock.Now(), flightKey{name: zone, typ: typ}, j)
	if err != nil {
		return cache.Entry{}, false
	}
	defer r.flights.leave(own, j)
	if r.await(ctx, own, j, 0) != nil || !useful(&own.result) || own.result.Lapsed {
		return cache.Entry{}, false
	}
	e := own.result.Entries[0]
	return e, e.Kind == cache.Data && e.Name == zone && e.Type == typ
}
