package iterator

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// primer lets one resolution prime for all. Waiting is bounded; who waited in
// vain goes on with the hints.
type primer struct {
	mu      sync.Mutex
	running chan struct{} // closed at the end of the priming under way, nil without one
	rest    clock.Mono    // until then a failed priming is not tried again
}

// primeRest is how long the hints are used after priming failed (RFC 9520 §3.2).
const primeRest = 30 * time.Second

// begin makes the caller the one who primes (end must be called), or gives what
// to wait for: nothing after a failure.
func (p *primer) begin(now clock.Mono) (first bool, wait <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil || now < p.rest {
		return false, p.running
	}
	p.running = make(chan struct{})
	return true, nil
}

func (p *primer) end(now clock.Mono, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if failed {
		p.rest = now.Add(primeRest)
	}
	close(p.running)
	p.running = nil
}

// prime learns the root's servers from those of the hints (RFC 8109). The
// hints themselves are used for nothing else, unless that fails.
func (t *task) prime(ctx context.Context) state {
	if t.priming || t.pinned {
		return t.giveUp(&ede.Error{Code: ede.NoReachableAuthority, ID: "PRIM", Text: "priming needs priming"})
	}
	first, running := t.it.primer.begin(t.now())
	switch {
	case first:
		t.lead(ctx)
	case running != nil:
		t.follow(ctx, running)
	}
	if ctx.Err() != nil {
		return t.outOfTime()
	}
	d, ok := t.it.cache.Closest(t.now(), dnsname.Root)
	if !ok {
		d = t.it.hinted()
	}
	t.enter(place{cut: dnsname.Root, deleg: d})
	return gather
}

// lead primes, with the budget of the question that needs it.
func (t *task) lead(ctx context.Context) {
	failed := true
	defer func() { t.it.primer.end(t.now(), failed) }()
	p := t.it.newTask(Request{Flight: t.req.Flight, Name: dnsname.Root, Type: wire.TypeNS, Depth: t.req.Depth, Budget: t.req.Budget})
	p.priming = true
	p.enter(place{cut: dnsname.Root, deleg: t.it.hinted()})
	limited, cancel := context.WithTimeout(ctx, primeTime)
	defer cancel()
	res := p.runFrom(limited, gather)
	failed = res.Failure != nil && !res.Budget && !res.Ours && ctx.Err() == nil // else it says nothing of the servers
	e := event.Priming{At: t.now(), Failure: res.Failure}
	if d, ok := t.it.cache.Closest(t.now(), dnsname.Root); ok && res.Failure == nil {
		e.Servers = len(d.Servers)
	}
	t.it.events.Emit(e)
}

// primeTime is how long priming may take, of the ten seconds that a resolution
// has, before the hints are used instead.
const primeTime = 4 * time.Second

// follow waits for another's priming.
func (t *task) follow(ctx context.Context, running <-chan struct{}) {
	timer := time.NewTimer(t.it.limits.PrimeWait)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// hinted is the root's delegation as the hints have it.
func (it *Iterator) hinted() *cache.Delegation {
	return &cache.Delegation{Cut: dnsname.Root, Parent: dnsname.Root, Servers: it.hints}
}

// primed makes a delegation of the answer to a priming query: the NS records
// of the answer with the addresses of the additional section, and those of the
// hints where a server's are missing from it.
func (t *task) primed(v *verdict) state {
	if v.outcome != event.Answer {
		return t.giveUp(&ede.Error{Code: ede.NoReachableAuthority, ID: "PRNS", Text: "the root's servers do not say who they are"})
	}
	v.ns = v.chain.hops[len(v.chain.hops)-1]
	now := t.now()
	d := &cache.Delegation{
		Cut: dnsname.Root, Parent: dnsname.Root, Learned: now, TTL: v.ns.TTL,
		Servers: serversIn(v, &t.it.limits), Expiry: now.Add(time.Duration(v.ns.TTL) * time.Second),
	}
	addresses := 0
	for i := range d.Servers {
		s := &d.Servers[i]
		for _, h := range t.it.hints {
			if h.Name == s.Name && len(s.Addrs) == 0 {
				s.Addrs = h.Addrs
			}
		}
		addresses += len(s.Addrs)
	}
	if addresses == 0 {
		return t.giveUp(&ede.Error{Code: ede.NoReachableAuthority, ID: "PRAD", Text: "the root's servers have no addresses"})
	}
	t.it.cache.PutDelegation(now, d)
	t.result = Result{}
	return done
}
