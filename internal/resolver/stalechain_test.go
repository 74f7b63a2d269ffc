package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// byName answers a name with an entry at once, and others never.
func byName(list ...cache.Entry) script {
	return func(ctx context.Context, r iterator.Request) iterator.Result {
		for _, e := range list {
			if e.Name == r.Name {
				return iterator.Result{Entries: []cache.Entry{e}}
			}
		}
		return slow(9*time.Second)(ctx, r)
	}
}

// Invariant 3: only what expired is refreshed, and each hop has its own TTL.
func TestOnlyExpiredHopsAreRefreshed(t *testing.T) {
	for what, v := range map[string]struct {
		aliasTTL, hostTTL uint32
		now               script
		asked             int32
		took              time.Duration
		want              string
	}{
		"alias expired and refreshed": {60, 3600, byName(alias("www.example.", 60, "host.example.")), 1, 0,
			"NOERROR www.example./CNAME:60 host.example./A:3480"},
		"alias expired": {60, 3600, slow(9 * time.Second), 1, 500 * ms,
			"NOERROR www.example./CNAME:30 host.example./A:3480 OLDA"},
		"host expired and refreshed": {3600, 60, byName(address("host.example.", 60, 2)), 1, 0,
			"NOERROR www.example./CNAME:3480 host.example./A:60"},
		"host expired": {3600, 60, slow(9 * time.Second), 1, 500 * ms,
			"NOERROR www.example./CNAME:3480 host.example./A:30 OLDA"},
		"both expired, alias refreshed": {60, 60, byName(alias("www.example.", 60, "host.example.")), 2, 500 * ms,
			"NOERROR www.example./CNAME:60 host.example./A:30 OLDA"},
		"both expired": {60, 60, slow(9 * time.Second), 2, 500 * ms, // one timer for the question
			"NOERROR www.example./CNAME:30 host.example./A:30 OLDA"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, it := newTest(t, lasting(usual(), nil), v.now)
				r.put(alias("www.example.", v.aliasTTL, "host.example."), address("host.example.", v.hostTTL, 1))
				time.Sleep(2 * time.Minute)
				start := time.Now()
				a := r.ask("www.example.", wire.TypeA)
				if took := time.Since(start); took != v.took {
					t.Errorf("after %s, want %s", took, v.took)
				}
				expect(t, a, v.want)
				if synctest.Wait(); it.asked.Load() != v.asked {
					t.Errorf("%d resolutions, want %d", it.asked.Load(), v.asked)
				}
			})
		})
	}
}

// Whole or nothing: no part of a chain is served because another is stale.
func TestNoPartOfAChainIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []event.StaleServed
		r, _ := newTest(t, func(o *Options) { lasting(usual(), nil)(o); hears(o, &told) }, failing(0))
		r.put(alias("www.example.", 60, "host.example.")) // its target was never there
		r.put(alias("old.example.", 600, "gone.example."), address("gone.example.", 60, 1))
		time.Sleep(time.Minute + 24*time.Hour) // the address is beyond its limit, the alias is not
		expect(t, r.ask("old.example.", wire.TypeA), "SERVFAIL ERRS")
		expect(t, r.ask("www.example.", wire.TypeCNAME), "SERVFAIL ERRS")
		if len(told) != 0 {
			t.Errorf("told of %v", told)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, lasting(usual(), nil), failing(0))
		r.put(alias("www.example.", 60, "host.example."))
		time.Sleep(2 * time.Minute)
		expect(t, r.ask("www.example.", wire.TypeA), "SERVFAIL ERRS")
		if s := r.Stats(); s.None != 1 || len(s.Stale) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A chain over two zones of which one is in trouble: its hop alone is stale.
func TestChainIntoAZoneInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), byName(of("example.", alias("www.example.", 60, "cdn.test-cdn."))))
		r.put(of("example.", alias("www.example.", 60, "cdn.test-cdn.")), of("test-cdn.", address("cdn.test-cdn.", 20, 1)))
		time.Sleep(2 * time.Minute)
		it.ail("test-cdn.", &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}})
		r.expect(t, "www.example.", 0, "NOERROR www.example./CNAME:60 cdn.test-cdn./A:20 OLDA MUTE")
	})
}

