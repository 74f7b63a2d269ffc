package iterator

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Where somebody validates, the denial of a zone takes nothing away until it was found
// good: anybody could have made it.
func TestDenialWaitsForWhoValidates(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.DNSSEC = true
		lapse(w, t)
		held := func() bool {
			_, ok := w.cache.Lookup(new(cache.Reader), w.clock.Now(), n("www.example.com."), wire.TypeA)
			_, lapsed := w.cache.Lapsed(w.clock.Now(), n("example.com."))
			return ok && lapsed
		}
		com := w.server("192.0.2.2").zones
		com[n("com.")] = slices.DeleteFunc(com[n("com.")], func(s rrset.Set) bool { return s.Name.Under(n("example.com.")) })
		res := w.it.Resolve(t.Context(), Request{Name: n("ftp.example.com."), Type: wire.TypeA, Budget: NewBudget(50, 1<<20)})
		if expect(t, res, "ftp.example.com. NXDOMAIN 900"); len(res.Undone) != 1 || res.Undone[0] != (Undone{n("example.com."), true}) {
			t.Errorf("undone: %v", res.Undone)
		}
		if !held() {
			t.Fatal("a denial that nobody has validated took the zone away")
		}
		if through := w.fly(t.Context(), Request{Name: n("www.example.com."), Type: wire.TypeA, Budget: NewBudget(20, 1<<16), Lapsed: true}, 0); !through.Lapsed || len(through.Undone) > 0 {
			t.Errorf("not past the denial: %+v", through)
		}
		child := Result{Entries: []cache.Entry{{Cut: n("example.com.")}}, Undone: res.Undone}
		if w.it.Undo(w.clock.Now(), &child); !held() {
			t.Error("an answer of the zone itself took it away")
		}
		w.it.Undo(w.clock.Now(), &res)
		if held() || res.Since != w.cache.Generation() || res.Undone != nil {
			t.Error("one that was found good did not")
		}
	})
}

// Who waits for another's walk gets the link that its referral gave.
func TestLinksOfSharedWalks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, small)
		w.opts.DNSSEC = true
		w.delegates("192.0.2.1", "com.", signed(set("com.", 3600, "DS", "x")))
		w.delegates("192.0.2.2", "example.com.", signed(set("example.com.", 600, "DS", "y")))
		w.start()
		var both sync.WaitGroup
		for _, typ := range []string{"A", "AAAA"} {
			both.Go(func() {
				if res := w.resolve("www.example.com.", typ); len(res.Links) != 2 {
					t.Errorf("%s: %s", typ, linked(res.Links))
				}
			})
		}
		both.Wait()
		if asked := count(w.asked(), "192.0.2.2 "); asked != 1 {
			t.Errorf("asked %d times: nothing was shared", asked)
		}
		time.Sleep(time.Second)
	})
}
