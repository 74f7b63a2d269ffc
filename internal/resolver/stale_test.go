package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

const ms = time.Millisecond

// usual is the default policy.
func usual() stale.Policy {
	return stale.Policy{Enabled: true, ClientTimeout: stale.AutoTimeout, Max: 24 * time.Hour, Negative: time.Hour,
		AnswerTTL: 30 * time.Second, Recheck: 30 * time.Second}
}

// lasting makes a resolver that serves stale answers.
func lasting(p stale.Policy, zones map[dnsname.Name]stale.Policy, never ...dnsname.Name) func(*Options) {
	return func(o *Options) {
		o.Stale = stale.NewRules(p, zones, never)
		o.ErrorText = true
		o.Cache = cache.New(cache.Options{Size: 8 << 20, MaxTTL: 7 * 24 * time.Hour, MaxNegativeTTL: time.Hour, Stale: o.Stale,
			FailureMin: time.Second, FailureMax: 5 * time.Minute, Seed: 1})
	}
}

// hears makes the stale answers that are told of be added to a list.
func hears(o *Options, list *[]event.StaleServed) {
	var mu sync.Mutex
	o.Events = func(e event.Event) {
		if s, ok := e.(event.StaleServed); ok {
			mu.Lock()
			defer mu.Unlock()
			*list = append(*list, s)
		}
	}
}

func (r *Resolver) put(list ...cache.Entry) {
	for i := range list {
		r.cache.Put(r.clock.Now(), &list[i])
	}
}

// of gives an entry another zone that it came from.
func of(cut string, e cache.Entry) cache.Entry {
	e.Cut = name(cut)
	return e
}

// asked asks, and expects the answer after so long.
func (r *Resolver) expect(t *testing.T, owner string, took time.Duration, want string) *Answer {
	t.Helper()
	start := time.Now()
	a := r.ask(owner, wire.TypeA)
	if got := time.Since(start); got != took {
		t.Errorf("%s after %s, want %s", owner, got, took)
	}
	expect(t, a, want)
	return a
}

func slow(d time.Duration, e ...cache.Entry) script {
	return func(ctx context.Context, _ iterator.Request) iterator.Result {
		select {
		case <-time.After(d):
			return iterator.Result{Entries: e}
		case <-ctx.Done():
			return iterator.Result{Failure: &ede.Error{Code: ede.NoReachableAuthority, ID: "SLOW"}}
		}
	}
}

func failing(after time.Duration) script {
	return func(context.Context, iterator.Request) iterator.Result {
		time.Sleep(after)
		return iterator.Result{Failure: &ede.Error{Code: ede.NetworkError, ID: "ERRS", Text: "192.0.2.1 said SERVFAIL"}}
	}
}

// Row: stale, no attempt yet, the zone healthy. The attempt runs on after the
// stale answer, and its result is the next one.
func TestStaleAfterTheClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.StaleServed
		r, it := newTest(t, func(o *Options) { lasting(usual(), nil)(o); hears(o, &told) }, slow(2*time.Second, address("www.example.", 60, 2)))
		r.put(address("www.example.", 5, 1))
		time.Sleep(65 * time.Second)
		a := r.expect(t, "www.example.", 500*ms, "NOERROR www.example./A:5 OLDA")
		if !a.Stale || a.Errors[0].Code != ede.StaleAnswer || a.Errors[0].Text != "stale 1m, no answer within 500ms" {
			t.Errorf("stale %v, %v", a.Stale, a.Errors)
		}
		want := event.StaleServed{At: a.At, Question: event.Question{Name: name("www.example."), Type: wire.TypeA},
			Age: 60*time.Second + 500*ms, Waited: 500 * ms, Until: a.Chain[0].Entry.StaleUntil, Why: event.StaleTimeout}
		if len(told) != 1 || told[0] != want {
			t.Errorf("told of %+v, want %+v", told, want)
		}
		time.Sleep(2 * time.Second)
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:60")
		if s := r.Stats(); it.asked.Load() != 1 || len(told) != 1 || s.WaitsCut != 1 || s.Fresh != 1 || s.None != 0 || s.Prevented != 0 {
			t.Errorf("%d resolutions, %d events, %+v", it.asked.Load(), len(told), s)
		}
		if !slices.Equal(it.samples, []time.Duration{2 * time.Second}) {
			t.Errorf("learnt from %v", it.samples)
		}
	})
}