// The limit holds for the moment of the answer, though another hop was waited for.
func TestHopThatPassesItsLimitWhileAnotherIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, lasting(usual(), nil), func(ctx context.Context, q iterator.Request) iterator.Result {
			return slow(2*time.Second, address("host.example.", 60, 2))(ctx, q)
		})
		r.put(of("sick.", alias("www.example.", 60, "host.example.")))
		it.ail("sick.", &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}})
		time.Sleep(time.Minute + 24*time.Hour - time.Second)
		r.expect(t, "www.example.", 2*time.Second, "SERVFAIL MUTE")
	})
}

// Invariant 3: an alias that was replaced while the rest of the chain was waited
// for is not told any more.
func TestReplacedAliasIsNotResurrected(t *testing.T) {
	for what, v := range map[string]struct {
		alias time.Duration // until the servers tell where it leads now
		want  string
		took  time.Duration
	}{
		"while its old target is waited for": {time.Second, "NOERROR www.example./CNAME:59 new.example./A:3480", 2 * time.Second},
		"later":                              {3 * time.Second, "NOERROR www.example./CNAME:30 old.example./A:60 OLDA", 2 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []event.StaleServed
				r, it := newTest(t, func(o *Options) { lasting(usual(), nil)(o); hears(o, &told) }, func(ctx context.Context, q iterator.Request) iterator.Result {
					if q.Name == name("www.example.") {
						return slow(v.alias, alias("www.example.", 60, "new.example."))(ctx, q)
					}
					return slow(1500*ms, address(q.Name.String(), 60, 9))(ctx, q)
				})
				r.put(alias("www.example.", 60, "old.example."), address("new.example.", 3600, 2))
				time.Sleep(2*time.Minute - 2*time.Second)
				a := r.expect(t, "www.example.", v.took, v.want)
				if a.Stale != (len(told) == 1) || it.asked.Load() != 2 {
					t.Errorf("stale %v, told %v, %d resolutions", a.Stale, told, it.asked.Load())
				}
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// A DNAME past its TTL still makes aliases; a fresh one goes before a stale name.
func TestStaleDNAME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dname := entry("old.example.", wire.TypeDNAME, 60, string(name("new.example.")))
		r, it := newTest(t, lasting(usual(), nil), failing(0))
		r.put(dname, address("www.new.example.", 3600, 1))
		time.Sleep(2 * time.Minute)
		expect(t, r.ask("www.old.example.", wire.TypeA), "NOERROR old.example./DNAME:30 www.new.example./A:3480 OLDA ERRS")
		r.put(address("ftp.old.example.", 60, 1), address("ftp.new.example.", 3600, 1))
		time.Sleep(2 * time.Minute)
		dname.TTL = 600
		r.put(dname)
		before := it.asked.Load()
		expect(t, r.ask("ftp.old.example.", wire.TypeA), "NOERROR old.example./DNAME:600 ftp.new.example./A:3480")
		if n := it.asked.Load() - before; n != 0 {
			t.Errorf("%d resolutions", n)
		}
	})
}

// What is added beside an answer is fresh.
func TestAdditionalRecordsAreFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, func(o *Options) { lasting(usual(), nil)(o); o.Minimal = false }, failing(0))
		r.put(entry("example.", wire.TypeMX, 3600, "\x00\x0a"+string(name("mail.example."))), address("mail.example.", 60, 25))
		time.Sleep(2 * time.Minute)
		if a := r.ask("example.", wire.TypeMX); len(a.Extra) != 0 {
			t.Errorf("%v", a.Extra)
		}
	})
}

// A DNAME past its TTL that its zone's own answer speaks against is gone, also where
// the configuration gives denials a lifetime of their own: nothing was denied.
func TestDisprovedDNAMELeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fewest := func(o *Options) {
			lasting(usual(), nil)(o)
			o.Cache = cache.New(cache.Options{Size: 8 << 20, MaxTTL: time.Hour, MinNegativeTTL: time.Minute, MaxNegativeTTL: time.Hour, Stale: o.Stale})
		}
		r, _ := newTest(t, fewest, func(_ context.Context, q iterator.Request) iterator.Result {
			return iterator.Result{Entries: []cache.Entry{of("example.", address(q.Name.String(), 60, 1))}}
		})
		r.put(of("example.", entry("old.example.", wire.TypeDNAME, 60, string(name("new.example.")))))
		time.Sleep(2 * time.Minute)
		expect(t, r.ask("www.old.example.", wire.TypeA), "NOERROR www.old.example./A:60")
		if left := r.cache.Names(name("old.example.")); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}
