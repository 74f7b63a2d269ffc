package scenario

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// Two popular zones fall silent under load. Their questions fail at once after 3 s,
// few sockets are open, the other zones notice nothing, hardly anything is sent
// to the silent servers, and when these are back so are the zones.
func TestTwoZonesGoSilentUnderLoad(t *testing.T) {
	heavy(t)
	const (
		silent = 4 * time.Second
		sure   = silent + 4*time.Second // it may be slow before
		back   = 16 * time.Second
		end    = 20 * time.Second
		rate   = 2400
	)
	for servers := 1; servers <= 4; servers += 3 {
		for seed := range uint64(1) {
			t.Run(fmt.Sprintf("servers=%d/seed=%d", servers, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var members []member
					add := func(net int, zone string) {
						for n := range servers {
							members = append(members, member{
								addr: fmt.Sprintf("192.0.2.%d", net+n), zones: []string{zone},
								link: simnet.Link{Latency: 5*time.Millisecond + time.Duration(n)*10*time.Millisecond, Jitter: time.Millisecond},
							})
						}
					}
					add(10, "one.")
					add(20, "two.")
					add(30, "three.")
					g := newRig(t, seed, "", members...)
					for n := range servers {
						for _, net := range []int{10, 20} {
							addr := netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", net+n))
							g.net.Outage(addr, simnet.Blackhole, silent, back)
						}
					}
					// Half of the load is for the two zones.
					g.load(end, rate, func(r *rand.Rand) (string, wire.Type) {
						return []string{"one.", "two.", "three.", "three."}[r.IntN(4)], wire.TypeA
					})
					g.end()
					t.Logf("%d sockets at most", g.sockets)
					if g.sockets > 800 {
						t.Errorf("%d sockets were open at once", g.sockets)
					}
					if n := failures(g.between("three.", 0, end)); n > 0 {
						t.Errorf("%d questions of another zone failed", n)
					}
					if p := took(g.between("three.", silent, end), 0.999); p > 200*time.Millisecond {
						t.Errorf("p99.9 of the other zone is %v", p)
					}
					if n := failures(g.between("", 0, silent-time.Second)); n > 0 {
						t.Errorf("%d questions failed before", n)
					}
					for _, zone := range []string{"one.", "two."} {
						onset := g.between(zone, silent, sure)
						t.Logf("%s: at the onset p99 %v, most %v", zone, took(onset, 0.99), took(onset, 1))
						during := g.between(zone, sure, back-time.Second)
						if n := failures(during); n != len(during) {
							t.Errorf("%d answers of %s while it was silent", len(during)-n, zone)
						}
						if p := took(during, 0.99); p > 10*time.Millisecond {
							t.Errorf("p99 of failing for %s is %v", zone, p)
						}
						if p := took(during, 1); p > 2*time.Second {
							t.Errorf("somebody waited %v for %s", p, zone)
						}
						if n := failures(g.between(zone, back+1500*time.Millisecond, end)); n > 0 {
							t.Errorf("%d questions for %s failed later than 1.5 s after it was back", n, zone)
						}
					}
					for n := range servers {
						addr := fmt.Sprintf("192.0.2.%d", 10+n)
						// A question a second with what checks it, and a recheck.
						if n := g.packets(addr, sure, back); n > 3*8 {
							t.Errorf("%d packets to the silent %s in eight seconds", n, addr)
						}
					}
				})
			})
		}
	}
}
