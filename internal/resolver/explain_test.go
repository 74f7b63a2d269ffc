package resolver

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// explained is a situation, and what is to be said of www.example. A in it.
type explained struct {
	policy func(*stale.Policy)
	before func(r *Resolver, it *scripted)
	typ    wire.Type

	outcome string
	wait    time.Duration
	hops    string // states, decisions
}

// situations are all of them.
func situations() map[string]explained {
	all := ofEntries()
	maps.Copy(all, ofFailures())
	maps.Copy(all, ofChains())
	return all
}

// ofEntries are about one entry that is there.
func ofEntries() map[string]explained {
	refused := &infra.Trouble{Failing: true, Refused: true, Cause: &ede.Error{Code: ede.NetworkError, ID: "TEST", Text: "all refused"}}
	silent := &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST", Text: "ns1.example. did not answer"}}
	old := func(r *Resolver) {
		r.put(of("example.", address("www.example.", 20, 1)))
		time.Sleep(time.Hour)
	}
	signed := func(r *Resolver, valid time.Duration) {
		e := of("example.", address("www.example.", 20, 1))
		e.Security, e.Valid = rrset.Secure, r.clock.Wall().Add(valid)
		r.put(e)
		time.Sleep(time.Hour)
	}
	bogus := func(r *Resolver) {
		r.cache.Fail(r.clock.Now(), cache.Question{Name: name("www.example."), Type: wire.TypeA}, &ede.Error{Code: ede.SignatureExpired, Text: "expired"}, false)
	}
	return map[string]explained{
		"fresh": {outcome: "fresh", hops: "fresh serve", before: func(r *Resolver, _ *scripted) {
			r.put(address("www.example.", 300, 1))
			time.Sleep(10500 * ms)
		}},
		"absent":              {outcome: "resolve", wait: 10 * time.Second, hops: "absent wait"},
		"stale, zone well":    {outcome: "stale", wait: 500 * ms, hops: "stale wait", before: func(r *Resolver, _ *scripted) { old(r) }},
		"stale, zone ill":     {outcome: "stale", hops: "stale serve stale", before: func(r *Resolver, it *scripted) { old(r); it.ail("example.", silent) }},
		"stale, no timeout":   {outcome: "stale", hops: "stale serve stale", policy: func(p *stale.Policy) { p.ClientTimeout = 0 }, before: func(r *Resolver, _ *scripted) { old(r) }},
		"stale, zone refuses": {outcome: "stale", hops: "stale serve stale", before: func(r *Resolver, it *scripted) { old(r); it.ail("example.", refused) }},
		"refused is obeyed": {outcome: "failure", hops: "stale fail", policy: func(p *stale.Policy) { p.RefuseRefused = true },
			before: func(r *Resolver, it *scripted) { old(r); it.ail("example.", refused) }},
		"stale, failed before": {outcome: "stale", hops: "stale serve stale", before: func(r *Resolver, _ *scripted) {
			old(r)
			r.cache.Fail(r.clock.Now(), cache.Question{Name: name("www.example."), Type: wire.TypeA}, &ede.Error{Text: "SERVFAIL"}, false)
		}},
		"bogus, signatures in date": {outcome: "stale", hops: "stale serve stale", before: func(r *Resolver, _ *scripted) { signed(r, 2*time.Hour); bogus(r) }},
		"bogus, signatures expired": {outcome: "failure", hops: "stale fail", before: func(r *Resolver, _ *scripted) { signed(r, time.Minute); bogus(r) }},
		"bogus, signatures expired, max-stale": {outcome: "stale", hops: "stale serve stale", policy: func(p *stale.Policy) { p.OnBogus = stale.BogusMaxStale },
			before: func(r *Resolver, _ *scripted) { signed(r, time.Minute); bogus(r) }},
		"bogus, never": {outcome: "failure", hops: "stale fail", policy: func(p *stale.Policy) { p.OnBogus = stale.BogusNever },
			before: func(r *Resolver, _ *scripted) { signed(r, 2*time.Hour); bogus(r) }},
		"bogus a while ago, never": {outcome: "resolve", wait: 10 * time.Second, hops: "stale wait", policy: func(p *stale.Policy) { p.OnBogus = stale.BogusNever },
			before: func(r *Resolver, _ *scripted) { signed(r, 2*time.Hour); bogus(r); time.Sleep(2 * time.Second) }},
	}
}

