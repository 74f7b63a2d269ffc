package iterator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

func TestCrowd(t *testing.T) {
	fill := func(c *crowd, name string, want int) {
		t.Helper()
		for i := 0; i <= want; i++ {
			if ok := c.enter(n(name)); ok != (i < want) {
				t.Errorf("%s: number %d is let in: %v", name, i+1, ok)
			}
		}
	}
	c := &crowd{each: 3}
	fill(c, "example.com.", 3)
	fill(c, "other.com.", 3) // one zone's crowd is nobody else's
	fill(c, "com.", 12)
	for range 100 {
		if !c.enter(dnsname.Root) {
			t.Fatal("the root is bounded")
		}
	}
	// Zones beneath one another count together.
	deep := &crowd{each: 3}
	for i := range 2 {
		fill(deep, fmt.Sprintf("a%d.evil.co.uk.", i), 3)
	}
	fill(deep, "a2.evil.co.uk.", 0)
	fill(deep, "x.a3.evil.co.uk.", 0)
	fill(deep, "evil.co.uk.", 3) // what is beneath is not held against the zone itself
	fill(deep, "good.co.uk.", 3)
	fill(deep, "better.co.uk.", 0) // six, three and three below a name of two labels
	deep.leave(n("a0.evil.co.uk."))
	fill(deep, "better.co.uk.", 1)
}

// What is counted is taken back, whatever happens: else a zone would fill up in
// the course of time.
func TestCrowdIsEmptyAtTheEnd(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.server("192.0.2.11").mute = func(q Query) bool { return q.Name == n("mute.example.com.") }
		w.server("192.0.2.12").mute = w.server("192.0.2.11").mute
		w.start()
		for _, name := range []string{"www.example.com.", "mute.example.com.", "nope.example.com.", "www.nowhere.", "ns.other.net."} {
			w.resolve(name, "A")
		}
		if len(w.it.crowd.at) != 0 {
			t.Errorf("left behind: %v", w.it.crowd.at)
		}
	})
}

// Names that a zone's servers do not answer for take no more room than the zone
// may have, at its cut however it is reached; others are resolved meanwhile, and
// the zone is not blamed.
func TestZoneIsBounded(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Limits.PerZone = 10
		drops := func(q Query) bool { return q.Name.Below(n("example.com.")) && q.Name != n("www.example.com.") }
		w.server("192.0.2.11").mute, w.server("192.0.2.12").mute = drops, drops
		w.start()
		expect(t, w.resolve("www.example.com.", "A"), answered) // alive, and its delegation is known
		var all sync.WaitGroup
		var mu sync.Mutex
		turnedAway := 0
		for i := range 50 {
			all.Go(func() {
				began := w.clock.Now()
				res := w.resolve(fmt.Sprintf("x%d.example.com.", i), "A")
				if res.Failure == nil {
					t.Error("an answer out of nowhere")
				} else if res.Failure.ID == "CROW" {
					mu.Lock()
					defer mu.Unlock()
					turnedAway++
					if !res.Ours || w.clock.Now() != began {
						t.Errorf("turned away %v, after %v", res, w.clock.Now().Sub(began))
					}
				}
			})
		}
		time.Sleep(time.Millisecond)
		expect(t, w.resolve("ns.other.net.", "A"), "ns.other.net. A 3600 192.0.2.21")
		all.Wait()
		if turnedAway != 40 {
			t.Errorf("%d turned away of 50", turnedAway)
		}
		if got := w.bounds(); len(got) != 40 || !slices.Contains(got, "outstanding-per-zone") {
			t.Errorf("bounds %v", got)
		}
		if f, failing := w.infra.CutFailing(w.clock.Now(), n("example.com.")); failing {
			t.Errorf("the zone is failing: %v", f.Cause)
		}
		expect(t, w.resolve("www.example.com.", "A"), answered) // there is room again
	})
}

// Look-ups of name servers' addresses that fail for a lack of ours are held
// against nobody, and the failure is marked as ours.
func TestOurLackIsNobodysFailure(t *testing.T) {
	for _, id := range []string{"FULL", "LOCL", "CROW", "STOP"} {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Flights = nil
			w.start()
			w.it.flights = lacking{id: id}
			zones := w.server("192.0.2.2").zones
			zones[n("com.")] = append(zones[n("com.")], set("glueless.com.", 3600, "NS", "ns.elsewhere.net."))
			res := w.resolve("www.glueless.com.", "A")
			if res.Failure == nil || !res.Ours || res.Failure.ID != "LACK" {
				t.Errorf("%s: %v, ours %v", id, res.Failure, res.Ours)
			}
			if _, failing := w.infra.CutFailing(w.clock.Now(), n("glueless.com.")); failing {
				t.Errorf("%s: the zone is failing", id)
			}
		})
	}
}

// lacking finds no address for a lack of ours.
type lacking struct {
	Flights
	id string
}

func (l lacking) Addresses(context.Context, Request, dnsname.Name, wire.Type) ([]netip.Addr, bool, error) {
	return nil, false, &ede.Error{Code: ede.Other, ID: l.id}
}

// That no socket was to be had is nobody's failure either.
func TestNoSocketIsNobodysFailure(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			w.server(s).err = func(Query) error { return outcomeError{event.Budget} }
		}
		w.start()
		res := w.resolve("www.example.com.", "A")
		if res.Failure == nil || res.Failure.ID != "LOCL" || !res.Ours {
			t.Errorf("%v, ours %v", res.Failure, res.Ours)
		}
		if _, failing := w.infra.CutFailing(w.clock.Now(), n("example.com.")); failing {
			t.Error("the zone is failing")
		}
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			w.server(s).err = func(Query) error { return errors.New("broken") }
		}
		if res := w.resolve("www.example.com.", "A"); res.Ours {
			t.Errorf("ours: %v", res.Failure)
		}
	})
}

// Without a socket for one server there is none for the next: a few attempts
// are enough to know, and more would take what others are waiting for.
func TestNoSocketIsNotTriedForEveryServer(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		d := &cache.Delegation{Cut: n("wide.com."), Parent: n("com."), TTL: 3600, Expiry: w.clock.Now().Add(time.Hour), Learned: w.clock.Now()}
		for i := range byte(13) {
			a := netip.AddrFrom4([4]byte{192, 0, 2, 100 + i})
			w.servers[a] = &server{err: func(Query) error { return outcomeError{event.Budget} }}
			d.Servers = append(d.Servers, cache.NameServer{Name: n(fmt.Sprintf("ns%d.wide.com.", i)), Addrs: []netip.Addr{a}})
		}
		w.cache.PutDelegation(w.clock.Now(), d)
		for range 3 {
			before := len(w.asked())
			res := w.resolve("www.wide.com.", "A")
			if res.Failure == nil || res.Failure.ID != "LOCL" || !res.Ours {
				t.Errorf("%v, ours %v", res.Failure, res.Ours)
			}
			if n := len(w.asked()) - before; n != 1 {
				t.Errorf("%d attempts", n)
			}
		}
	})
}

// Priming that ended for want of a socket says nothing of the root's servers: the
// next question primes.
func TestNoSocketDoesNotPutPrimingOff(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		root := w.server("192.0.2.1")
		root.err = func(Query) error { return outcomeError{event.Budget} }
		if res := w.resolve("www.example.com.", "A"); !res.Ours {
			t.Errorf("%v", res.Failure)
		}
		root.err = nil
		w.resolve("www.example.com.", "A")
		if n := count(w.asked(), "192.0.2.1 . NS"); n != 2 {
			t.Errorf("primed %d times: %v", n, w.asked())
		}
	})
}
