package iterator

import (
	"context"
	"fmt"
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
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// lasting are rules that let everything be stale for a day.
func lasting() *stale.Rules {
	return stale.NewRules(stale.Policy{Enabled: true, Max: 24 * time.Hour, Negative: time.Hour, AnswerTTL: 30 * time.Second}, nil, nil)
}

// health gives the events that tell of the health of cuts.
func (w *world) health() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if h, ok := e.(event.CutHealth); ok {
			list = append(list, fmt.Sprintf("%s failing %v", h.Cut, h.Failing))
		}
	}
	return list
}

// recheck sends what is due, until the context ends, and caches what comes.
func (w *world) recheck(ctx context.Context) {
	for ctx.Err() == nil {
		due, _ := w.infra.Rechecks(w.clock.Now())
		for _, r := range due {
			go func() {
				res := w.it.Recheck(ctx, r)
				for i := range res.Entries {
					w.cache.Put(w.clock.Now(), &res.Entries[i])
				}
			}()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// refresh does what a resolver does for a name of a cut that has a last good
// answer: nothing but wanting rechecks while the cut is in trouble.
func (w *world) refresh(cut, name string) {
	now, q := w.clock.Now(), event.Question{Name: n(name), Type: wire.TypeA}
	if _, bad := w.it.Trouble(now, n(cut)); bad {
		w.it.Want(now, n(cut), q)
		return
	}
	go w.fly(context.Background(), Request{Name: q.Name, Type: q.Type, Budget: NewBudget(50, 1<<20), Stale: true}, 0)
}

// One server of one zone falls silent, while 40 names a second expire that all
// have stale copies: after the first second at most three packets a second leave
// for the zone, and it is known to be back within a second and a half.
func TestOutageCostsThreePacketsASecond(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.resolve("ns.other.net.", "A")
		go w.recheck(ctx)
		expire := func(d time.Duration) {
			for i := range int(d / (25 * time.Millisecond)) {
				w.refresh("other.net.", fmt.Sprintf("n%d.other.net.", i%200))
				time.Sleep(25 * time.Millisecond)
			}
		}
		expire(5 * time.Second)
		synctest.Wait()
		w.server("192.0.2.21").mute = mute
		expire(time.Second)
		w.asked()
		all := 0
		for second := range 30 {
			expire(time.Second)
			got := w.asked()
			if all += len(got); len(got) > 3 {
				t.Errorf("second %d: %q", second+2, got)
			}
		}
		if all < 27 || all > 36 {
			t.Errorf("%d packets in 30 s", all)
		}
		if got := w.health(); !slices.Equal(got, []string{"other.net. failing true"}) {
			t.Errorf("told of %q", got)
		}
		synctest.Wait()
		w.server("192.0.2.21").mute = nil
		back := w.clock.Now()
		for {
			if _, bad := w.it.Trouble(w.clock.Now(), n("other.net.")); !bad {
				break
			}
			expire(25 * time.Millisecond)
		}
		if took := w.clock.Now().Sub(back); took > 1500*time.Millisecond {
			t.Errorf("back after %v", took)
		}
		if got := w.health(); len(got) != 2 || got[1] != "other.net. failing false" {
			t.Errorf("told of %q", got)
		}
		cancel()
		time.Sleep(10 * time.Second)
	})
}

// A server that became slow is not silent: its late answers are learnt.
func TestSlowAnswersAreLearnt(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.resolve("ns.other.net.", "A")
		for range 5 {
			w.resolve("www.glueless.com.", "A")
		}
		go w.recheck(ctx)
		w.server("192.0.2.21").rtt = 1200 * time.Millisecond
		learnt := map[string]bool{}
		for i := range 200 {
			name := fmt.Sprintf("n%d.glueless.com.", i%50)
			if _, ok := w.cache.Lookup(new(cache.Reader), w.clock.Now(), n(name), wire.TypeA); ok {
				learnt[name] = true
			} else {
				w.refresh("glueless.com.", name)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if len(learnt) < 45 {
			t.Errorf("learnt %d of 50 names", len(learnt))
		}
		if failing(w, "glueless.com.") {
			t.Error("held to be failing")
		}
		cancel()
		time.Sleep(10 * time.Second)
	})
}

// A resolution with a last good answer sends nothing to servers that are silent,
// and ends when nothing can come any more; one without presses on.
func TestStaleStopsSending(t *testing.T) {
	for _, has := range []bool{true, false} {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			w.resolve("www.example.com.", "A")
			both(w, func(s *server) { s.mute = mute })
			began := w.clock.Now()
			ask := func(name string) Result {
				return w.fly(t.Context(), Request{Name: n(name), Type: wire.TypeA, Budget: NewBudget(50, 1<<20), Stale: has}, 0)
			}
			ask("a.example.com.") // until the servers are suspect at least
			took := w.clock.Now().Sub(began)
			w.asked()
			time.Sleep(1200 * time.Millisecond) // no question was sent for so long
			began = w.clock.Now()
			res := ask("b.example.com.")
			got := w.asked()
			if !res.Silent || res.Failure == nil {
				t.Errorf("stale %v: got %+v", has, res)
			}
			if !has {
				if len(got) == 0 {
					t.Error("nothing was sent though there is nothing to fall back on")
				}
				return
			}
			if took > 5*time.Second || w.clock.Now() != began || !res.Memory {
				t.Errorf("the first took %v, the second %v, from memory %v", took, w.clock.Now().Sub(began), res.Memory)
			}
			if count(got, "192.0.2.11 ")+count(got, "192.0.2.12 ") > 0 {
				t.Errorf("sent %q", got)
			}
		})
	}
}