// ofFailures are about what is not there.
func ofFailures() map[string]explained {
	refused := &infra.Trouble{Failing: true, Refused: true, Cause: &ede.Error{Code: ede.NetworkError, ID: "TEST", Text: "all refused"}}
	silent := &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST", Text: "ns1.example. did not answer"}}
	old := func(r *Resolver) {
		r.put(of("example.", address("www.example.", 20, 1)))
		time.Sleep(time.Hour)
	}
	return map[string]explained{
		"gone": {outcome: "resolve", wait: 10 * time.Second, hops: "absent wait", before: func(r *Resolver, _ *scripted) { old(r); time.Sleep(25 * time.Hour) }},
		"absent, failed before": {outcome: "failure", hops: "absent fail", before: func(r *Resolver, _ *scripted) {
			r.cache.Fail(r.clock.Now(), cache.Question{Name: name("www.example."), Type: wire.TypeA}, &ede.Error{Text: "SERVFAIL"}, false)
		}},
		"absent, zone ill": {outcome: "failure", wait: 10 * time.Second, hops: "absent fail",
			before: func(_ *Resolver, it *scripted) { it.above = true; it.ail("example.", silent) }},
		"absent, zone refuses": {outcome: "failure", wait: 10 * time.Second, hops: "absent fail",
			before: func(_ *Resolver, it *scripted) {
				it.above = true
				it.ail("example.", refused)
				it.script = func(context.Context, iterator.Request) iterator.Result {
					time.Sleep(10 * time.Second)
					return iterator.Result{Refused: true}
				}
			}},
		"stale alias of nothing, zone ill": {outcome: "failure", wait: 10 * time.Second, hops: "stale serve stale, absent fail",
			before: func(r *Resolver, it *scripted) {
				r.put(of("example.", alias("www.example.", 300, "web.example.")))
				time.Sleep(time.Hour)
				it.above = true
				it.ail("example.", silent)
			}},
	}
}

// ofChains are about aliases, and what is under way.
func ofChains() map[string]explained {
	silent := &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST", Text: "ns1.example. did not answer"}}
	old := func(r *Resolver) {
		r.put(of("example.", address("www.example.", 20, 1)))
		time.Sleep(time.Hour)
	}
	return map[string]explained{
		"being resolved for 300 ms": {outcome: "stale", wait: 200 * ms, hops: "stale wait", before: func(r *Resolver, _ *scripted) {
			old(r)
			go r.ask("www.example.", wire.TypeA)
			time.Sleep(300 * ms)
		}},
		"slow start": {outcome: "stale", hops: "stale serve stale", before: func(r *Resolver, _ *scripted) {
			old(r)
			r.flights.ramps.begin(r.clock.Now(), name("example."), "")
			for i := range rampFirst {
				r.flights.ramps.admit(r.clock.Now(), name("example."), flightKey{name: name("other.example."), typ: wire.Type(i)})
			}
		}},
		"stale alias of something fresh": {outcome: "stale", wait: 500 * ms, hops: "stale wait, fresh serve", before: func(r *Resolver, _ *scripted) {
			r.put(alias("www.example.", 300, "web.example."), address("web.example.", 7200, 1))
			time.Sleep(time.Hour)
		}},
		"stale alias of something stale": {outcome: "stale", wait: 500 * ms, hops: "stale wait, stale serve stale", before: func(r *Resolver, _ *scripted) {
			r.put(alias("www.example.", 300, "web.example."), address("web.example.", 60, 1))
			time.Sleep(time.Hour)
		}},
		"stale alias of nothing": {outcome: "resolve", wait: 10 * time.Second, hops: "stale wait, absent wait", before: func(r *Resolver, _ *scripted) {
			r.put(alias("www.example.", 300, "web.example."))
			time.Sleep(time.Hour)
		}},
		"aliases in a circle": {outcome: "failure", hops: "fresh serve, fresh serve", before: func(r *Resolver, _ *scripted) {
			r.put(alias("www.example.", 300, "web.example."), alias("web.example.", 300, "www.example."))
		}},
		"denied, stale": {outcome: "stale", hops: "stale serve stale", before: func(r *Resolver, it *scripted) {
			r.put(cache.Entry{Kind: cache.NXDomain, Name: name("www.example."), Cut: name("example."), TTL: 60, Rank: cache.RankAuthority})
			time.Sleep(10 * time.Minute)
			it.ail("example.", silent)
		}},
		"any": {typ: wire.TypeANY, outcome: "local"},
	}
}

