package app

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	mathrand "math/rand/v2"
	"net/netip"
	"runtime"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/listener"
	"lastgood/internal/resolver"
	"lastgood/internal/stale"
	"lastgood/internal/upstream"
)

// build makes every part from the configuration. The parts know nothing of it:
// each has plain options of its own.
func (a *App) build() error {
	hints := a.o.Hints
	if hints == nil {
		var err error
		if hints, err = rootHints(a.o.Config.Recursion.RootHints); err != nil {
			return err
		}
	}
	if len(hints) == 0 {
		a.o.Log.Warn("the root hints name no address: only forward and stub zones can be resolved", "file", a.o.Config.Recursion.RootHints)
	}
	secrets, err := cookieSecrets(a.o.Config.Server)
	if err != nil {
		return err
	}
	if file := a.o.Config.Control.TokenFile; file != "" {
		if a.token, err = control.ReadToken(file); err != nil {
			return err
		}
	}
	if a.tlsRoots, err = tlsRoots(a.o.Config); err != nil {
		return err
	}
	if err = a.buildTrust(); err != nil {
		return err
	}
	a.stale = staleRules(a.o.Config)
	seed := a.o.Seed
	if seed == 0 {
		var b [8]byte
		rand.Read(b[:]) // never fails
		seed = binary.NativeEndian.Uint64(b[:])
	}
	a.watch = anchor.NewWatch(seed)
	sinks := []event.Sink{newEventLog(a.o.Log).hear, a.counts.hear, a.hearClock, a.watchZones, a.o.Events}
	if d := &a.o.Config.DNSSEC; d.Validation && d.ErrorReporting {
		a.reporter = newReporter(a.clock)
		sinks = append(sinks, a.reporter.hear)
	}
	events := event.Tee(sinks...)
	a.validator = a.validation(events)
	a.events = events
	a.counts.work.Slots = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) // of heavy validations; the rest is for others
	a.snapshots.said = statementsOf(a.o.Config, hints)
	a.snapshots.said.added = a.addedNegatives
	a.cache = a.newCache(seed)
	a.infra = infra.New(infraOptions(a.o.Config, seed))
	a.upstream = upstream.New(a.upstreamOptions(events))
	a.root = a.newRootCopy(a.rootSources(hints), seed)
	a.resolver = resolver.New(a.resolverOptions(events, func(flights iterator.Flights) resolver.Iterator {
		return iterator.New(a.iteratorOptions(events, flights, hints, seed))
	}))
	a.xdp = a.interfaces()
	a.listener = listener.New(a.listenerOptions(secrets))
	return nil
}

func cacheOptions(c *config.Config, rules *stale.Rules, seed uint64) cache.Options {
	return cache.Options{
		Size: int64(c.Cache.Size), MinTTL: c.Cache.MinTTL, MaxTTL: c.Cache.MaxTTL,
		MinNegativeTTL: c.Cache.MinNegativeTTL, MaxNegativeTTL: c.Cache.MaxNegativeTTL,
		Stale: rules, Ranges: c.DNSSEC.Validation && c.DNSSEC.AggressiveNSEC,
		FailureMin: c.Limits.FailureMin, FailureMax: c.Limits.FailureMax, Seed: seed,
	}
}

// newCache makes the cache, outside the Go heap if that is wanted and can be.
func (a *App) newCache(seed uint64) *cache.Cache {
	o := cacheOptions(a.o.Config, a.stale, seed)
	if a.o.Mapped {
		if a.pages = newPages(o.Size * 7 / 8); a.pages != nil {
			o.Memory = a.pages.take
		}
	}
	return cache.New(o)
}

func infraOptions(c *config.Config, seed uint64) infra.Options {
	return infra.Options{Rand: mathrand.New(mathrand.NewPCG(seed, 1)), IPv4: c.Recursion.IPv4, IPv6: c.Recursion.IPv6}
}