// Row: stale, but a useful answer comes in time: NXDOMAIN too replaces what was.
func TestUsefulAnswerInTimeReplacesTheStaleOne(t *testing.T) {
	for what, v := range map[string]struct {
		e    cache.Entry
		want string
	}{
		"data":     {address("www.example.", 60, 2), "NOERROR www.example./A:60"},
		"nxdomain": {denial(cache.NXDomain, "www.example.", wire.TypeNone, 60), "NXDOMAIN www.example./TYPE0:60"},
		"nodata":   {denial(cache.NoData, "www.example.", wire.TypeA, 60), "NOERROR www.example./A:60"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, it := newTest(t, lasting(usual(), nil), slow(400*ms, v.e))
				r.put(address("www.example.", 5, 1))
				time.Sleep(10 * time.Second)
				if a := r.expect(t, "www.example.", 400*ms, v.want); a.Stale {
					t.Error("said to be stale")
				}
				r.expect(t, "www.example.", 0, v.want)
				if it.asked.Load() != 1 {
					t.Errorf("%d resolutions", it.asked.Load())
				}
			})
		})
	}
}

// Row: stale, the attempt running past the client timeout. The clock runs from
// the flight's start, whoever comes later.
func TestLaterClientsWaitForTheRestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), slow(5*time.Second, address("www.example.", 60, 2)))
		r.put(address("www.example.", 5, 1))
		time.Sleep(10 * time.Second)
		var clients sync.WaitGroup
		clients.Go(func() { r.expect(t, "www.example.", 500*ms, "NOERROR www.example./A:5 OLDA") })
		time.Sleep(400 * ms)
		clients.Go(func() { r.expect(t, "www.example.", 100*ms, "NOERROR www.example./A:5 OLDA") })
		time.Sleep(400 * ms)
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:5 OLDA")
		clients.Wait()
		// One whose question was read a moment ago did not wait either.
		q := Query{Name: name("www.example."), Type: wire.TypeA, RD: true, Arrival: r.clock.Now().Add(-time.Microsecond)}
		expect(t, r.Resolve(t.Context(), q), "NOERROR www.example./A:5 OLDA")
		if s := r.Stats(); it.asked.Load() != 1 || s.WaitsCut != 2 {
			t.Errorf("%d resolutions, %d waits cut short", it.asked.Load(), s.WaitsCut)
		}
	})
}

// Rows: stale, the attempt failed; failed within the recheck interval; longer ago.
func TestStaleAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.StaleServed
		r, it := newTest(t, func(o *Options) { lasting(usual(), nil)(o); hears(o, &told) }, failing(50*ms))
		r.put(address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		const want = "NOERROR www.example./A:30 OLDA ERRS"
		a := r.expect(t, "www.example.", 50*ms, want)
		if e := a.Errors; e[0].Text != "stale 1m, 192.0.2.1 said SERVFAIL" || e[1].Code != ede.NetworkError || e[1].Text != "" {
			t.Errorf("%q, %q", e[0], e[1])
		}
		r.expect(t, "www.example.", 0, want)
		time.Sleep(30*time.Second - time.Nanosecond)
		r.expect(t, "www.example.", 0, want)
		if synctest.Wait(); it.asked.Load() != 1 {
			t.Fatalf("%d resolutions within the recheck interval", it.asked.Load())
		}
		it.script = slow(50*ms, address("www.example.", 60, 2))
		time.Sleep(time.Nanosecond)
		r.expect(t, "www.example.", 0, want) // and behind it the refresh
		time.Sleep(51 * ms)
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:60")
		if it.asked.Load() != 2 {
			t.Errorf("%d resolutions, want 2", it.asked.Load())
		}
		why := []event.StaleReason{event.StaleFailed, event.StaleRemember, event.StaleRemember, event.StaleRemember}
		for i, e := range told {
			if e.Why != why[i] || e.Cause == nil || e.Cause.ID != "ERRS" {
				t.Errorf("%d: %v, %v", i, e.Why, e.Cause)
			}
		}
		if s := r.Stats(); len(told) != 4 || s.Prevented != 4 || s.Behind != 1 || s.Stale[StaleCount{event.StaleRemember, int(ede.NetworkError)}] != 3 {
			t.Errorf("%d told, %+v", len(told), s)
		}
	})
}

