package iterator

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/infra"
	"lastgood/internal/stale"
)

// seat is where a question below a cut would be put: at a configured zone, at the
// delegation of the cut, or at the closest one above it, and who serves there. It
// is immutable.
type seat struct {
	cut     dnsname.Name
	zone    *Zone
	deleg   *cache.Delegation // nil for a configured zone
	servers []infra.Candidate // as far as addresses are known
	old     []netip.AddrPort  // those among them that are past their TTL
	all     bool              // those are all: no other server's address could be looked up
	set     string            // names the servers, if those are all; "" if not
	made    clock.Mono
}

const (
	seatLasts = time.Second // what is found out anew may be as old as this
	seatsKept = 4096        // of one generation; two are kept
)

// seats remembers them, since those are asked for that find something stale,
// which may be all clients. Its zero value is ready. Bound: 2·seatsKept; at it the
// older half is forgotten.
type seats struct {
	mu         sync.Mutex
	young, old map[dnsname.Name]*seat
}

func (l *seats) get(now clock.Mono, cut dnsname.Name) *seat {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.young[cut]
	if s == nil {
		s = l.old[cut]
	}
	if s == nil || now.Sub(s.made) >= seatLasts {
		return nil
	}
	return s
}

// put remembers a seat. The name may be an alias: what is kept is a copy.
func (l *seats) put(cut dnsname.Name, s *seat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.young == nil || len(l.young) >= seatsKept {
		l.young, l.old = make(map[dnsname.Name]*seat), l.young
	}
	l.young[dnsname.Name(strings.Clone(string(cut)))] = s
}

// forget drops what is remembered of a cut: its delegation changed.
func (l *seats) forget(cut dnsname.Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.young, cut)
	delete(l.old, cut)
}

// seat gives the seat of a cut. It allocates nothing when it was asked for within
// the last second.
func (it *Iterator) seat(now clock.Mono, cut dnsname.Name) *seat {
	s := it.seats.get(now, cut)
	if s == nil {
		s = it.newSeat(now, cut)
		it.seats.put(cut, s)
	}
	return s
}

// newSeat finds where a resolution would begin, as task.begin does, but at the
// cut's own delegation even if that is past its TTL.
func (it *Iterator) newSeat(now clock.Mono, cut dnsname.Name) *seat {
	s := &seat{cut: dnsname.Root, made: now, all: true}
	zone := it.zoneOf(cut)
	d, ok := it.cache.Delegation(now, cut)
	if !ok {
		d, ok = it.cache.Closest(now, cut)
	}
	switch {
	case zone != nil && (zone.Forward || !ok || len(d.Cut) <= len(zone.Name)):
		s.cut, s.zone = zone.Name, zone
	case ok:
		s.cut, s.deleg = d.Cut, d
	default:
		s.deleg = it.hinted()
	}
	if s.cut != cut { // names below it have one seat together
		if have := it.seats.get(now, s.cut); have != nil && have.zone == s.zone && have.deleg == s.deleg {
			return have
		}
		defer func() { it.seats.put(s.cut, s) }()
	}
	f := seatFinder{it: it, seat: s, now: now, reader: it.readers.Get().(*cache.Reader)}
	f.reader.Unasked = true // nobody wants these addresses now
	defer func() {
		f.reader.Unasked = false
		it.readers.Put(f.reader)
	}()
	if s.zone != nil {
		f.zone()
	} else {
		f.delegation()
	}
	s.name()
	return s
}

// name makes the name of the set of servers: their addresses in order.
func (s *seat) name() {
	if !s.all {
		return
	}
	list := make([]netip.AddrPort, len(s.servers))
	for i := range list {
		list[i] = s.servers[i].Addr
	}
	slices.SortFunc(list, netip.AddrPort.Compare)
	var b []byte
	for _, a := range list {
		b, _ = a.AppendBinary(b)
	}
	s.set = string(b)
}

// seatFinder collects the servers of a seat.
type seatFinder struct {
	it     *Iterator
	seat   *seat
	now    clock.Mono
	reader *cache.Reader
}

func (f *seatFinder) zone() {
	for _, s := range f.seat.zone.Servers {
		port := s.Addr.Port()
		if port == 0 {
			port = 53
		}
		if s.Addr.Addr().IsValid() {
			f.add(infra.Candidate{Addr: netip.AddrPortFrom(s.Addr.Addr(), port), Host: s.Host, TCP: s.TCP, TLS: s.TLS})
			continue
		}
		f.host(infra.Candidate{Addr: netip.AddrPortFrom(netip.Addr{}, port), Host: s.Host, TCP: s.TCP, TLS: s.TLS}, nil)
	}
}

func (f *seatFinder) delegation() {
	servers := f.seat.deleg.Servers
	for i := range servers[:min(len(servers), f.it.limits.NameServers)] {
		f.host(infra.Candidate{Addr: netip.AddrPortFrom(netip.Addr{}, 53), Host: servers[i].Name}, servers[i].Addrs)
	}
}

// host adds the addresses of a server that are known: answers and the glue that
// they speak against, which an attempt tries last, else answers past their TTL.
func (f *seatFinder) host(c infra.Candidate, glue []netip.Addr) {
	var found, old []netip.Addr
	settled := true
	for _, typ := range f.it.families() {
		addrs, state, ok := f.it.stored(f.reader, f.now, c.Host, typ)
		_, failed := f.it.cache.LastFailure(f.now, cache.Question{Name: c.Host, Type: typ})
		switch {
		case ok && state == stale.Fresh:
			found = append(found, addrs...)
		case ok:
			old = append(old, addrs...)
			settled = settled && failed
		default:
			settled = settled && failed
		}
		for _, a := range glue {
			if familyOf(a) == typ && !slices.Contains(found, a) {
				found = append(found, a)
			}
		}
	}
	if len(found) == 0 {
		found = f.it.glueElsewhere(f.now, c.Host, f.seat.cut)
	}
	before, lapsed := len(f.seat.servers), len(found) == 0
	if lapsed {
		found = old
	}
	n := f.addAll(c, found)
	if lapsed {
		for _, s := range f.seat.servers[before:] {
			f.seat.old = append(f.seat.old, s.Addr)
		}
	}
	if n == 0 && !settled && !f.lost(c.Host) {
		f.seat.all = false
	}
}

// lost tells whether nobody can tell the addresses of a host: it is below the cut
// itself, or whom it would be asked of fails.
func (f *seatFinder) lost(host dnsname.Name) bool {
	if f.seat.zone == nil && host.Under(f.seat.cut) {
		return true
	}
	d, ok := f.it.cache.Closest(f.now, host)
	if !ok {
		return false
	}
	_, failing := f.it.infra.CutFailing(f.now, d.Cut)
	return failing
}

func (f *seatFinder) addAll(c infra.Candidate, addrs []netip.Addr) (n int) {
	for _, a := range addrs {
		if n < f.it.limits.Addresses && f.it.usable(a) {
			c.Addr = netip.AddrPortFrom(a.Unmap(), c.Addr.Port())
			f.add(c)
			n++
		}
	}
	return n
}

func (f *seatFinder) add(c infra.Candidate) {
	for _, have := range f.seat.servers {
		if have.Addr == c.Addr && have.TCP == c.TCP && have.TLS == c.TLS {
			return
		}
	}
	f.seat.servers = append(f.seat.servers, c)
}
