package scenario

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// Servers that let questions of type HTTPS and AAAA go unanswered, and nothing
// else, make no zone failing: not while A questions flow, and not while nothing
// but what they do not like is asked.
func TestServersThatDropHTTPSAndAAAA(t *testing.T) {
	heavy(t)
	dropped := func(q event.Question) bool { return q.Type == wire.TypeHTTPS || q.Type == wire.TypeAAAA }
	for _, rate := range []float64{0.2, 2, 100} {
		for servers := 1; servers <= 2; servers++ {
			for _, mixed := range []bool{true, false} {
				t.Run(fmt.Sprintf("rate=%v/servers=%d/mixed=%v", rate, servers, mixed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						g := selective(t, "", servers, dropped)
						last := max(20*time.Second, time.Duration(40/rate*1e9))
						g.load(last, rate, func(r *rand.Rand) (string, wire.Type) {
							types := []wire.Type{wire.TypeHTTPS, wire.TypeAAAA, wire.TypeA}
							return "one.", types[r.IntN(map[bool]int{true: 3, false: 2}[mixed])]
						})
						g.harmless(last, "one.")
					})
				})
			}
		}
	}
}

// A forwarder that answers everything but what is below one domain, to which it
// says nothing, is neither silent nor failing, though nobody asks for anything
// else for a while.
func TestForwarderStuckOnADomain(t *testing.T) {
	stuck := func(q event.Question) bool { return strings.HasSuffix(q.Name.String(), "dead.") }
	for _, rate := range []float64{0.2, 2, 100} {
		for servers := 1; servers <= 2; servers++ {
			t.Run(fmt.Sprintf("rate=%v/servers=%d", rate, servers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := "forward: [{zone: \".\", to: [\"192.0.2.10\", \"192.0.2.11\"]}]\n"
					if servers == 1 {
						config = "forward: [{zone: \".\", to: [\"192.0.2.10\"]}]\n"
					}
					g := selective(t, config, servers, stuck)
					last := max(10*time.Second, time.Duration(30/rate*1e9))
					g.load(last, rate, always("dead."))
					g.harmless(last, "one.")
				})
			})
		}
	}
}

// selective is a rig whose servers of zone one. (and dead.) are mute for some.
func selective(t *testing.T, config string, servers int, unanswered func(event.Question) bool) *rig {
	var members []member
	for n := range servers {
		members = append(members, member{
			addr: fmt.Sprintf("192.0.2.1%d", n), zones: []string{"one.", "dead."},
			link: simnet.Link{Latency: time.Duration(20+10*n) * time.Millisecond, Jitter: 2 * time.Millisecond},
		})
	}
	g := newRig(t, uint64(servers), config, members...)
	for _, m := range members {
		g.sim.Server(m.addr).On(func(q simauth.Query) bool {
			return unanswered(event.Question{Name: q.Name, Type: q.Type})
		}, -1, simauth.Silence())
	}
	return g
}

// harmless ends a load of questions that are not answered: any other is, from
// the first instant, and no cut was ever failing.
func (g *rig) harmless(last time.Duration, zone string) {
	for range 20 {
		g.ask(zone, wire.TypeA)
		time.Sleep(7 * time.Millisecond)
	}
	g.end()
	good := g.between(zone, last, time.Hour)
	if n := failures(good); n > 0 || len(good) < 20 {
		g.t.Errorf("%d of %d good questions failed", n, len(good))
	}
	if p := took(good, 1); p > 700*time.Millisecond {
		g.t.Errorf("a good question took %v", p)
	}
	if len(g.failing) > 0 {
		g.t.Errorf("failing: %v", g.failing)
	}
	for _, a := range g.between("", 0, time.Hour) {
		if a.memory {
			g.t.Errorf("a question failed from memory at %v", a.at)
			break
		}
	}
}
