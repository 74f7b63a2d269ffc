package resolver

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// Who asks just before a limit gets the last good answer before it, not an error
// after it: that of any hop ends the wait.
func TestWaitEndsBeforeTheLimit(t *testing.T) {
	const day = 24 * time.Hour
	sick := &infra.Trouble{Cause: &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}}
	for what, v := range map[string]struct {
		have []cache.Entry
		sick string
		left time.Duration // to the limit of what was put with a TTL of 60 s
		took time.Duration
		want string
	}{
		"one hop": {[]cache.Entry{address("www.example.", 60, 1)}, "", 300 * ms, 250 * ms,
			"NOERROR www.example./A:30 OLDA"},
		"far from it": {[]cache.Entry{address("www.example.", 60, 1)}, "", 600 * ms, 500 * ms,
			"NOERROR www.example./A:30 OLDA"},
		"at its end": {[]cache.Entry{address("www.example.", 60, 1)}, "", 1, 0,
			"NOERROR www.example./A:30 OLDA"},
		"of a hop behind": {[]cache.Entry{alias("www.example.", 600, "host.example."), address("host.example.", 60, 1)}, "", 300 * ms, 250 * ms,
			"NOERROR www.example./CNAME:30 host.example./A:30 OLDA"},
		"of the last of three": {[]cache.Entry{alias("www.example.", 600, "web.example."), alias("web.example.", 2*86400, "host.example."), address("host.example.", 60, 1)},
			"", 300 * ms, 250 * ms, "NOERROR www.example./CNAME:30 web.example./CNAME:86341 host.example./A:30 OLDA"},
		"of a hop before": {[]cache.Entry{of("sick.", alias("www.example.", 60, "host.example.")), address("host.example.", 600, 1)}, "sick.", 300 * ms, 250 * ms,
			"NOERROR www.example./CNAME:30 host.example./A:30 OLDA MUTE"},
		"nothing behind": {[]cache.Entry{alias("www.example.", 60, "host.example.")}, "", 300 * ms, 10 * time.Second,
			"SERVFAIL SLOW"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, it := newTest(t, lasting(usual(), nil), slow(time.Minute))
				r.put(v.have...)
				if v.sick != "" {
					it.ail(v.sick, sick)
				}
				time.Sleep(time.Minute + day - v.left)
				if x := r.Explain(name("www.example."), wire.TypeA); x.Outcome == "stale" && x.Wait != v.took {
					t.Errorf("explained: %+v", x)
				}
				a := r.expect(t, "www.example.", v.took, v.want)
				for _, h := range a.Chain {
					if h.Entry.State(a.At) == stale.Gone {
						t.Errorf("%s was gone", h.Entry.Name)
					}
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// The text says how long it was waited, not how long it might have been.
func TestWaitCutByTheLimitIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, lasting(usual(), nil), slow(time.Minute))
		r.put(address("www.example.", 60, 1))
		time.Sleep(time.Minute + 24*time.Hour - 350*ms)
		if a := r.ask("www.example.", wire.TypeA); a.Errors[0].Text != "stale 23h, no answer within 300ms" {
			t.Error(a.Errors[0].Text)
		}
	})
}

// A chain that may be served whole when it is asked for is served, whatever becomes
// of the refreshes, and no hop of it after its limit.
func TestChainsNearTheirLimits(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	near := 0
	for round := range 500 {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, uint64(round)))
			m := &model{links: links(rnd)}
			r, it := newTest(t, lasting(usual(), nil), func(ctx context.Context, q iterator.Request) iterator.Result {
				l := m.links[q.Name.String()]
				if l.hangs {
					<-ctx.Done()
				} else if time.Sleep(l.took); !l.fails {
					return iterator.Result{Entries: []cache.Entry{l.now}}
				}
				return iterator.Result{Failure: &ede.Error{Code: ede.NetworkError, ID: "ERRS"}}
			})
			it.learned = patience
			time.Sleep(30 * time.Hour)
			now := r.clock.Now()
			for _, l := range m.links {
				left := time.Duration(1 + rnd.Int64N(int64(1200*ms)))
				limit := time.Duration(l.e.TTL)*time.Second + 24*time.Hour
				if l.e.Kind != cache.Data {
					limit -= 23 * time.Hour
				}
				stored := now.Add(left - limit)
				if l.have == stale.Fresh {
					stored = now
					l.e.TTL += 20
				} else if near++; l.trouble {
					it.ail(l.e.Cut.String(), silent)
				}
				r.cache.Put(stored, &l.e)
			}
			a := r.ask("h0.example.", wire.TypeA)
			if len(a.Chain) == 0 {
				t.Errorf("seed %d round %d: %s after %v", seed, round, shape(a), r.clock.Now().Sub(now))
			}
			for i := range a.Chain {
				if h := &a.Chain[i]; h.Entry.State(a.At) == stale.Gone || a.ttl(h) == 0 {
					t.Errorf("seed %d round %d: %s is gone: %s", seed, round, h.Entry.Name, shape(a))
				}
			}
			time.Sleep(11 * time.Second)
		})
	}
	if near < 1000 {
		t.Errorf("%d hops near their limit: the test proves little", near)
	}
}
