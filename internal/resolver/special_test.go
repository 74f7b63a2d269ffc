package resolver

import (
	"context"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/iterator"
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

// An alias, or the name of a name server, does not make special names leak.
func TestAliasesToSpecialNamesAreNotLookedUp(t *testing.T) {
	r, it := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
		to := map[dnsname.Name]string{name("a.example."): "x.onion.", name("b.example."): "www.localhost."}[req.Name]
		if to == "" {
			t.Errorf("%s was looked up", req.Name)
			to = "."
		}
		return iterator.Result{Entries: []cache.Entry{alias(req.Name.String(), 60, to)}}
	})
	for range 2 { // from the flight, then from the cache
		expect(t, r.ask("a.example.", wire.TypeA), "NXDOMAIN a.example./CNAME:60 x.onion./A:10800 SPEC")
		expect(t, r.ask("b.example.", wire.TypeA), "NOERROR b.example./CNAME:60 www.localhost./A:10800")
	}
	if _, _, err := r.Addresses(t.Context(), iterator.Request{Budget: iterator.NewBudget(5, 1<<20)}, name("ns.onion."), wire.TypeA); err == nil {
		t.Error("a name server in onion. has an address")
	}
	if n := it.asked.Load(); n != 2 {
		t.Errorf("%d resolutions, want 2", n)
	}
}

// Whoever is asked may say what they like about a special name behind an alias
// of theirs, and a forwarder may pass it on: it must not get in by the cache.
func TestNobodyTellsOfSpecialNames(t *testing.T) {
	r, _ := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
		return iterator.Result{
			Entries: []cache.Entry{alias(req.Name.String(), 60, "localhost."), address("localhost.", 60, 66)},
			Aside:   []cache.Entry{address("printer.local.", 60, 66)},
		}
	})
	expect(t, r.ask("evil.example.", wire.TypeA), "NOERROR evil.example./CNAME:60 localhost./A:10800")
	for _, special := range []string{"localhost.", "printer.local."} {
		if _, _, ok := fromCacheAlone(r, special, wire.TypeA); ok {
			t.Errorf("%s comes from the cache", special)
		}
	}
}
