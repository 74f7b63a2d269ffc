package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"

	"lastgood/bench/ask"
	"lastgood/bench/machine"
	"lastgood/bench/openloop"
	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
	"lastgood/bench/world"
)

const (
	port      = 5458
	hotNames  = 1_000
	window    = 200   // questions under way when caches are filled
	steady    = 50e3  // questions a second where all rates are alike
	flatOut   = 1.2e6 // more than any load reaches
	probeRate = 500.  // of the prober
	proberAt  = "127.0.8.1"
)

// Clients' addresses begin here; there are 200, in turn.
var clientsAt = netip.MustParseAddr("127.0.9.1")

// rig is what the parts measure with.
type rig struct {
	o      options
	dir    string
	world  *world.World
	part   string // under way
	server *servers.Server

	figures []figure
	checks  []check
}

// running is a server that runs.
type running struct {
	process *machine.Process
	addr    string
}

// start starts the part's server. Its limits are as by default, but for connections.
func (r *rig) start(ctx context.Context, cacheMiB, cores, connections int) (running, error) {
	setup := servers.Setup{Dir: filepath.Join(r.dir, "run", r.server.Name), Port: port, CacheMiB: cacheMiB, Cores: cores, Connections: connections,
		Hints: r.world.Hints, Anchor: r.world.Anchor}
	core := perquestion.ServerCore
	if cores > 1 {
		core += "," + perquestion.LoadCore
	}
	p, err := r.server.Start(ctx, setup, core)
	return running{p, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}, err
}

// warm asks for names of plain.bench. and checks that they have the address that
// every name has there that is not in it by name.
func (s running) warm(ctx context.Context, prefix string, first, count int) error {
	return ask.All(ctx, s.addr, window, false, world.Names(prefix, "plain.bench", first, count), func(_ string, r ask.Reply) error {
		if r.Rcode != 0 || len(r.Addrs) != 1 || r.Addrs[0] != world.Wildcard() {
			return fmt.Errorf("%+v, want %s", r, world.Wildcard())
		}
		return nil
	})
}

// numbered makes questions for prefix0.zone and on, as cheaply as a load needs it.
type numbered struct {
	prefix string
	zone   []byte // in wire form, and what follows the name
}

func newNumbered(prefix, zone string) numbered {
	return numbered{prefix, ask.Append(nil, 0, zone, false)[12:]}
}

func (n numbered) append(b []byte, i int) []byte {
	b = append(b, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0)
	b = strconv.AppendInt(append(b, n.prefix...), int64(i), 10)
	b[12] = byte(len(b) - 13)
	return append(b, n.zone...)
}

// anyOf gives questions for any of so many names.
func anyOf(prefix, zone string, count int) func(b []byte) []byte {
	n, chance := newNumbered(prefix, zone), rand.New(rand.NewPCG(1, 2))
	return func(b []byte) []byte { return n.append(b, chance.IntN(count)) }
}

// newNames gives questions for one name after the other, which nobody asked for.
func newNames(prefix, zone string) func(b []byte) []byte {
	n, next := newNumbered(prefix, zone), 0
	return func(b []byte) []byte { next++; return n.append(b, next) }
}

// load is a load on a server, from so many sockets that each send so many at once.
func (s running) load(next func(b []byte) []byte, rate float64, sockets, batch int) openloop.Load {
	return openloop.Load{Addr: netip.MustParseAddrPort(s.addr), Local: clientsAt, Sockets: sockets, Rate: rate, Batch: batch, Next: next}
}

// probe asks for some names that are in the cache.
func (s running) probe(prefix, zone string) openloop.Probe {
	p, n := openloop.Probe{Addr: s.addr, Local: proberAt, Rate: probeRate}, newNumbered(prefix, zone)
	for i := range hotNames {
		p.Questions = append(p.Questions, n.append(nil, i))
	}
	return p
}

