package resolver

import (
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
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
