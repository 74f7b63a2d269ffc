package iterator

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// world is a small Internet behind the Exchanger: servers by address, each with
// zones and perhaps a fault. It is also the Flights of its iterator.
type world struct {
	t       *testing.T
	servers map[netip.Addr]*server
	cache   *cache.Cache
	infra   *infra.Infra
	clock   *clock.Clock
	it      *Iterator
	opts    Options
	stale   *stale.Rules // of the cache
	// staleServers: look-ups of name servers' addresses bring last good answers.
	staleServers bool

	mu      sync.Mutex
	log     []string // "address name type"
	events  []event.Event
	flights map[event.FlightID]flight
}

type flight struct {
	parent event.FlightID
	q      event.Question
}

// server answers for zones from its own records.
type server struct {
	zones map[dnsname.Name][]rrset.Set
	rtt   time.Duration
	// fault may replace the reply: build writes it, false leaves it as it is.
	fault func(q Query, b *reply) bool
	mute  func(q Query) bool
	err   func(q Query) error
}

// reply is what a server is about to say.
type reply struct {
	rcode                         wire.Rcode
	aa, ra                        bool
	answer, authority, additional []rrset.Set
	class                         wire.Class
	stale                         bool // it says that it is (EDE 3)
}

func n(s string) dnsname.Name { return dnsname.MustParse(s) }

