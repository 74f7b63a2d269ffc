package world

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// reply is what came of a question.
type reply struct {
	ask
	sent, came time.Duration
	size       int
	msg        []byte // nil: nothing came
	err        error
	retry      bool // asked again over TCP, for the first reply was truncated
	limit      int  // octets that the client takes
}

// query is one that the resolver sent to a server.
type query struct {
	at   time.Duration
	to   netip.Addr
	name dnsname.Name
	typ  wire.Type
	tcp  bool
	lost bool
}

// happened is an event of the program with its time.
type happened struct {
	at time.Duration
	event.Event
}

// record is everything that is known of a world that was played.
type record struct {
	p       *plan
	h       *history
	replies []reply
	queries []query
	events  []happened
	leaked  []string // what was left at the end
	spoken  []spoken // when servers were heard
	watched []told   // messages about the name of -world.watch
}

// spoken is a server's reply that reaches the resolver.
type spoken struct {
	at     time.Duration
	server int
}

// player plays one plan, in a bubble.
type player struct {
	p       *plan
	h       *history
	net     *simnet.Net
	host    *simnet.Host
	clients []*simnet.Host
	auths   []*simauth.Server // nil for the dead
	app     *app.App
	began   time.Time

	mu      sync.Mutex // guards what follows
	queries []query
	events  []happened
	replies []reply
	running sync.WaitGroup
	spoken  []spoken
	watched []told
}

var ( // constant in effect
	resolver4 = netip.MustParseAddr(fmt.Sprint(serverNet4, resolverLast))
	resolver6 = netip.MustParseAddr(fmt.Sprint(serverNet6, resolverLast))
)

const (
	clientLatency = time.Millisecond
	patience      = 30 * time.Second // of a client
)

func (w *player) now() time.Duration { return time.Since(w.began) }

// play plays a plan in the caller's bubble.
func play(t testing.TB, p *plan) (*record, error) {
	h, err := newHistory(p)
	if err != nil {
		return nil, err
	}
	w := &player{p: p, h: h, began: time.Now()}
	w.net = simnet.New(simnet.Options{Seed: p.seed, Queue: 1 << 14})
	defer w.net.Close()
	defer w.net.Tap(w.tap)()
	defer w.net.Filter(w.filter)()
	w.host = w.net.Host(resolver4, resolver6)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	w.populate(t)
	if err := w.start(); err != nil {
		return nil, err
	}
	w.live(ctx)
	r := &record{p: p, h: h, leaked: w.finish()}
	r.replies, r.queries, r.events, r.spoken, r.watched = w.replies, w.queries, w.events, w.spoken, w.watched
	slices.SortStableFunc(r.replies, func(a, b reply) int { return int(a.came - b.came) })
	return r, nil
}

// populate puts machines on the network.
func (w *player) populate(t testing.TB) {
	sim := simauth.New(t, w.net)
	for i, s := range w.p.servers {
		if s.dead {
			w.auths = append(w.auths, nil)
			continue
		}
		var texts []string
		for _, a := range s.addrs {
			texts = append(texts, a.String())
		}
		a := sim.Add(fmt.Sprintf("server%d.", i), texts...)
		w.net.SetLinks(w.host, a.Host(), simnet.Link{Latency: s.latency})
		a.Always(w.script(i))
		w.auths = append(w.auths, a)
	}
	for i := range clients {
		c := w.net.Host(netip.MustParseAddr(fmt.Sprint(serverNet4, firstClient+i)))
		w.net.SetLinks(w.host, c, simnet.Link{Latency: clientLatency})
		w.clients = append(w.clients, c)
	}
	liar := sim.Add("liar.", lieNet4+"66", lieNet6+"66")
	liar.Always(lieAlways)
	w.net.SetLinks(w.host, liar.Host(), simnet.Link{Latency: 3 * time.Millisecond})
	for _, f := range w.p.faults {
		w.outage(&f)
	}
}

// outage plans a fault of the network.
func (w *player) outage(f *fault) {
	kind := simnet.Blackhole
	switch f.kind {
	case "blackhole":
	case "refuse":
		kind = simnet.Refuse
	default:
		return
	}
	for i, s := range w.p.servers {
		for _, a := range s.addrs {
			if w.auths[i] != nil && (f.server < 0 || f.server == i) {
				w.net.Outage(a, kind, f.from, f.until)
			}
		}
	}
}

// start brings the program up.
func (w *player) start() error {
	sections := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(w.p.config)) {
		section, rest, _ := strings.Cut(key, ".")
		sections[section] += rest + ": " + w.p.config[key] + ", "
	}
	text := ""
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		text += section + ": {" + strings.TrimSuffix(sections[section], ", ") + "}\n"
	}
	c, err := config.Parse("world.yaml", []byte(text))
	if err != nil {
		return err
	}
	c.Listen = []config.Endpoint{{Scheme: "dns", Addr: netip.AddrPortFrom(resolver4, 53)}}
	c.Clients.Allow = []netip.Prefix{netip.MustParsePrefix(serverNet4 + "0/24")}
	c.DNSSEC.Validation = false // nothing is signed in these worlds
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.app, err = app.New(app.Options{
		Config: c, Log: log, Events: w.hear, Upstream: w.host, Listen: w.host, Hints: w.p.hints(), Seed: w.p.seed | 1,
	})
	if err != nil {
		return err
	}
	return w.app.Start()
}

