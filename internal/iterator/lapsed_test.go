package iterator

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// lapse resolves a name of example.com., and lets its delegation expire, but not
// that of com.
func lapse(w *world, t *testing.T) {
	w.stale = lasting()
	w.start()
	expect(t, w.resolve("www.example.com.", "A"), answered)
	time.Sleep(3601 * time.Second)
	if d, ok := w.cache.Closest(w.clock.Now(), n("example.com.")); !ok || d.Cut != n("com.") {
		t.Fatalf("the closest delegation is of %v", d.Cut)
	}
	w.asked()
}

// The parent dead while the child lives: what the child says lives no longer than
// a stale answer; once the parent is known to be silent nobody waits for it.
func TestParentDeadChildLives(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		lapse(w, t)
		w.server("192.0.2.2").mute = mute
		res := w.resolve("www.example.com.", "A")
		expect(t, res, "www.example.com. A 30 198.51.100.1")
		if !res.Lapsed {
			t.Error("not said to be found past a TTL")
		}
		w.asked()
		for range 20 {
			began := w.clock.Now()
			res := w.resolve("alias.example.com.", "A")
			expect(t, res, "alias.example.com. CNAME 30 www.example.com.\nwww.example.com. A 30 198.51.100.1")
			if took := w.clock.Now().Sub(began); took > 20*time.Millisecond {
				t.Errorf("took %v", took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := count(w.asked(), "192.0.2.2 "); got < 1 || got > 4 {
			t.Errorf("the parent was asked %d times in two seconds", got)
		}
		synctest.Wait() // nobody reads it now
		w.server("192.0.2.2").mute = nil
		time.Sleep(2 * time.Second)
		w.resolve("alias.example.com.", "A") // asks the parent behind
		time.Sleep(time.Second)
		res = w.resolve("www.example.com.", "A")
		if expect(t, res, answered); res.Lapsed {
			t.Error("past its TTL, though the parent is back")
		}
		if d, _ := w.cache.Closest(w.clock.Now(), n("example.com.")); d.Cut != n("example.com.") {
			t.Errorf("the closest delegation is of %v", d.Cut)
		}
	})
}

// With a parent that answers, nothing past its TTL is used.
func TestParentThatAnswersIsAsked(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		lapse(w, t)
		res := w.resolve("www.example.com.", "A")
		if expect(t, res, answered); res.Lapsed || count(w.asked(), "192.0.2.2 ") != 1 {
			t.Errorf("%+v", res)
		}
	})
}

// An error of the parent's is no answer either.
func TestParentThatErrs(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		lapse(w, t)
		says(reply{rcode: wire.RcodeServFail})(w.server("192.0.2.2"))
		if res := w.resolve("www.example.com.", "A"); show(res) != "www.example.com. A 30 198.51.100.1" || !res.Lapsed {
			t.Errorf("%s, %v", show(res), res.Lapsed)
		}
	})
}

// The parent's denial ends the delegation past its TTL and all beneath it.
func TestDenialEndsWhatLapsed(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		lapse(w, t)
		com := w.server("192.0.2.2").zones
		com[n("com.")] = slices.DeleteFunc(com[n("com.")], func(s rrset.Set) bool { return s.Name.Under(n("example.com.")) })
		look := func() bool {
			_, ok := w.cache.Lookup(new(cache.Reader), w.clock.Now(), n("www.example.com."), wire.TypeA)
			return ok
		}
		if !look() {
			t.Fatal("no last good answer")
		}
		res := w.it.Resolve(t.Context(), Request{Name: n("ftp.example.com."), Type: wire.TypeA, Budget: NewBudget(50, 1<<20)})
		expect(t, res, "ftp.example.com. NXDOMAIN 900")
		if _, ok := w.cache.Lapsed(w.clock.Now(), n("www.example.com.")); ok || look() {
			t.Error("it lives on")
		}
	})
}

// A delegation past its TTL is no way to keep itself alive: what it refers to is
// not kept, however long the parent is away.
func TestLapsedProlongsNothing(t *testing.T) {
	const deeper = `
@192.0.2.11 example.com.
example.com. 300 SOA ns1.example.com. host.example.com. 60
sub.example.com. 86400 NS ns.other.net.
@192.0.2.12 example.com.
example.com. 300 SOA ns1.example.com. host.example.com. 60
sub.example.com. 86400 NS ns.other.net.
@192.0.2.21 sub.example.com.
sub.example.com. 300 SOA ns.other.net. host.example.com. 60
www.sub.example.com. 600 A 198.51.100.5
`
	in(t, small+deeper, func(t *testing.T, w *world) {
		w.stale = lasting()
		w.start()
		expect(t, w.resolve("nope.example.com.", "A"), "nope.example.com. NXDOMAIN 60")
		time.Sleep(3601 * time.Second)
		w.resolve("ns.other.net.", "A")
		w.server("192.0.2.2").mute = mute
		res := w.resolve("www.sub.example.com.", "A")
		if expect(t, res, "www.sub.example.com. A 30 198.51.100.5"); !res.Lapsed {
			t.Error("not said to be found past a TTL")
		}
		if d, ok := w.cache.Delegation(w.clock.Now(), n("sub.example.com.")); ok {
			t.Errorf("kept: %+v", d)
		}
		time.Sleep(24 * time.Hour)
		if res := w.resolve("www.sub.example.com.", "A"); res.Failure == nil {
			t.Errorf("a day later: %s", show(res))
		}
	})
}

