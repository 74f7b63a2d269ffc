package scenario

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// All servers of a zone are away for three days. Each of its ten thousand names
// is answered all the while, at once but for those that found out; hardly
// anything is sent; and soon after the servers are back nothing stale is left.
func TestThreeDaysOfOutage(t *testing.T) {
	const (
		names = 10_000
		every = 10 * time.Millisecond
		away  = 72 * time.Hour
		round = 6 * time.Hour
	)
	synctest.Test(t, func(t *testing.T) {
		servers := []string{"192.0.2.10", "192.0.2.11", "192.0.2.12"}
		g := newRig(t, 1, "stale: {max-stale: 4d}\n", zoneOf("one.", 10*time.Millisecond, servers...)...)
		all := func(pause time.Duration) {
			for n := range names {
				g.askFor(fmt.Sprintf("h%d.", n), "one.", wire.TypeA)
				time.Sleep(pause)
			}
			g.asks.Wait()
		}
		all(time.Millisecond)
		if n := failures(g.between("", 0, g.now())); n > 0 {
			t.Fatalf("%d questions failed before", n)
		}
		time.Sleep(2 * time.Minute)
		from, until := g.now(), g.now()+away
		for _, s := range servers {
			g.net.Outage(netip.MustParseAddr(s), simnet.Blackhole, 0, away)
		}
		rounds := 0
		for ; g.now()+round < until; rounds++ {
			all(every)
			time.Sleep(round - names*every)
		}
		during := g.between("", from, until)
		stale := 0
		for _, a := range during {
			if a.stale {
				stale++
			}
		}
		if n := failures(during); n > 0 || stale != len(during) || len(during) != rounds*names {
			t.Errorf("of %d questions in the outage %d failed and %d had a stale answer", len(during), n, stale)
		}
		if p := took(during, 1); p > 500*time.Millisecond {
			t.Errorf("somebody waited %v", p)
		}
		if p := took(during, 0.99); p > 0 {
			t.Errorf("p99 is %v", p)
		}
		for _, s := range servers {
			// One a second while somebody asks, and a few more until nobody did for five minutes.
			if n, most := g.packets(s, from, until), rounds*(int(names*every/time.Second)*11/10+40); n > most {
				t.Errorf("%d packets to %s, want %d at most", n, s, most)
			}
		}
		time.Sleep(until - g.now())
		back := g.now()
		all(time.Millisecond)
		for _, a := range g.between("", back+3*time.Second, g.now()) {
			if a.stale {
				t.Errorf("something stale %v after the servers were back", a.at-back)
				break
			}
		}
		g.end()
	})
}

// zoneOf gives a zone servers at addresses, all equally far away.
func zoneOf(zone string, latency time.Duration, addrs ...string) (list []member) {
	for _, a := range addrs {
		list = append(list, member{addr: a, zones: []string{zone}, link: simnet.Link{Latency: latency}})
	}
	return list
}

// After an outage the refreshes of a thousand names begin slowly: 32 are
// outstanding at first, twice as many after each round, and within three seconds
// all are done.
func TestSlowStart(t *testing.T) {
	const (
		names   = 1000
		latency = 100 * time.Millisecond
		window  = 32
	)
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, seed+1, "", zoneOf("one.", latency, "192.0.2.10")...)
			addr := netip.MustParseAddr("192.0.2.10")
			all := func() {
				for n := range names {
					g.askFor(fmt.Sprintf("h%d.", n), "one.", wire.TypeA)
					time.Sleep(time.Millisecond)
				}
			}
			all()
			g.asks.Wait()
			time.Sleep(2 * time.Minute)
			dies := g.now()
			g.net.Outage(addr, simnet.Blackhole, 0, 20*time.Second)
			for g.now() < dies+20*time.Second {
				all()
			}
			back := g.now()
			for g.now() < back+4*time.Second {
				all()
			}
			g.end()
			if n := failures(g.between("", dies, time.Hour)); n > 0 {
				t.Errorf("%d questions failed", n)
			}
			for _, a := range g.between("", back+3*time.Second, time.Hour) {
				if a.stale {
					t.Errorf("something stale %v after the server was back", a.at-back)
					break
				}
			}
			if len(g.back) != 1 || g.back[0] > back+1500*time.Millisecond {
				t.Fatalf("back at %v, noticed at %v", back, g.back)
			}
			g.inWindow(addr, g.back[0], 2*latency, window)
		})
	}
}

// inWindow checks that from a moment on no more was sent to an address within any
// round trip than a window allows that doubles with each round.
func (g *rig) inWindow(addr netip.Addr, from, rtt time.Duration, window int) {
	var at []time.Duration
	for _, s := range g.sent {
		if s.to == addr && s.at >= from {
			at = append(at, s.at)
		}
	}
	for i, now := range at {
		outstanding := 0
		for k := i; k >= 0 && at[k] > now-rtt; k-- {
			outstanding++
		}
		rounds := int((now - from) / rtt)
		if most := window<<min(rounds, 20) + 1; outstanding > most { // and a recheck
			g.t.Errorf("%d refreshes outstanding %v after the zone was back, want %d at most", outstanding, now-from, most)
			return
		}
	}
}
