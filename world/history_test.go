package world

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// set is a record set as a zone has it.
type set struct {
	ttl  uint32
	data [][]byte // wire form, sorted
}

func (s *set) target(t wire.Type) dnsname.Name {
	to, _ := rrset.Target(t, s.data[0])
	return to
}

func (s *set) equal(o *set) bool { return slices.EqualFunc(s.data, o.data, slices.Equal) }

// version is a zone's data at a time. It is immutable.
type version struct {
	origin  dnsname.Name
	serial  uint32
	sets    map[dnsname.Name]map[wire.Type]*set
	names   map[dnsname.Name]bool // those that exist, empty non-terminals too
	soa     *set                  // with the TTL of the record itself
	minimum uint32
	aliases bool // there are any
	zone    *authority.Zone
}

// update is a server's getting another version of a zone, or losing it.
type update struct {
	at      time.Duration
	server  int
	origin  dnsname.Name
	version *version // nil: the zone is gone
}

// holding is what a server has from a time on.
type holding struct {
	from  time.Duration
	zones map[dnsname.Name]*version
}

// history is what was true when: every server's holdings over time.
type history struct {
	p       *plan
	updates []update
	servers [][]holding // by server, in order of time; the first is from 0
	byAddr  map[netip.Addr]int
	beliefs map[dnsname.Name][]belief
	lapsed  map[dnsname.Name][]belief   // by delegations or addresses that have expired
	hosts   map[dnsname.Name][]hostAddr // of any zone
	leads   map[dnsname.Name][]hostAddr // the same through aliases, worked out so far
	grants  map[dnsname.Name][]grant
}

// follower is a server of a zone while it takes changes.
type follower struct {
	from, until time.Duration
	server      int
}

const forever = time.Duration(1) << 60

// newHistory works out what will have been true.
func newHistory(p *plan) (*history, error) {
	h := &history{p: p, servers: make([][]holding, len(p.servers)), byAddr: map[netip.Addr]int{}}
	for i, s := range p.servers {
		for _, a := range s.addrs {
			h.byAddr[a] = i
		}
	}
	ps := parser{}
	for i := range p.zones {
		if err := h.zone(&p.zones[i], ps); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(h.updates, func(a, b update) int { return cmp.Compare(a.at, b.at) })
	for i := range h.servers {
		h.servers[i] = []holding{{zones: map[dnsname.Name]*version{}}}
	}
	for _, u := range h.updates {
		list := h.servers[u.server]
		last := &list[len(list)-1]
		if u.at > last.from {
			list = append(list, holding{from: u.at, zones: maps.Clone(last.zones)})
			h.servers[u.server] = list
			last = &list[len(list)-1]
		}
		if u.version == nil {
			delete(last.zones, u.origin)
		} else {
			last.zones[u.origin] = u.version
		}
	}
	h.believe()
	return h, nil
}

// zone adds the updates of one zone.
func (h *history) zone(z *zonePlan, ps parser) error {
	var changes []step
	var followers []follower
	var drops []step
	for _, s := range h.p.steps {
		if s.zone != z.origin {
			continue
		}
		switch s.verb {
		case serve:
			followers = append(followers, follower{s.at, forever, s.server})
		case freeze, drop:
			for i := range followers {
				if f := &followers[i]; f.server == s.server && f.until == forever {
					f.until = s.at
				}
			}
			if s.verb == drop {
				drops = append(drops, s)
			}
		default:
			changes = append(changes, s)
		}
	}
	versions, err := versionsOf(z, changes, ps)
	if err != nil {
		return err
	}
	for _, f := range followers {
		lag := z.lag[f.server]
		for i, v := range versions {
			next := forever
			if i+1 < len(versions) {
				next = versions[i+1].at
			}
			at := v.at + lag
			switch {
			case next <= f.from: // superseded before the server began
				continue
			case v.at <= f.from:
				at = f.from
			}
			if at < f.until {
				h.updates = append(h.updates, update{at, f.server, z.origin, v.version})
			}
		}
	}
	for _, s := range drops {
		h.updates = append(h.updates, update{s.at, s.server, z.origin, nil})
	}
	return nil
}

type dated struct {
	at      time.Duration
	version *version
}

// versionsOf plays a zone's changes. Steps of one instant make one version.
func versionsOf(z *zonePlan, changes []step, ps parser) (list []dated, err error) {
	sets := map[dnsname.Name]map[wire.Type]*set{}
	for i := 0; i < len(changes) || len(list) == 0; {
		at := time.Duration(0)
		if i < len(changes) {
			at = changes[i].at
		}
		for ; i < len(changes) && changes[i].at == at; i++ {
			apply(sets, &changes[i], ps)
		}
		v, err := newVersion(z, uint32(len(list)+1), sets, ps)
		if err != nil {
			return nil, err
		}
		list = append(list, dated{at, v})
	}
	return list, nil
}

func apply(sets map[dnsname.Name]map[wire.Type]*set, s *step, ps parser) {
	at := maps.Clone(sets[s.name])
	if at == nil {
		at = map[wire.Type]*set{}
	}
	switch s.verb {
	case put:
		n := &set{ttl: s.ttl}
		for _, text := range s.text {
			n.data = append(n.data, ps.rdata(s.typ, text))
		}
		slices.SortFunc(n.data, slices.Compare)
		n.data = slices.CompactFunc(n.data, slices.Equal)
		at[s.typ] = n
	case remove:
		delete(at, s.typ)
	case clear_:
		clear(at)
	}
	sets[s.name] = at
	if len(at) == 0 {
		delete(sets, s.name)
	}
}

func newVersion(z *zonePlan, serial uint32, sets map[dnsname.Name]map[wire.Type]*set, ps parser) (*version, error) {
	v := &version{origin: z.origin, serial: serial, sets: maps.Clone(sets), names: map[dnsname.Name]bool{}, minimum: z.minimum}
	soa := &set{ttl: z.soaTTL, data: [][]byte{ps.rdata(wire.TypeSOA, fmt.Sprintf("ns.example. admin.example. %d 7200 900 1209600 %d", serial, z.minimum))}}
	v.soa = soa
	apex := maps.Clone(v.sets[z.origin])
	if apex == nil {
		apex = map[wire.Type]*set{}
	}
	apex[wire.TypeSOA] = soa
	v.sets[z.origin] = apex
	var records []authority.Record
	for _, name := range slices.SortedFunc(maps.Keys(v.sets), dnsname.Compare) {
		for n := name; ; n = n.Parent() {
			v.names[n] = true
			if n == z.origin || n.IsRoot() {
				break
			}
		}
		for _, t := range slices.Sorted(maps.Keys(v.sets[name])) {
			s := v.sets[name][t]
			v.aliases = v.aliases || t == wire.TypeCNAME || t == wire.TypeDNAME
			for _, d := range s.data {
				records = append(records, authority.Record{Name: name, Type: t, TTL: s.ttl, Data: d})
			}
		}
	}
	var err error
	v.zone, err = authority.NewZone(z.origin, records)
	return v, err
}

// negativeTTL is how long denials of this version live (RFC 2308 §5).
func (v *version) negativeTTL() uint32 { return min(v.soa.ttl, v.minimum) }

// addresses gives those that the version has at a name.
func (v *version) addresses(name dnsname.Name) (list []netip.Addr) {
	for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
		if s := v.sets[name][t]; s != nil {
			for _, d := range s.data {
				a, _ := netip.AddrFromSlice(d)
				list = append(list, a)
			}
		}
	}
	return list
}