// Where nothing proves the silence to the zone itself, late replies are waited for
// as long as one may come, and no longer.
func TestStoppedWaitsThreeSeconds(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.glueless.com.", "A")
		for range 5 {
			w.resolve("nope.other.net.", "TXT")
		}
		w.server("192.0.2.21").mute = mute
		for i := range 5 {
			go w.resolve(fmt.Sprintf("n%d.other.net.", i), "A")
		}
		began := w.clock.Now()
		res := w.fly(t.Context(), Request{Name: n("n.glueless.com."), Type: wire.TypeA, Budget: NewBudget(50, 1<<20), Stale: true}, 0)
		if took := w.clock.Now().Sub(began); !res.Silent || took < stoppedWaits || took > stoppedWaits+2*lateAgain {
			t.Errorf("after %v: %+v", took, res)
		}
		if failing(w, "glueless.com.") {
			t.Error("failing")
		}
		time.Sleep(20 * time.Second)
	})
}

// Silence that is not proved fails no cut, though nothing is sent any more.
func TestStoppingProvesNothing(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.example.com.", "A")
		both(w, func(s *server) { s.mute = mute })
		for i := range 20 {
			res := w.fly(t.Context(), Request{Name: n(fmt.Sprintf("n%d.example.com.", i)), Type: wire.TypeA, Budget: NewBudget(50, 1<<20), Stale: true}, 0)
			if res.Failure == nil || !res.Silent {
				t.Fatalf("%+v", res)
			}
			if i == 0 && failing(w, "example.com.") {
				t.Fatal("failing for the first try's sake")
			}
		}
		if failing(w, "example.com.") {
			t.Error("failing, though nothing was asked to prove it")
		}
	})
}

// recheckOne makes a zone's one server silent or erring, and rechecks it.
func recheckOne(w *world, cut, name string) Result {
	s := w.it.seat(w.clock.Now(), n(cut))
	return w.it.Recheck(context.Background(), infra.Recheck{
		Cut: s.cut, Server: s.servers[0], Question: event.Question{Name: n(name), Type: wire.TypeA},
	})
}

func (w *world) rechecked() (list []event.Rechecked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if r, ok := e.(event.Rechecked); ok {
			list = append(list, r)
		}
	}
	return list
}

