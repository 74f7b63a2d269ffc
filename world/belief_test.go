package world

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// belief is a span of time during which a resolver may take a server for one of
// a zone's, because a delegation that it had a right to believe led there.
type belief struct {
	server      int
	from, until time.Duration
}

// hostAddr is a span during which a name server's name may be taken to have an
// address.
type hostAddr struct {
	addr        netip.Addr
	from, until time.Duration
}

// grant is one version of a delegation and the span during which it may be held.
type grant struct {
	from, until time.Duration
	version     *version // of the parent
	set         *set
}

const (
	maxTTL = 7 * 24 * time.Hour // cache.max-ttl
	// slack is how much later than it was said something may be believed: as
	// long as a question may take.
	slack = 13 * time.Second
	// registry is up to how many labels a cut's delegation does not bound those
	// beneath it.
	registry = 1
)

func life(ttl uint32) time.Duration { return min(time.Duration(ttl)*time.Second, maxTTL) }

// believe works out all beliefs from the root down.
func (h *history) believe() {
	h.beliefs, h.grants = map[dnsname.Name][]belief{}, map[dnsname.Name][]grant{}
	h.lapsed = map[dnsname.Name][]belief{}
	h.hosts, h.leads = map[dnsname.Name][]hostAddr{}, map[dnsname.Name][]hostAddr{}
	h.findHosts()
	for i := range h.p.servers {
		if slices.ContainsFunc(h.p.hints(), func(ns cache.NameServer) bool {
			return slices.ContainsFunc(ns.Addrs, func(a netip.Addr) bool { return h.byAddr[a] == i })
		}) {
			h.beliefs[dnsname.Root] = append(h.beliefs[dnsname.Root], belief{i, 0, forever})
		}
	}
	var origins []dnsname.Name
	for i := range h.p.zones {
		if o := h.p.zones[i].origin; !o.IsRoot() {
			origins = append(origins, o)
		}
	}
	slices.SortFunc(origins, func(a, b dnsname.Name) int {
		return cmp.Or(cmp.Compare(a.Labels(), b.Labels()), dnsname.Compare(a, b))
	})
	for _, z := range origins {
		h.delegations(z)
	}
}

// findHosts collects all addresses that any zone gives a name, as data or glue.
func (h *history) findHosts() {
	for i := range h.servers {
		for k, x := range h.servers[i] {
			end := forever
			if k+1 < len(h.servers[i]) {
				end = h.servers[i][k+1].from
			}
			for _, v := range x.zones {
				h.hostsOf(v, x.from, end)
			}
		}
	}
	for n := range h.hosts {
		h.hosts[n] = mergeHosts(h.hosts[n])
	}
}

func mergeHosts(list []hostAddr) []hostAddr {
	slices.SortFunc(list, func(a, b hostAddr) int { return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.from, b.from)) })
	out := list[:0]
	for _, x := range list {
		if n := len(out); n > 0 && out[n-1].addr == x.addr && x.from <= out[n-1].until {
			out[n-1].until = max(out[n-1].until, x.until)
			continue
		}
		out = append(out, x)
	}
	return out
}

func (h *history) hostsOf(v *version, from, until time.Duration) {
	for name, at := range v.sets {
		for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
			s := at[t]
			if s == nil {
				continue
			}
			ttl := life(s.ttl)
			for _, d := range s.data {
				a, _ := netip.AddrFromSlice(d)
				if _, ours := h.byAddr[a]; ours {
					h.hosts[name] = append(h.hosts[name], hostAddr{a, from, later(until, ttl+slack)})
				}
			}
		}
	}
}

func later(t, d time.Duration) time.Duration {
	if t >= forever {
		return forever
	}
	return t + d
}

// delegations works out what may be believed of a zone's servers. A delegation is
// held for its NS records' TTL, but no longer than the parent's own where that
// is deeper than a registry's. When that is over it has lapsed, and may be used for
// as long as other stale data, while the parent cannot be asked.
func (h *history) delegations(z dnsname.Name) {
	for p := z.Parent(); ; p = p.Parent() {
		for _, b := range h.beliefs[p] {
			h.referrals(z, p, b, func(g grant) {
				h.grants[z] = append(h.grants[z], g)
				h.lead(z, g, false)
			})
		}
		for _, b := range h.lapsed[p] {
			h.referrals(z, p, b, func(g grant) { h.lead(z, g, true) })
		}
		if p.IsRoot() {
			break
		}
	}
	h.beliefs[z], h.lapsed[z] = mergeBeliefs(h.beliefs[z]), mergeBeliefs(h.lapsed[z])
}

// referrals calls f with the delegations of a zone that a server of a zone above
// gives while it may be believed.
func (h *history) referrals(z, p dnsname.Name, b belief, f func(grant)) {
	h.holdings(b.server, b.from, b.until, func(from, until time.Duration, zones map[dnsname.Name]*version) bool {
		s := answer(zones, z, wire.TypeA)
		if s.kind != referral || s.owner != z {
			return true
		}
		g := grant{max(from, b.from), later(min(until, b.until), life(s.set.ttl)+slack), s.zone, s.set}
		if p.Labels() > registry {
			g.until = min(g.until, later(b.until, slack))
		}
		f(g)
		return true
	})
}

// lead adds the servers that a delegation leads to.
func (h *history) lead(z dnsname.Name, g grant, lapsed bool) {
	keep := h.p.policy().max
	for _, d := range g.set.data {
		for _, x := range h.addresses(dnsname.Name(d), 0) {
			server, from := h.byAddr[x.addr], max(g.from, x.from)
			if until := min(g.until, x.until); from < until && !lapsed {
				h.beliefs[z] = append(h.beliefs[z], belief{server, from, until})
			}
			if until := min(later(g.until, keep), later(x.until, keep)); from < until {
				h.lapsed[z] = append(h.lapsed[z], belief{server, from, until})
			}
		}
	}
}

func mergeBeliefs(list []belief) []belief {
	slices.SortFunc(list, func(a, b belief) int { return cmp.Or(cmp.Compare(a.server, b.server), cmp.Compare(a.from, b.from)) })
	out := list[:0]
	for _, x := range list {
		if n := len(out); n > 0 && out[n-1].server == x.server && x.from <= out[n-1].until {
			out[n-1].until = max(out[n-1].until, x.until)
			continue
		}
		out = append(out, x)
	}
	return out
}

// addresses gives what a name server's name may lead to, through aliases too.
func (h *history) addresses(name dnsname.Name, hops int) (list []hostAddr) {
	if hops == 0 {
		if list, ok := h.leads[name]; ok {
			return list
		}
		defer func() { h.leads[name] = list }()
	}
	list = slices.Clone(h.hosts[name])
	if hops >= 3 {
		return list
	}
	for i := range h.servers {
		for _, x := range h.servers[i] {
			s := answer(x.zones, name, wire.TypeA)
			if s.kind == cname || s.kind == dname && s.to != "" {
				list = append(list, h.addresses(s.to, hops+1)...)
			}
			if s.kind == data && s.owner == name && h.hosts[name] == nil { // of a wildcard
				for _, d := range s.set.data {
					if a, _ := netip.AddrFromSlice(d); a.IsValid() {
						if _, ours := h.byAddr[a]; ours {
							list = append(list, hostAddr{a, 0, forever})
						}
					}
				}
			}
		}
	}
	return list
}