// Addresses of name servers past their TTL are used when nobody can tell them.
func TestExpiredAddressesOfServers(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.stale = lasting()
		w.start()
		glueless := w.server("192.0.2.21").zones[n("glueless.com.")]
		delete(w.server("192.0.2.21").zones, n("glueless.com."))
		w.servers[netip.MustParseAddr("192.0.2.41")] = &server{zones: map[dnsname.Name][]rrset.Set{n("glueless.com."): glueless}, rtt: 10 * time.Millisecond}
		get(w.server("192.0.2.2").zones[n("com.")], n("glueless.com."), wire.TypeNS).Data = rdataSet("ns.far.net.")
		net := w.server("192.0.2.2").zones
		net[n("net.")] = append(net[n("net.")], set("far.net.", 86400, "NS", "ns.dead.example."))
		now := w.clock.Now()
		e := cache.Entry{Kind: cache.Data, Name: n("ns.far.net."), Type: wire.TypeA, Rank: cache.RankAuthAnswer,
			Set: set("ns.far.net.", 60, "A", "192.0.2.41"), Cut: n("far.net."), TTL: 60}
		w.cache.Put(now, &e)
		res := w.resolve("www.glueless.com.", "A")
		if expect(t, res, "www.glueless.com. A 300 198.51.100.3"); res.Lapsed {
			t.Error("past a TTL")
		}
		time.Sleep(2 * time.Minute)
		w.resolve("ns.far.net.", "A")
		res = w.resolve("www.glueless.com.", "A")
		if expect(t, res, "www.glueless.com. A 30 198.51.100.3"); !res.Lapsed {
			t.Errorf("not said to be found through an address past its TTL: %q", w.asked())
		}
		if res = recheckOne(w, "glueless.com.", "www.glueless.com."); show(res) != "www.glueless.com. A 30 198.51.100.3" || !res.Lapsed {
			t.Errorf("a recheck brings %q, %v", show(res), res.Lapsed)
		}
		w.staleServers = true
		if res = w.resolve("ftp.glueless.com.", "A"); show(res) != "ftp.glueless.com. NXDOMAIN 30" || !res.Lapsed {
			t.Errorf("through a last good answer: %q, %v", show(res), res.Lapsed)
		}
		w.staleServers = false
		if _, bad := w.it.Trouble(w.clock.Now(), n("glueless.com.")); bad {
			t.Error("in trouble")
		}
		time.Sleep(24 * time.Hour)
		if res := w.resolve("ftp.glueless.com.", "A"); res.Failure == nil {
			t.Errorf("a day later: %s", show(res))
		}
	})
}

// A cut whose delegation is gone is in trouble when the one above is, whose
// servers are then asked for the delegation and no more.
func TestTroubleAbove(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.example.com.", "A")
		w.cache.DropDelegation(n("example.com."))
		now := w.clock.Now()
		w.infra.Unreachable(now, netip.MustParseAddrPort("192.0.2.2:53"), "refused", false)
		if _, bad := w.it.Trouble(now, n("example.com.")); !bad {
			t.Fatal("in no trouble")
		}
		if !w.it.Want(now, n("example.com."), event.Question{Name: n("www.example.com."), Type: wire.TypeAAAA}) {
			t.Error("nothing is planned")
		}
		due, _ := w.infra.Rechecks(now.Add(2 * time.Second))
		if len(due) == 0 || due[0].Cut != n("com.") || due[0].Question != (event.Question{Name: n("example.com."), Type: wire.TypeA}) {
			t.Fatalf("%+v", due)
		}
		w.asked()
		w.it.Recheck(t.Context(), due[0])
		if got := w.asked(); len(got) != 1 || !strings.HasPrefix(got[0], "192.0.2.2 example.com. A") {
			t.Errorf("asked %q", got)
		}
		if _, ok := w.cache.Delegation(w.clock.Now(), n("example.com.")); !ok {
			t.Error("the referral is not kept")
		}
	})
}

// A failing zone that its parent's server serves itself by now is asked there: it
// refers to nobody any more, so that the old delegation never becomes fresh.
func TestParentThatServesTheZone(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		lapse(w, t)
		both(w, func(s *server) { s.mute = mute })
		w.infra.CutFailed(w.clock.Now(), n("example.com."), nil, infra.Blame{})
		w.server("192.0.2.2").zones[n("example.com.")] = w.server("192.0.2.11").zones[n("example.com.")]
		for i := range 3 {
			if res := w.it.Resolve(t.Context(), Request{Name: n("nope.example.com."), Type: wire.TypeA, Budget: NewBudget(50, 1<<20)}); show(res) != "nope.example.com. NXDOMAIN 60" {
				t.Errorf("resolution %d: %s", i, show(res))
			}
			time.Sleep(time.Second)
		}
	})
}
