package conformance

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"lastgood/conformance/proxy"
)

// server is a name server as delegations name it.
type server struct {
	name   string // first label
	addrs  []string
	daemon string // what answers behind the proxy
	faults proxy.Faults
}

// fleet is every server: of each daemon two, and those that something is wrong
// with. A few milliseconds of delay keep answers from arriving in the order in
// which they were asked for.
func fleet() []server {
	near := proxy.Faults{Delay: time.Millisecond, Jitter: 3 * time.Millisecond}
	return []server{
		{"root-a", []string{"192.0.2.1", "2001:db8::1"}, "nsd", near},
		{"root-b", []string{"192.0.2.2", "2001:db8::2"}, "nsd", near},
		{"root-c", []string{"192.0.2.3", "2001:db8::3"}, "named", near},
		{"nsd1", []string{"198.51.100.1", "2001:db8:1::1"}, "nsd", near},
		{"nsd2", []string{"198.51.100.2", "198.51.100.3", "2001:db8:1::2"}, "nsd", near},
		{"knot1", []string{"198.51.100.11", "2001:db8:2::1"}, "knot", near},
		{"knot2", []string{"198.51.100.12", "2001:db8:2::2", "2001:db8:2::3"}, "knot", near},
		{"named1", []string{"198.51.100.21", "2001:db8:3::1"}, "named", near},
		{"named2", []string{"198.51.100.22", "198.51.100.23", "2001:db8:3::2"}, "named", near},
		{"dead", []string{"203.0.113.1"}, "named", proxy.Faults{DropUDP: true, DropTCP: true}},
		{"lossy1", []string{"203.0.113.2"}, "named", proxy.Faults{Loss: 0.1, Delay: time.Millisecond}},
		{"lossy2", []string{"203.0.113.3"}, "nsd", proxy.Faults{Loss: 0.1, Delay: time.Millisecond}},
		{"lame", []string{"203.0.113.4"}, "knot", near}, // no zone that names it is loaded there
		{"slow", []string{"203.0.113.5"}, "nsd", proxy.Faults{Delay: 60 * time.Millisecond, Jitter: 40 * time.Millisecond}},
		{"cut", []string{"203.0.113.6"}, "named", proxy.Faults{Truncate: true}},
		{"six", []string{"2001:db8:6::6"}, "named", near},
		{"stall", []string{"203.0.113.7"}, "named", proxy.Faults{Truncate: true, StallTCP: true}},
	}
}

// zone is a zone of the world.
type zone struct {
	name    string // absolute
	kind    string
	records []string // in presentation form, names relative to name
	servers []string // names of servers
	outside bool     // whether the servers' names lie in servers.example., elsewhere
	world   *world
}

// world is the whole tree of zones and its servers.
type world struct {
	zones   []*zone
	servers map[string]server
	proxies map[string][]*proxy.Proxy // by server name, an address each
}

func newWorld() *world {
	w := &world{servers: map[string]server{}, proxies: map[string][]*proxy.Proxy{}}
	for _, s := range fleet() {
		w.servers[s.name] = s
	}
	return w
}

// add makes a zone; its delegation is made by text.
func (w *world) add(name, kind string, servers []string, records ...string) *zone {
	z := &zone{name: name, kind: kind, servers: servers, records: records, world: w}
	w.zones = append(w.zones, z)
	return z
}

func (z *zone) servedBy(daemon string) bool {
	for _, s := range z.servers {
		if z.world.servers[s].daemon == daemon && s != "lame" {
			return true
		}
	}
	return false
}

// nsName is the name by which the zone's delegation names a server.
func (z *zone) nsName(server string) string {
	switch {
	case z.name == ".":
		return server + ".servers.example."
	case z.outside:
		return server + ".servers.example."
	}
	return server + ".ns." + z.name
}

// delegation gives the zone's NS records and the addresses that belong to them.
func (z *zone) delegation() []string {
	var out []string
	for _, s := range z.servers {
		out = append(out, fmt.Sprintf("%s 86400 NS %s", z.name, z.nsName(s)))
		if !z.outside {
			out = append(out, addresses(z.nsName(s), z.world.servers[s])...)
		}
	}
	return out
}

func addresses(name string, s server) []string {
	var out []string
	for _, a := range s.addrs {
		kind := "A"
		if net.ParseIP(a).To4() == nil {
			kind = "AAAA"
		}
		out = append(out, fmt.Sprintf("%s 86400 %s %s", name, kind, a))
	}
	return out
}

// parent is the closest zone above z.
func (z *zone) parent() *zone {
	var best *zone
	for _, p := range z.world.zones {
		if p != z && (p.name == "." || strings.HasSuffix(z.name, "."+p.name)) && (best == nil || len(p.name) > len(best.name)) {
			best = p
		}
	}
	return best
}

// text is the zone's file.
func (z *zone) text() string {
	lines := []string{"$ORIGIN " + z.name, "$TTL 3600",
		fmt.Sprintf("%s SOA %s nobody.example. 1 1800 900 604800 900", z.name, z.nsName(z.servers[0]))}
	lines = append(lines, z.delegation()...)
	for _, c := range z.world.zones {
		if c.name != "." && c.parent() == z {
			lines = append(lines, c.delegation()...)
		}
	}
	if z.name == "example." {
		for _, s := range fleet() {
			lines = append(lines, addresses(s.name+".servers.example.", s)...)
		}
	}
	lines = append(lines, z.records...)
	slices.Sort(lines[3:])
	return strings.Join(append(lines[:3], slices.Compact(lines[3:])...), "\n") + "\n"
}

// roots are the root's servers for resolvers' hints.
func (w *world) roots() map[string][]string {
	out := map[string][]string{}
	for _, s := range w.zones[0].servers {
		out[w.zones[0].nsName(s)] = w.servers[s].addrs
	}
	return out
}

// hints is the same as a file.
func (w *world) hints() string {
	return strings.Join(w.zones[0].delegation(), "\n") + "\n"
}

// addrs is every address that something listens on, but for those of loopback
// that need no configuration. (named listens only on what interfaces have.)
func addrs() []string {
	out := []string{host(namedAt)}
	for _, s := range fleet() {
		out = append(out, s.addrs...)
	}
	return out
}

// startWorld starts the authorities and the proxies before them.
func (n *namespace) startWorld(w *world, seed uint64) {
	n.t.Helper()
	at := map[string]string{"nsd": nsdAt, "knot": knotAt, "named": namedAt}
	daemons := map[string]*process{"nsd": n.startNSD(w.zones), "knot": n.startKnot(w.zones), "named": n.startNamed(w.zones)}
	for _, z := range w.zones {
		for name, daemon := range daemons {
			if z.servedBy(name) {
				daemon.waitReady(at[name], z.name) // a zone with a mistake is never loaded
			}
		}
	}
	n.startProxies(w, seed)
}

func (n *namespace) startProxies(w *world, seed uint64) {
	n.t.Helper()
	behind := map[string]string{"nsd": nsdAt, "knot": knotAt, "named": namedAt}
	for i, s := range fleet() {
		for j, a := range s.addrs {
			p := n.proxy(a, behind[s.daemon], seed+uint64(100*i+j))
			p.Set(s.faults)
			w.proxies[s.name] = append(w.proxies[s.name], p)
		}
	}
}
