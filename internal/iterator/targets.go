package iterator

import (
	"context"
	"errors"
	"net/netip"
	"slices"
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

// lookupStagger is how long addresses of some name servers are waited for
// before more are looked up.
const lookupStagger = 300 * time.Millisecond

// targets are the servers of a place.
type targets struct {
	cands   []infra.Candidate
	old     []netip.AddrPort // those among them that are past their TTL
	hosts   []host
	burst   int  // look-ups that the next round may start
	started int  // look-ups in all
	pending int  // look-ups under way
	spares  bool // addresses of the second choice are among cands
	// hindered: a look-up was not made, or waited for, for a reason that says
	// nothing of the cut: a circle of flights, or a bound.
	hindered bool
	narrowed string // the bound on look-ups that was told of last
	ours     bool   // there was a lack of something of our own
	unsent   bool   // there was no socket for one of them
	mute     bool   // a look-up failed because no server that knows an address answers
}

// host is a name server by name.
type host struct {
	name   dnsname.Name
	port   uint16
	tcp    bool
	tls    string       // the name to authenticate it by
	spare  []netip.Addr // of the second choice: glue that better data spoke against
	asked4 bool         // its A records were looked up, or are known
	asked6 bool
	known  bool // an address of its is among the candidates
}

// lookup is the outcome of looking up a name server's addresses.
type lookup struct {
	epoch int // of the task's place
	host  int
	addrs []netip.Addr
	old   bool // they are past their TTL, or were found through something that is
	err   error
}

// gather collects what is known of the cut's servers, in random order.
func (t *task) gather() state {
	if !t.arrive() {
		return t.turnedAway()
	}
	if z := t.place.zone; z != nil {
		t.gatherZone(z)
	} else {
		t.gatherDelegation(t.place.deleg)
	}
	t.targets.burst = 2
	return send
}

func (t *task) gatherZone(z *Zone) {
	for _, s := range z.Servers {
		port := s.Addr.Port()
		if port == 0 {
			port = 53
		}
		if s.Addr.Addr().IsValid() {
			t.addCandidate(infra.Candidate{Addr: netip.AddrPortFrom(s.Addr.Addr(), port), Host: s.Host, TCP: s.TCP, TLS: s.TLS})
			continue
		}
		h := host{name: s.Host, port: port, tcp: s.TCP, tls: s.TLS}
		t.known(&h, nil)
		t.targets.hosts = append(t.targets.hosts, h)
	}
}

func (t *task) gatherDelegation(d *cache.Delegation) {
	servers := slices.Clone(d.Servers)
	t.it.shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	if len(servers) > t.it.limits.NameServers {
		servers = servers[:t.it.limits.NameServers]
	}
	for _, s := range servers {
		h := host{name: s.Name, port: 53}
		t.known(&h, s.Addrs)
		t.targets.hosts = append(t.targets.hosts, h)
	}
}

// known adds what the cache knows of a server: answers to its address, else the
// glue of this cut, else glue that other cuts have for the same name. Glue that
// answers speak against is kept as spare: parents are right more often than
// dead children (RFC 9471 has glue repeated for that).
func (t *task) known(h *host, glue []netip.Addr) {
	if len(glue) == 0 {
		glue = t.it.glueElsewhere(t.now(), h.name, t.place.cut)
	}
	var addrs []netip.Addr
	for _, typ := range t.it.families() {
		answer, ok := t.it.cached(t.reader, t.now(), h.name, typ)
		if ok {
			h.mark(typ)
		}
		addrs = append(addrs, answer...)
		for _, a := range glue {
			switch {
			case familyOf(a) != typ:
			case ok:
				h.spare = append(h.spare, a)
			default:
				addrs = append(addrs, a)
			}
		}
	}
	if len(glue) > 0 && t.place.deleg != nil && h.name.Under(t.place.cut) {
		h.asked4, h.asked6 = true, true // the parent said what it knows
	}
	t.addAddresses(h, addrs)
}

// cached gives the addresses that the cache has as answers; ok also for a name
// that is known to have none. An alias says nothing: name servers' names must
// not be aliases (RFC 2181 §10.3), but some are, and a look-up follows them.
func (it *Iterator) cached(r *cache.Reader, now clock.Mono, name dnsname.Name, typ wire.Type) (addrs []netip.Addr, ok bool) {
	addrs, state, ok := it.stored(r, now, name, typ)
	if !ok || state != stale.Fresh {
		return nil, false
	}
	return addrs, true
}

// stored gives them whether they are fresh or past their TTL.
func (it *Iterator) stored(r *cache.Reader, now clock.Mono, name dnsname.Name, typ wire.Type) ([]netip.Addr, stale.State, bool) {
	if name == "" {
		return nil, stale.Gone, false
	}
	hit, found := it.cache.Lookup(r, now, name, typ)
	if !found || hit.Kind() == cache.Data && hit.Type() != typ {
		return nil, stale.Gone, false
	}
	return addressesIn(hit.Data()), hit.State(now), true
}

func addressesIn(data rrset.Packed) []netip.Addr {
	var out []netip.Addr
	for rd := range data.All() {
		if a, ok := netip.AddrFromSlice(rd); ok {
			out = append(out, a)
		}
	}
	return out
}

// glueElsewhere finds addresses of a name server in the delegations above it:
// what its own parent gave as glue.
func (it *Iterator) glueElsewhere(now clock.Mono, name, except dnsname.Name) []netip.Addr {
	for at := name; ; {
		d, ok := it.cache.Closest(now, at)
		if !ok {
			return nil
		}
		for _, s := range d.Servers {
			if s.Name == name && len(s.Addrs) > 0 && d.Cut != except {
				return s.Addrs
			}
		}
		if d.Cut.IsRoot() {
			return nil
		}
		at = d.Cut.Parent()
	}
}

// families gives the address types in use.
func (it *Iterator) families() []wire.Type {
	switch {
	case !it.ipv6:
		return []wire.Type{wire.TypeA}
	case !it.ipv4:
		return []wire.Type{wire.TypeAAAA}
	}
	return []wire.Type{wire.TypeA, wire.TypeAAAA}
}

func familyOf(a netip.Addr) wire.Type {
	if a.Unmap().Is4() {
		return wire.TypeA
	}
	return wire.TypeAAAA
}

// mark notes that a host's addresses of a type need no look-up (any more).
func (h *host) mark(t wire.Type) {
	if t == wire.TypeA {
		h.asked4 = true
	} else {
		h.asked6 = true
	}
}

func (h *host) marked(t wire.Type) bool {
	if t == wire.TypeA {
		return h.asked4
	}
	return h.asked6
}

// addAddresses makes candidates of a host's usable addresses and tells whether
// any was new.
func (t *task) addAddresses(h *host, addrs []netip.Addr) bool {
	added, n := false, 0
	for _, a := range addrs {
		if n >= t.it.limits.Addresses {
			break
		}
		if t.it.usable(a) {
			n++
			h.known = true
			added = t.addCandidate(infra.Candidate{Addr: netip.AddrPortFrom(a.Unmap(), h.port), Host: h.name, TCP: h.tcp, TLS: h.tls}) || added
		}
	}
	return added
}

// addCandidate adds a server unless its address is there. One that is asked over
// TLS is TCP too, so none is ever added that would be asked in the clear instead.
func (t *task) addCandidate(s infra.Candidate) bool {
	for _, c := range t.targets.cands {
		if c.Addr == s.Addr && c.TCP == s.TCP {
			return false
		}
	}
	if t.targets.cands == nil && !t.room.gathered {
		t.room.gathered, t.targets.cands = true, t.room.cands[:0]
	}
	t.targets.cands = append(t.targets.cands, s)
	return true
}

// startLookups begins a round of look-ups of name servers' addresses, each
// round larger than the last: mostly one server is enough. False when there is
// nothing left to look up.
func (t *task) startLookups(ctx context.Context) bool {
	tg := &t.targets
	if t.req.Depth >= t.it.limits.Depth {
		if !tg.hindered {
			t.bound("depth")
		}
		tg.hindered = true
		return false
	}
	room := min(tg.burst, t.it.limits.NSLookups-tg.pending)
	began := false
	for i := range tg.hosts {
		for _, typ := range t.it.families() {
			h := &tg.hosts[i]
			switch {
			case h.name == "" || h.marked(typ) || t.stopped && h.known:
				continue
			case tg.started >= t.it.limits.LookupsTotal:
				t.narrow("ns-lookups-total")
				return began
			case room <= 0:
				if tg.pending >= t.it.limits.NSLookups {
					t.narrow("ns-lookups")
				}
				continue
			}
			h.mark(typ)
			tg.started++
			tg.pending++
			room--
			began = true
			t.lookup(ctx, i, typ)
		}
	}
	tg.burst *= 2
	return began
}

// narrow tells of a bound on look-ups, once a place.
func (t *task) narrow(bound string) {
	if t.targets.narrowed != bound {
		t.targets.narrowed = bound
		t.bound(bound)
	}
}

// lookup asks for a host's addresses in a goroutine that ends with ctx.
func (t *task) lookup(ctx context.Context, i int, typ wire.Type) {
	name, place, req, epoch := t.targets.hosts[i].name, t.place, t.req, t.epoch
	find := t.it.flights.Addresses
	if place.zone == nil && name.Under(place.cut) {
		// Its address is known to those that it is to be the server of; only
		// the parent can help.
		parent := place.parent
		if parent == nil && t.it.zoneOf(place.cut.Parent()) == nil { // names below a stub zone are not the public's
			parent, _ = t.it.cache.Closest(t.now(), place.cut.Parent())
		}
		find = t.it.fromParent(place.cut, parent)
	}
	t.handOut()
	if t.lookups == nil {
		t.lookups = make(chan lookup)
	}
	go func() {
		l := lookup{epoch: epoch, host: i}
		l.addrs, l.old, l.err = find(ctx, req, name, typ)
		select {
		case t.lookups <- l:
		case <-ctx.Done():
		}
	}()
}

// fromParent looks addresses of hosts below a cut up at the servers of the
// parent and no others.
func (it *Iterator) fromParent(cut dnsname.Name, parent *cache.Delegation) func(context.Context, Request, dnsname.Name, wire.Type) ([]netip.Addr, bool, error) {
	return func(ctx context.Context, from Request, name dnsname.Name, typ wire.Type) ([]netip.Addr, bool, error) {
		if parent == nil || !name.Under(parent.Cut) {
			return nil, false, errNoGlue
		}
		t := it.newTask(Request{Flight: from.Flight, Name: name, Type: typ, Depth: from.Depth + 1, Budget: from.Budget})
		t.pinned, t.min.full = true, true
		t.enter(place{cut: parent.Cut, deleg: parent})
		res := t.runFrom(ctx, gather)
		if res.Ours {
			return nil, false, res.Failure
		}
		for i := range res.Entries {
			e := &res.Entries[i]
			if e.Kind == cache.Data && e.Name == name && e.Type == typ {
				return addressesIn(e.Set.Data), res.Lapsed, nil
			}
			// A name server's name must not be an alias (RFC 2181 §10.3), but some are.
			// Followed once; what is below the cut too, only the parent can know.
			to, ok := e.Set.Target()
			switch {
			case !ok || e.Kind != cache.Data || e.Name != name || e.Type != wire.TypeCNAME || from.Depth+1 >= it.limits.Depth:
			case to.Under(cut):
				from.Depth++
				return it.fromParent(cut, parent)(ctx, from, to, typ)
			default:
				return it.flights.Addresses(ctx, from, to, typ)
			}
		}
		return nil, false, errNoGlue
	}
}

// errNoGlue tells that a name server's address, which is below the cut that it
// serves, is not known to the parent.
var errNoGlue = errors.New("the parent does not know the address")

// learnt takes the outcome of a look-up. A try under way goes on; the new
// addresses are for the next.
func (t *task) learnt(l lookup) state {
	if l.epoch != t.epoch {
		return wait
	}
	t.targets.pending--
	t.targets.hindered = t.targets.hindered || hindrance(l.err)
	t.targets.ours = t.targets.ours || lack(l.err)
	t.targets.mute = t.targets.mute || failedWith(l.err, "MUTE", "DARK")
	add := t.addAddresses
	if l.old {
		add = t.addOld
	}
	added := add(&t.targets.hosts[l.host], l.addrs)
	switch {
	case t.current != nil:
		return wait
	case added:
		return send
	case t.targets.pending == 0:
		return exhausted
	}
	return wait
}

// hindrance tells whether a look-up failed for a reason that says nothing of who
// was to be asked: a circle, or a bound of ours, here or further on.
func hindrance(err error) bool {
	return errors.Is(err, ErrLoop) || lack(err) || failedWith(err, "CIRC", "LOOP", "DEEP", "BUDG")
}

// lack tells whether a look-up failed for want of something of our own: room at
// a zone, sockets, flights, or the program's end. What fails for that may succeed
// a moment later, so nobody remembers it.
func lack(err error) bool { return failedWith(err, "CROW", "LOCL", "LACK", "FULL", "STOP") }

func failedWith(err error, ids ...string) bool {
	var e *ede.Error
	return errors.As(err, &e) && slices.Contains(ids, e.ID)
}

// addSpares adds the addresses of the second choice, once, and tells whether
// that helped.
func (t *task) addSpares() bool {
	if t.targets.spares {
		return false
	}
	t.targets.spares = true
	added := false
	for i := range t.targets.hosts {
		h := &t.targets.hosts[i]
		glue := append(h.spare, t.it.glueElsewhere(t.now(), h.name, "")...)
		added = t.addAddresses(h, glue) || added
		if !h.known {
			added = t.addExpired(h) || added
		}
	}
	return added
}

// addExpired adds addresses of a server past their TTL, when no others are known
// and who could tell them is out of reach.
func (t *task) addExpired(h *host) bool {
	added := false
	for _, typ := range t.it.families() {
		addrs, state, _ := t.it.stored(t.reader, t.now(), h.name, typ)
		added = state == stale.Stale && t.addOld(h, addrs) || added
	}
	return added
}

// addOld adds addresses that are past their TTL, or were found through something
// that is. What is found through them lives no longer than a stale answer does, as
// with a delegation past its TTL.
func (t *task) addOld(h *host, addrs []netip.Addr) bool {
	before := len(t.targets.cands)
	added := t.addAddresses(h, addrs)
	for _, c := range t.targets.cands[before:] {
		t.targets.old = append(t.targets.old, c.Addr)
	}
	return added
}

// bound tells that a limit cut something off.
func (t *task) bound(name string) {
	t.it.events.Emit(event.BudgetHit{At: t.now(), Flight: t.req.Flight, Bound: name})
}

// glueIn collects the addresses of a name server from an additional section.
func glueIn(sets []rrset.Set, name dnsname.Name, most int) []netip.Addr {
	var out []netip.Addr
	for _, typ := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
		if s := get(sets, name, typ); s != nil {
			out = append(out, addressesIn(s.Data)...)
		}
	}
	return out[:min(len(out), 2*most)]
}
