package world

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// Where who is. Data of zones lies in other ranges than machines do, and what
// liars say in one of its own, so that a lie is known wherever it turns up.
const (
	serverNet4 = "198.51.100."
	serverNet6 = "2001:db8:53::"
	dataNet4   = "192.0.2."
	dataNet6   = "2001:db8:da:"
	lieNet4    = "203.0.113."
	lieNet6    = "2001:db8:bad::"

	clients      = 6
	firstClient  = 200 // the last octet of the first client's address
	resolverLast = 53
)

// generator makes a plan, by chance alone.
type generator struct {
	*rand.Rand
	p     *plan
	zones []*genZone
	hosts []genHost
	count int // of data made
	names []dnsname.Name
}

type genZone struct {
	origin  dnsname.Name
	parent  *genZone
	servers []int
	ns      []dnsname.Name
	nsTTL   uint32
}

// genHost is a name server's name with its machine.
type genHost struct {
	name   dnsname.Name
	zone   *genZone
	server int
}

// generate makes a world of so many questions.
func generate(seed uint64, questions int) *plan {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x776f726c64)), p: &plan{seed: seed, config: map[string]string{}}}
	lengths := []time.Duration{20 * time.Minute, 2 * time.Hour, 8 * time.Hour, 26 * time.Hour, 60 * time.Hour}
	g.p.length = lengths[g.IntN(len(lengths))]
	g.machines()
	g.tree()
	for _, z := range g.zones {
		g.fill(z)
	}
	g.crossAliases()
	g.changes()
	g.faults()
	g.questions(questions)
	if g.IntN(4) == 0 {
		g.p.config["cache.size"] = "1MiB"
	}
	if g.IntN(6) == 0 {
		g.p.config["cache.max-ttl"] = "1d"
	}
	g.staleness()
	g.p.sort()
	g.p.spare()
	return g.p
}

// staleness makes the policy of stale answers; mostly the usual one.
func (g *generator) staleness() {
	switch g.IntN(8) {
	case 0:
		g.p.config["stale.enabled"] = "false"
		return
	case 1:
		g.p.config["stale.max-stale"] = "2h"
	case 2:
		g.p.config["stale.max-stale-negative"] = "5m"
	case 3:
		g.p.config["stale.answer-ttl"] = "7s"
	}
	if g.chance(30) {
		g.p.config["stale.client-timeout"] = pick(g, "0s", "500ms", "1800ms")
	}
	if g.chance(10) {
		g.p.config["recursion.prefetch"] = "false"
	}
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) span(least, most time.Duration) time.Duration {
	return least + time.Duration(g.Int64N(int64(most-least)+1))
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) ttl() uint32 {
	return pick[uint32](g, 0, 1, 2, 5, 20, 30, 60, 300, 300, 900, 3600, 3600, 3600, 7200, 86400, 86400, 172800, 700000, 2592000)
}

// machines makes the servers. The first are the root's.
func (g *generator) machines() {
	n := 3 + g.IntN(9)
	for i := range n {
		v4 := netip.MustParseAddr(fmt.Sprint(serverNet4, i+1))
		v6 := netip.MustParseAddr(fmt.Sprint(serverNet6, i+1))
		h := host{addrs: []netip.Addr{v4}, latency: g.span(2*time.Millisecond, 80*time.Millisecond)}
		switch k := g.IntN(10); {
		case k < 4:
			h.addrs = append(h.addrs, v6)
		case k < 5 && i > 0:
			h.addrs = []netip.Addr{v6}
		}
		h.dead = i > 1 && g.chance(6)
		g.p.servers = append(g.p.servers, h)
	}
}

// tree makes the zones with their servers and delegations.
func (g *generator) tree() {
	root := &genZone{origin: dnsname.Root, nsTTL: pick[uint32](g, 3600, 86400, 518400)}
	g.zones = append(g.zones, root)
	g.serveBy(root, 1+g.IntN(3))
	for _, tld := range []string{"example.", "com.", "net.", "org."} {
		if tld == "example." || g.chance(50) {
			g.addZone(root, dnsname.MustParse(tld))
		}
	}
	labels := []string{"alpha", "bravo", "carol", "delta", "echo", "fox", "golf", "hotel", "india", "julia"}
	for range 2 + g.IntN(12) {
		parent := g.zones[1+g.IntN(len(g.zones)-1)]
		if parent.origin.Labels() > 4 {
			continue
		}
		name, label := parent.origin, pick(g, labels...)
		if len(parent.origin) < 6 { // com, net and org hold one name each
			label = "example"
		}
		name, _ = name.Prepend(label)
		if len(parent.origin) > 6 && g.chance(15) { // a cut two labels down
			name, _ = name.Prepend(pick(g, labels...))
		}
		if !slices.ContainsFunc(g.zones, func(z *genZone) bool {
			return z.origin.Under(name) || name.Under(z.origin) && z.origin.Below(parent.origin)
		}) {
			g.addZone(parent, name)
		}
	}
}

