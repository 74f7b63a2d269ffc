package resolver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

var silent = &infra.Trouble{Failing: true, Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}} // constant in effect

// rush is a zone with many names in the cache, all of them expired.
type rush struct {
	r     *Resolver
	it    *scripted
	names []string
	out   atomic.Int32
	most  atomic.Int32
}

func newRush(t *testing.T, n int, rtt time.Duration) *rush {
	u := new(rush)
	u.r, u.it = newTest(t, func(o *Options) { lasting(usual(), nil)(o); o.Flights = 5000 },
		func(_ context.Context, q iterator.Request) iterator.Result {
			if out := u.out.Add(1); out > u.most.Load() {
				u.most.Store(out)
			}
			defer u.out.Add(-1)
			time.Sleep(rtt)
			return iterator.Result{Entries: []cache.Entry{of("example.", address(q.Name.String(), 60, 2))}}
		})
	for i := range n {
		u.names = append(u.names, fmt.Sprintf("n%d.example.", i))
		u.r.put(of("example.", address(u.names[i], 60, 1)))
	}
	time.Sleep(2 * time.Minute)
	u.it.ail("example.", silent)
	u.ask() // so that the trouble is known
	return u
}

// ask has each name asked for by a client at the same time, and counts the fresh
// answers.
func (u *rush) ask() (fresh int) {
	var clients sync.WaitGroup
	var n atomic.Int32
	for _, owner := range u.names {
		clients.Go(func() {
			switch a := u.r.ask(owner, wire.TypeA); {
			case len(a.Chain) == 0:
				panic(shape(a))
			case !a.Stale:
				n.Add(1)
			}
		})
	}
	clients.Wait()
	return int(n.Load())
}

// After the return refreshes begin slowly; who asks for more gets what is stale,
// and each of a thousand names is fresh 3 s later, having been asked for once.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newRush(t, 1000, 200*ms)
		if u.it.asked.Load() != 0 {
			t.Fatal("asked while in trouble")
		}
		u.it.ail("example.", nil)
		start := time.Now()
		first := make(chan int, 1)
		go func() { first <- u.ask() }()
		for i, most := range []int32{rampFirst, 64, 128, 256, 512} {
			if time.Sleep(199 * ms); u.most.Load() != most {
				t.Errorf("round %d: %d questions at once, want %d", i, u.most.Load(), most)
			}
			time.Sleep(1 * ms)
		}
		if n := <-first; n != rampFirst {
			t.Errorf("%d fresh answers at first; want %d", n, rampFirst)
		}
		time.Sleep(3*time.Second - time.Since(start))
		if n := u.ask(); n != 1000 || u.it.asked.Load() != 1000 {
			t.Errorf("%d fresh answers by %d resolutions, want 1000", n, u.it.asked.Load())
		}
		s := u.r.Stats()
		if s.Recovery != 1000 || s.RecoveryQueued != 1000-rampFirst || s.RecoveryForgotten != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(rampTime)
		time.Sleep(time.Minute) // all expired again, at once: the zone is well, and all are refreshed
		if n := u.ask(); n != 1000 || u.r.flights.ramps.live.Load() != 0 {
			t.Errorf("%d fresh answers later", n)
		}
	})
}