// Behind stale answers a name whose own attempts fail is tried every 30 s: the
// backoff is for those who have nothing.
func TestFailedNameIsTriedEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), failing(0))
		r.put(address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		for range 3600 {
			expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./A:30 OLDA ERRS")
			time.Sleep(time.Second)
		}
		if n := it.asked.Load(); n < 118 || n > 120 {
			t.Errorf("%d resolutions in an hour", n)
		}
	})
}

// So a failure that is remembered ends no refresh, as it ends other flights that
// begin when others have landed.
func TestRefreshOfARememberedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), failing(0))
		key := flightKey{name: name("www.example."), typ: wire.TypeA}
		r.cache.Fail(r.clock.Now(), cache.Question{Name: key.name, Type: key.typ}, &ede.Error{ID: "ERRS"}, false)
		landed := r.flights.landed.Load()
		r.behind(key, dnsname.Root, landed-1)
		if synctest.Wait(); it.asked.Load() != 1 {
			t.Errorf("%d resolutions", it.asked.Load())
		}
		if r.board(t.Context(), r.clock.Now(), key, job{budget: iterator.NewBudget(1, 1), seen: landed - 1}); it.asked.Load() != 1 {
			t.Error("asked again for a client")
		}
	})
}

// Row: the zone suspect or failing: at once, no question, and a recheck is wanted.
func TestStaleAtOnceWhenTheZoneIsInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.StaleServed
		r, it := newTest(t, func(o *Options) { lasting(usual(), nil)(o); hears(o, &told) }, failing(0))
		for i, n := range []string{"a.example.", "b.example."} {
			r.put(of("example.", address(n, 60, byte(i))))
		}
		r.put(of("example.", denial(cache.NXDomain, "no.example.", wire.TypeNone, 60)))
		time.Sleep(20 * time.Minute)
		it.ail("example.", &infra.Trouble{Failing: true, Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE", Text: "ns1.example. 192.0.2.1 did not answer"}})
		a := r.expect(t, "a.example.", 0, "NOERROR a.example./A:30 OLDA MUTE")
		if a.Errors[0].ExtraText() != "stale 19m, ns1.example. 192.0.2.1 did not answer [OLDA]" {
			t.Errorf("%q", a.Errors[0].ExtraText())
		}
		r.expect(t, "b.example.", 0, "NOERROR b.example./A:30 OLDA MUTE")
		a = r.expect(t, "no.example.", 0, "NXDOMAIN no.example./TYPE0:30 OLDN MUTE")
		if a.Errors[0].Code != ede.StaleNXDOMAIN || !told[2].Negative || told[1].Negative {
			t.Errorf("%v, %+v", a.Errors, told)
		}
		if it.asked.Load() != 0 || len(it.wanted) != 3 || it.wanted[1].Name != name("b.example.") || told[0].Why != event.StaleTrouble {
			t.Errorf("%d resolutions, rechecks wanted for %v, %v", it.asked.Load(), it.wanted, told)
		}
	})
}

// Those who wait when the trouble is noticed do not wait on.
func TestTroubleEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), slow(5*time.Second))
		it.learned = 1800 * ms
		r.put(of("example.", address("www.example.", 60, 1)))
		time.Sleep(2 * time.Minute)
		time.AfterFunc(600*ms, func() {
			it.ail("example.", &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}})
		})
		r.expect(t, "www.example.", 750*ms, "NOERROR www.example./A:30 OLDA MUTE")
	})
}

// A client timeout of 0: stale first, refreshed behind.
func TestStaleFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := usual()
		p.ClientTimeout = 0
		r, it := newTest(t, lasting(p, nil), slow(20*ms, address("www.example.", 60, 2)))
		r.put(address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		a := r.expect(t, "www.example.", 0, "NOERROR www.example./A:30 OLDA")
		if a.Errors[0].Text != "stale 1m, being refreshed" {
			t.Error(a.Errors[0].Text)
		}
		time.Sleep(21 * ms)
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:60")
		if s := r.Stats(); it.asked.Load() != 1 || s.WaitsCut != 0 {
			t.Errorf("%d resolutions, %d waits cut short", it.asked.Load(), s.WaitsCut)
		}
	})
}

