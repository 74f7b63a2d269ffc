package resolver

import (
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// Bounds of slow starts.
const (
	rampFirst = 32               // refreshes under way at once in the first round
	rampLast  = 1024             // a window that needs no bound any more
	rampQueue = 1000             // questions that wait for their turn; more are forgotten, and refreshed when asked for again
	rampTime  = 10 * time.Second // after which it is over anyway
	maxRamps  = 1000             // at once; more come back without
	// rampsQueue is how many questions wait in all queues together: some 3 MB.
	rampsQueue = 20_000
	// rampsSweep is how often at most those that are over are looked for.
	rampsSweep = time.Second
)

// ramps are the slow starts of zones that came back. What expired in a long
// outage is all asked for within moments, by users and by those who retried all
// the time: servers that have just come back are not to be met by all of that at
// once. So 32 refreshes of the zone are under way at first, twice as many
// whenever as many were answered; who asks for more gets the stale answer, and
// the question is queued. The zones of a hoster have one slow start together: it
// is their servers that come back. Safe for concurrent use; what is new to the
// resolver, and has no stale answer, does not pass here.
type ramps struct {
	live atomic.Int32 // len(cuts): nothing is locked while there are none

	mu        sync.Mutex
	cuts      map[dnsname.Name]*ramp // at most maxTroubled
	sets      map[string]*ramp       // those of them that zones of the same servers share
	count     int                    // different ones, at most maxRamps
	waiting   int                    // in their queues, at most rampsQueue
	swept     clock.Mono             // when those that are over were looked for last
	refreshes uint64                 // that passed
	queued    uint64                 // that had to wait
	forgotten uint64                 // that found the queue full
	without   uint64                 // zones that came back when there were too many
}

// ramp is one slow start. It is guarded by ramps.mu.
type ramp struct {
	servers  string // of the zones that share it, "" for one zone's own
	zones    int    // that share it
	began    clock.Mono
	window   int // refreshes that may be under way
	out      int // and are
	answered int // in the present round
	queue    []flightKey
	waiting  map[flightKey]struct{} // the same
}

func newRamps() *ramps { return &ramps{cuts: map[dnsname.Name]*ramp{}, sets: map[string]*ramp{}} }

// over tells whether the slow start is no longer needed.
func (p *ramp) over(now clock.Mono) bool {
	return now.Sub(p.began) >= rampTime || len(p.queue) == 0 && p.window >= rampLast
}

// begin starts one for a zone that came back, unless one is under way; servers is
// what infra.Trouble said when they were silent. Zones of the same silent servers
// come back together and share one.
func (s *ramps) begin(now clock.Mono, cut dnsname.Name, servers string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.cuts[cut]; p != nil {
		if !p.over(now) {
			return
		}
		s.leave(cut, p)
	}
	p := s.sets[servers]
	if p != nil && p.over(now) {
		p = nil
	}
	if now.Sub(s.swept) >= rampsSweep {
		s.sweep(now)
	}
	if len(s.cuts) >= maxTroubled || p == nil && s.count >= maxRamps {
		s.without++
		return
	}
	if p == nil {
		p = &ramp{servers: servers, began: now, window: rampFirst, waiting: map[flightKey]struct{}{}}
		if s.count++; servers != "" {
			s.sets[servers] = p
		}
	}
	p.zones++
	s.cuts[cut] = p
	s.live.Store(int32(len(s.cuts)))
}

// sweep takes out those that are over.
func (s *ramps) sweep(now clock.Mono) {
	s.swept = now
	for cut, p := range s.cuts {
		if p.over(now) {
			s.leave(cut, p)
		}
	}
}

// end gives up the slow start of a zone that fails again: what waits is served
// stale and comes back with the next question. If its servers are silent again it
// is over for all who share it.
func (s *ramps) end(cut dnsname.Name, silent bool) {
	if s.live.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.cuts[cut]; p != nil {
		if silent {
			s.forget(p)
			p.window = rampLast // for the others, if they know better
		}
		s.leave(cut, p)
	}
}

// leave takes a zone out, and with the last one its slow start.
func (s *ramps) leave(cut dnsname.Name, p *ramp) {
	delete(s.cuts, cut)
	s.live.Store(int32(len(s.cuts)))
	if p.zones--; p.zones > 0 {
		return
	}
	s.forget(p)
	if s.count--; s.sets[p.servers] == p {
		delete(s.sets, p.servers)
	}
}

// forget lets none of those that wait have their turn.
func (s *ramps) forget(p *ramp) {
	s.waiting -= len(p.queue)
	p.queue, p.waiting = nil, map[flightKey]struct{}{}
}

// admit lets a refresh of a zone pass: counted in a slow start, of which landed
// must be told, or without one. False: it was queued.
func (s *ramps) admit(now clock.Mono, cut dnsname.Name, key flightKey) (*ramp, bool) {
	if s.live.Load() == 0 {
		return nil, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.cuts[cut]
	switch {
	case p == nil:
		return nil, true
	case p.over(now):
		s.leave(cut, p)
		return nil, true
	case p.out < p.window:
		p.out++
		s.refreshes++
		return p, true
	}
	s.queue(p, key)
	return nil, false
}

// crowded tells whether a zone is in its slow start and lets no further refresh
// pass.
func (s *ramps) crowded(now clock.Mono, cut dnsname.Name) bool {
	if s.live.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.cuts[cut]
	return p != nil && !p.over(now) && p.out >= p.window
}

func (s *ramps) queue(p *ramp, key flightKey) {
	if _, ok := p.waiting[key]; ok {
		return
	}
	if len(p.queue) >= rampQueue || s.waiting >= rampsQueue {
		s.forgotten++
		return
	}
	p.queue, p.waiting[key] = append(p.queue, key), struct{}{}
	s.waiting++
	s.queued++
}

// landed notes that so many refreshes of a slow start are not under way any
// more, and whether there was an answer; it gives those whose turn has come,
// which count as under way.
func (s *ramps) landed(p *ramp, n int, answered bool) (next []flightKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.out -= n
	if answered {
		if p.answered++; p.answered >= p.window {
			p.window, p.answered = 2*p.window, 0
		}
	}
	for p.out < p.window && len(p.queue) > 0 {
		key := p.queue[0]
		p.queue = p.queue[1:]
		delete(p.waiting, key)
		s.waiting--
		next = append(next, key)
		p.out++
		s.refreshes++
	}
	return next
}

// onward starts the refreshes that a landed one makes room for.
func (r *Resolver) onward(p *ramp, answered bool) {
	next := r.flights.ramps.landed(p, 1, answered)
	for len(next) > 0 {
		vain := 0
		for _, key := range next {
			// Somebody else may have refreshed it meanwhile: then the flight sees that at once.
			if !r.launch(key, job{ramp: p, stale: true, seen: r.flights.landed.Load() - 1}) {
				vain++
			}
		}
		if vain == 0 {
			return
		}
		next = r.flights.ramps.landed(p, vain, false)
	}
}