// What a recheck brings decides what becomes of the cut's failure.
func TestRecheckOutcomes(t *testing.T) {
	for _, c := range []struct {
		what    string
		set     func(*server)
		outcome event.Outcome
		back    bool
		want    string
	}{
		{"an answer", nil, event.Answer, true, "www.glueless.com. A 300 198.51.100.3"},
		{"silence", func(s *server) { s.mute = mute }, event.Timeout, false, "failure 23 did not answer [RECH]"},
		{"REFUSED", says(reply{rcode: wire.RcodeRefused}), event.Refused, false, "failure 23 said REFUSED [RECH]"},
		{"lame", says(reply{authority: records(". 60 NS a.root.")}), event.Lame, false, "failure 23 refers to another zone [RECH]"},
		{"a referral", says(reply{authority: records("www.glueless.com. 60 NS ns.other.net.")}), event.Referral, true, ""},
		{"a doubtful reply", says(reply{aa: true}), event.NoData, false, "failure 23  [RECH]"},
	} {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			w.resolve("www.glueless.com.", "A")
			w.infra.CutFailed(w.clock.Now(), n("glueless.com."), nil, infra.Blame{Refused: true})
			if c.set != nil {
				c.set(w.server("192.0.2.21"))
			}
			w.asked()
			began := w.clock.Now()
			res := recheckOne(w, "glueless.com.", "www.glueless.com.")
			if got := show(res); strings.TrimSpace(strings.ReplaceAll(got, "failure 23 [RECH]", "failure 23  [RECH]")) != c.want {
				t.Errorf("%s: got %q, want %q", c.what, got, c.want)
			}
			if got := w.asked(); len(got) != 1 || got[0] != "192.0.2.21 www.glueless.com. A" {
				t.Errorf("%s: asked %q", c.what, got)
			}
			if failing(w, "glueless.com.") == c.back {
				t.Errorf("%s: failing %v", c.what, !c.back)
			}
			if took := w.clock.Now().Sub(began); took > 2*time.Second {
				t.Errorf("%s: took %v", c.what, took)
			}
			list := w.rechecked()
			if len(list) != 1 || list[0].Outcome != c.outcome || list[0].Recovered != c.back || list[0].Server.Addr().String() != "192.0.2.21" || list[0].RTT == 0 {
				t.Errorf("%s: told of %+v", c.what, list)
			}
			if h := w.health(); (len(h) == 1) != c.back {
				t.Errorf("%s: told of %q", c.what, h)
			}
			if w.infra.Stats().Rechecks[c.outcome] != 1 {
				t.Errorf("%s: counted %v", c.what, w.infra.Stats().Rechecks)
			}
			if d, ok := w.cache.Closest(w.clock.Now(), n("www.glueless.com.")); (d.Cut == n("www.glueless.com.")) != (c.outcome == event.Referral) || !ok {
				t.Errorf("%s: the closest delegation is %v", c.what, d)
			}
		})
	}
}

// Rechecks of configured servers are put as their questions are.
func TestRecheckOfConfiguredServers(t *testing.T) {
	for _, forward := range []bool{true, false} {
		in(t, small, func(t *testing.T, w *world) {
			target := Target{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.11"), 0), TCP: true}
			w.opts.Zones = []Zone{{Name: n("example.com."), Forward: forward, Servers: []Target{target}}}
			w.start()
			var seen []Query
			w.server("192.0.2.11").fault = func(q Query, _ *reply) bool { seen = append(seen, q); return false }
			w.infra.CutFailed(w.clock.Now(), n("example.com."), nil, infra.Blame{})
			now := w.clock.Now()
			tr, bad := w.it.Trouble(now, n("example.com."))
			if !bad || !tr.Failing || !w.it.Want(now, n("example.com."), event.Question{Name: n("www.example.com."), Type: wire.TypeA}) {
				t.Fatalf("%+v, %v", tr, bad)
			}
			due, _ := w.infra.Rechecks(now)
			if len(due) != 1 || due[0].RD != forward || !due[0].Server.TCP || due[0].Parent {
				t.Fatalf("%+v", due)
			}
			expect(t, w.it.Recheck(t.Context(), due[0]), answered)
			if len(seen) != 1 || seen[0].RD != forward || !seen[0].TCP {
				t.Errorf("%+v", seen)
			}
			if _, bad := w.it.Trouble(w.clock.Now(), n("example.com.")); bad {
				t.Error("still in trouble")
			}
		})
	}
}

// A zone that falls back on usual resolution is in no trouble: there is a way.
func TestFallbackIsNoTrouble(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		server := Target{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.99"), 0)}
		w.opts.Zones = []Zone{{Name: n("com."), Forward: true, Fallback: true, Servers: []Target{server}}}
		w.start()
		for range 3 {
			res := w.fly(t.Context(), Request{Name: n("www.example.com."), Type: wire.TypeA, Budget: NewBudget(50, 1<<20), Stale: true}, 0)
			expect(t, res, answered)
		}
		if _, bad := w.it.Trouble(w.clock.Now(), n("com.")); bad {
			t.Error("in trouble")
		}
	})
}