func (g *generator) addZone(parent *genZone, origin dnsname.Name) {
	z := &genZone{origin: origin, parent: parent, nsTTL: pick[uint32](g, 30, 300, 3600, 3600, 86400, 86400, 172800, 1000000)}
	g.zones = append(g.zones, z)
	n := 1 + g.IntN(3)
	if g.chance(15) {
		n = 4 + g.IntN(2)
	}
	g.serveBy(z, n)
}

// serveBy gives a zone servers with names, and the delegation to them.
func (g *generator) serveBy(z *genZone, n int) {
	zp := zonePlan{
		origin: z.origin, lag: map[int]time.Duration{}, withServers: g.chance(40),
		soaTTL:  pick[uint32](g, 0, 5, 60, 900, 3600, 3600, 86400),
		minimum: pick[uint32](g, 0, 1, 30, 60, 300, 300, 3600, 86400),
	}
	var ns []string
	for range n {
		h := g.hostFor(z)
		if slices.Contains(z.ns, h.name) {
			continue
		}
		z.ns = append(z.ns, h.name)
		ns = append(ns, h.name.String())
		if !slices.Contains(z.servers, h.server) {
			z.servers = append(z.servers, h.server)
			if g.chance(15) {
				zp.lag[h.server] = g.span(time.Second, 10*time.Minute)
			}
			if !g.chance(4) { // else it is lame
				g.step(step{verb: serve, zone: z.origin, server: h.server})
			}
		}
	}
	g.p.zones = append(g.p.zones, zp)
	child := slices.Clone(ns)
	if g.chance(15) && len(child) > 1 { // parent and child disagree
		child = child[1:]
	}
	g.step(step{verb: put, zone: z.origin, name: z.origin, typ: wire.TypeNS, ttl: g.ttl(), text: child})
	if z.parent != nil {
		g.step(step{verb: put, zone: z.parent.origin, name: z.origin, typ: wire.TypeNS, ttl: z.nsTTL, text: ns})
		g.glue(z, 0)
	}
}

// hostFor finds or makes a name server's name for a zone.
func (g *generator) hostFor(z *genZone) genHost {
	if z.origin.IsRoot() {
		return g.newHost(z, z.origin, fmt.Sprintf("%c.root", 'a'+len(z.ns)), len(z.ns)%len(g.p.servers))
	}
	var known []genHost
	for _, h := range g.hosts {
		if h.zone != z && !h.zone.origin.IsRoot() {
			known = append(known, h)
		}
	}
	switch k := g.IntN(10); {
	case k < 4 && len(known) > 0:
		return pick(g, known...)
	case k < 6 && len(g.zones) > 2: // in another zone: glueless, or with a sibling's glue
		home := g.zones[1+g.IntN(len(g.zones)-1)]
		if home != z {
			return g.newHost(home, home.origin, fmt.Sprintf("ns%d", len(g.hosts)), g.IntN(len(g.p.servers)))
		}
	}
	return g.newHost(z, z.origin, fmt.Sprintf("ns%d", len(g.hosts)), g.IntN(len(g.p.servers)))
}

func (g *generator) newHost(home *genZone, at dnsname.Name, label string, server int) genHost {
	name := at
	for _, l := range slices.Backward(strings.Split(label, ".")) {
		name, _ = name.Prepend(l)
	}
	h := genHost{name, home, server}
	g.hosts = append(g.hosts, h)
	ttl := pick[uint32](g, 60, 300, 3600, 86400)
	g.addressSteps(home.origin, h, ttl, 0)
	return h
}

// addressSteps puts a host's addresses into a zone.
func (g *generator) addressSteps(zone dnsname.Name, h genHost, ttl uint32, at time.Duration) {
	var v4, v6 []string
	for _, a := range g.p.servers[h.server].addrs {
		if a.Is4() {
			v4 = append(v4, a.String())
		} else {
			v6 = append(v6, a.String())
		}
	}
	if v4 != nil {
		g.step(step{at: at, verb: put, zone: zone, name: h.name, typ: wire.TypeA, ttl: ttl, text: v4})
	}
	if v6 != nil {
		g.step(step{at: at, verb: put, zone: zone, name: h.name, typ: wire.TypeAAAA, ttl: ttl, text: v6})
	}
}

// glue gives the parent the addresses of those servers that it should know.
func (g *generator) glue(z *genZone, at time.Duration) {
	for _, name := range z.ns {
		i := slices.IndexFunc(g.hosts, func(h genHost) bool { return h.name == name })
		h := g.hosts[i]
		sibling := h.name.Below(z.parent.origin) && h.zone != z.parent
		if h.name.Under(z.origin) || sibling && h.zone.parent == z.parent && g.chance(50) {
			g.addressSteps(z.parent.origin, h, z.nsTTL, at)
		}
	}
}

func (g *generator) step(s step) { g.p.steps = append(g.p.steps, s) }

// datum makes data that never was before, or hardly ever.
func (g *generator) datum(t wire.Type) []string {
	n := 1
	if g.chance(25) {
		n = 2 + g.IntN(3)
	}
	var list []string
	for range n {
		g.count++
		list = append(list, g.record(t, g.count))
	}
	return list
}