// The zones of a hoster whose servers come back share one slow start, however many
// they are; those that failed for reasons of their own have one each.
func TestSlowStartOfAHoster(t *testing.T) {
	for _, shared := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			u := newRush(t, 0, 200*ms)
			u.it.ail("example.", nil)
			const zones = 500
			ail := func(with *infra.Trouble) {
				for i := range zones {
					u.it.ail(fmt.Sprintf("z%d.", i), with)
				}
			}
			for i := range zones {
				zone := fmt.Sprintf("z%d.", i)
				u.names = append(u.names, "www."+zone)
				u.r.put(of(zone, address("www."+zone, 60, 1)))
			}
			time.Sleep(2 * time.Minute)
			trouble, most := &infra.Trouble{Failing: true}, int32(zones)
			if shared {
				trouble, most = &infra.Trouble{Silent: true, Servers: "all four of them"}, rampFirst
			}
			ail(trouble)
			u.ask()
			ail(nil)
			first := make(chan int, 1)
			go func() { first <- u.ask() }()
			if time.Sleep(199 * ms); u.most.Load() != most {
				t.Errorf("%d questions at once, want %d", u.most.Load(), most)
			}
			if n := <-first; n != int(most) {
				t.Errorf("%d fresh answers at first, want %d", n, most)
			}
			if time.Sleep(2 * time.Second); u.most.Load() != most && u.most.Load() > 256 {
				t.Errorf("later %d questions at once", u.most.Load())
			}
			if n := u.ask(); n != zones || u.it.asked.Load() != zones {
				t.Errorf("%d fresh answers by %d resolutions", n, u.it.asked.Load())
			}
			time.Sleep(rampTime)
			time.Sleep(time.Minute)
			if n := u.ask(); n != zones {
				t.Errorf("later %d fresh answers", n)
			}
			s := u.r.flights.ramps
			if s.sweep(u.r.clock.Now()); len(s.cuts) != 0 || len(s.sets) != 0 || s.count != 0 || s.live.Load() != 0 {
				t.Errorf("left behind: %d of %d slow starts", len(s.cuts), s.count)
			}
		})
	}
}

// Of zones that share a slow start one fails for itself: the others go on. When
// their servers are silent again it is over.
func TestSharedSlowStartEnds(t *testing.T) {
	for _, silent := range []bool{true, false} {
		s, now := newRamps(), clock.Mono(time.Hour)
		a, b := name("a.example."), name("b.example.")
		key := func(i int) flightKey { return flightKey{name: name(fmt.Sprintf("n%d.example.", i)), typ: wire.TypeA} }
		s.begin(now, a, "servers")
		s.begin(now, b, "servers")
		var p *ramp
		for i := range rampFirst + 5 {
			if got, ok := s.admit(now, a, key(i)); ok {
				p = got
			}
		}
		if _, ok := s.admit(now, b, key(99)); ok || s.count != 1 || len(p.queue) != 6 {
			t.Fatalf("%d slow starts, %d wait", s.count, len(p.queue))
		}
		s.end(a, silent)
		if next := s.landed(p, 1, true); len(next) == 0 != silent {
			t.Errorf("silent %v: %v go on", silent, next)
		}
		if _, ok := s.admit(now, b, key(100)); ok != silent {
			t.Errorf("silent %v: admitted %v", silent, ok)
		}
	}
}

// A zone that fails again is left alone.
func TestSlowStartEndsWithTheNextTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newRush(t, 200, 200*ms)
		u.it.ail("example.", nil)
		u.ask()
		u.it.ail("example.", silent)
		u.ask()
		synctest.Wait() // those whose turn it was in this very moment have begun
		before := u.it.asked.Load()
		time.Sleep(5 * time.Second)
		if n := u.it.asked.Load(); n != before {
			t.Errorf("%d resolutions, then %d while the zone failed", before, n)
		}
		u.it.ail("example.", nil)
		u.ask()
		time.Sleep(3 * time.Second)
		if n := u.ask(); n != 200 {
			t.Errorf("%d fresh", n)
		}
	})
}

// What has no last good answer does not wait behind what has.
func TestSlowStartHoldsNobodyWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newRush(t, 100, 200*ms)
		u.it.ail("example.", nil)
		var news sync.WaitGroup
		news.Go(func() { u.ask() })
		synctest.Wait()
		u.r.expect(t, "new.example.", 200*ms, "NOERROR new.example./A:60")
		news.Wait()
	})
}

