package world

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// changes makes what happens to the data.
func (g *generator) changes() {
	for range g.IntN(30) {
		at := g.span(time.Second, g.p.length)
		z := pick(g, g.zones...)
		switch k := g.IntN(20); {
		case k < 6:
			g.changeData(z, at)
		case k < 8:
			g.changeType(at)
		case k < 10:
			g.replaceByAlias(at)
		case k < 12:
			g.removeName(at)
		case k < 13:
			g.alias(pick(g, g.zones[1:]...), at)
		case k < 15:
			g.move(z, at)
		case k < 17:
			g.renumber(at)
		case k < 18:
			g.undelegate(z, at)
		case k < 19:
			g.freezeOne(z, at)
		default:
			g.dropOne(z, at)
		}
	}
}

// zoneOf is the zone that a name is in.
func (g *generator) zoneOf(name dnsname.Name) (best *genZone) {
	for _, z := range g.zones {
		if name.Under(z.origin) && (best == nil || len(z.origin) > len(best.origin)) {
			best = z
		}
	}
	return best
}

func (g *generator) changeData(z *genZone, at time.Duration) {
	var sets []step
	for _, s := range g.p.steps {
		if s.verb == put && slices.Contains(dataTypes, s.typ) && slices.Contains(g.names, s.name) {
			sets = append(sets, s)
		}
	}
	if len(sets) == 0 {
		return
	}
	s := pick(g, sets...)
	s.at, s.text = at, g.datum(s.typ)
	switch k := g.IntN(6); {
	case k == 0:
		s.verb = remove
	case k == 1:
		s.ttl = g.ttl()
	}
	g.step(s)
}

func (g *generator) changeType(at time.Duration) {
	name := g.someName()
	z := g.zoneOf(name)
	g.step(step{at: at, verb: clear_, zone: z.origin, name: name})
	if !g.taken(z, name) {
		g.putData(z, name, at)
	}
}

// replaceByAlias puts a CNAME in a name's place.
func (g *generator) replaceByAlias(at time.Duration) {
	name := g.someName()
	z := g.zoneOf(name)
	if name == z.origin || strings.HasPrefix(name.FirstLabel(), "*") {
		return
	}
	g.step(step{at: at, verb: clear_, zone: z.origin, name: name})
	g.step(step{at: at, verb: put, zone: z.origin, name: name, typ: wire.TypeCNAME, ttl: g.ttl(), text: []string{g.someName().String()}})
}

func (g *generator) removeName(at time.Duration) {
	name := g.someName()
	z := g.zoneOf(name)
	if name == z.origin {
		return
	}
	g.step(step{at: at, verb: clear_, zone: z.origin, name: name})
	if g.chance(50) {
		g.putData(z, name, min(at+g.span(time.Second, 2*time.Hour), g.p.length))
	}
}

// move gives a zone other servers. The old ones keep what they have, or forget
// it, or tell the truth for a while yet.
func (g *generator) move(z *genZone, at time.Duration) {
	if z.parent == nil {
		return
	}
	old := slices.Clone(z.servers)
	z.ns, z.servers = nil, nil
	var ns []string
	for range 1 + g.IntN(3) {
		h := g.newHost(z, z.origin, fmt.Sprintf("ns%d", len(g.hosts)), g.IntN(len(g.p.servers)))
		for i := len(g.p.steps) - 1; i >= 0 && g.p.steps[i].name == h.name; i-- {
			g.p.steps[i].at = at // newHost makes names of the beginning
		}
		z.ns = append(z.ns, h.name)
		ns = append(ns, h.name.String())
		if !slices.Contains(z.servers, h.server) {
			z.servers = append(z.servers, h.server)
			if !slices.Contains(old, h.server) {
				g.step(step{at: at, verb: serve, zone: z.origin, server: h.server})
			}
		}
	}
	for _, s := range old {
		if slices.Contains(z.servers, s) {
			continue
		}
		late := min(at+g.span(time.Second, 3*time.Hour), g.p.length)
		switch g.IntN(3) {
		case 0:
			g.step(step{at: at, verb: freeze, zone: z.origin, server: s})
		case 1:
			g.step(step{at: late, verb: drop, zone: z.origin, server: s})
		}
	}
	g.step(step{at: at, verb: put, zone: z.origin, name: z.origin, typ: wire.TypeNS, ttl: g.ttl(), text: ns})
	g.step(step{at: at, verb: put, zone: z.parent.origin, name: z.origin, typ: wire.TypeNS, ttl: z.nsTTL, text: ns})
	g.glue(z, at)
}

