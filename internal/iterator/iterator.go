package iterator

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
)

// Options of an Iterator. Cache, Infra, Exchanger, Flights and Clock must be
// given.
type Options struct {
	Cache     *cache.Cache
	Infra     *infra.Infra
	Exchanger Exchanger
	Flights   Flights
	Clock     *clock.Clock
	Rand      *rand.Rand // for choosing among name servers; the Iterator's own from then on
	Events    event.Sink
	Minimise  Mode
	RootHints []cache.NameServer // for priming only (RFC 8109)
	Zones     []Zone
	// IPv4 and IPv6 are the families that may be used; neither set: both.
	IPv4, IPv6 bool
	// Allowed tells whether name servers at an address may be asked; nil: all.
	// Addresses that Zones name themselves are not put to it.
	Allowed func(netip.Addr) bool
	// AnswerTTL is how long, in seconds, what is found at a name through a
	// delegation past its TTL lives at most; nil: 30 everywhere.
	AnswerTTL func(dnsname.Name) uint32
	// DNSSEC: somebody validates what is found. The Exchanger asks with DO=1 then.
	DNSSEC bool
	Limits Limits
}

// Zone is a part of the name space with servers of its own.
type Zone struct {
	Name dnsname.Name
	// Forward: its servers are resolvers and asked with RD=1; otherwise they
	// are the zone's authorities.
	Forward  bool
	Servers  []Target
	Fallback bool // resolve as usual when all of them failed
}

// Target is a server by address, or by a Host whose address is looked up; then
// Addr may give the port. Port 0 is 53.
type Target struct {
	Addr netip.AddrPort
	Host dnsname.Name
	TCP  bool // never over UDP
	// TLS is the name that the server's certificate must have (RFC 8310 §8), "" for
	// a server in the clear; then TCP must be set too.
	TLS string
}

// Iterator resolves questions. It may be used from many goroutines.
type Iterator struct {
	cache     *cache.Cache
	infra     *infra.Infra
	exchanger Exchanger
	patient   PatientExchanger // the exchanger, nil when it is none
	flights   Flights
	clock     *clock.Clock
	events    event.Sink
	mode      Mode
	hints     []cache.NameServer
	zones     map[dnsname.Name]*Zone
	ipv4      bool
	ipv6      bool
	allowed   func(netip.Addr) bool
	answerTTL func(dnsname.Name) uint32
	dnssec    bool
	limits    Limits
	seats     seats
	primer    primer
	walks     walks
	crowd     crowd
	readers   sync.Pool // of *cache.Reader
	tasks     sync.Pool // of *task, zero but for their readers

	mu   sync.Mutex // guards rand
	rand *rand.Rand
}

// New makes an Iterator.
func New(o Options) *Iterator {
	if !o.IPv4 && !o.IPv6 {
		o.IPv4, o.IPv6 = true, true
	}
	if o.Allowed == nil {
		o.Allowed = func(netip.Addr) bool { return true }
	}
	if o.AnswerTTL == nil {
		o.AnswerTTL = func(dnsname.Name) uint32 { return 30 }
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(1, 2))
	}
	it := &Iterator{
		cache: o.Cache, infra: o.Infra, exchanger: o.Exchanger, flights: o.Flights, clock: o.Clock,
		events: o.Events, mode: o.Minimise, hints: o.RootHints, zones: make(map[dnsname.Name]*Zone, len(o.Zones)),
		ipv4: o.IPv4, ipv6: o.IPv6, allowed: o.Allowed, answerTTL: o.AnswerTTL,
		dnssec: o.DNSSEC, limits: o.Limits.withDefaults(), rand: o.Rand,
	}
	it.crowd.each = it.limits.PerZone
	it.patient, _ = o.Exchanger.(PatientExchanger)
	it.tasks.New = func() any { return &task{reader: new(cache.Reader)} }
	it.readers.New = func() any { return new(cache.Reader) }
	for i := range o.Zones {
		it.zones[o.Zones[i].Name] = &o.Zones[i]
	}
	return it
}

// Resolve works on one question until it has a useful answer, all servers
// failed, the budget is used up, or ctx or its time ends. What it started has ended, or ends
// at once, when it returns; checks of silent servers end within a second.
func (it *Iterator) Resolve(ctx context.Context, r Request) Result {
	t := it.newTask(r)
	result := *t.run(ctx)
	result.Over = it.recycle(t)
	return result
}

// zoneOf gives the configured zone that a name is in, nil when there is none.
func (it *Iterator) zoneOf(name dnsname.Name) *Zone {
	if len(it.zones) == 0 {
		return nil
	}
	for {
		if z := it.zones[name]; z != nil {
			return z
		}
		if name.IsRoot() {
			return nil
		}
		name = name.Parent()
	}
}

// usable tells whether a name server's address may be asked.
func (it *Iterator) usable(a netip.Addr) bool {
	if a.Unmap().Is4() && !it.ipv4 || a.Is6() && !a.Is4In6() && !it.ipv6 {
		return false
	}
	return it.allowed(a)
}

// pick gives one of n.
func (it *Iterator) pick(n int) int {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.rand.IntN(n)
}

// shuffle puts n things in random order.
func (it *Iterator) shuffle(n int, swap func(i, j int)) {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.rand.Shuffle(n, swap)
}