// Recovery forgets what was remembered of single names beneath.
func TestRecoveryForgetsFailuresBeneath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newRush(t, 1, 10*ms)
		q := cache.Question{Name: name("absent.example."), Type: wire.TypeA}
		for range 8 {
			u.r.cache.Fail(u.r.clock.Now(), q, &ede.Error{ID: "ERRS"}, false)
			f, _ := u.r.cache.LastFailure(u.r.clock.Now(), q)
			time.Sleep(f.Until.Sub(u.r.clock.Now()))
		}
		u.r.cache.Fail(u.r.clock.Now(), q, &ede.Error{ID: "ERRS"}, false)
		expect(t, u.r.ask("absent.example.", wire.TypeA), "SERVFAIL ERRS RFAI")
		u.it.ail("example.", nil)
		u.ask()
		u.r.expect(t, "absent.example.", 10*ms, "NOERROR absent.example./A:60")
		// A zone that comes and goes all the time is no reason to ask for its broken
		// names as often; but in the end they are to be asked for.
		for i := range clearBurst + 1 {
			u.r.cache.Fail(u.r.clock.Now(), q, &ede.Error{ID: "ERRS"}, false)
			u.it.ail("example.", silent)
			u.r.trouble(u.r.clock.Now(), name("example."))
			u.it.ail("example.", nil)
			u.r.trouble(u.r.clock.Now(), name("example."))
			if _, ok := u.r.cache.LastFailure(u.r.clock.Now(), q); ok != (i == clearBurst-1 || i == clearBurst) {
				t.Errorf("return %d: the failure is remembered: %v", i, ok)
			}
		}
		time.Sleep(clearEvery)
		u.r.trouble(u.r.clock.Now(), name("example."))
		if _, ok := u.r.cache.LastFailure(u.r.clock.Now(), q); ok {
			t.Error("what is to be forgotten later never is")
		}
	})
}

func TestRampBounds(t *testing.T) {
	s := newRamps()
	now := clock.Mono(time.Hour)
	cut := func(i int) dnsname.Name { return name(fmt.Sprintf("z%d.example.", i)) }
	for i := range maxRamps + 5 {
		s.begin(now, cut(i), "")
	}
	if len(s.cuts) != maxRamps || s.without != 5 {
		t.Errorf("%d slow starts, %d without", len(s.cuts), s.without)
	}
	key := func(i int) flightKey { return flightKey{name: name(fmt.Sprintf("n%d.example.", i)), typ: wire.TypeA} }
	var p *ramp
	for i := range rampFirst + rampQueue + 7 {
		got, ok := s.admit(now, cut(0), key(i))
		if ok != (i < rampFirst) {
			t.Fatalf("refresh %d: %v", i, ok)
		}
		if ok {
			p = got
		}
	}
	if s.admit(now, cut(0), key(rampFirst)); len(p.queue) != rampQueue || s.forgotten != 7 || s.queued != rampQueue {
		t.Errorf("%d wait, %d forgotten, %d queued", len(p.queue), s.forgotten, s.queued)
	}
	if next := s.landed(p, 1, false); len(next) != 1 || next[0] != key(rampFirst) || p.window != rampFirst {
		t.Errorf("%v follow a failure", next)
	}
	if _, ok := s.admit(now.Add(rampTime), cut(0), key(1)); !ok || len(s.cuts) != maxRamps-1 {
		t.Error("it does not end")
	}
	s.begin(now.Add(rampTime), cut(maxRamps), "")
	s.begin(now.Add(rampTime), cut(maxRamps+1), "")
	if len(s.cuts) > 2 {
		t.Errorf("%d are kept that are over", len(s.cuts)-2)
	}
}

func TestTroubledIsBounded(t *testing.T) {
	var s troubled
	for i := range maxTroubled + 10 {
		if !s.add(name(fmt.Sprintf("z%d.", i)), ailment{failing: i%2 == 0}) {
			t.Fatal("was there before")
		}
	}
	last := name(fmt.Sprintf("z%d.", maxTroubled+9))
	if a, ok := s.has(last); len(s.cuts) != maxTroubled || !ok || a.failing {
		t.Errorf("%d zones, the last %v %v", len(s.cuts), ok, a)
	}
	s.add(last, ailment{failing: true})
	if a, _ := s.has(last); !a.failing || s.add(last, ailment{}) {
		t.Error("that it failed is forgotten")
	}
	s.remove(last)
	if _, ok := s.has(last); ok {
		t.Error("it is still there")
	}
}