// moment is something that the player does.
type moment struct {
	at time.Duration
	do func()
}

// live lets everything happen in its time.
func (w *player) live(ctx context.Context) {
	var list []moment
	for _, u := range w.h.updates {
		list = append(list, moment{u.at, func() { w.update(u) }})
	}
	for i := range w.p.faults {
		f := &w.p.faults[i]
		if f.kind == "authority" {
			list = append(list, moment{f.from, w.misbehave}, moment{f.until, w.misbehave})
		}
	}
	for i := range w.p.asks {
		a := w.p.asks[i]
		list = append(list, moment{a.at, func() { w.running.Go(func() { w.ask(a) }) }})
	}
	slices.SortStableFunc(list, func(a, b moment) int { return int(a.at - b.at) })
	for _, m := range list {
		if m.at > w.p.length+time.Hour {
			break
		}
		time.Sleep(m.at - w.now())
		m.do()
	}
	w.running.Wait()
}

func (w *player) update(u update) {
	a := w.auths[u.server]
	switch {
	case a == nil:
	case u.version == nil:
		a.RemoveZone(u.origin)
	default:
		a.SetZone(u.version.zone)
	}
}

// misbehave sets every server's faults of this moment.
func (w *player) misbehave() {
	now := w.now()
	for i, a := range w.auths {
		var words []string
		for _, f := range w.p.faults {
			if f.kind == "authority" && f.during(i, now, now) {
				words = append(words, f.words)
			}
		}
		if a == nil {
			continue
		}
		if words == nil {
			words = []string{"off"}
		}
		a.Misbehave(strings.Join(words, ","))
	}
}

// finish stops everything and lists what was left.
func (w *player) finish() (left []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.app.Stop(ctx); err != nil {
		left = append(left, "stop: "+err.Error())
	}
	time.Sleep(5 * time.Second) // what is under way arrives, what was closed is gone
	if n := w.host.Open(); n != 0 {
		left = append(left, fmt.Sprintf("%d sockets", n))
	}
	return left
}

// hear is the program's sink. It also keeps things that happen at one instant
// apart, each by a time that depends on nothing but itself: their order would be
// the scheduler's otherwise, and no world would play twice alike.
func (w *player) hear(e event.Event) {
	w.mu.Lock()
	w.events = append(w.events, happened{w.now(), e})
	w.mu.Unlock()
	switch e := e.(type) {
	case event.FlightStarted:
		time.Sleep(time.Duration(1 + w.hash("flight", string(e.Question.Name), uint64(e.Question.Type))%4000))
	case event.Exchanged:
		if e.Outcome == event.Timeout {
			time.Sleep(time.Duration(1 + w.hash("timeout", string(e.Asked.Name)+e.Server.String(), uint64(e.Asked.Type)|uint64(e.Flight)<<16)%4000))
		}
	}
}

// ask asks one question.
func (w *player) ask(a ask) {
	r := reply{ask: a, sent: w.now(), limit: 512}
	if a.size > 512 {
		r.limit = int(a.size)
	}
	r.msg, r.err = w.exchange(&a)
	r.came, r.size = w.now(), len(r.msg)
	w.keep(r)
	if len(r.msg) > 2 && r.msg[2]&2 != 0 && !a.tcp {
		a.tcp = true
		r = reply{ask: a, sent: w.now(), retry: true}
		r.msg, r.err = w.exchange(&a)
		r.came, r.size = w.now(), len(r.msg)
		w.keep(r)
	}
}

func (w *player) keep(r reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies = append(w.replies, r)
}

func (w *player) exchange(a *ask) ([]byte, error) {
	var b wire.Builder
	id := uint16(w.hash("id", string(a.name), uint64(a.at)))
	b.Reset(make([]byte, 0, 512), 512, wire.Header{ID: id, RD: true})
	b.Question(a.name, a.typ, wire.ClassIN)
	if a.size > 0 {
		b.OPT(wire.EDNS{UDPSize: a.size}, 0)
	}
	at := netip.AddrPortFrom(resolver4, 53)
	dial := w.clients[a.client].DialUDP
	if a.tcp {
		dial = w.clients[a.client].DialTCP
	}
	conn, err := dial(context.Background(), at)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if !a.tcp {
		if _, err := conn.Write(b.Bytes()); err != nil {
			return nil, err
		}
		buf := make([]byte, 4500)
		n, err := conn.Read(buf)
		return buf[:n:n], err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(b.Len())), b.Bytes()...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err = io.ReadFull(conn, msg)
	return msg, err
}