func (a *App) upstreamOptions(events event.Sink) upstream.Options {
	c := a.o.Config
	return upstream.Options{
		Network: a.o.Upstream, Clock: a.clock, Infra: a.infra, UDPSize: int(c.Limits.UDPSize),
		CaseRandomisation: c.Recursion.CaseRandomisation, Cookies: true, DoNotQuery: c.Recursion.DoNotQuery, Configured: configured(c), Events: events,
		MaxSockets: upstreamSockets, TLSRoots: a.tlsRoots, DNSSEC: a.validator != nil,
	}
}

func (a *App) iteratorOptions(events event.Sink, flights iterator.Flights, hints []cache.NameServer, seed uint64) iterator.Options {
	rec, limits := a.o.Config.Recursion, a.o.Config.Limits
	mode := map[string]iterator.Mode{"relaxed": iterator.Relaxed, "strict": iterator.Strict, "off": iterator.Off}
	return iterator.Options{
		Cache: a.cache, Infra: a.infra, Exchanger: a.exchanger(), Flights: flights, Clock: a.clock,
		Rand: mathrand.New(mathrand.NewPCG(seed, 2)), Events: events,
		Minimise: mode[rec.QNAMEMinimisation], RootHints: hints, Zones: zones(a.o.Config), DNSSEC: a.validator != nil, IPv4: rec.IPv4, IPv6: rec.IPv6,
		Allowed:   func(addr netip.Addr) bool { return !within(rec.DoNotQuery, addr) },
		AnswerTTL: func(name dnsname.Name) uint32 { return a.stale.For(name).TTL(math.MaxUint32) },
		Limits: iterator.Limits{
			Records: limits.RecordsPerSection, CNAMEHops: limits.CNAMEHops, Depth: limits.Depth, Referrals: limits.Referrals,
			NSLookups: limits.NSLookups, LookupsTotal: limits.NSLookupsTotal, PerZone: limits.OutstandingPerZone,
		},
	}
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// configured are the servers that forward and stub zones, and the sources of the
// root zone, name by their addresses.
func configured(c *config.Config) []netip.AddrPort {
	var list []netip.AddrPort
	for _, z := range zones(c) {
		for _, s := range z.Servers {
			if a := s.Addr.Addr(); a.IsValid() {
				list = append(list, netip.AddrPortFrom(a.Unmap().WithZone(""), s.Addr.Port()))
			}
		}
	}
	for _, s := range c.RootZone.Sources {
		if a := s.Server.Addr.Addr(); a.IsValid() {
			list = append(list, netip.AddrPortFrom(a.Unmap(), s.Server.Addr.Port()))
		}
	}
	return list
}

// zones joins what the configuration says of forward and stub zones.
func zones(c *config.Config) []iterator.Zone {
	var list []iterator.Zone
	for _, f := range c.Forward {
		list = append(list, iterator.Zone{Name: f.Zone, Forward: true, Servers: targets(f.To), Fallback: f.Fallback})
	}
	for _, s := range c.Stub {
		list = append(list, iterator.Zone{Name: s.Zone, Servers: targets(s.Servers), Fallback: s.Fallback})
	}
	return list
}

func targets(endpoints []config.Endpoint) []iterator.Target {
	list := make([]iterator.Target, len(endpoints))
	for i, e := range endpoints {
		list[i] = iterator.Target{Addr: e.Addr, Host: e.Host, TCP: e.Scheme == "tcp" || e.TLSName != "", TLS: e.TLSName}
	}
	return list
}

func (a *App) resolverOptions(events event.Sink, newIterator func(iterator.Flights) resolver.Iterator) resolver.Options {
	c := a.o.Config
	var own []dnsname.Name
	for _, z := range zones(c) {
		own = append(own, z.Name)
	}
	local := localZones(c)
	for _, z := range local {
		if z.Kind == resolver.LocalTransparent || z.Kind == resolver.LocalTypeTransparent {
			own = append(own, z.Name) // its names are resolved as usual, says the configuration
		}
	}
	kept := cachedZones(c)
	o := resolver.Options{
		Cache: a.cache, Clock: a.clock, NewIterator: newIterator, Health: a.infra, Events: events, AllFlights: a.o.Events != nil || a.reporter != nil,
		Stale: a.stale, NeverStale: neverStale(c), ErrorText: c.Stale.ErrorText, Prefetch: c.Recursion.Prefetch,
		Deadline: c.Limits.ResolutionDeadline, UpstreamQueries: c.Limits.UpstreamQueries,
		ReplyBytes: int64(c.Limits.ReplyBytes), CNAMEHops: c.Limits.CNAMEHops,
		Depth: c.Limits.Depth, Flights: c.Limits.Flights,
		Minimal: c.Recursion.MinimalResponses, SpecialNames: c.Recursion.SpecialNames, NotSpecial: own,
		LocalZones: local, LocalData: c.LocalData,
		PrivateAddresses: c.Recursion.PrivateAddresses, PrivateDomains: c.Recursion.PrivateDomains,
		Uncached: func(name dnsname.Name) bool { return uncached(kept, name) },
		Panicked: a.panicked,
	}
	if a.validator != nil {
		o.Validator, o.Work = a.validator, validationWork
		o.Work.Work = &a.counts.work
		if c.DNSSEC.Sentinel {
			o.RootTags = a.rootTags
		}
		if a.o.Config.DNSSEC.AggressiveNSEC {
			policy := a.validationPolicy()
			o.Aggressive = &policy
		}
	}
	return o
}

// localKinds are the types of local zones as the configuration calls them.
var localKinds = map[string]resolver.LocalKind{ // constant in effect
	"transparent": resolver.LocalTransparent, "type-transparent": resolver.LocalTypeTransparent,
	"static": resolver.LocalStatic, "refuse": resolver.LocalRefuse,
	"nxdomain": resolver.LocalNXDomain, "redirect": resolver.LocalRedirect,
}

func localZones(c *config.Config) []resolver.LocalZone {
	list := make([]resolver.LocalZone, len(c.LocalZones))
	for i, z := range c.LocalZones {
		list[i] = resolver.LocalZone{Name: z.Zone, Kind: localKinds[z.Type]}
	}
	return list
}

// cachedZones tells of the configured zones whether what they hold is cached.
func cachedZones(c *config.Config) map[dnsname.Name]bool {
	kept := map[dnsname.Name]bool{}
	for _, f := range c.Forward {
		kept[f.Zone] = f.Cache
	}
	for _, s := range c.Stub {
		kept[s.Zone] = s.Cache
	}
	return kept
}

// uncached tells whether the closest configured zone above a name is one whose
// answers are not cached.
func uncached(kept map[dnsname.Name]bool, name dnsname.Name) bool {
	for len(kept) > 0 {
		if cached, ok := kept[name]; ok || name.IsRoot() {
			return ok && !cached
		}
		name = name.Parent()
	}
	return false
}

// panicked reports a programmer's error that one question ended with. The
// program goes on: its other users are not to suffer.
func (a *App) panicked(value any, stack []byte) {
	a.counts.panics.Add(1)
	a.o.Log.Error("internal error: please report it", "panic", value, "stack", string(stack))
}

func (a *App) listenerOptions(secrets [][16]byte) listener.Options {
	c := a.o.Config
	o := listener.Options{
		Resolver: a.resolver, Clock: a.clock, Log: a.o.Log, Network: a.o.Listen, Allow: c.Clients.Allow,
		UDPSize: int(c.Limits.UDPSize), Version: c.Server.Version, ID: c.Server.ID,
		Cookies: c.Server.Cookies, CookieSecrets: secrets,
		Limits: listener.Limits{
			Waiting: c.Limits.ClientsWaiting, WaitingPerClient: c.Limits.OutstandingPerClient,
			Connections: c.Limits.TCPConnections, ConnectionsPerClient: c.Limits.TCPConnectionsPerClient,
			Pipeline: c.Limits.TCPPipeline, Idle: c.Limits.TCPIdleTimeout,
		},
	}
	for _, e := range c.Listen {
		if e.Interface == "" {
			o.Addresses = append(o.Addresses, e.Addr)
		}
	}
	for _, i := range a.xdp {
		o.Interfaces = append(o.Interfaces, frames{i})
	}
	return o
}
