package iterator

import (
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// A resolver that is forwarded to and has nothing better than what is stale has
// not recovered: neither a recheck nor a question that hears so ends the failure.
func TestBorrowedEndsNoFailure(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Zones = []Zone{{Name: n("example.com."), Forward: true, Servers: []Target{{Addr: netip.MustParseAddrPort("192.0.2.11:53")}}}}
		w.start()
		zone, now := n("example.com."), w.clock.Now()
		w.infra.CutFailed(now, zone, nil, infra.Blame{Refused: true})
		s, stale := w.server("192.0.2.11"), true
		s.fault = func(_ Query, r *reply) bool { r.stale = stale; return true }
		if res := recheckOne(w, "example.com.", "www.example.com."); !res.Borrowed || show(res) != answered {
			t.Errorf("%+v", res)
		}
		if res := w.resolve("www.example.com.", "A"); !res.Borrowed || show(res) != answered {
			t.Errorf("%+v", res)
		}
		if list := w.rechecked(); !failing(w, "example.com.") || len(w.health()) != 0 || len(list) != 1 || list[0].Recovered {
			t.Errorf("failing %v, told of %q, %+v", failing(w, "example.com."), w.health(), list)
		}
		stale = false
		recheckOne(w, "example.com.", "www.example.com.")
		if list := w.rechecked(); failing(w, "example.com.") || len(w.health()) != 1 || !list[1].Recovered {
			t.Errorf("failing %v, told of %q, %+v", failing(w, "example.com."), w.health(), list)
		}
	})
}

// What a recheck brings is of the time when it was asked: what was removed before is no
// reason not to take it, and what is removed meanwhile is.
func TestRecheckTellsSinceWhen(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.example.com.", "A")
		w.cache.Bury(w.clock.Now(), n("www.example.com."))
		before := w.cache.Generation()
		both(w, func(s *server) {
			s.fault = func(Query, *reply) bool { w.cache.Bury(w.clock.Now(), n("com.")); return true }
		})
		if res := recheckOne(w, "example.com.", "www.example.com."); show(res) != answered || res.Since != before || w.cache.Generation() == before {
			t.Errorf("since %d, not %d: %s", res.Since, before, show(res))
		}
	})
}

// Only who hears a reply has found out that a zone is back.
func TestRecoveryIsWhoseReplyEndedIt(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.example.com.", "A")
		zone := n("example.com.")
		fail := func() { w.infra.CutFailed(w.clock.Now(), zone, nil, infra.Blame{Refused: true}) }
		back := func() {
			time.Sleep(100 * time.Millisecond)
			w.infra.Useful(w.clock.Now(), zone, netip.MustParseAddrPort("192.0.2.99:53")) // what somebody else's reply does
		}
		fail()
		both(w, func(s *server) { s.mute = mute })
		go back()
		recheckOne(w, "example.com.", "www.example.com.")
		fail()
		go back()
		r := infra.Recheck{Cut: zone, Question: event.Question{Name: n("nobody.example.com."), Type: wire.TypeA}}
		w.it.Recheck(t.Context(), r) // of whoever serves it
		both(w, func(s *server) { s.mute = nil })
		w.infra.Answered(w.clock.Now(), netip.MustParseAddrPort("192.0.2.11:53"), 0)
		w.infra.Answered(w.clock.Now(), netip.MustParseAddrPort("192.0.2.12:53"), 0)
		w.it.Recheck(t.Context(), r) // which was not in trouble
		list := w.rechecked()
		if len(list) != 3 {
			t.Fatalf("%+v", list)
		}
		for _, e := range list {
			if e.Recovered {
				t.Errorf("%+v", e)
			}
		}
		fail()
		w.it.Recheck(t.Context(), r)
		if list = w.rechecked(); !list[3].Recovered {
			t.Errorf("%+v", list[3])
		}
	})
}

// A server of which only the address is known is asked as it is configured, and
// not at all if it is not: nothing for one behind TLS is ever sent in the clear.
func TestRecheckOfAnAddressAsConfigured(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		secret := netip.MustParseAddrPort("192.0.2.11:853")
		w.opts.Zones = []Zone{{Name: n("example.com."), Forward: true, Servers: []Target{{Addr: secret, TCP: true, TLS: "dns.example"}}}}
		w.start()
		var seen []Query
		for _, a := range []string{"192.0.2.11", "192.0.2.12"} {
			w.server(a).fault = func(q Query, _ *reply) bool { seen = append(seen, q); return false }
		}
		r := infra.Recheck{Cut: n("example.com."), Question: event.Question{Name: n("www.example.com."), Type: wire.TypeA}}
		r.Server.Addr = secret
		expect(t, w.it.Recheck(t.Context(), r), answered)
		if len(seen) != 1 || seen[0].TLS != "dns.example" || !seen[0].TCP || !seen[0].RD {
			t.Errorf("%+v", seen)
		}
		r.Server.Addr = netip.MustParseAddrPort("192.0.2.12:853")
		if res := w.it.Recheck(t.Context(), r); res.Failure == nil || !res.Ours || len(seen) != 1 {
			t.Errorf("%+v, %+v", res, seen)
		}
	})
}

// Zones with all servers in common are told of as such while those are silent, and
// when they come back; not those that fail for a reason of their own.
func TestZonesOfTheSameServers(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.glueless.com.", "A")
		w.resolve("www.example.com.", "A")
		now := w.clock.Now()
		var servers []infra.Candidate
		for _, a := range []string{"192.0.2.11:53", "192.0.2.12:53", "192.0.2.21:53"} {
			w.infra.Unreachable(now, netip.MustParseAddrPort(a), "no such host", false)
			servers = append(servers, infra.Candidate{Addr: netip.MustParseAddrPort(a)})
		}
		trouble := func(cut string) infra.Trouble {
			tr, _ := w.it.Trouble(w.clock.Now(), n(cut))
			return tr
		}
		one, other, third := trouble("glueless.com."), trouble("other.net."), trouble("example.com.")
		if !one.Silent || one.Servers == "" || one.Servers != other.Servers || third.Servers == one.Servers || third.Servers == "" {
			t.Errorf("%+v\n%+v\n%+v", one, other, third)
		}
		w.infra.CutFailed(now, n("glueless.com."), nil, infra.Blame{Silent: servers[2:]})
		w.infra.CutFailed(now, n("other.net."), nil, infra.Blame{Refused: true})
		if tr := trouble("glueless.com."); !tr.Failing || !tr.Silent || tr.Servers != one.Servers {
			t.Errorf("failing: %+v", tr)
		}
		if tr := trouble("other.net."); !tr.Failing || tr.Silent || tr.Servers != "" {
			t.Errorf("refused: %+v", tr)
		}
		time.Sleep(time.Millisecond)
		w.infra.Answered(w.clock.Now(), servers[2].Addr, 0)
		if tr := trouble("glueless.com."); !tr.Recovered || tr.Servers != one.Servers {
			t.Errorf("back: %+v", tr)
		}
	})
}
