package resolver

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
)

// recheckLeast keeps the loop from running hot, whatever the plan says.
const recheckLeast = time.Millisecond

// Run does what nobody waits for: it rechecks servers that fail while clients
// ask for what they have, and refreshes what is asked for often before it
// expires. It returns when ctx ends or at Close, with everything that it
// started. While nothing is planned it sleeps.
func (r *Resolver) Run(ctx context.Context) {
	if !r.flights.enter() {
		return
	}
	defer r.flights.running.Done()
	own, cancel := context.WithCancel(r.base)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	var rechecks sync.WaitGroup
	defer rechecks.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	offline := false
	for {
		now := r.clock.Now()
		due, next := r.health.Rechecks(now)
		for i := range due {
			rechecks.Add(1)
			r.crew.Go(func() {
				defer rechecks.Done()
				r.recheck(own, due[i])
			})
		}
		offline = r.network(now, offline)
		if timer.Stop(); next != 0 {
			timer.Reset(max(next.Sub(now), recheckLeast))
		}
		if !r.idle(own, timer.C) {
			return
		}
	}
}

// idle starts prefetches until rechecks are to be seen to, false at the end.
func (r *Resolver) idle(ctx context.Context, due <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due:
			return true
		case <-r.wake:
			return true
		case <-r.room:
		case p := <-r.offered():
			r.prefetch(&p)
		}
	}
}

// poke has Run look at the plan of rechecks again.
func (r *Resolver) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // it is about to
	}
}

// recheck sends one packet to see whether a server is back. What it brought is
// as good as anything that a client asked for, once it is validated.
func (r *Resolver) recheck(ctx context.Context, c infra.Recheck) {
	r.trouble(r.clock.Now(), c.Cut) // so that the end of it is noticed
	res := r.guarded(func() iterator.Result {
		res := r.iterator.Recheck(ctx, c)
		r.vet(ctx, c.Question, &res)
		return res
	})
	now := r.clock.Now()
	if res.Failure == nil {
		r.keep(now, &res, false)
	}
	if useful(&res) && c.Question.Name == res.Entries[0].Name {
		r.cache.Recovered(cache.Question{Name: c.Question.Name, Type: c.Question.Type})
	}
	r.trouble(now, c.Cut)
}

// Behind rechecks a server for the iterator (see [iterator.Flights]).
func (r *Resolver) Behind(c infra.Recheck) {
	if !r.flights.enter() {
		return
	}
	r.crew.Go(func() {
		defer r.flights.running.Done()
		r.recheck(r.base, c)
	})
}

// network tells when our own network seems to be gone, or is there again.
func (r *Resolver) network(now clock.Mono, was bool) (offline bool) {
	_, offline = r.health.Offline(now)
	if offline != was {
		r.events.Emit(event.NetworkHealth{At: now, Offline: offline})
	}
	return offline
}
