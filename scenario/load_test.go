package scenario

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// rig is the app on a network under load that no script could write down: each
// question is for another name, so that each needs the zone's servers.
type rig struct {
	t     testing.TB
	net   *simnet.Net
	sim   *simauth.Sim
	host  *simnet.Host
	app   *app.App
	rand  *rand.Rand
	began time.Time
	asks  sync.WaitGroup

	mu      sync.Mutex
	asked   []asked
	sent    []sent
	failing []dnsname.Name  // cuts that began to fail, in order
	back    []time.Duration // when cuts came back
	sockets int             // most that were open at once
}

// heavy leaves a test out under the race detector, which makes it take ten times as
// long: it is about figures under load, and its goroutines are those of others.
func heavy(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("figures under load are held without the race detector")
	}
}

// asked is a client's question.
type asked struct {
	at, took time.Duration
	zone     string
	rcode    wire.Rcode
	memory   bool // failed from memory
	flight   bool // answered
	stale    bool // with what has expired
}

// sent is a datagram of the resolver's.
type sent struct {
	at time.Duration
	to netip.Addr
}

// member is a server of a rig: address, zones, one way's latency and loss.
type member struct {
	addr  string
	zones []string
	link  simnet.Link
}

// newRig starts the app with servers of zones below the root; it ends with the
// test. Zones have an address at every name.
func newRig(t testing.TB, seed uint64, settings string, members ...member) *rig {
	t.Helper()
	g := &rig{t: t, net: simnet.New(simnet.Options{Seed: seed, Queue: 1 << 15}), rand: rand.New(rand.NewPCG(seed, 9)), began: time.Now()}
	g.sim = simauth.New(t, g.net)
	g.host = g.net.Host(resolver4)
	g.net.Tap(g.packet)
	var root string
	texts := map[string]string{}
	for n, m := range members {
		for _, z := range m.zones {
			ns := fmt.Sprintf("ns%d.%s", n, z)
			root += fmt.Sprintf("%s 86400 NS %s\n%s 86400 A %s\n", z, ns, ns, m.addr)
			texts[z] += fmt.Sprintf("%s 86400 NS %s\n%s 86400 A %s\n", z, ns, ns, m.addr)
		}
	}
	const soa = "@ 3600 SOA ns. admin. 1 7200 900 1209600 300\n"
	g.serve("a.root.", member{addr: rootServer[1], link: simnet.Link{Latency: defaultLatency}}).
		Load(".", soa+". 86400 NS a.root.\na.root. 86400 A "+rootServer[1]+"\n"+root)
	for n, m := range members {
		s := g.serve(fmt.Sprintf("ns%d.%s", n, m.zones[0]), m)
		for _, z := range m.zones {
			s.Load(z, soa+texts[z]+"* 60 A 192.0.2.80\n")
		}
	}
	cfg, err := config.Parse("rig", []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = []config.Endpoint{{Scheme: "dns", Addr: netip.AddrPortFrom(resolver4, 53)}}
	cfg.DNSSEC.Validation = false // its world is not signed
	g.app, err = app.New(app.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Upstream: g.host, Listen: g.host, Seed: seed, Events: g.event,
		Hints: []cache.NameServer{{Name: dnsname.MustParse("a.root."), Addrs: []netip.Addr{netip.MustParseAddr(rootServer[1])}}},
	})
	if err == nil {
		err = g.app.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// serve puts a server on the network.
func (g *rig) serve(name string, m member) *simauth.Server {
	s := g.sim.Add(name, m.addr)
	g.net.SetLinks(g.host, s.Host(), m.link)
	return s
}

// end waits for all that was asked and stops the app; nothing may be left.
func (g *rig) end() {
	g.asks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := g.app.Stop(ctx); err != nil {
		g.t.Error(err)
	}
	time.Sleep(time.Second)
	if n := g.host.Open(); n != 0 {
		g.t.Errorf("%d sockets of the resolver are left open", n)
	}
	g.net.Close()
}

func (g *rig) now() time.Duration { return time.Since(g.began) }

func (g *rig) packet(p simnet.Packet) {
	if p.From.Addr() == resolver4 && p.To.Port() == 53 {
		g.mu.Lock()
		g.sent = append(g.sent, sent{g.now(), p.To.Addr()})
		g.mu.Unlock()
	}
}

func (g *rig) event(e event.Event) {
	c, ok := e.(event.CutHealth)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Failing {
		g.failing = append(g.failing, c.Cut)
	} else {
		g.back = append(g.back, g.now())
	}
}

// ask asks for a name that nobody asked for before, of a zone.
func (g *rig) ask(zone string, typ wire.Type) {
	g.mu.Lock()
	id := len(g.asked)
	g.mu.Unlock()
	g.askFor(fmt.Sprintf("n%d.", id), zone, typ)
}

// askFor asks for a name in a zone.
func (g *rig) askFor(label, zone string, typ wire.Type) {
	g.mu.Lock()
	id := len(g.asked)
	g.asked = append(g.asked, asked{at: g.now(), took: -1, zone: zone})
	g.mu.Unlock()
	q := resolver.Query{
		Name: dnsname.MustParse(label + zone), Type: typ, RD: true,
		Client: client4, Arrival: g.app.Clock().Now(),
	}
	g.asks.Go(func() {
		a := g.app.Resolver().Resolve(context.Background(), q)
		g.mu.Lock()
		defer g.mu.Unlock()
		x := &g.asked[id]
		x.took, x.rcode, x.flight = g.now()-x.at, a.Rcode, len(a.Errors) == 0
		x.memory = slices.ContainsFunc(a.Errors, func(e *ede.Error) bool { return e.Code == ede.CachedError })
		x.stale = slices.ContainsFunc(a.Errors, func(e *ede.Error) bool { return e.Code == ede.StaleAnswer })
	})
}

// load asks at a rate per second, at random times, until a time; draw gives zone
// and type.
func (g *rig) load(until time.Duration, rate float64, draw func(*rand.Rand) (string, wire.Type)) {
	for {
		time.Sleep(time.Duration(g.rand.ExpFloat64() / rate * 1e9))
		if g.now() >= until {
			return
		}
		g.ask(draw(g.rand))
		g.sockets = max(g.sockets, g.host.Open())
	}
}

// between gives the questions for a zone that were asked in a span.
func (g *rig) between(zone string, from, to time.Duration) (list []asked) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.asked {
		if a.at >= from && a.at < to && (zone == "" || a.zone == zone) {
			list = append(list, a)
		}
	}
	return list
}

// packets counts what was sent to an address in a span.
func (g *rig) packets(to string, from, until time.Duration) (n int) {
	addr := netip.MustParseAddr(to)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sent {
		if s.to == addr && s.at >= from && s.at < until {
			n++
		}
	}
	return n
}

// failures counts those that got SERVFAIL.
func failures(list []asked) (n int) {
	for _, a := range list {
		if a.rcode == wire.RcodeServFail {
			n++
		}
	}
	return n
}

// took is a percentile of how long clients waited.
func took(list []asked, p float64) time.Duration {
	var all []time.Duration
	for _, a := range list {
		all = append(all, a.took)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(p*float64(len(all))), len(all)-1)]
}

// always draws type A of one zone.
func always(zone string) func(*rand.Rand) (string, wire.Type) {
	return func(*rand.Rand) (string, wire.Type) { return zone, wire.TypeA }
}