// figure is what was measured of a server.
type figure struct {
	part, server, what string

	loads  []openloop.Loaded // as many as were asked for
	probe  openloop.Probed
	micros float64 // CPU per question that was answered
	busy   float64 // share of one core
	rss    float64 // MiB
}

// answered is how many questions of the loads a second got NOERROR or NXDOMAIN.
func (f figure) answered() (rate float64) {
	for _, l := range f.loads {
		rate += float64(l.Answered()) / l.Length.Seconds()
	}
	return rate
}

// asked is how many questions the loads asked a second.
func (f figure) asked() (rate float64) {
	for _, l := range f.loads {
		rate += float64(l.Sent) / l.Length.Seconds()
	}
	return rate
}

// errors is how many a second got another rcode.
func (f figure) errors() (rate float64) {
	for _, l := range f.loads {
		rate += float64(l.Replies()-l.Answered()) / l.Length.Seconds()
	}
	return rate
}

// lost is the share of the loads' questions without such an answer.
func (f figure) lost() float64 {
	if f.asked() == 0 {
		return 0
	}
	return max(0, 1-f.answered()/f.asked())
}

// missed is the share of the prober's questions without a good answer.
func (f figure) missed() float64 {
	if f.probe.Sent == 0 {
		return 0
	}
	return float64(f.probe.Lost()+f.probe.Wrong) / float64(f.probe.Sent)
}

// measure runs loads at once, and the prober beside them, and notes the figure.
func (r *rig) measure(ctx context.Context, s running, what string, probe openloop.Probe, loads ...openloop.Load) (figure, error) {
	f := figure{part: r.part, server: r.server.Name, what: what, loads: make([]openloop.Loaded, len(loads))}
	before, err := s.process.CPU()
	if err != nil {
		return f, err
	}
	errs := make([]error, len(loads)+1)
	var all sync.WaitGroup
	for i, l := range loads {
		all.Go(func() {
			var loaded *openloop.Loaded
			if loaded, errs[i] = l.Run(ctx, r.o.length); errs[i] == nil {
				f.loads[i] = *loaded
			}
		})
	}
	all.Go(func() {
		var probed *openloop.Probed
		if probed, errs[len(loads)] = probe.Run(ctx, r.o.length); probed != nil {
			f.probe = *probed
		}
	})
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return f, err
		}
	}
	after, err := s.process.CPU()
	if err != nil {
		return f, err
	}
	answered := float64(f.probe.Answered)
	for _, l := range f.loads {
		answered += float64(l.Answered())
	}
	f.micros = float64((after - before).Nanoseconds()) / 1000 / max(answered, 1)
	f.busy = (after - before).Seconds() / r.o.length.Seconds()
	f.rss = s.process.Memory()
	r.note(f)
	return f, nil
}

func (r *rig) note(f figure) {
	r.figures = append(r.figures, f)
	log.Printf("%s, %s: asked %.0f/s, answered %.0f/s, errors %.0f/s, %s µs/question, core busy %.0f %%, cached p50 %v, p99 %v, %.2f %% missed, %.0f MiB", f.server, f.what,
		f.asked(), f.answered(), f.errors(), perquestion.Micros(f.micros), 100*f.busy, f.probe.Waits.Quantile(0.5), f.probe.Waits.Quantile(0.99), 100*f.missed(), f.rss)
}

// check is something that must hold.
type check struct {
	part, what, bound, found string
	holds                    bool
}

// must notes that a value must be at most a bound, if the server is lastgood.
func (r *rig) must(what string, value, bound float64, unit string) {
	if r.server.Name != servers.Lastgood {
		return
	}
	c := check{r.part, what, fmt.Sprintf("%.4g%s", bound, unit), fmt.Sprintf("%.4g%s", value, unit), value <= bound}
	if !c.holds {
		log.Printf("DOES NOT HOLD: %s: %s: %s, at most %s", c.part, c.what, c.found, c.bound)
	}
	r.checks = append(r.checks, c)
}
