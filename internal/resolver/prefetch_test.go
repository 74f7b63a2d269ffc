package resolver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// hit asks as the listener does.
func (r *Resolver) hit(owner string, rd *cache.Reader) bool {
	var b wire.Builder
	q := Query{Name: name(owner), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
	begin(&b, nil, &q, 1232)
	_, ok := r.Cached(rd, &q, &b)
	return ok
}

func prefetching(o *Options) { o.Prefetch = true }

// In the last tenth of its life an answer that is asked for often is refreshed,
// once, behind the answers.
func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.Prefetched
		r, it := newTest(t, func(o *Options) {
			prefetching(o)
			o.Events = func(e event.Event) {
				if p, ok := e.(event.Prefetched); ok {
					told = append(told, p)
				}
			}
		}, func(_ context.Context, q iterator.Request) iterator.Result {
			time.Sleep(50 * ms)
			return iterator.Result{Entries: []cache.Entry{address(q.Name.String(), 100, 2)}}
		})
		r.runs(t)
		var rd cache.Reader
		r.put(address("www.example.", 100, 1), address("once.example.", 100, 1))
		hit := func(owner string) {
			t.Helper()
			if !r.hit(owner, &rd) {
				t.Errorf("%s: a miss", owner)
			}
		}
		hit("www.example.")
		time.Sleep(89 * time.Second)
		hit("www.example.")
		time.Sleep(time.Second)
		if synctest.Wait(); it.asked.Load() != 0 {
			t.Error("too early")
		}
		hit("www.example.")
		hit("www.example.")
		hit("once.example.")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		hit("www.example.")
		if r.hit("once.example.", &rd) {
			t.Error("what was asked for once is refreshed")
		}
		if s := r.Stats(); it.asked.Load() != 1 || s.Prefetches != 1 || s.PrefetchesDropped != 0 || r.prefetching.Load() != 0 {
			t.Errorf("%d resolutions, %+v", it.asked.Load(), s)
		}
		if len(told) != 1 || told[0].Question.Name != name("www.example.") {
			t.Errorf("told of %v", told)
		}
	})
}

// Answers that the slow path gives count as well.
func TestPrefetchBehindWholeResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, func(o *Options) { prefetching(o); o.Minimal = false }, answers)
		r.runs(t)
		r.put(address("www.example.", 100, 1))
		r.ask("www.example.", wire.TypeA)
		time.Sleep(95 * time.Second)
		r.ask("www.example.", wire.TypeA)
		if synctest.Wait(); it.asked.Load() != 1 {
			t.Errorf("%d resolutions", it.asked.Load())
		}
	})
}

// The queue is bounded, and so is what is under way; nothing of it holds an answer up.
func TestPrefetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = prefetchQueue + 100
		r, it := newTest(t, prefetching, func(context.Context, iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			return iterator.Result{}
		})
		var rd cache.Reader
		for i := range n {
			r.put(address(fmt.Sprintf("n%d.example.", i), 100, 1))
		}
		all := func() {
			for i := range n {
				if !r.hit(fmt.Sprintf("n%d.example.", i), &rd) {
					t.Fatal("a miss")
				}
			}
		}
		all()
		time.Sleep(95 * time.Second)
		all() // nobody takes anything out of the queue
		all() // and each is offered once
		if s := r.Stats(); s.PrefetchesDropped != n-prefetchQueue {
			t.Errorf("%d dropped", s.PrefetchesDropped)
		}
		r.runs(t)
		if s := r.Stats(); it.asked.Load() != prefetchMost || s.Prefetches != prefetchMost || s.PrefetchesDropped != n-prefetchMost {
			t.Errorf("%d resolutions, %+v", it.asked.Load(), s)
		}
		time.Sleep(2 * time.Second)
		if r.prefetching.Load() != 0 {
			t.Errorf("%d are said to be under way", r.prefetching.Load())
		}
	})
}

// Whoever offers an answer for prefetching allocates nothing either.
func TestCachedHitThatIsDueDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, prefetching, nothing)
		for i := range 201 {
			r.put(address(fmt.Sprintf("n%d.example.", i), 100, 1))
		}
		var rd cache.Reader
		var b wire.Builder
		buf := make([]byte, 0, 1232)
		queries := make([]Query, 201)
		for i := range queries {
			queries[i] = Query{Name: name(fmt.Sprintf("n%d.example.", i)), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
			begin(&b, buf, &queries[i], 1232)
			r.Cached(&rd, &queries[i], &b)
		}
		time.Sleep(95 * time.Second)
		i := 0
		if n := testing.AllocsPerRun(200, func() {
			q := &queries[i]
			q.Arrival = r.clock.Now()
			i++
			begin(&b, buf, q, 1232)
			if _, ok := r.Cached(&rd, q, &b); !ok {
				t.Fatal("a miss")
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if len(r.prefetches) != 201 {
			t.Errorf("%d offered", len(r.prefetches))
		}
	})
}
