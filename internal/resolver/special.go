package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// specialTTL is told with answers about special names, in seconds (RFC 6303 §3).
const specialTTL = 10800

// specialNames answers the names that must not leak to the public DNS. A nil
// *specialNames answers none.
type specialNames struct {
	zones map[dnsname.Name]specialZone
}

type specialKind uint8

const (
	emptyZone   specialKind = iota // exists with SOA and NS, and nothing below (RFC 6303 §3)
	neverExists                    // NXDOMAIN, apex and all
	loopback                       // localhost: the loopback addresses, at the apex and below
)

type specialZone struct {
	kind specialKind
	why  *ede.Error     // told with the answer, may be nil
	ptr  []dnsname.Name // names at or below the zone whose PTR is localhost.
}

// newSpecialNames makes the table. A configured zone (forward, stub) at or
// below a special one takes its names back; one above does not: forwarding
// everything leaks no special names.
func newSpecialNames(configured []dnsname.Name) *specialNames {
	s := &specialNames{zones: specialTable()}
	for _, own := range configured {
		if !own.IsRoot() {
			s.zones[own] = specialZone{kind: ownServers}
		}
	}
	return s
}

// ownServers marks a zone that has servers of its own.
const ownServers specialKind = 255

func specialTable() map[dnsname.Name]specialZone {
	zones := map[dnsname.Name]specialZone{}
	add := func(z specialZone, names ...string) {
		for _, n := range names {
			zones[dnsname.MustParse(n)] = z
		}
	}
	blocked := func(text string) *ede.Error { return &ede.Error{Code: ede.Blocked, ID: "SPEC", Text: text} }
	add(specialZone{kind: loopback}, "localhost.")
	add(specialZone{kind: neverExists}, "invalid.", "test.") // RFC 6761 §6.2, §6.4
	// RFC 7686 §2: a resolver MUST answer NXDOMAIN and look nothing up.
	add(specialZone{kind: neverExists, why: blocked("onion names are not in the DNS (RFC 7686)")}, "onion.")
	add(specialZone{kind: neverExists, why: blocked("local names belong to multicast DNS (RFC 6762)")}, "local.")
	add(specialZone{kind: emptyZone}, "home.arpa.") // RFC 8375
	// RFC 6303 §4.1 to 4.6, RFC 7793.
	for i := 16; i < 32; i++ {
		add(specialZone{kind: emptyZone}, fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for i := 64; i < 128; i++ {
		add(specialZone{kind: emptyZone}, fmt.Sprintf("%d.100.in-addr.arpa.", i))
	}
	add(specialZone{kind: emptyZone}, "10.in-addr.arpa.", "168.192.in-addr.arpa.", "0.in-addr.arpa.",
		"254.169.in-addr.arpa.", "2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.",
		"255.255.255.255.in-addr.arpa.", reverse6("::", 32), "d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.",
		"a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.")
	add(specialZone{kind: emptyZone, ptr: []dnsname.Name{dnsname.MustParse("1.0.0.127.in-addr.arpa.")}}, "127.in-addr.arpa.")
	one := reverse6("::1", 32)
	add(specialZone{kind: emptyZone, ptr: []dnsname.Name{dnsname.MustParse(one)}}, one)
	return zones
}

// reverse6 is the ip6.arpa name of an address's first nibbles.
func reverse6(addr string, nibbles int) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	a := netip.MustParseAddr(addr).As16()
	for i := nibbles - 1; i >= 0; i-- {
		b.WriteByte(hex[a[i/2]>>(4*(1-i%2))&15])
		b.WriteByte('.')
	}
	return b.String() + "ip6.arpa."
}

// answer gives the answer to a special name, nil for all others.
func (s *specialNames) answer(q *Query, now clock.Mono) *Answer {
	if zone, ok := s.zoneOf(q.Name); ok {
		return s.zones[zone].answer(q, zone, now)
	}
	return nil
}

// covers tells whether a name is special. What servers say of such is not to be
// cached: the way to cached answers does not look here.
func (s *specialNames) covers(name dnsname.Name) bool {
	_, ok := s.zoneOf(name)
	return ok
}

// zoneOf finds the special zone that a name is in, false for all other names.
func (s *specialNames) zoneOf(name dnsname.Name) (dnsname.Name, bool) {
	for zone := name; s != nil; zone = zone.Parent() {
		if z, ok := s.zones[zone]; ok {
			return zone, z.kind != ownServers
		}
		if zone.IsRoot() {
			break
		}
	}
	return "", false
}

func (z specialZone) answer(q *Query, zone dnsname.Name, now clock.Mono) *Answer {
	e := cache.Entry{Kind: cache.Data, Name: q.Name, Type: q.Type, Stored: now, Expiry: now.Add(specialTTL * time.Second)}
	data := z.data(q, zone)
	a := &Answer{Local: true, At: now, DO: q.DO}
	if z.why != nil {
		a.Errors = []*ede.Error{z.why}
	}
	switch {
	case data != nil:
		e.Set = rrset.Set{Name: q.Name, Type: q.Type, TTL: specialTTL, Data: data}
	case z.exists(q.Name, zone):
		e.Kind, e.Proof = cache.NoData, []rrset.Set{specialSOA(zone)}
	default:
		e.Kind, e.Proof = cache.NXDomain, []rrset.Set{specialSOA(zone)}
		a.Rcode = wire.RcodeNXDomain
	}
	a.Chain = []Hop{{Entry: e}}
	return a
}

// exists tells whether a name of a special zone exists with some type.
func (z specialZone) exists(name, zone dnsname.Name) bool {
	if z.kind == loopback || z.kind == emptyZone && name == zone {
		return true
	}
	for _, p := range z.ptr {
		if p.Under(name) {
			return true
		}
	}
	return false
}

// data is what a special zone has for a question, nil for nothing.
func (z specialZone) data(q *Query, zone dnsname.Name) rrset.Packed {
	one := func(b []byte) rrset.Packed { return rrset.Packed(nil).Append(b) }
	switch {
	case z.kind == loopback && q.Type == wire.TypeA:
		return one([]byte{127, 0, 0, 1})
	case z.kind == loopback && q.Type == wire.TypeAAAA:
		v6 := netip.IPv6Loopback().As16()
		return one(v6[:])
	case z.kind != neverExists && q.Name == zone && q.Type == wire.TypeSOA:
		return specialSOA(zone).Data
	case z.kind == emptyZone && q.Name == zone && q.Type == wire.TypeNS:
		return one([]byte(zone))
	case q.Type == wire.TypePTR:
		for _, p := range z.ptr {
			if p == q.Name {
				return one([]byte(dnsname.MustParse("localhost.")))
			}
		}
	}
	return nil
}

// specialSOA is the SOA of RFC 6303 §3.
func specialSOA(zone dnsname.Name) rrset.Set {
	data := append([]byte(zone), dnsname.MustParse("nobody.invalid.")...)
	for _, v := range [...]uint32{1, 3600, 1200, 604800, specialTTL} {
		data = append(data, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return rrset.Set{Name: zone, Type: wire.TypeSOA, TTL: specialTTL, Data: rrset.Packed(nil).Append(data)}
}