// What is explained is what then happens, and explaining it changes nothing: no
// flight, no recheck, no event, and the same explanation again.
func TestExplainTellsWhatHappens(t *testing.T) {
	for situation, s := range situations() {
		t.Run(situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := usual()
				if s.policy != nil {
					s.policy(&p)
				}
				r, it := newTest(t, lasting(p, nil), slow(time.Minute))
				if s.before != nil {
					s.before(r, it)
				}
				if s.typ == 0 {
					s.typ = wire.TypeA
				}
				flights, asked := r.Stats().FlightsStarted, it.asked.Load()
				x := r.Explain(name("www.example."), s.typ)
				if again := r.Explain(name("www.example."), s.typ); text(again) != text(x) || again.Why != x.Why {
					t.Errorf("said at first %+v\nthen %+v", x, again)
				}
				synctest.Wait()
				if st := r.Stats(); st.FlightsStarted != flights || it.asked.Load() != asked || len(it.wanted) > 0 {
					t.Errorf("explaining sent something: %+v, wanted %v", st, it.wanted)
				}
				if x.Outcome != s.outcome || x.Wait != s.wait || text(x) != s.hops || x.Why == "" {
					t.Errorf("%+v, want %s after %v by %s", x, s.outcome, s.wait, s.hops)
				}
				holds(t, r, it, x, s.typ)
			})
		})
	}
}

// text is an explanation's hops in short.
func text(x Explanation) string {
	s := ""
	for i, h := range x.Hops {
		if i > 0 {
			s += ", "
		}
		s += h.State + " " + h.Action.String()
	}
	return s
}

// holds asks what was explained and compares.
func holds(t *testing.T, r *Resolver, it *scripted, x Explanation, typ wire.Type) {
	t.Helper()
	start, asked := time.Now(), it.asked.Load()
	a := r.ask("www.example.", typ)
	took := time.Since(start)
	if x.Outcome == "resolve" {
		if it.asked.Load() == asked || took > x.Wait+lastWord {
			t.Errorf("it was not asked for, or took %v", took)
		}
		return
	}
	if a.Rcode != x.Rcode || a.Stale != (x.Outcome == "stale") || took != x.Wait {
		t.Errorf("the answer was %s after %v, explained was %+v", shape(a), took, x)
	}
	if x.Outcome == "failure" || x.Outcome == "local" {
		return
	}
	if len(a.Chain) != len(x.Hops) {
		t.Fatalf("%d hops, explained were %d", len(a.Chain), len(x.Hops))
	}
	for i := range a.Chain {
		h, e := &a.Chain[i], &x.Hops[i]
		if a.ttl(h) != e.TTL || h.stale != (e.State == "stale") || h.Target != e.Target {
			t.Errorf("hop %d: TTL %d, stale %v, to %q; explained was %+v", i, a.ttl(h), h.stale, h.Target, e)
		}
	}
}

// Nor does it count as asking, for eviction and for prefetching later.
func TestExplainLeavesNoTraceInTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, lasting(usual(), nil), slow(time.Minute))
		r.put(alias("www.example.", 300, "web.example."), address("web.example.", 60, 1))
		look := func() (s string) {
			r.cache.Walk(func(h *cache.Hit, hits uint8) bool {
				s += fmt.Sprintf("%s %d\n", h.Name(), hits)
				return true
			})
			n := r.cache.Stats()
			return s + fmt.Sprint(n.Hits, n.StaleHits, n.Misses)
		}
		for range 2 {
			before := look()
			for _, of := range []string{"www.example.", "no.example."} {
				r.Explain(name(of), wire.TypeA)
			}
			if after := look(); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
			time.Sleep(2 * time.Minute) // stale
		}
	})
}

// Looking is not asking: an answer that is due for a prefetch stays as it is.
func TestExplainDoesNotPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, func(o *Options) { o.Prefetch = true }, slow(time.Minute))
		r.put(address("www.example.", 300, 1))
		for range 3 {
			r.ask("www.example.", wire.TypeA)
		}
		time.Sleep(295 * time.Second)
		if x := r.Explain(name("www.example."), wire.TypeA); x.Outcome != "fresh" || len(r.prefetches) > 0 {
			t.Errorf("%+v, %d prefetches", x, len(r.prefetches))
		}
		if r.ask("www.example.", wire.TypeA); len(r.prefetches) != 1 {
			t.Error("it was not due: the test proves nothing")
		}
	})
}

// Special names need nobody.
func TestExplainOwnNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, slow(time.Minute))
		for owner, want := range map[string]string{"localhost.": "local", "1.0.0.127.in-addr.arpa.": "local"} {
			if x := r.Explain(name(owner), wire.TypeA); x.Outcome != want || x.Hops[0].State != "local" {
				t.Errorf("%s: %+v", owner, x)
			}
		}
	})
}