// A zone that moved while its old servers are silent is found behind stale
// answers: its parent is asked.
func TestMovedZoneIsFoundBehind(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.resolve("www.example.com.", "A")
		both(w, func(s *server) { s.mute = mute })
		com := w.server("192.0.2.2").zones[n("com.")]
		get(com, n("example.com."), wire.TypeNS).Data = rdataSet("ns.other.net.")
		w.server("192.0.2.21").zones[n("example.com.")] = records("www.example.com. 300 A 198.51.100.9")
		go w.recheck(ctx)
		found := false
		for range 400 {
			w.refresh("example.com.", "www.example.com.")
			time.Sleep(25 * time.Millisecond)
			hit, ok := w.cache.Lookup(new(cache.Reader), w.clock.Now(), n("www.example.com."), wire.TypeA)
			found = found || ok && showData(wire.TypeA, hit.Data().First()) == "198.51.100.9"
		}
		if !found {
			t.Errorf("not found: %q", w.asked())
		}
		cancel()
		time.Sleep(10 * time.Second)
	})
}

// A server whose address is not looked up yet keeps a cut out of trouble.
func TestUnknownAddressIsNoTrouble(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		now := w.clock.Now()
		a := netip.MustParseAddr("192.0.2.11")
		w.cache.PutDelegation(now, &cache.Delegation{Cut: n("example.com."), Parent: n("com."), TTL: 3600,
			Servers: []cache.NameServer{{Name: n("ns1.example.com."), Addrs: []netip.Addr{a}}, {Name: n("ns.other.net.")}}})
		w.infra.Unreachable(now, netip.AddrPortFrom(a, 53), "refused", false)
		if _, bad := w.it.Trouble(now, n("example.com.")); bad {
			t.Error("in trouble")
		}
		w.infra.CutFailed(now, n("net."), nil, infra.Blame{})
		w.cache.PutDelegation(now, &cache.Delegation{Cut: n("net."), Parent: dnsname.Root, TTL: 3600, Servers: []cache.NameServer{{Name: n("a.gtld.net.")}}})
		time.Sleep(seatLasts)
		if _, bad := w.it.Trouble(w.clock.Now(), n("example.com.")); !bad {
			t.Error("not in trouble, though nobody can tell the other's address")
		}
	})
}

// Glue that a name server's own address records speak against is tried last: as
// long as that may help, the cut is in no trouble.
func TestGlueMayHelp(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		expect(t, w.resolve("www.example.com.", "A"), answered)
		now, wrong := w.clock.Now(), netip.MustParseAddrPort("203.0.113.9:53")
		for _, ns := range []string{"ns1.example.com.", "ns2.example.com."} {
			w.cache.Put(now, &cache.Entry{Name: n(ns), Type: wire.TypeA, Rank: cache.RankAuthAnswer, Set: set(ns, 3600, "A", wrong.Addr().String()), Cut: n("example.com."), TTL: 3600})
		}
		w.infra.Unreachable(now, wrong, "refused", false)
		time.Sleep(seatLasts)
		if _, bad := w.it.Trouble(w.clock.Now(), n("example.com.")); bad {
			t.Error("in trouble, though the glue is well")
		}
		for _, glue := range []string{"192.0.2.11:53", "192.0.2.12:53"} {
			w.infra.Unreachable(w.clock.Now(), netip.MustParseAddrPort(glue), "refused", false)
		}
		if _, bad := w.it.Trouble(w.clock.Now(), n("example.com.")); !bad {
			t.Error("not in trouble, though nobody can be reached")
		}
	})
}

// What is asked for every question that finds something stale allocates nothing.
func TestTroubleAllocatesNothing(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.example.com.", "A")
		now, cut, q := w.clock.Now(), n("example.com."), event.Question{Name: n("www.example.com."), Type: wire.TypeA}
		for _, addr := range []string{"192.0.2.11", "192.0.2.12"} {
			w.infra.Unreachable(now, netip.AddrPortFrom(netip.MustParseAddr(addr), 53), "refused", false)
		}
		w.it.Trouble(now, cut)
		w.it.Want(now, cut, q)
		if n := testing.AllocsPerRun(100, func() {
			if _, bad := w.it.Trouble(now, cut); !bad {
				t.Error("not in trouble")
			}
			w.it.Want(now, cut, q)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// Seats are bounded, and those in use stay.
func TestSeatsAreBounded(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		now := w.clock.Now()
		for i := range 3 * seatsKept {
			w.it.Trouble(now, n(fmt.Sprintf("z%d.example.", i)))
		}
		if n := len(w.it.seats.young) + len(w.it.seats.old); n > 2*seatsKept {
			t.Errorf("%d seats", n)
		}
	})
}