func (g *generator) record(t wire.Type, n int) string {
	switch t {
	case wire.TypeA:
		return fmt.Sprint(dataNet4, 1+n%254)
	case wire.TypeAAAA:
		return fmt.Sprintf("%s:%x", dataNet6, n)
	case wire.TypeTXT:
		if g.chance(12) { // does not fit a datagram
			text := fmt.Sprintf(`"%d"`, n)
			for range 3 + g.IntN(20) {
				text += ` "` + strings.Repeat("x", 100+g.IntN(100)) + `"`
			}
			return text
		}
		return fmt.Sprintf(`"text %d"`, n)
	case wire.TypeMX:
		return fmt.Sprintf("%d %s", n%100, g.someName())
	case wire.TypeHTTPS:
		return fmt.Sprintf(`1 . alpn="h2" port="%d"`, 1000+n)
	}
	return fmt.Sprintf(`\# 4 %08x`, n)
}

const oddType = wire.Type(65280)

var dataTypes = []wire.Type{wire.TypeA, wire.TypeA, wire.TypeA, wire.TypeAAAA, wire.TypeTXT, wire.TypeMX, wire.TypeHTTPS, oddType}

// someName is a name that may be there.
func (g *generator) someName() dnsname.Name {
	if len(g.names) == 0 {
		return dnsname.MustParse("www.example.")
	}
	return pick(g, g.names...)
}

// fill gives a zone names.
func (g *generator) fill(z *genZone) {
	most := 8
	if z.origin.Labels() < 2 {
		most = 3
	}
	labels := []string{"www", "mail", "a", "b", "c", "shop", "api", "deep.er", "x.y.z", "_dmarc", "very.deep.down.there", "*", "*.w", "w"}
	if z.origin.IsRoot() || len(z.origin) < 6 {
		labels = []string{"nic.example"} // nothing else is a name for documentation
		most = 1
	}
	for range g.IntN(most + 1) {
		name := z.origin
		for _, l := range slices.Backward(strings.Split(pick(g, labels...), ".")) {
			name, _ = name.Prepend(l)
		}
		if g.taken(z, name) {
			continue
		}
		g.names = append(g.names, name)
		for range 1 + g.IntN(3) {
			g.putData(z, name, 0)
		}
	}
}

// taken tells whether a name is another zone's, or an alias.
func (g *generator) taken(z *genZone, name dnsname.Name) bool {
	for _, o := range g.zones {
		if o != z && o.origin.Under(z.origin) && (name.Under(o.origin) || o.origin.Under(name)) {
			return true
		}
	}
	return slices.ContainsFunc(g.p.steps, func(s step) bool {
		return s.name == name && s.typ == wire.TypeCNAME || s.typ == wire.TypeDNAME && name.Under(s.name)
	})
}

func (g *generator) putData(z *genZone, name dnsname.Name, at time.Duration) {
	t := pick(g, dataTypes...)
	g.step(step{at: at, verb: put, zone: z.origin, name: name, typ: t, ttl: g.ttl(), text: g.datum(t)})
}

// crossAliases makes aliases, into other zones mostly.
func (g *generator) crossAliases() {
	for range 2 + g.IntN(10) {
		z := pick(g, g.zones...)
		if len(z.origin) < 6 {
			continue
		}
		g.alias(z, 0)
	}
	if g.chance(25) { // a chain about as long as is followed, or longer
		z := g.zones[1]
		for i := range 9 + g.IntN(6) {
			name, _ := z.origin.Prepend(fmt.Sprintf("chain%d", i))
			to, _ := z.origin.Prepend(fmt.Sprintf("chain%d", i+1))
			g.step(step{verb: put, zone: z.origin, name: name, typ: wire.TypeCNAME, ttl: g.ttl(), text: []string{to.String()}})
			g.names = append(g.names, name)
		}
	}
}

func (g *generator) alias(z *genZone, at time.Duration) {
	label := fmt.Sprintf("alias%d", g.IntN(30))
	name, _ := z.origin.Prepend(label)
	if g.taken(z, name) {
		return
	}
	to := g.someName()
	switch k := g.IntN(10); {
	case k == 0: // leads nowhere
		to, _ = z.origin.Prepend("nowhere")
	case k == 1: // in a circle
		to = name
	}
	if strings.HasPrefix(to.FirstLabel(), "*") {
		to, _ = to.Parent().Prepend("made")
	}
	if g.chance(20) {
		t := to
		if g.chance(50) {
			t = pick(g, g.zones...).origin
		}
		g.step(step{at: at, verb: put, zone: z.origin, name: name, typ: wire.TypeDNAME, ttl: g.ttl(), text: []string{t.String()}})
		for _, l := range []string{"www", "a", "mail"} {
			below, _ := name.Prepend(l)
			g.names = append(g.names, below)
		}
		return
	}
	g.step(step{at: at, verb: put, zone: z.origin, name: name, typ: wire.TypeCNAME, ttl: g.ttl(), text: []string{to.String()}})
	g.names = append(g.names, name)
}