// holdings calls f with every span of time within [from, until] during which a
// server has the same data, until f says false.
func (h *history) holdings(server int, from, until time.Duration, f func(a, b time.Duration, zones map[dnsname.Name]*version) bool) {
	list := h.servers[server]
	i, _ := slices.BinarySearchFunc(list, from, func(x holding, at time.Duration) int { return cmp.Compare(x.from, at) })
	for i = max(0, i-1); i < len(list); i++ {
		end := forever
		if i+1 < len(list) {
			end = list[i+1].from
		}
		if list[i].from > until {
			return
		}
		if end < from {
			continue
		}
		if !f(list[i].from, end, list[i].zones) {
			return
		}
	}
}

// saying is what a server says to a question: the model's own reading of RFC
// 1034 §4.3.2, apart from the program's.
type saying struct {
	kind  sayKind
	zone  *version
	owner dnsname.Name // of the alias: the DNAME's owner, or the name itself
	set   *set         // data, alias, or the NS records of a referral
	to    dnsname.Name // where an alias leads; "" too long
	empty bool         // NODATA for a name that has no records of its own
}

type sayKind uint8

const (
	refused sayKind = iota
	referral
	data
	cname
	dname
	nodata
	nxdomain
)

func (k sayKind) String() string {
	return [...]string{"REFUSED", "a referral", "data", "a CNAME", "a DNAME", "no data", "NXDOMAIN"}[k]
}

// ask is what a server with these zones says.
func answer(zones map[dnsname.Name]*version, name dnsname.Name, t wire.Type) saying {
	var v *version
	for n := name; ; n = n.Parent() {
		if z := zones[n]; z != nil && (t != wire.TypeDS || n != name) {
			v = z
			break
		}
		if n.IsRoot() {
			return saying{kind: refused}
		}
	}
	return v.answer(name, t)
}

// answers is what a server may say to a question: what its closest zone says, or
// what another of its zones above the name says that has aliases. A server looks
// for the target of an alias in the zone that the alias is in, and what it finds
// there is told though it may have a closer zone. And the root's denial of the
// upper part of a name is taken as that of the whole, whoever may have the rest.
func answers(zones map[dnsname.Name]*version, name dnsname.Name, t wire.Type) []saying {
	list := []saying{answer(zones, name, t)}
	if list[0].zone == nil {
		return list
	}
	for n := list[0].zone.origin; !n.IsRoot(); {
		n = n.Parent()
		if z := zones[n]; z != nil && (z.aliases || n.IsRoot()) {
			list = append(list, z.answer(name, t))
		}
	}
	return list
}

func (v *version) answer(name dnsname.Name, t wire.Type) saying {
	encloser := v.origin
	for labels := v.origin.Labels(); labels <= name.Labels(); labels++ {
		here := name.Suffix(labels)
		if !v.names[here] {
			break
		}
		encloser = here
		if ns := v.sets[here][wire.TypeNS]; ns != nil && here != v.origin && (here != name || t != wire.TypeDS) {
			return saying{kind: referral, zone: v, owner: here, set: ns}
		}
		if d := v.sets[here][wire.TypeDNAME]; d != nil && here != name {
			s := saying{kind: dname, zone: v, owner: here, set: d}
			s.to, _ = name.Rebase(here, d.target(wire.TypeDNAME))
			return s
		}
	}
	owner := name
	if !v.names[name] {
		wildcard, err := encloser.Prepend("*")
		if err != nil || !v.names[wildcard] {
			return saying{kind: nxdomain, zone: v}
		}
		owner = wildcard
	}
	at := v.sets[owner]
	if c := at[wire.TypeCNAME]; c != nil && t != wire.TypeCNAME {
		return saying{kind: cname, zone: v, owner: name, set: c, to: c.target(wire.TypeCNAME)}
	}
	if s := at[t]; s != nil {
		return saying{kind: data, zone: v, owner: name, set: s}
	}
	return saying{kind: nodata, zone: v, empty: len(at) == 0}
}