// renumber gives a name server's name the addresses of another machine.
func (g *generator) renumber(at time.Duration) {
	i := g.IntN(len(g.hosts))
	h := &g.hosts[i]
	if h.zone.origin.IsRoot() {
		return
	}
	h.server = g.IntN(len(g.p.servers))
	for _, t := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
		g.step(step{at: at, verb: remove, zone: h.zone.origin, name: h.name, typ: t})
	}
	g.addressSteps(h.zone.origin, *h, pick[uint32](g, 60, 300, 3600), at)
	for _, z := range g.zones {
		if !slices.Contains(z.ns, h.name) {
			continue
		}
		if !slices.Contains(z.servers, h.server) {
			z.servers = append(z.servers, h.server)
			g.step(step{at: at, verb: serve, zone: z.origin, server: h.server})
		}
		if z.parent != nil && h.name.Under(z.origin) && g.chance(80) {
			for _, t := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
				g.step(step{at: at, verb: remove, zone: z.parent.origin, name: h.name, typ: t})
			}
			g.addressSteps(z.parent.origin, *h, z.nsTTL, at)
		}
	}
}

// undelegate takes a zone's delegation away, perhaps for a while only.
func (g *generator) undelegate(z *genZone, at time.Duration) {
	if z.parent == nil || z.parent.origin.IsRoot() && len(g.zones) < 4 {
		return
	}
	g.step(step{at: at, verb: remove, zone: z.parent.origin, name: z.origin, typ: wire.TypeNS})
	if !g.chance(60) {
		return
	}
	var ns []string
	for _, n := range z.ns {
		ns = append(ns, n.String())
	}
	back := min(at+g.span(time.Second, 5*time.Hour), g.p.length)
	g.step(step{at: back, verb: put, zone: z.parent.origin, name: z.origin, typ: wire.TypeNS, ttl: z.nsTTL, text: ns})
	g.glue(z, back)
}

func (g *generator) freezeOne(z *genZone, at time.Duration) {
	if len(z.servers) > 0 {
		g.step(step{at: at, verb: freeze, zone: z.origin, server: pick(g, z.servers...)})
	}
}

func (g *generator) dropOne(z *genZone, at time.Duration) {
	if z.parent != nil && len(z.servers) > 1 {
		g.step(step{at: at, verb: drop, zone: z.origin, server: pick(g, z.servers...)})
	}
}

// faultKinds are the kinds of faults that are not an authority's own words.
var faultKinds = []string{"loss", "blackhole", "refuse", "lie-additional", "lie-authority", "lie-answer", "lie-glue", "forge-id", "forge-port", "forge-address", "forge-burst"}

// authorityFaults are those of internal/authority. Loss is made by the network.
var authorityFaults = []string{
	"slow=200ms", "slow=700ms", "slow=2s", "slow=5s", "blackhole", "servfail", "refused", "notimp", "formerr", "lame", "self-referral",
	"side-referral", "not-aa", "no-edns", "notimp-edns", "drop-edns", "ignore-edns", "badvers", "drop-new-types", "truncate",
	"no-tcp", "stall-tcp", "mangle-case", "wrong-id", "wrong-question", "wrong-port", "wrong-address", "garbage",
	"nxdomain-ent", "no-soa", "truncate,no-tcp", "truncate,stall-tcp", "servfail,slow=1s", "no-edns,mangle-case",
}

// faults makes what servers do amiss, and when.
func (g *generator) faults() {
	n := g.IntN(14)
	if g.chance(15) {
		n = 0
	}
	for range n {
		f := fault{server: g.IntN(len(g.p.servers)), from: g.span(0, g.p.length)}
		if g.chance(5) {
			f.server = -1
		}
		f.until = f.from + g.span(2*time.Second, pick(g, 30*time.Second, 10*time.Minute, 3*time.Hour, 30*time.Hour))
		if f.kind = pick(g, faultKinds...); g.chance(60) {
			f.kind, f.words = "authority", pick(g, authorityFaults...)
		}
		if f.kind == "loss" {
			f.share = pick(g, 0.1, 0.3, 0.3, 0.6)
		}
		g.p.faults = append(g.p.faults, f)
	}
}