// REFUSED from all servers is a failure, or an answer, as the policy says; then it
// is asked again as failures are.
func TestRefused(t *testing.T) {
	refuses := func(context.Context, iterator.Request) iterator.Result {
		return iterator.Result{Refused: true, Failure: &ede.Error{Code: ede.NetworkError, ID: "REFU"}}
	}
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, lasting(usual(), nil), refuses)
		r.put(address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:30 OLDA REFU")
	})
	synctest.Test(t, func(t *testing.T) {
		p := usual()
		p.RefuseRefused = true
		r, it := newTest(t, lasting(p, nil), refuses)
		r.put(address("www.example.", 60, 1), of("sub.example.", address("www.sub.example.", 60, 1)))
		time.Sleep(2 * time.Minute)
		r.expect(t, "www.example.", 0, "REFUSED REFU")
		r.expect(t, "www.example.", 0, "REFUSED REFU RFAI")
		it.ail("sub.example.", &infra.Trouble{Failing: true, Refused: true, Cause: &ede.Error{ID: "REFU"}})
		r.expect(t, "www.sub.example.", 0, "REFUSED REFU ZFAI")
		it.script = failing(0)
		time.Sleep(time.Second) // the failure counts no longer
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:30 OLDA ERRS")
		if it.asked.Load() != 2 || len(it.wanted) != 1 {
			t.Errorf("%d resolutions, %d rechecks wanted", it.asked.Load(), len(it.wanted))
		}
	})
}

// Invariant 4: the limit counts from the expiry, however often it is asked for.
func TestStaleEndsAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := usual()
		p.Max = time.Hour
		r, _ := newTest(t, lasting(p, nil), failing(0))
		r.put(address("www.example.", 60, 1))
		time.Sleep(time.Minute)
		for range 60 {
			expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./A:30 OLDA ERRS")
			time.Sleep(time.Minute)
		}
		if a := r.ask("www.example.", wire.TypeA); a.Rcode != wire.RcodeServFail || a.Stale {
			t.Errorf("after the limit: %s", shape(a))
		}
		if s := r.Stats(); s.None != 1 || s.StaleAge.Counts[len(s.StaleAge.Counts)-1] != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// What may not be served stale is waited for, and its failure told.
func TestNeverStale(t *testing.T) {
	positive := usual()
	positive.PositiveOnly = true
	short := usual()
	short.Negative = time.Minute
	client := netip.MustParseAddr("192.0.2.99")
	for what, v := range map[string]struct {
		change func(*Options)
		e      cache.Entry
		q      Query
		want   string
	}{
		"TTL 0":         {lasting(usual(), nil), address("www.example.", 0, 1), Query{RD: true}, "SERVFAIL ERRS"},
		"RD 0":          {lasting(usual(), nil), address("www.example.", 60, 1), Query{}, "REFUSED NORD"},
		"off":           {nil, address("www.example.", 60, 1), Query{RD: true}, "SERVFAIL ERRS"},
		"zone":          {lasting(usual(), nil, name("example.")), address("www.example.", 60, 1), Query{RD: true}, "SERVFAIL ERRS"},
		"positive only": {lasting(positive, nil), denial(cache.NoData, "www.example.", wire.TypeA, 60), Query{RD: true}, "SERVFAIL ERRS"},
		"old denial":    {lasting(short, nil), denial(cache.NoData, "www.example.", wire.TypeA, 60), Query{RD: true}, "SERVFAIL ERRS"},
		"client": {func(o *Options) {
			lasting(usual(), nil)(o)
			o.NeverStale = func(a netip.Addr) bool { return a == client }
		}, address("www.example.", 60, 1), Query{RD: true, Client: client}, "SERVFAIL ERRS"},
		"another client": {func(o *Options) {
			lasting(usual(), nil)(o)
			o.NeverStale = func(a netip.Addr) bool { return a == client }
		}, address("www.example.", 60, 1), Query{RD: true, Client: client.Next()}, "NOERROR www.example./A:30 OLDA ERRS"},
		"uncached": {func(o *Options) {
			lasting(usual(), nil)(o)
			o.Uncached = func(dnsname.Name) bool { return true }
		}, cache.Entry{}, Query{RD: true}, "SERVFAIL ERRS"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, it := newTest(t, v.change, slow(0, address("www.example.", 60, 7)))
				if v.e.Name != "" {
					r.put(v.e)
				} else {
					r.ask("www.example.", wire.TypeA) // an answer that is not kept
				}
				it.script = failing(0)
				time.Sleep(5 * time.Minute)
				v.q.Name, v.q.Type, v.q.Arrival = name("www.example."), wire.TypeA, r.clock.Now()
				expect(t, r.Resolve(context.Background(), v.q), v.want)
			})
		})
	}
}

