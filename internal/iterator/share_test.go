package iterator

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
)

func TestWalks(t *testing.T) {
	k := walkKey{cut: n("com."), name: n("example.com.")}
	closed := func(w *walk) bool {
		select {
		case <-w.done:
			return true
		default:
			return false
		}
	}
	ws := new(walks)
	first, _ := ws.lead(k, nil)
	if mine, other := ws.lead(k, nil); mine != nil || other != first {
		t.Fatal("two lead the same walk")
	}
	second, _ := ws.lead(k, first) // waited for the first too long
	if second == nil {
		t.Fatal("nobody may ask in place of one who is slow")
	}
	if mine, other := ws.lead(k, first); mine != nil || other != second {
		t.Fatal("all who waited ask at once")
	}
	ws.learnt(first, found{passed: true})
	ws.end(first)
	if !closed(first) || !closed(second) || !second.found.passed {
		t.Error("what the slow one learnt is lost on those who wait for the next")
	}
	ws.learnt(second, found{relax: true})
	if second.found.relax {
		t.Error("a walk that ended learns")
	}
	ws.end(second)
	// One that learns nothing ends nobody else's.
	first, _ = ws.lead(k, nil)
	second, _ = ws.lead(k, first)
	ws.end(first)
	if closed(second) || ws.open[k] != second {
		t.Error("a walk in vain ended another")
	}
	ws.end(second)
	if len(ws.open) != 0 {
		t.Error("a walk is left open")
	}
}

// flock resolves so many names at one moment.
func flock(w *world, size int, name string) []Result {
	results := make([]Result, size)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = w.resolve(fmt.Sprintf(name, i), "A") })
	}
	all.Wait()
	return results
}

// A zone's servers drop the minimised question that forty names have in common:
// one finds that out, and all ask for their whole names.
func TestSharedQuestionThatIsNotAnswered(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Relaxed
		drops := func(q Query) bool { return q.Name == n("a.example.com.") }
		w.server("192.0.2.11").mute, w.server("192.0.2.12").mute = drops, drops
		w.start()
		began := w.clock.Now()
		for i, r := range flock(w, 40, "x%d.a.example.com.") {
			if r.Failure != nil {
				t.Errorf("%d: %v", i, r.Failure)
			}
		}
		if took := w.clock.Now().Sub(began); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		asked := w.asked()
		if got := count(asked, "192.0.2.11 a.example.com.") + count(asked, "192.0.2.12 a.example.com."); got > 6 {
			t.Errorf("%d asked the same in vain", got)
		}
	})
}

// When whoever asks for all learns nothing, the next one asks, not all at once.
func TestSharedQuestionInVain(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Strict
		drops := func(q Query) bool { return q.Name == n("a.example.com.") }
		w.server("192.0.2.11").mute, w.server("192.0.2.12").mute = drops, drops
		w.start()
		flock(w, 100, "x%d.a.example.com.")
		asked := w.asked()
		// Six tries each of those who lead: one at first, one more each shareLimit, and
		// whoever is left with a moment when a leader ends.
		if got := count(asked, "192.0.2.11 a.example.com.") + count(asked, "192.0.2.12 a.example.com."); got > 6*16 {
			t.Errorf("%d asked the same in vain", got)
		}
	})
}

// A domain's servers have moved. One who asks the parent again, and finds that
// another is asking already, goes on from that one's referral as from its own:
// that a name below does not exist is no denial of the domain.
func TestSharedReferralAfterFailure(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Relaxed
		w.server("192.0.2.2").rtt = time.Second
		w.servers[netip.MustParseAddr("192.0.2.66")] = &server{zones: map[dnsname.Name][]rrset.Set{}, err: func(Query) error { return outcomeError{event.Unreachable} }}
		w.start()
		var all sync.WaitGroup
		all.Go(func() { w.resolve("www.example.com.", "A") })
		time.Sleep(500 * time.Millisecond) // it asks com. now
		now := w.clock.Now()
		w.cache.PutDelegation(now, &cache.Delegation{Cut: n("example.com."), Parent: n("com."), TTL: 3600, Expiry: now.Add(time.Hour), Learned: now,
			Servers: []cache.NameServer{{Name: n("old.example.com."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.66")}}}})
		expect(t, w.resolve("nope.example.com.", "A"), "nope.example.com. NXDOMAIN 60")
		all.Wait()
		if count(w.asked(), "192.0.2.66 ") == 0 {
			t.Error("the old server was not tried: the test shows nothing")
		}
		if d, ok := w.cache.Closest(w.clock.Now(), n("www.example.com.")); !ok || d.Cut != n("example.com.") {
			t.Error("the domain was taken for one that is gone")
		}
	})
}

// Doubt about one question is no doubt about the next: a server that denies
// without authority must not be believed for having done so several times while
// another knew better each time.
func TestDoubtEndsWithItsQuestion(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Strict
		w.server("192.0.2.11").rtt = time.Millisecond
		w.server("192.0.2.11").fault = func(_ Query, r *reply) bool {
			*r = reply{aa: true} // nothing, and no SOA record
			return true
		}
		const long = "u.v.x.y.deep.a.b.example.com."
		zones := w.server("192.0.2.12").zones
		zones[n("example.com.")] = append(zones[n("example.com.")], set(long, 300, "A", "198.51.100.5"))
		w.start()
		expect(t, w.resolve(long, "A"), long+" A 300 198.51.100.5")
		if asked := w.asked(); count(asked, "192.0.2.11 ") < 5 {
			t.Errorf("not doubtful often enough: %v", asked)
		}
	})
}

// What the servers of one configured zone say of another's names is not
// believed: those have servers of their own.
func TestConfiguredZonesSpeakForThemselves(t *testing.T) {
	in(t, "@192.0.2.70 corp.\nwww.corp. 300 CNAME b.sub.corp.\nb.sub.corp. 300 A 198.51.100.66\n"+
		"own.corp. 300 CNAME www2.corp.\nwww2.corp. 300 A 198.51.100.7\n", func(t *testing.T, w *world) {
		at := func(s string) []Target { return []Target{{Addr: netip.MustParseAddrPort(s + ":53")}} }
		w.opts.Zones = []Zone{
			{Name: n("corp."), Forward: true, Servers: at("192.0.2.70")},
			{Name: n("sub.corp."), Forward: true, Servers: at("192.0.2.71")},
		}
		w.start()
		expect(t, w.resolve("www.corp.", "A"), "www.corp. CNAME 300 b.sub.corp.")
		expect(t, w.resolve("own.corp.", "A"), "own.corp. CNAME 300 www2.corp.\nwww2.corp. A 300 198.51.100.7")
	})
}
