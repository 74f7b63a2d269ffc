package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// runs starts the background loop, which must end with the test's.
func (r *Resolver) runs(t *testing.T) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	synctest.Wait()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return end
}

// What is due is asked, its answer is kept, and the zone is noticed to be back.
func TestRechecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), failing(0))
		r.put(of("example.", address("www.example.", 60, 1)))
		time.Sleep(2 * time.Minute)
		it.ail("example.", silent)
		r.runs(t)
		var at []time.Time
		it.with(func() {
			it.probe = func(c infra.Recheck) iterator.Result {
				it.with(func() { at = append(at, time.Now()) })
				time.Sleep(30 * ms)
				if !c.RD {
					return iterator.Result{Failure: silent.Cause}
				}
				it.ail("example.", nil)
				return iterator.Result{Entries: []cache.Entry{of("example.", address(c.Question.Name.String(), 60, 9))}}
			}
			if it.plans != 1 {
				t.Errorf("looked %d times at a plan that is empty", it.plans)
			}
		})
		// A stale answer makes the zone be rechecked; the loop is told that the plan moved.
		it.with(func() { it.sooner, it.next = true, r.clock.Now().Add(time.Second) })
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:30 OLDA MUTE")
		start := time.Now()
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if len(at) != 0 {
			t.Error("too early")
		}
		q := event.Question{Name: name("www.example."), Type: wire.TypeA}
		it.with(func() {
			it.due = []infra.Recheck{{Cut: name("example."), Question: q}, {Cut: name("example."), Question: q, RD: true}}
		})
		time.Sleep(1 * time.Second)
		synctest.Wait()
		if len(at) != 2 || at[0].Sub(start) != time.Second {
			t.Errorf("rechecked at %v", at)
		}
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:60")
		if _, was := r.troubled.has(name("example.")); was || r.flights.ramps.live.Load() != 1 {
			t.Error("the return was not noticed")
		}
		plans := it.plans
		time.Sleep(time.Hour)
		if synctest.Wait(); it.plans != plans {
			t.Errorf("woken %d times for nothing", it.plans-plans)
		}
	})
}

func TestNetworkHealthIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []bool
		r, it := newTest(t, func(o *Options) {
			o.Events = func(e event.Event) {
				if n, ok := e.(event.NetworkHealth); ok {
					told = append(told, n.Offline)
				}
			}
		}, nothing)
		r.runs(t)
		for _, down := range []bool{true, true, false, false} {
			it.with(func() { it.offline = down })
			r.poke()
			synctest.Wait()
		}
		if len(told) != 2 || !told[0] || told[1] {
			t.Errorf("told %v", told)
		}
	})
}

// Nothing outlives Run, or Close.
func TestRunEnds(t *testing.T) {
	for what, end := range map[string]func(r *Resolver, stop func()){
		"its context": func(_ *Resolver, stop func()) { stop() },
		"Close":       func(r *Resolver, _ func()) { r.Close() },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, it := newTest(t, nil, nothing)
				stop := r.runs(t)
				over := false
				it.with(func() {
					it.probe = func(infra.Recheck) iterator.Result {
						time.Sleep(time.Second)
						over = true
						return iterator.Result{}
					}
					it.due = []infra.Recheck{{Cut: name("example.")}}
				})
				r.poke()
				synctest.Wait()
				if end(r, stop); !over {
					t.Error("a recheck is left behind")
				}
				if r.Close(); what == "Close" {
					r.Run(context.Background()) // comes back at once
				}
			})
		})
	}
}

// A recheck that dies of a bug harms nothing else.
func TestRecheckThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := 0
		r, it := newTest(t, func(o *Options) { o.Panicked = func(any, []byte) { heard++ } }, nothing)
		it.probe = func(infra.Recheck) iterator.Result { panic("a bug") }
		r.recheck(context.Background(), infra.Recheck{Cut: name("example.")})
		if heard != 1 {
			t.Errorf("heard %d times", heard)
		}
	})
}
