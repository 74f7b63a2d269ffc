package resolver

import (
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

func TestSpecialNames(t *testing.T) {
	s := newSpecialNames([]dnsname.Name{name("."), name("7.168.192.in-addr.arpa."), name("corp.test.")})
	for _, c := range []struct {
		name string
		typ  wire.Type
		want string // rcode and what is in the chain, "" for not special
	}{
		{"localhost.", wire.TypeA, "NOERROR localhost./A:10800"},
		{"www.localhost.", wire.TypeAAAA, "NOERROR www.localhost./AAAA:10800"},
		{"localhost.", wire.TypeMX, "NOERROR localhost./MX:10800"},
		{"invalid.", wire.TypeA, "NXDOMAIN invalid./A:10800"},
		{"a.b.test.", wire.TypeA, "NXDOMAIN a.b.test./A:10800"},
		{"x.onion.", wire.TypeA, "NXDOMAIN x.onion./A:10800 SPEC"},
		{"printer.local.", wire.TypeA, "NXDOMAIN printer.local./A:10800 SPEC"},
		{"1.2.10.in-addr.arpa.", wire.TypePTR, "NXDOMAIN 1.2.10.in-addr.arpa./PTR:10800"},
		{"10.in-addr.arpa.", wire.TypeSOA, "NOERROR 10.in-addr.arpa./SOA:10800"},
		{"10.in-addr.arpa.", wire.TypeNS, "NOERROR 10.in-addr.arpa./NS:10800"},
		{"31.172.in-addr.arpa.", wire.TypeA, "NOERROR 31.172.in-addr.arpa./A:10800"},
		{"1.0.0.127.in-addr.arpa.", wire.TypePTR, "NOERROR 1.0.0.127.in-addr.arpa./PTR:10800"},
		{"0.0.127.in-addr.arpa.", wire.TypePTR, "NOERROR 0.0.127.in-addr.arpa./PTR:10800"}, // an empty non-terminal
		{"2.0.0.127.in-addr.arpa.", wire.TypePTR, "NXDOMAIN 2.0.0.127.in-addr.arpa./PTR:10800"},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", wire.TypePTR,
			"NOERROR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa./PTR:10800"},
		{"8.8.8.8.in-addr.arpa.", wire.TypePTR, ""},
		{"32.172.in-addr.arpa.", wire.TypePTR, ""},
		{"www.example.", wire.TypeA, ""},
		{"localhost.example.", wire.TypeA, ""},
		// Zones with servers of their own are theirs, at and below their name.
		{"1.7.168.192.in-addr.arpa.", wire.TypePTR, ""},
		{"1.8.168.192.in-addr.arpa.", wire.TypePTR, "NXDOMAIN 1.8.168.192.in-addr.arpa./PTR:10800"},
		{"www.corp.test.", wire.TypeA, ""},
	} {
		q := Query{Name: name(c.name), Type: c.typ, RD: true}
		a := s.answer(&q, 1)
		switch {
		case a == nil && c.want != "":
			t.Errorf("%s %s: not special, want %s", c.name, c.typ, c.want)
		case a != nil && shape(a) != c.want:
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.name, c.typ, shape(a), c.want)
		case a != nil && !a.Local:
			t.Errorf("%s: not marked as local", c.name)
		}
	}
}
