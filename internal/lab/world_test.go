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
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
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

// setIn gives a set of a zone's records with its signatures.
func setIn(z *authority.Zone, name dnsname.Name, t wire.Type) *rrset.Set {
	s := &rrset.Set{Name: name, Type: t}
	for _, r := range z.Records() {
		if r.Name != name {
			continue
		}
		sig, err := dnssec.ReadSignature(r.Data)
		switch {
		case r.Type == t:
			s.Add(r.TTL, r.Data)
		case r.Type == wire.TypeRRSIG && err == nil && sig.Covered == t:
			s.Sigs = s.Sigs.Append(r.Data)
		}
	}
	return s
}

// trusted gives the keys of a signed zone: those of the set that is signed by one
// that the DS records point to, which the keys of the zone above signed.
func trusted(t *testing.T, w *World, zone dnsname.Name, anchors []authority.Record, now time.Time) (*dnssec.Verifier, *ede.Error) {
	t.Helper()
	policy := &dnssec.Policy{Iterations: 50, Refused: 500}
	budget := dnssec.NewBudget(dnssec.Limits{Signatures: 1000, PerSet: 8, PerTag: 4, Keys: 8, Hashes: 1000})
	pointers := &rrset.Set{Name: zone, Type: wire.TypeDS}
	if zone.IsRoot() {
		for _, r := range anchors {
			pointers.Add(r.TTL, r.Data)
		}
	} else {
		above, err := trusted(t, w, w.parent(zone), anchors, now)
		if err != nil {
			return nil, err
		}
		pointers = setIn(w.Zone(above.Zone), zone, wire.TypeDS)
		if _, err := above.Verify(pointers); err != nil {
			return nil, err
		}
	}
	set := setIn(w.Zone(zone), zone, wire.TypeDNSKEY)
	v := &dnssec.Verifier{Zone: zone, Keys: dnssec.ReadKeys(set, budget), Now: now, Policy: policy, Budget: budget}
	entry := *v
	entry.Keys = slices.DeleteFunc(slices.Clone(v.Keys), func(k *dnssec.Key) bool {
		return !slices.ContainsFunc(dnssec.ReadAllDS(pointers, policy), func(d dnssec.DS) bool { return d.Matches(zone, k) })
	})
	_, err := entry.Verify(set)
	return v, err
}

// From the trust anchor a chain leads to every signed zone, and all of its sets
// validate; the broken one breaks where it should.
func TestSignedWorld(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	signed, anchors, err := newWorld(t).Signed(now)
	if err != nil {
		t.Fatal(err)
	}
	if len(anchors) != 1 || !anchors[0].Name.IsRoot() || anchors[0].Type != wire.TypeDS {
		t.Errorf("anchors %v", anchors)
	}
	list := signed.SignedZones()
	if len(list) < 25 || len(list) == len(signed.Zones()) {
		t.Errorf("%d of %d zones are signed", len(list), len(signed.Zones()))
	}
	for _, origin := range signed.Zones() {
		z := signed.Zone(origin)
		if want := slices.Contains(list, origin); z.Signed() != want || (signed.Plan(origin) != nil) != want {
			t.Errorf("%s signed: %v", origin, z.Signed())
		}
		if !z.Signed() {
			if n := setIn(signed.Zone(signed.parent(origin)), origin, wire.TypeDS).Data.Len(); n > 0 {
				t.Errorf("%s is not signed and has %d DS records", origin, n)
			}
			continue
		}
		v, failed := trusted(t, signed, origin, anchors, now)
		if origin.String() == "expired.example.org." {
			if failed == nil || failed.Code != ede.SignatureExpired {
				t.Errorf("%s: %v", origin, failed)
			}
			continue
		}
		if failed != nil {
			t.Errorf("%s: %v", origin, failed)
			continue
		}
		for _, typ := range []wire.Type{wire.TypeSOA, wire.TypeNS} {
			if _, failed := v.Verify(setIn(z, origin, typ)); failed != nil {
				t.Errorf("%s %s: %v", origin, typ, failed)
			}
		}
	}
	if z := newWorld(t).Zone(dnsname.Root); z.Signed() {
		t.Error("the world itself is signed")
	}
}

func TestPlanErrorsSayWhere(t *testing.T) {
	const table = "ns.example. 192.0.2.1 10ms .\n"
	for text, want := range map[string]string{
		"":                          "",
		". nsec3=0":                 "",
		"# zones\n. wrong=dance":    "signed.txt:2: wrong=dance: unknown way",
		".\n.":                      "signed.txt:2: zone . is there already",
		"a..b":                      "signed.txt:1: ",
		"example. algorithm=13":     "signed.txt: there is no zone example.",
		". algorithm=12 keys=csk1 ": "key of .: algorithm 12 is not supported",
	} {
		w, err := Load(fstest.MapFS{
			"servers.txt": {Data: []byte(table)}, "root.zone": {Data: []byte("@ SOA a b 1 2 3 4 5\n@ NS ns.example.\n")}, "signed.txt": {Data: []byte(text)},
		})
		if err == nil {
			_, _, err = w.Signed(time.Unix(1e9, 0))
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
