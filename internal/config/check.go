package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/dnsname"
)

// crossChecks looks at what only several keys together tell. It runs when each
// key for itself is right.
func (r *reader) crossChecks() {
	c := r.cfg
	r.atMost("cache.min-ttl", c.Cache.MinTTL, "cache.max-ttl", c.Cache.MaxTTL)
	r.atMost("cache.min-negative-ttl", c.Cache.MinNegativeTTL, "cache.max-negative-ttl", c.Cache.MaxNegativeTTL)
	r.atMost("limits.failure-min", c.Limits.FailureMin, "limits.failure-max", c.Limits.FailureMax)
	r.atMost("stale.client-timeout", c.Stale.ClientTimeout.Fixed, "limits.resolution-deadline", c.Limits.ResolutionDeadline)
	r.checkListen()
	r.checkControl()
	if !c.Recursion.IPv4 && !c.Recursion.IPv6 {
		r.failAt(&problem{"no server can be asked with recursion.ipv4 and recursion.ipv6 both false", "write true for one of them"},
			"recursion.ipv6", "recursion.ipv4")
	}
	r.checkZones()
	r.checkRoot()
	r.checkLocal()
}

// failAt notes a mistake at the first of the keys that the file has.
func (r *reader) failAt(p *problem, keys ...string) {
	for _, key := range keys {
		if n := r.given[key]; n != nil {
			r.fail(n, key, p)
			return
		}
	}
	r.errs = append(r.errs, &Error{File: r.file, Key: keys[0], Msg: p.msg, Hint: p.hint})
}

// atMost refuses a lower bound above its upper one.
func (r *reader) atMost(lowKey string, low time.Duration, highKey string, high time.Duration) {
	if low <= high {
		return
	}
	p := &problem{fmt.Sprintf("%s (%s) is longer than %s (%s)", lowKey, r.written(lowKey), highKey, r.written(highKey)), "change one of them"}
	r.failAt(p, lowKey, highKey)
}

// written is a value as the file, or else the table, has it.
func (r *reader) written(key string) string {
	if n := r.given[key]; n != nil {
		return n.Value
	}
	return lookup(key).Default
}

func (r *reader) checkListen() {
	if len(r.cfg.Listen) == 0 {
		r.failAt(&problem{"the list is empty, so nobody could ask", `write at least one, such as ["dns://127.0.0.1:5300"]`}, "listen")
	}
	seen := map[netip.AddrPort]bool{}
	interfaces := map[string]bool{}
	for i, e := range r.cfg.Listen {
		if e.Interface != "" {
			r.checkInterface(i, e, interfaces)
			continue
		}
		if e.Addr.Port() != 0 && seen[e.Addr] {
			r.fail(r.given["listen"].Content[i], "listen", &problem{e.Addr.String() + " is there twice", "delete one"})
		}
		seen[e.Addr] = true
	}
}

// checkInterface wants somebody who takes what xdp leaves to the kernel: TCP above
// all, without which large answers could not be had.
func (r *reader) checkInterface(i int, e Endpoint, seen map[string]bool) {
	n := r.given["listen"].Content[i]
	if seen[e.Interface] {
		r.fail(n, "listen", &problem{e.Interface + " is there twice", "delete one: an interface has one port"})
	}
	seen[e.Interface] = true
	port := e.Addr.Port()
	if !slices.ContainsFunc(r.cfg.Listen, func(o Endpoint) bool {
		return o.Interface == "" && o.Addr.Port() == port && !o.Addr.Addr().IsLoopback()
	}) {
		r.fail(n, "listen", &problem{fmt.Sprintf("%s takes questions over UDP, and nobody would take those over TCP on port %d", e, port),
			fmt.Sprintf(`add the interface's addresses, or "dns://0.0.0.0:%d" and "dns://[::]:%[1]d"`, port)})
	}
}

// checkControl keeps the API from strangers.
func (r *reader) checkControl() {
	a := r.cfg.Control.Listen
	if !a.Addr.IsValid() || a.Addr.Addr().Unmap().IsLoopback() || r.cfg.Control.TokenFile != "" {
		return
	}
	r.failAt(&problem{a.Addr.String() + " is open to others without a token", "write control.token-file, or listen on a loopback address or unix:/path"}, "control.listen")
}

// checkZones refuses a zone that is configured twice, and one without servers.
func (r *reader) checkZones() {
	resolution := map[dnsname.Name]string{} // zone -> where it is
	for i, z := range r.cfg.Forward {
		r.once("forward", i, z.Zone, resolution)
		r.someServer("forward", i, "to", z.To)
		if z.TLSCA != "" && !slices.ContainsFunc(z.To, func(e Endpoint) bool { return e.Scheme == "tls" }) {
			r.fail(r.items["forward"][i], "forward", &problem{"tls-ca has no effect without a tls:// resolver", "write tls:// in to, or delete it"})
		}
	}
	for i, z := range r.cfg.Stub {
		r.once("stub", i, z.Zone, resolution)
		r.someServer("stub", i, "servers", z.Servers)
	}
	policies := map[dnsname.Name]string{}
	for i, z := range r.cfg.Stale.Zones {
		r.once("stale.zones", i, z.Zone, policies)
	}
}

func (r *reader) once(list string, i int, zone dnsname.Name, seen map[dnsname.Name]string) {
	n := r.items[list][i]
	if first, twice := seen[zone]; twice {
		r.fail(n, list, &problem{"zone " + quote(zone.String()) + " is already in " + first, "delete one"})
		return
	}
	seen[zone] = fmt.Sprintf("%s on line %d", list, n.Line)
}

func (r *reader) someServer(list string, i int, key string, servers []Endpoint) {
	if len(servers) == 0 {
		r.fail(r.items[list][i], list, &problem{key + " is empty, so nobody could be asked", "write at least one server"})
	}
	for _, e := range servers {
		if e.Scheme != "tls" && slices.ContainsFunc(r.cfg.Listen, e.reaches) {
			r.fail(r.items[list][i], list, &problem{e.Addr.String() + " is where lastgood itself listens, so it would ask itself", "name another server"})
		}
	}
}

// reaches tells whether a question to a server's address surely comes in at a
// listener's: one of IPv6 may be open for IPv4 too, or another program be.
func (e Endpoint) reaches(listener Endpoint) bool {
	to, at := e.Addr.Addr(), listener.Addr.Addr()
	return to.IsValid() && at.IsValid() && e.Addr.Port() == listener.Addr.Port() &&
		(to == at || at.IsUnspecified() && at.Is4() == to.Is4() && (to.IsUnspecified() || to.IsLoopback()))
}