// newWorld makes a world of the servers in text: "@192.0.2.1 ." begins a zone
// of a server, "name ttl type data" is a record of it.
func newWorld(t *testing.T, text string) *world {
	w := &world{t: t, servers: map[netip.Addr]*server{}, flights: map[event.FlightID]flight{}}
	var records *[]rrset.Set
	var s *server
	var zone dnsname.Name
	flush := func() {
		if s != nil {
			s.zones[zone] = *records
		}
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if f[0][0] == '@' {
			flush()
			addr := netip.MustParseAddr(f[0][1:])
			if w.servers[addr] == nil {
				w.servers[addr] = &server{zones: map[dnsname.Name][]rrset.Set{}, rtt: 10 * time.Millisecond}
			}
			s, zone, records = w.servers[addr], n(f[1]), new([]rrset.Set)
			continue
		}
		addRecord(records, f[0], f[1], f[2], strings.Join(f[3:], " "))
	}
	flush()
	w.opts = Options{IPv4: true, RootHints: []cache.NameServer{{Name: n("a.root."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
	return w
}

func (w *world) server(addr string) *server { return w.servers[netip.MustParseAddr(addr)] }

func addRecord(sets *[]rrset.Set, name, ttl, typ, data string) {
	secs, err := strconv.ParseUint(ttl, 10, 32)
	if err != nil {
		panic(err)
	}
	t, err := wire.ParseType(typ)
	if err != nil {
		panic(err)
	}
	s := get(*sets, n(name), t)
	if s == nil {
		*sets = append(*sets, rrset.Set{Name: n(name), Type: t, TTL: uint32(secs)})
		s = &(*sets)[len(*sets)-1]
	}
	s.Add(uint32(secs), rdata(t, data))
}

// set makes a record set of one record.
func set(name string, ttl int, typ, data string) rrset.Set {
	var sets []rrset.Set
	addRecord(&sets, name, strconv.Itoa(ttl), typ, data)
	return sets[0]
}

func rdata(t wire.Type, data string) []byte {
	switch t {
	case wire.TypeA, wire.TypeAAAA:
		return netip.MustParseAddr(data).AsSlice()
	case wire.TypeSOA:
		f := strings.Fields(data) // mname rname minimum
		out := append([]byte(n(f[0])), n(f[1])...)
		out = append(out, make([]byte, 16)...)
		min, _ := strconv.Atoi(f[2])
		return binary.BigEndian.AppendUint32(out, uint32(min))
	case wire.TypeTXT:
		return append([]byte{byte(len(data))}, data...)
	case wire.TypeDS:
		return append([]byte{0, 1, 8, 2}, data...)
	case wire.TypeNSEC:
		return append([]byte(n(data)), 0, 1, 0x40)
	}
	return []byte(n(data))
}

// start makes the iterator; call it in the bubble, after changing options.
func (w *world) start() *world {
	w.clock = clock.New()
	w.cache = cache.New(cache.Options{Size: 8 << 20, MaxTTL: 7 * 24 * time.Hour, MaxNegativeTTL: time.Hour, FailureMin: time.Second, FailureMax: 5 * time.Minute, Seed: 1, Stale: w.stale})
	w.infra = infra.New(infra.Options{Explore: -1, Rand: rand.New(rand.NewPCG(3, 4)), IPv4: w.opts.IPv4, IPv6: w.opts.IPv6})
	o := w.opts
	o.Cache, o.Infra, o.Exchanger, o.Flights, o.Clock = w.cache, w.infra, w, w, w.clock
	o.Events = func(e event.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	w.it = New(o)
	return w
}

// resolve asks the iterator as a client's flight would, within ten seconds.
func (w *world) resolve(name, typ string) Result {
	t, err := wire.ParseType(typ)
	if err != nil {
		panic(err)
	}
	return w.fly(context.Background(), Request{Name: n(name), Type: t, Budget: NewBudget(50, 1<<20)}, 0)
}

func (w *world) fly(ctx context.Context, r Request, parent event.FlightID) Result {
	w.mu.Lock()
	r.Flight = event.FlightID(len(w.flights) + 1)
	w.flights[r.Flight] = flight{parent, event.Question{Name: r.Name, Type: r.Type}}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	res := w.it.Resolve(ctx, r)
	for i := range res.Entries {
		w.cache.Put(w.clock.Now(), &res.Entries[i])
	}
	return res
}

// Behind rechecks at once.
func (w *world) Behind(r infra.Recheck) { go w.it.Recheck(context.Background(), r) }

// Addresses resolves with a flight of its own; circles among them are refused.
func (w *world) Addresses(ctx context.Context, from Request, host dnsname.Name, t wire.Type) ([]netip.Addr, bool, error) {
	q := event.Question{Name: host, Type: t}
	w.mu.Lock()
	for at := from.Flight; at != 0; at = w.flights[at].parent {
		if w.flights[at].q == q {
			w.mu.Unlock()
			return nil, false, ErrLoop
		}
	}
	w.mu.Unlock()
	res := w.fly(ctx, Request{Name: host, Type: t, Depth: from.Depth + 1, Budget: from.Budget}, from.Flight)
	if old, state, ok := w.it.stored(new(cache.Reader), w.clock.Now(), host, t); res.Failure != nil && w.staleServers && ok && state == stale.Stale {
		return old, true, nil
	}
	if res.Failure != nil {
		return nil, false, res.Failure
	}
	for _, e := range res.Entries {
		if e.Kind == cache.Data && e.Type == t {
			return addressesIn(e.Set.Data), res.Lapsed, nil
		}
	}
	return nil, false, nil
}

// Exchange plays the server of the query.
func (w *world) Exchange(ctx context.Context, q Query) (Reply, error) {
	if q.Budget != nil && !q.Budget.Spend() {
		return Reply{}, outcomeError{event.Budget}
	}
	w.mu.Lock()
	w.log = append(w.log, fmt.Sprintf("%s %s %s", q.Server.Addr(), q.Name, q.Type))
	w.mu.Unlock()
	sent := w.clock.Now()
	w.infra.Sent(sent, q.Server)
	s := w.servers[q.Server.Addr()]
	if s == nil || s.mute != nil && s.mute(q) {
		<-ctx.Done()
		return Reply{}, ctx.Err()
	}
	if s.err != nil {
		if err := s.err(q); err != nil {
			return Reply{}, err
		}
	}
	select {
	case <-time.After(s.rtt):
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	}
	now := w.clock.Now()
	w.infra.Answered(now, q.Server, now.Sub(sent))
	r := s.answer(q)
	if s.fault != nil {
		s.fault(q, r)
	}
	return Reply{View: r.view(w.t, q), RTT: now.Sub(sent), At: now}, nil
}

type outcomeError struct{ o event.Outcome }

func (e outcomeError) Error() string          { return e.o.String() }
func (e outcomeError) Outcome() event.Outcome { return e.o }

// view encodes the reply.
func (r *reply) view(t testing.TB, q Query) wire.View {
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{Response: true, AA: r.aa, RA: r.ra, RD: q.RD, Rcode: r.rcode})
	b.Question(q.Name, q.Type, wire.ClassIN)
	class := r.class
	if class == 0 {
		class = wire.ClassIN
	}
	for s, sets := range [][]rrset.Set{r.answer, r.authority, r.additional} {
		for _, set := range sets {
			for rd := range set.Data.All() {
				b.Record(wire.Section(s+1), set.Name, set.Type, class, set.TTL, rd)
			}
			for rd := range set.Sigs.All() {
				b.Record(wire.Section(s+1), set.Name, wire.TypeRRSIG, class, set.TTL, rd)
			}
		}
	}
	if r.stale {
		b.OPT(wire.EDNS{UDPSize: 1232, Options: wire.AppendEDE(nil, uint16(ede.StaleAnswer), "")}, r.rcode)
	}
	v, err := wire.Read(b.Bytes())
	if err != nil {
		t.Fatalf("reply does not parse: %v", err)
	}
	return v
}

// answer is RFC 1034 §4.3.2, small.
func (s *server) answer(q Query) *reply {
	zone, ok := s.zoneFor(q.Name, q.Type)
	if !ok {
		return &reply{rcode: wire.RcodeRefused}
	}
	r := &reply{aa: true}
	s.find(r, zone, q.Name, q.Type, 0)
	return r
}

func (s *server) zoneFor(name dnsname.Name, t wire.Type) (best dnsname.Name, ok bool) {
	for z := range s.zones {
		if name.Under(z) && !(t == wire.TypeDS && name == z && s.hasParent(z)) && (!ok || len(z) > len(best)) {
			best, ok = z, true
		}
	}
	return best, ok
}

func (s *server) hasParent(zone dnsname.Name) bool {
	for z := range s.zones {
		if zone.Below(z) {
			return true
		}
	}
	return false
}

func (s *server) find(r *reply, zone, name dnsname.Name, t wire.Type, depth int) {
	sets := s.zones[zone]
	for cut := name; cut != zone; cut = cut.Parent() {
		ns := get(sets, cut, wire.TypeNS)
		if ns == nil || cut == name && t == wire.TypeDS {
			continue
		}
		if depth == 0 {
			r.aa = false
		}
		r.authority = append(r.authority, *ns)
		for rd := range ns.Data.All() {
			for _, at := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
				if glue := get(sets, dnsname.Name(rd), at); glue != nil {
					r.additional = append(r.additional, *glue)
				}
			}
		}
		return
	}
	if set := get(sets, name, t); set != nil {
		r.answer = append(r.answer, *set)
		if name == zone && t == wire.TypeNS {
			for rd := range set.Data.All() {
				if a := get(sets, dnsname.Name(rd), wire.TypeA); a != nil {
					r.additional = append(r.additional, *a)
				}
			}
		}
		return
	}
	if alias := aliasOf(sets, name); alias != nil {
		r.answer = append(r.answer, *alias)
		target, _ := alias.Target()
		if alias.Type == wire.TypeDNAME {
			var err error
			if target, err = name.Rebase(alias.Name, target); err != nil {
				r.rcode = wire.RcodeYXDomain
				return
			}
			r.answer = append(r.answer, rrset.Set{Name: name, Type: wire.TypeCNAME, TTL: alias.TTL, Data: rrset.Packed(nil).Append([]byte(target))})
		}
		if depth < 20 && target.Under(zone) {
			s.find(r, zone, target, t, depth+1)
		}
		return
	}
	exists := false
	for i := range sets {
		exists = exists || sets[i].Name.Under(name)
	}
	if !exists {
		r.rcode = wire.RcodeNXDomain
	}
	if soa := get(sets, zone, wire.TypeSOA); soa != nil {
		r.authority = append(r.authority, *soa)
	}
}

// asked gives the queries sent since the last call, in order.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.log
	w.log = nil
	return out
}

// exchanged gives the events of exchanges.
func (w *world) exchanged() []event.Exchanged {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []event.Exchanged
	for _, e := range w.events {
		if x, ok := e.(event.Exchanged); ok {
			out = append(out, x)
		}
	}
	return out
}

// show prints a result in one line a record: "name type ttl data", a denial as
// "name NXDOMAIN", a failure as its EDE code and text.
func show(r Result) string {
	var b strings.Builder
	for _, e := range r.Entries {
		switch e.Kind {
		case cache.NXDomain:
			fmt.Fprintf(&b, "%s NXDOMAIN %d\n", e.Name, e.TTL)
		case cache.NoData:
			fmt.Fprintf(&b, "%s NODATA %s %d\n", e.Name, e.Type, e.TTL)
		default:
			for rd := range e.Set.Data.All() {
				fmt.Fprintf(&b, "%s %s %d %s\n", e.Name, e.Type, e.TTL, showData(e.Type, rd))
			}
		}
	}
	if r.Failure != nil {
		fmt.Fprintf(&b, "failure %d %s\n", r.Failure.Code, r.Failure.ExtraText())
	}
	return strings.TrimSpace(b.String())
}

func showData(t wire.Type, rd []byte) string {
	if a, ok := netip.AddrFromSlice(rd); ok && (t == wire.TypeA || t == wire.TypeAAAA) {
		return a.String()
	}
	if name, ok := rrset.Target(t, rd); ok {
		return name.String()
	}
	return fmt.Sprintf("%x", rd)
}

func expect(t *testing.T, r Result, want string) {
	t.Helper()
	if got := show(r); got != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}
