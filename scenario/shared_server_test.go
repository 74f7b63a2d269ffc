package scenario

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// A server that says nothing to questions for a zone that it does not serve, as
// those do that were told to drop what is not theirs: whoever owns such a zone
// can delegate it to anybody's server. The silence is that zone's and nobody
// else's, be the server known or not, however many ask for that zone and however
// few for others.
func TestZoneDelegatedToSomebodysServer(t *testing.T) {
	heavy(t)
	stuck := func(q event.Question) bool { return strings.HasSuffix(q.Name.String(), "dead.") }
	for _, c := range []struct {
		name  string
		rate  float64
		first time.Duration // until the first question for the server's own zone
	}{
		{"known", 100, 100 * time.Millisecond}, {"unknown", 100, 5 * time.Second},
		{"few", 10, 5 * time.Second}, {"crowd", 400, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := selective(t, "", 1, stuck)
				const last = 20 * time.Second
				g.asks.Go(func() {
					time.Sleep(c.first)
					for g.now() < last {
						g.ask("one.", wire.TypeA)
						time.Sleep(1700 * time.Millisecond)
					}
				})
				g.load(last, c.rate, always("dead."))
				g.end()
				good := g.between("one.", 0, time.Hour)
				if n := failures(good); n > 0 || len(good) < 9 {
					t.Errorf("%d of %d questions for the server's own zone failed", n, len(good))
				}
				if p := took(good, 1); p > 700*time.Millisecond {
					t.Errorf("a question for the server's own zone took %v", p)
				}
				for _, cut := range g.failing {
					if cut.String() != "dead." {
						t.Errorf("failing: %v", cut)
					}
				}
			})
		})
	}
}

// A forwarder that is silent to one domain, under a flood of different questions
// for it, loses no other question for want of sockets or of the forwarder.
func TestForwarderStuckUnderAFlood(t *testing.T) {
	heavy(t)
	stuck := func(q event.Question) bool { return strings.HasSuffix(q.Name.String(), "dead.") }
	synctest.Test(t, func(t *testing.T) {
		g := selective(t, "forward: [{zone: \".\", to: [\"192.0.2.10\", \"192.0.2.11\"]}]\n", 2, stuck)
		const last = 15 * time.Second
		g.asks.Go(func() {
			for g.now() < last {
				time.Sleep(300 * time.Millisecond)
				g.ask("one.", wire.TypeA)
			}
		})
		g.load(last, 500, always("dead."))
		g.end()
		good := g.between("one.", 0, time.Hour)
		if n := failures(good); n > 0 || len(good) < 49 {
			t.Errorf("%d of %d good questions failed", n, len(good))
		}
		if p := took(good, 1); p > 700*time.Millisecond {
			t.Errorf("a good question took %v", p)
		}
		if g.sockets > 4096-4096/16+64 {
			t.Errorf("%d sockets were open at once", g.sockets)
		}
		if len(g.failing) > 0 {
			t.Errorf("failing: %v", g.failing)
		}
	})
}
