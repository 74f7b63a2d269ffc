package resolver

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
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
		all() // and each that is in there is offered once
		if s := r.Stats(); s.PrefetchesDropped != 2*(n-prefetchQueue) {
			t.Errorf("%d dropped", s.PrefetchesDropped)
		}
		r.runs(t)
		if s := r.Stats(); it.asked.Load() != prefetchMost || s.Prefetches != prefetchMost {
			t.Errorf("%d resolutions, %+v", it.asked.Load(), s)
		}
		all() // now there is room for some of those that were left out
		time.Sleep(time.Duration(prefetchQueue/prefetchMost)*time.Second + ms)
		synctest.Wait()
		if n := it.asked.Load(); n != prefetchQueue+prefetchMost {
			t.Errorf("%d resolutions after the queue has moved on, want %d", n, prefetchQueue+prefetchMost)
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

// A storm: ten thousand popular names that are all due at once, while the servers
// are dead. It costs no answer a moment, never has more under way than it may, puts
// nothing over what is there, and makes nothing stale that is fresh.
func TestPrefetchStormOfDeadServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, life = 10_000, 100
		var out, most atomic.Int32
		r, it := newTest(t, func(o *Options) {
			lasting(usual(), nil)(o)
			prefetching(o)
			o.Cache = cache.New(cache.Options{Size: 32 << 20, MaxTTL: time.Hour, Stale: o.Stale, FailureMin: time.Second, FailureMax: 5 * time.Minute, Seed: 1})
		}, func(context.Context, iterator.Request) iterator.Result {
			most.Store(max(most.Load(), out.Add(1)))
			defer out.Add(-1)
			time.Sleep(2 * time.Second)
			return iterator.Result{Failure: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}}
		})
		r.runs(t)
		owners := make([]string, n)
		for i := range owners {
			owners[i] = fmt.Sprintf("n%d.example.", i)
			r.put(of("example.", address(owners[i], life, byte(i))))
		}
		var rd cache.Reader
		all := func() {
			for _, owner := range owners {
				if !r.hit(owner, &rd) {
					t.Fatalf("%s: a miss", owner)
				}
			}
		}
		all()
		time.Sleep(life*9/10*time.Second - ms)
		for range 10 { // each second to the last
			start := time.Now()
			all()
			if took := time.Since(start); took != 0 {
				t.Errorf("the answers took %v", took)
			}
			for _, owner := range owners[:100] { // the slow path says so too
				start := time.Now()
				if a := r.ask(owner, wire.TypeA); a.Stale || len(a.Errors) > 0 || len(a.Chain) != 1 || time.Since(start) != 0 {
					t.Fatalf("%s after %v", shape(a), time.Since(start))
				}
			}
			time.Sleep(time.Second)
		}
		if got := most.Load(); got != prefetchMost {
			t.Errorf("%d were under way at once", got)
		}
		if s := r.Stats(); s.PrefetchesDropped == 0 || len(s.Stale) > 0 || s.None > 0 || it.asked.Load() > 6*prefetchMost {
			t.Errorf("%d resolutions, %+v", it.asked.Load(), s)
		}
		time.Sleep(time.Second) // expired
		for _, owner := range owners[:100] {
			if a := r.ask(owner, wire.TypeA); !a.Stale || a.Chain[0].Entry.Set.Data.First()[3] != byte(slices.Index(owners, owner)) {
				t.Errorf("%s", shape(a))
			}
		}
		time.Sleep(10 * time.Second)
	})
}

// The table of flights is for those who wait: prefetching may have half of it, and
// what it leaves out is counted.
func TestPrefetchLeavesRoomForQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, func(o *Options) { prefetching(o); o.Flights = 20 }, func(_ context.Context, q iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			return iterator.Result{Entries: []cache.Entry{address(q.Name.String(), 60, 1)}}
		})
		r.runs(t)
		var rd cache.Reader
		ask := func() {
			for i := range 50 {
				r.hit(fmt.Sprintf("n%d.example.", i), &rd)
			}
		}
		for i := range 50 {
			r.put(address(fmt.Sprintf("n%d.example.", i), 100, 1))
		}
		ask()
		time.Sleep(95 * time.Second)
		ask()
		synctest.Wait()
		if s := r.Stats(); it.asked.Load() != 10 || s.PrefetchesDropped != 40 || r.prefetching.Load() != 10 {
			t.Errorf("%d resolutions, %d under way, %+v", it.asked.Load(), r.prefetching.Load(), s)
		}
		r.expect(t, "new.example.", time.Second, "NOERROR new.example./A:60")
	})
}

// What lives for less than 10 s is not prefetched, however often it is asked for,
// and what fails is not tried again until it expires.
func TestPrefetchOnceAndNotOfShortLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, prefetching, failing(ms))
		r.runs(t)
		r.put(address("short.example.", 9, 1), address("www.example.", 10, 1))
		var rd cache.Reader
		for range 95 {
			if !r.hit("www.example.", &rd) {
				t.Fatal("a miss")
			}
			r.hit("short.example.", &rd)
			time.Sleep(100 * ms)
		}
		if n := it.asked.Load(); n != 1 {
			t.Errorf("%d resolutions, want 1", n)
		}
	})
}