// A zone's own policy holds for it.
func TestPolicyOfAZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := usual()
		own.ClientTimeout, own.AnswerTTL = 200*ms, 10*time.Second
		r, _ := newTest(t, lasting(usual(), map[dnsname.Name]stale.Policy{name("consul."): own}), slow(5*time.Second))
		r.put(address("web.consul.", 60, 1), address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		r.expect(t, "web.consul.", 200*ms, "NOERROR web.consul./A:10 OLDA")
		r.expect(t, "www.example.", 500*ms, "NOERROR www.example./A:30 OLDA")
	})
}

// Codes alone when no text is wanted.
func TestNoErrorText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, func(o *Options) { lasting(usual(), nil)(o); o.ErrorText = false }, failing(0))
		r.put(address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		a := r.ask("www.example.", wire.TypeA)
		if len(a.Errors) != 2 || *a.Errors[0] != (ede.Error{Code: ede.StaleAnswer}) || *a.Errors[1] != (ede.Error{Code: ede.NetworkError}) {
			t.Errorf("%q", a.Errors)
		}
	})
}

// A lack of our own is no reason for an error either; whoever is gone is told nothing.
func TestStaleWhenThereIsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.StaleServed
		r, _ := newTest(t, func(o *Options) { lasting(usual(), nil)(o); o.Flights = 1; hears(o, &told) }, slow(time.Second))
		r.put(address("www.example.", 60, 1))
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		expect(t, r.Resolve(ctx, Query{Name: name("www.example."), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}), "SERVFAIL STOP")
		go r.ask("other.example.", wire.TypeA)
		synctest.Wait()
		r.expect(t, "www.example.", 0, "NOERROR www.example./A:30 OLDA FULL")
		if len(told) != 1 {
			t.Errorf("%d told", len(told))
		}
		time.Sleep(time.Second)
	})
}

// RFC 8767 §6: name servers' addresses may be stale too, after a failure or the
// timeout. Nobody is told.
func TestStaleAddressesOfNameServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.StaleServed
		r, it := newTest(t, func(o *Options) { lasting(usual(), nil)(o); hears(o, &told) }, failing(100*ms))
		r.put(address("ns.example.", 60, 7), address("ns2.example.", 60, 8))
		time.Sleep(2 * time.Minute)
		look := func(host string, took time.Duration) {
			t.Helper()
			start := time.Now()
			got, old, err := r.Addresses(context.Background(), iterator.Request{Budget: iterator.NewBudget(5, 1<<20)}, name(host), wire.TypeA)
			if err != nil || old == (took == 0) || len(got) != 1 || time.Since(start) != took {
				t.Errorf("%v, %v after %s", got, err, time.Since(start))
			}
		}
		look("ns.example.", 100*ms)
		it.script = slow(5 * time.Second)
		look("ns2.example.", 500*ms)
		synctest.Wait()
		it.script = func(context.Context, iterator.Request) iterator.Result {
			return iterator.Result{Borrowed: true, Entries: []cache.Entry{address("ns3.example.", 30, 9)}}
		}
		look("ns3.example.", 0) // a forwarder's last good answer
		if s := r.Stats(); len(told) != 0 || len(s.Stale) != 0 {
			t.Errorf("%d told, %v", len(told), s.Stale)
		}
	})
}

func TestInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59*time.Second + 999*ms: "59s", time.Minute: "1m", 41*time.Minute + 59*time.Second: "41m", time.Hour: "1h",
		47 * time.Hour: "47h", 48 * time.Hour: "2d", 30 * 24 * time.Hour: "30d",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if !strings.HasPrefix((&past{why: event.StaleCrowd}).reason(), "the servers have just") {
		t.Error("a slow start has no words")
	}
}
