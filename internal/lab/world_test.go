package lab

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

func newWorld(t testing.TB) *World {
	t.Helper()
	w, err := NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// hostAddrs collects every address record of the world by name.
func hostAddrs(w *World) map[dnsname.Name][]netip.Addr {
	addrs := map[dnsname.Name][]netip.Addr{}
	for _, origin := range w.Zones() {
		for _, r := range w.Zone(origin).Records() {
			if r.Type != wire.TypeA && r.Type != wire.TypeAAAA {
				continue
			}
			if a, ok := netip.AddrFromSlice(r.Data); ok && !slices.Contains(addrs[r.Name], a) {
				addrs[r.Name] = append(addrs[r.Name], a)
			}
		}
	}
	return addrs
}

// What the table of servers says is what the zones say: each server has its
// addresses there, and each zone's NS records name the servers that serve it.
func TestTableAndZonesAgree(t *testing.T) {
	w := newWorld(t)
	addrs := hostAddrs(w)
	if n := len(w.Zones()); n < 40 {
		t.Errorf("only %d zones", n)
	}
	serving := map[dnsname.Name][]dnsname.Name{}
	for _, s := range w.Servers {
		want, got := slices.Clone(s.Addrs), slices.Clone(addrs[s.Host])
		slices.SortFunc(want, netip.Addr.Compare)
		slices.SortFunc(got, netip.Addr.Compare)
		if !slices.Equal(want, got) {
			t.Errorf("%s: table has %v, zones %v", s.Host, want, got)
		}
		for _, z := range s.Serves {
			serving[z.Zone] = append(serving[z.Zone], s.Host)
		}
	}
	for _, origin := range w.Zones() {
		if origin.String() == "disagree.example.com." {
			continue
		}
		ns := servers(w.Zone(origin), origin)
		slices.SortFunc(ns, dnsname.Compare)
		slices.SortFunc(serving[origin], dnsname.Compare)
		if !slices.Equal(ns, serving[origin]) {
			t.Errorf("%s: NS %v, served by %v", origin, ns, serving[origin])
		}
		for _, parent := range w.Zones() {
			if up := servers(w.Zone(parent), origin); parent != origin && len(up) > 0 {
				slices.SortFunc(up, dnsname.Compare)
				if !slices.Equal(up, ns) {
					t.Errorf("%s: parent says %v, child %v", origin, up, ns)
				}
			}
		}
	}
}

func servers(z *authority.Zone, at dnsname.Name) (hosts []dnsname.Name) {
	for _, r := range z.Records() {
		if host, ok := rrset.Target(r.Type, r.Data); ok && r.Type == wire.TypeNS && r.Name == at {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func TestZonesAreSound(t *testing.T) {
	w := newWorld(t)
	for _, origin := range w.Zones() {
		if err := w.Zone(origin).Check(); err != nil {
			t.Error(err)
		}
		if origin.IsRoot() {
			continue
		}
		delegated := slices.ContainsFunc(w.Zones(), func(p dnsname.Name) bool {
			return origin.Below(p) && len(servers(w.Zone(p), origin)) > 0
		})
		if !delegated {
			t.Errorf("nobody delegates %s", origin)
		}
	}
}

// Only documentation addresses and latencies that people can feel.
func TestServersAreFictitious(t *testing.T) {
	docs := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for host, addrs := range hostAddrs(newWorld(t)) {
		for _, a := range addrs {
			if !slices.ContainsFunc(docs, func(p netip.Prefix) bool { return p.Contains(a) }) {
				t.Errorf("%s has %v", host, a)
			}
		}
	}
}

func TestRootHints(t *testing.T) {
	hints := newWorld(t).RootHints()
	if len(hints) != 3 || hints[0].Name.String() != "a.root-servers.example." || len(hints[0].Addrs) != 2 {
		t.Errorf("%v", hints)
	}
}

func TestLoadErrorsSayWhere(t *testing.T) {
	root := "@ SOA ns admin 1 1 1 1 1\n@ NS ns.example.\n"
	good := "ns.example. 192.0.2.1 10ms .\n"
	for _, c := range []struct{ servers, root, want string }{
		{good, root, ""},
		{"# x\n\nns.example. 192.0.2.1 10ms\n", root, "servers.txt:3: want host"},
		{"ns..example. 192.0.2.1 10ms .\n", root, "servers.txt:1: host"},
		{"ns.example. 192.0.2 10ms .\n", root, "servers.txt:1: "},
		{"ns.example. 192.0.2.1 10 .\n", root, "servers.txt:1: latency"},
		{"ns.example. 192.0.2.1 10ms .!sloth\n", root, "servers.txt:1: unknown fault \"sloth\""},
		{good + good, root, "servers.txt:2: address 192.0.2.1 is taken"},
		{"ns.example. 192.0.2.1 10ms example.\n", root, "zone example. of servers.txt: open example.zone"},
		{good, root + "www A 192.0.2.999\n", "root.zone:3: "},
		{"", root, "servers.txt: no server serves the root"},
	} {
		_, err := Load(fstest.MapFS{"servers.txt": {Data: []byte(c.servers)}, "root.zone": {Data: []byte(c.root)}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %s", c.servers, err, c.want)
		}
	}
}

func TestSignedWorld(t *testing.T) {
	except := dnsname.MustParse("example.org.")
	signed, anchor, err := newWorld(t).Signed(time.Unix(0, 0), time.Unix(1e9, 0), except)
	if err != nil {
		t.Fatal(err)
	}
	if !anchor.Name.IsRoot() || anchor.Type != wire.TypeDS {
		t.Errorf("anchor %v", anchor)
	}
	for _, origin := range signed.Zones() {
		z := signed.Zone(origin)
		if want := !origin.Under(except); z.Signed() != want {
			t.Errorf("%s signed: %v", origin, z.Signed())
		}
		if origin.IsRoot() {
			continue
		}
		ds := 0
		for _, r := range signed.Zone(signed.parent(origin)).Records() {
			if r.Name == origin && r.Type == wire.TypeDS {
				ds++
			}
		}
		if want := map[bool]int{true: 1}[z.Signed()]; ds != want {
			t.Errorf("%s has %d DS records", origin, ds)
		}
	}
}