// questions makes what clients ask: in bursts and with gaps, popular names and
// rare ones.
func (g *generator) questions(n int) {
	var moments []time.Duration // that are worth asking at
	for _, s := range g.p.steps {
		if s.at > 0 {
			moments = append(moments, s.at)
		}
	}
	for _, f := range g.p.faults {
		moments = append(moments, f.from, f.until)
	}
	at := g.span(0, g.p.length/4)
	popular := g.popular()
	for len(g.p.asks) < n {
		switch k := g.IntN(10); {
		case k < 4 && len(moments) > 0: // shortly after something happened, or before
			at = pick(g, moments...) + g.span(-30*time.Second, time.Minute)
		case k < 7:
			at = g.span(0, g.p.length)
		default:
			at += g.span(0, g.p.length/20)
		}
		at = min(max(at, 0), g.p.length)
		pace := pick(g, time.Millisecond, 20*time.Millisecond, 500*time.Millisecond, 5*time.Second)
		for range 1 + g.IntN(12) {
			at += g.span(0, pace) + 1
			g.p.asks = append(g.p.asks, g.question(at, popular))
		}
	}
	g.p.asks = g.p.asks[:n]
}

func (g *generator) popular() (list []dnsname.Name) {
	for range 4 {
		list = append(list, g.someName())
	}
	return list
}

var asked = []wire.Type{
	wire.TypeA, wire.TypeA, wire.TypeA, wire.TypeAAAA, wire.TypeAAAA, wire.TypeTXT, wire.TypeMX, wire.TypeNS, wire.TypeSOA,
	wire.TypeCNAME, wire.TypeDNAME, wire.TypeHTTPS, oddType,
}

func (g *generator) question(at time.Duration, popular []dnsname.Name) ask {
	a := ask{at: at, client: g.IntN(clients), typ: pick(g, asked...), tcp: g.chance(10), size: pick[uint16](g, 0, 512, 1232, 1232, 4096)}
	if g.chance(40) {
		a.name, a.typ = g.somethingThere()
	} else {
		g.anything(&a, popular)
	}
	if a.name.FirstLabel() == "*" || g.chance(3) {
		a.name, _ = a.name.Parent().Prepend(fmt.Sprintf("made%d", g.IntN(3)))
	}
	if g.chance(2) {
		a.name = dnsname.MustParse(pick(g, "nothing.", "www.nothing.", "deep.down.nothing."))
	}
	return a
}

// somethingThere is a name and type that the world has, or will have or had.
func (g *generator) somethingThere() (dnsname.Name, wire.Type) {
	for {
		if s := pick(g, g.p.steps...); s.verb == put {
			return s.name, s.typ
		}
	}
}

// anything asks for whatever a client may think of.
func (g *generator) anything(a *ask, popular []dnsname.Name) {
	switch k := g.IntN(20); {
	case k < 8:
		a.name = pick(g, popular...)
	case k < 14:
		a.name = g.someName()
	case k < 15:
		a.name = pick(g, g.hosts...).name
	case k < 16:
		a.name = pick(g, g.zones...).origin
	case k < 17: // an ancestor, perhaps an empty non-terminal
		a.name = g.someName().Parent()
	case k < 18:
		a.name, _ = g.someName().Prepend(pick(g, "nope", "below", "a.b"))
	default:
		a.name, _ = pick(g, g.zones...).origin.Prepend(fmt.Sprintf("nope%d", g.IntN(4)))
	}
}

// spare spares servers of a zone and of another beneath it the fault of
// referring to themselves: as the upper zone's server that would be a delegation
// like any other, and nobody could tell that it is false. And it spares the root's
// servers that of denying empty non-terminals: what they say of a top-level domain
// is believed (RFC 9156 §2.3 would have it otherwise only for strict mode).
func (p *plan) spare() {
	h, err := newHistory(p)
	if err != nil {
		return
	}
	for i := range p.faults {
		f := &p.faults[i]
		root := slices.ContainsFunc(h.beliefs[dnsname.Root], func(b belief) bool { return f.server < 0 || b.server == f.server })
		if f.words == "nxdomain-ent" && root {
			f.words = "no-soa"
		}
		if f.words != "self-referral" {
			continue
		}
		var cuts []dnsname.Name
		for z, list := range h.beliefs {
			if f.server < 0 || slices.ContainsFunc(list, func(b belief) bool { return b.server == f.server }) {
				cuts = append(cuts, z)
			}
		}
		for _, u := range h.updates {
			if f.server < 0 || u.server == f.server {
				cuts = append(cuts, u.origin)
			}
		}
		for _, a := range cuts {
			if slices.ContainsFunc(cuts, func(b dnsname.Name) bool { return b.Below(a) }) {
				f.words = "servfail"
			}
		}
	}
}
