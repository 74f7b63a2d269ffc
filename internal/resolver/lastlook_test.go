package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// What comes into the cache while a client waits for a flight that fails is seen
// before the client is told of the failure: an entry of a snapshot, say, that is
// being loaded while questions are answered.
func TestLastLookBeforeFailing(t *testing.T) {
	for what, v := range map[string]struct {
		loads []cache.Entry
		old   time.Duration // since they were stored
		want  string
		asked bool // that rechecks are wanted for them
	}{
		"stale":              {[]cache.Entry{of("example.", address("www.example.", 60, 1))}, time.Hour, "NOERROR www.example./A:30 OLDA ERRS", false},
		"stale, servers ill": {[]cache.Entry{of("sick.", address("www.example.", 60, 1))}, time.Hour, "NOERROR www.example./A:30 OLDA ERRS", true},
		"fresh":              {[]cache.Entry{address("www.example.", 600, 1)}, time.Minute, "NOERROR www.example./A:538", false},
		"stale alias":        {[]cache.Entry{alias("www.example.", 60, "host.example."), address("host.example.", 7200, 1)}, time.Hour, "NOERROR www.example./CNAME:30 host.example./A:3598 OLDA ERRS", false},
		"stale denial":       {[]cache.Entry{denial(cache.NXDomain, "www.example.", wire.TypeNone, 60)}, time.Minute + time.Second, "NXDOMAIN www.example./TYPE0:30 OLDN ERRS", false},
		"gone":               {[]cache.Entry{address("www.example.", 60, 1)}, 25 * time.Hour, "SERVFAIL ERRS", false},
		"half a chain":       {[]cache.Entry{alias("www.example.", 60, "host.example.")}, time.Hour, "SERVFAIL ERRS", false},
		"another":            {[]cache.Entry{address("ftp.example.", 60, 1)}, time.Hour, "SERVFAIL ERRS", false},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, it := newTest(t, lasting(usual(), nil), failing(2*time.Second))
				time.Sleep(26 * time.Hour)
				it.ail("sick.", silent)
				time.AfterFunc(time.Second, func() {
					for i := range v.loads {
						r.cache.Put(r.clock.Now().Add(-v.old-time.Second), &v.loads[i])
					}
				})
				a := r.ask("www.example.", wire.TypeA)
				expect(t, a, v.want)
				if len(it.wanted) > 0 != v.asked {
					t.Errorf("rechecks are wanted for %v", it.wanted)
				}
			})
		})
	}
}

// It is given to nobody who may not have it, or who has gone.
func TestLastLookIsNotForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, lasting(usual(), nil), slow(5*time.Second))
		time.Sleep(2 * time.Hour)
		old := address("www.example.", 60, 1)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, func() {
			r.cache.Put(r.clock.Now().Add(-time.Hour), &old)
			cancel()
		})
		q := Query{Name: old.Name, Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
		expect(t, r.Resolve(ctx, q), "SERVFAIL STOP")
		if s := r.Stats(); len(s.Stale) > 0 {
			t.Errorf("%v", s.Stale)
		}
		time.Sleep(10 * time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		p := usual()
		p.RefuseRefused = true
		r, _ := newTest(t, lasting(p, nil), func(context.Context, iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			return iterator.Result{Refused: true}
		})
		time.Sleep(2 * time.Hour)
		old := address("www.example.", 60, 1)
		time.AfterFunc(500*ms, func() { r.cache.Put(r.clock.Now().Add(-time.Hour), &old) })
		expect(t, r.ask("www.example.", wire.TypeA), "REFUSED NOAN")
	})
}
