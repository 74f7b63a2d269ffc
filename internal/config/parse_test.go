package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lastgood/internal/dnsname"
)

// message is a document with a mistake, and what is said about it.
type message struct{ doc, want string }

func says(t *testing.T, list []message) {
	t.Helper()
	for _, test := range list {
		c, err := Parse("f", []byte(test.doc))
		if err == nil {
			t.Errorf("%s\naccepted, want %s", test.doc, test.want)
		} else if err.Error() != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.doc, err, test.want)
		}
		if err != nil && c != nil {
			t.Errorf("%s\ngave both a configuration and an error", test.doc)
		}
	}
}

// TestMessages is what people read when something is wrong, word for word: about single values.
func TestMessages(t *testing.T) {
	says(t, []message{
		{"lisen: []", `f:1: unknown key "lisen"; did you mean "listen"?`},
		{"max-ttl: 1s", `f:1: unknown key "max-ttl"; did you mean "cache.max-ttl"?`},
		{"stale:\n  min-tll: 1s", `f:2: unknown key "min-tll"; did you mean "cache.min-ttl"?`},
		{"cache: {Min_TTL: 1s}", `f:1: unknown key "Min_TTL"; did you mean "min-ttl"?`},
		{"cache: {szie: 1GiB}", `f:1: unknown key "szie"; did you mean "size"?`},
		{"control: {banana: 1s}", `f:1: unknown key "banana"; keys here are listen, token-file`},
		{"cache: {size: 1GiB}\ncache: {size: 2GiB}", `f:2: duplicate key "cache"; it is already on line 1`},
		{"cache: {max-ttl: 30}", `f:1: cache.max-ttl: "30" has no unit; write 30s`},
		{"cache: {max-ttl: 30sec}", `f:1: cache.max-ttl: "30sec" is no duration; write a number and a unit (ms, s, m, h, d, w), such as 500ms, 30s or 1h30m`},
		{"cache: {max-ttl: -1s}", `f:1: cache.max-ttl: "-1s" is no duration; write a number and a unit (ms, s, m, h, d, w), such as 500ms, 30s or 1h30m`},
		{"cache: {max-ttl: 400d}", `f:1: cache.max-ttl: 400d is out of range; allowed are 0s to 365d`},
		{"cache: {size: 268435456}", `f:1: cache.size: "268435456" has no unit; write 256MiB`},
		{"cache: {size: 256M}", `f:1: cache.size: "256M" is no size; write a number and a unit (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB), such as 256MiB`},
		{"cache: {size: 1KiB}", `f:1: cache.size: 1KiB is out of range; allowed are 1MiB to 1TiB`},
		{"cache: {size: }", `f:1: cache.size: has no value; write one (default: 256MiB) or delete the line`},
		{"cache: {size: [1MiB]}", `f:1: cache.size: takes one value (size), not a list; write one such as 1GiB`},
		{"cache: 256MiB", `f:1: cache: has to hold keys, not a single value; write one below the other: size, min-ttl, max-ttl, min-negative-ttl, max-negative-ttl, snapshot, snapshot-interval`},
		{"limits: {depth: many}", `f:1: limits.depth: "many" is no whole number; write digits only, such as 50`},
		{"limits: {depth: 0}", `f:1: limits.depth: 0 is out of range; allowed are 1 to 16 levels`},
		{"limits: {depth: 9999999999}", `f:1: limits.depth: "9999999999" is no whole number; write digits only, such as 50`},
		{"recursion: {ipv6: no}", `f:1: recursion.ipv6: "no" is neither true nor false; write false`},
		{"recursion: {qname-minimisation: relax}", `f:1: recursion.qname-minimisation: "relax" is not allowed; did you mean "relaxed"? Allowed are relaxed, strict, off`},
		{"log: {level: loud}", `f:1: log.level: "loud" is not allowed; write one of debug, info, warn, error`},
		{"clients: {allow: 192.0.2.1}", `f:1: clients.allow: is a list, not a single value; write ["192.0.2.1"]`},
		{"clients:\n  allow:\n    - 192.0.2.1\n    - 192.0.2.1/24", `f:4: clients.allow: "192.0.2.1/24" has bits set beyond its length; write "192.0.2.0/24"`},
		{"clients: {allow: [localhost]}", `f:1: clients.allow: "localhost" is no address or prefix; write one such as "192.0.2.0/24" or "2001:db8::1"`},
		{"listen: []", `f:1: listen: the list is empty, so nobody could ask; write at least one, such as ["dns://127.0.0.1:5300"]`},
		{`listen: ["127.0.0.1", "dns://127.0.0.1:53"]`, `f:1: listen: 127.0.0.1:53 is there twice; delete one`},
		{`listen: ["udp://127.0.0.1:53"]`, `f:1: listen: "udp://127.0.0.1:53" has an unknown scheme; write dns:// or xdp://`},
		{`listen: ["localhost:53"]`, `f:1: listen: "localhost:53" is no address and port; write one such as "dns://192.0.2.1:53"`},
		{`control: {listen: "0.0.0.0:8053"}`, `f:1: control.listen: 0.0.0.0:8053 is open to others without a token; write control.token-file, or listen on a loopback address or unix:/path`},
		{`control: {listen: "8053"}`, `f:1: control.listen: "8053" is no address and port; write "127.0.0.1:8053", "unix:/run/lastgood/control.sock" or "off"`},
		{`control: {listen: "unix:sock"}`, `f:1: control.listen: "unix:sock" does not name a socket by its whole path; write unix:/run/lastgood/control.sock`},
	})
}

// TestMessagesAboutZones is the same about zones, and what belongs together.
func TestMessagesAboutZones(t *testing.T) {
	says(t, []message{
		{"stale: {client-timeout: 99s}", `f:1: stale.client-timeout: 99s is out of range; allowed are 0s to 10s, or auto`},
		{"stale: {zones: [{max-stale: 1h}]}", `f:1: stale.zones[].zone: is missing`},
		{`stale: {zones: [{zone: a.}, {zone: "A"}]}`, `f:1: stale.zones: zone "a." is already in stale.zones on line 1; delete one`},
		{"forward:\n  - zone: a.\n    to: [192.0.2.1]\nstub:\n  - zone: a.\n    servers: [192.0.2.1]", `f:5: stub: zone "a." is already in forward on line 2; delete one`},
		{`{listen: [192.0.2.1], forward: [{zone: a., to: ["192.0.2.1"]}]}`, `f:1: forward: 192.0.2.1:53 is where lastgood itself listens, so it would ask itself; name another server`},
		{`{listen: ["0.0.0.0"], stub: [{zone: a., servers: ["192.0.2.1", "127.0.0.1"]}]}`, `f:1: stub: 127.0.0.1:53 is where lastgood itself listens, so it would ask itself; name another server`},
		{"forward: [{zone: a., to: []}]", `f:1: forward: to is empty, so nobody could be asked; write at least one server`},
		{"forward: [{zone: a., to: [192.0.2.256]}]", `f:1: forward[].to: "192.0.2.256" is neither an address nor a server's name; write one such as "192.0.2.1", "[2001:db8::1]:5353" or "ns1.example."`},
		{`stub: [{zone: a., servers: ["192.0.2.1:0"]}]`, `f:1: stub[].servers: "192.0.2.1:0" has port 0; write the port of the server, or none for 53`},
		{"forward: [{zone: a..b, to: [192.0.2.1]}]", `f:1: forward[].zone: "a..b" is no domain name (empty label); write one such as "corp.example."`},
		{"forward: {zone: a.}", `f:1: forward: is a list, not a mapping; write each item with a hyphen: - zone: …, to: …, tls-ca: …, fallback: …, cache: …`},
		{"forward: [a.]", `f:1: forward[]: has to hold keys, not a single value; write one below the other: zone, to, tls-ca, fallback, cache`},
		{"cache: {min-ttl: 2h, max-ttl: 1h}", `f:1: cache.min-ttl: cache.min-ttl (2h) is longer than cache.max-ttl (1h); change one of them`},
		{"cache:\n  min-negative-ttl: 2h", `f:2: cache.min-negative-ttl: cache.min-negative-ttl (2h) is longer than cache.max-negative-ttl (1h); change one of them`},
		{"recursion: {ipv4: false, ipv6: false}", `f:1: recursion.ipv6: no server can be asked with recursion.ipv4 and recursion.ipv6 both false; write true for one of them`},
		{`dnssec: {validation-time: "yesterday"}`, `f:1: dnssec.validation-time: "yesterday" is no point in time (RFC 3339); write one such as "2026-12-01T00:00:00Z"`},
		{`dnssec: {trust-anchors: [". IN DS 1 2 3 zz"]}`, `f:1: dnssec.trust-anchors: ". IN DS 1 2 3 zz" is no DS record: key tag, algorithm, digest type, hexadecimal digest; write a record such as ". IN DS 20326 8 2 E06D…", or a file's name`},
		{`dnssec: {trust-anchors: ["example. DNSKEY 257 3 8 ?!"]}`, `f:1: dnssec.trust-anchors: "example. DNSKEY 257 3 8 ?!" is no DNSKEY record: flags, protocol, algorithm, key in base64; write a record such as ". IN DS 20326 8 2 E06D…", or a file's name`},
		{`dnssec: {trust-anchors: ["example. A 192.0.2.1 1 1 1"]}`, `f:1: dnssec.trust-anchors: "example. A 192.0.2.1 1 1 1" is neither a DS nor a DNSKEY record; write a record such as ". IN DS 20326 8 2 E06D…", or a file's name`},
	})
}

// TestMessagesAboutSources is the same about files, sources and ways of transport, not all of which are in this version.
func TestMessagesAboutSources(t *testing.T) {
	says(t, []message{
		{"recursion: {prefetch: on}", `f:1: recursion.prefetch: "on" is neither true nor false; write true`},
		{"cache: {snapshot: on}", `f:1: cache.snapshot: "on" is no path; write auto, off, or a path such as /var/lib/lastgood/cache.snapshot`},
		{"cache: {snapshot: state/cache}", `f:1: cache.snapshot: "state/cache" is no path; write auto, off, or a path such as /var/lib/lastgood/cache.snapshot`},
		{"cache: {snapshot: /var/lib/lastgood/}", `f:1: cache.snapshot: "/var/lib/lastgood/" is a directory; add a file's name: /var/lib/lastgood/cache.snapshot`},
		{"cache: {snapshot-interval: 60}", `f:1: cache.snapshot-interval: "60" has no unit; write 60s`},
		{"root-zone: {mode: mirror}", `f:1: root-zone.mode: "mirror" is not allowed; write one of hints, local`},
		{"root-zone: {sources: [" + strings.Repeat("192.0.2.1,", 33) + "]}", `f:1: root-zone.sources: there are more than 32 sources; delete some: they are asked one after the other`},
		{`root-zone: {mode: local, sources: ["http://a.example/root"]}`, `f:1: root-zone.sources: "http://a.example/root" is not protected on its way; write "https://a.example/root"`},
		{`root-zone: {mode: local, sources: ["https://"]}`, `f:1: root-zone.sources: "https://" is no URL that can be asked; write one such as "https://www.internic.net/domain/root.zone"`},
		{`root-zone: {mode: local, sources: [state/root.zone]}`, `f:1: root-zone.sources: "state/root.zone" is no whole path; write a server ("192.0.2.1", "b.root-servers.net.", "tls://192.0.2.1#dns.example"), an https:// URL or a file's whole path`},
		{`root-zone: {mode: local, sources: [/var/lib/]}`, `f:1: root-zone.sources: "/var/lib/" is no file's whole path; write one such as /var/lib/lastgood/root.zone`},
		{`root-zone: {mode: local, sources: ["tls://192.0.2.1"]}`, `f:1: root-zone.sources: "tls://192.0.2.1" does not say which name the server's certificate must have; write it behind the address, such as "tls://192.0.2.1#dns.example"`},
		{`root-zone: {mode: local, sources: [192.0.2.300]}`, `f:1: root-zone.sources: "192.0.2.300" is neither an address nor a server's name; write a server ("192.0.2.1", "b.root-servers.net.", "tls://192.0.2.1#dns.example"), an https:// URL or a file's whole path`},
		{"root-zone: {mode: local}\nforward: [{zone: ., to: [192.0.2.1]}]", `f:1: root-zone.mode: everything is forwarded (forward: zone .), so the root zone is of no use; write hints`},
		{"root-zone: {mode: local}\nstub: [{zone: ., servers: [192.0.2.1]}]", `f:1: root-zone.mode: the root has servers of its own (stub: zone .), which are to be asked; write hints, or delete the stub zone`},
		{`listen: ["tls://192.0.2.1"]`, `f:1: listen: tls:// is not in this version; write dns:// or xdp://`},
		{`listen: ["xdp://eth0"]`, `f:1: listen: xdp://eth0:53 takes questions over UDP, and nobody would take those over TCP on port 53; add the interface's addresses, or "dns://0.0.0.0:53" and "dns://[::]:53"`},
		{`listen: ["xdp://eth0:5353", "dns://192.0.2.1", "dns://127.0.0.1:5353"]`, `f:1: listen: xdp://eth0:5353 takes questions over UDP, and nobody would take those over TCP on port 5353; add the interface's addresses, or "dns://0.0.0.0:5353" and "dns://[::]:5353"`},
		{`listen: ["xdp://eth0", "xdp://eth0:5353", "dns://0.0.0.0", "dns://0.0.0.0:5353"]`, `f:1: listen: eth0 is there twice; delete one: an interface has one port`},
		{`listen: ["xdp://192.0.2.1", "dns://192.0.2.1"]`, `f:1: listen: "xdp://192.0.2.1" names an address, and xdp:// takes what an interface receives; write its name, such as "xdp://eth0" (ip address lists them)`},
		{`listen: ["xdp://eth0:0"]`, `f:1: listen: "xdp://eth0:0" is no interface and port; write one such as "xdp://eth0" or "xdp://eth0:5353"`},
		{`listen: ["xdp://"]`, `f:1: listen: "xdp://" is no interface and port; write one such as "xdp://eth0" or "xdp://eth0:5353"`},
		{`forward: [{zone: a., to: ["xdp://eth0"]}]`, `f:1: forward[].to: "xdp://eth0" has an unknown scheme; write dns:// or tcp:// or tls://`},
		{`forward: [{zone: a., to: ["https://192.0.2.1#a.example"]}]`, `f:1: forward[].to: https:// is not in this version; write dns:// or tcp:// or tls://`},
		{`forward: [{zone: a., to: ["tls://192.0.2.1:853"]}]`, `f:1: forward[].to: "tls://192.0.2.1:853" does not say which name the server's certificate must have; write it behind the address, such as "tls://192.0.2.1:853#dns.example"`},
		{`forward: [{zone: a., to: ["tls://NS.Example.:853#"]}]`, `f:1: forward[].to: "tls://NS.Example.:853#" does not say which name the server's certificate must have; write it behind the address, such as "tls://NS.Example.:853#ns.example"`},
		{`forward: [{zone: a., to: ["tls://192.0.2.1#*.example"]}]`, `f:1: forward[].to: "*.example" is no name that a certificate can have; write the server's name or address, such as "tls://192.0.2.1#dns.example"`},
		{`forward: [{zone: a., to: ["tls://192.0.2.1:0#a.example"]}]`, `f:1: forward[].to: "tls://192.0.2.1:0#a.example" has port 0; write the port of the server, or none for 853`},
		{`forward: [{zone: a., to: ["192.0.2.1#a.example"]}]`, `f:1: forward[].to: "192.0.2.1#a.example" names a certificate (#a.example), which needs tls://; write "tls://192.0.2.1#a.example", or "192.0.2.1" for plain DNS`},
		{`forward: [{zone: a., to: ["192.0.2.1"], tls-ca: x.pem}]`, `f:1: forward: tls-ca has no effect without a tls:// resolver; write tls:// in to, or delete it`},
		{`stub: [{zone: a., servers: ["tls://192.0.2.1#a.example"]}]`, `f:1: stub[].servers: tls:// is not in this version; write dns:// or tcp://`},
		{`stub: [{zone: a., servers: ["192.0.2.1#a.example"]}]`, `f:1: stub[].servers: "192.0.2.1#a.example" names a certificate (#a.example), which needs tls://, and that is not in this version; write "192.0.2.1"`},
	})
}

// TestMessagesAboutYAML is the same about YAML that is broken, or too clever.
func TestMessagesAboutYAML(t *testing.T) {
	says(t, []message{
		{"cache: {size: 1GiB", `f:1: not YAML: did not find expected ',' or '}'; see whether brackets, quotes and indentation match`},
		{"cache:\n\tsize: 1GiB", `f:2: not YAML: found character that cannot start any token; the line begins with a tab; indent with spaces`},
		{"listen", `f:1: has to hold keys, not a single value; write one below the other: listen, clients, control, server, log, cache, stale, recursion, limits, root-zone, dnssec, forward, stub, local-data, local-zones`},
		{"a: &x [1]\nlisten: *x", "f:1: unknown key \"a\"; keys here are listen, clients, control, server, log, cache, stale, recursion, limits, root-zone, dnssec, forward, stub, local-data, local-zones\n" +
			`f:2: listen: anchors (&) and aliases (*) are not supported; write the value itself, in quotes if it begins with & or *`},
		{"cache: &c {size: 1GiB}", `f:1: cache: anchors (&) and aliases (*) are not supported; write the value itself, in quotes if it begins with & or *`},
		{"cache: {size: !!str 1GiB}", `f:1: cache.size: tags (!) are not supported; write the value itself, in quotes if it begins with !`},
		{"cache: {}\n---\nstale: {}", `f:3: a second document begins before this line; write one document; delete the line "---"`},
		{"? [a]\n: b", `f:1: a key has to be a word, not a list`},
		{"cache: {size: 1}\nlimits: {depth: x}\nfoo: 1", "f:1: cache.size: \"1\" has no unit; write 1MiB\n" +
			"f:2: limits.depth: \"x\" is no whole number; write digits only, such as 50\n" +
			`f:3: unknown key "foo"; keys here are listen, clients, control, server, log, cache, stale, recursion, limits, root-zone, dnssec, forward, stub, local-data, local-zones`},
	})
}

func TestMistakesAreBounded(t *testing.T) {
	_, err := Parse("f", []byte(strings.Repeat("nonsense: 1\n", 100)))
	var many *Errors
	if !errors.As(err, &many) || len(many.List) != 20 || many.More != 80 {
		t.Fatalf("got %v", err)
	}
	if !strings.HasSuffix(err.Error(), "\nand 80 more") {
		t.Errorf("got %v", err)
	}
	var one *Error
	if !errors.As(err, &one) || one.File != "f" || one.Line != 1 || one.Column != 1 {
		t.Errorf("first mistake is %+v", one)
	}
	if _, err := Parse("f", []byte("#"+strings.Repeat(" ", 1<<20))); err == nil || !strings.Contains(err.Error(), "longer than 1 MiB") {
		t.Errorf("large file: %v", err)
	}
}

func TestParseValues(t *testing.T) {
	c, err := Parse("f", []byte(`
listen: ["dns://127.0.0.1:5353", "[::1]:0", "192.0.2.1"]
clients: {allow: ["0.0.0.0/0", "::/0", 192.0.2.7, "::ffff:192.0.2.8"]}
control: {listen: "unix:/run/x.sock"}
server: {version: 9.18, id: "", cookies: false}
cache: {size: 1.5GiB, min-ttl: 1m30s, max-ttl: 1w1d, max-negative-ttl: 0s}
stale:
  enabled: false
  zones: [{zone: Consul, client-timeout: 500ms, max-stale: 1h, positive-only: true}]
  max-stale: 3d
  client-timeout: 1.8s
  never-for: [bank.example]
recursion: {qname-minimisation: off, do-not-query: [], prefetch: false, ipv6: False}
dnssec:
  validation: false
  aggressive-nsec: false
  validation-time: 2026-12-01T01:00:00+01:00
  trust-anchors: ["example. 3600 IN DS 2854 3 1 46e4ffc6e9a4793b488954bd3f0cc6af0dfb201b ; old", "/etc/key",
    ". IN DNSKEY 257 3 8 AwEAAQ==", "example. DNSKEY 257 3 RSASHA256 ( AwEA AQ ) ; kept apart"]
forward:
  - {zone: ".", fallback: true, to: ["dns://192.0.2.1:5353", "tcp://[2001:db8::1]", "2001:db8::2", "ns1.Example.", "tcp://ns2.example:54", ]}
stub: [{zone: corp.example, servers: [192.0.2.53]}]
limits: {udp-size: 1400B, failure-min: 2s}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	ap := netip.MustParseAddrPort
	none := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, port) }
	want.Listen = []Endpoint{{Scheme: "dns", Addr: ap("127.0.0.1:5353")}, {Scheme: "dns", Addr: ap("[::1]:0")}, {Scheme: "dns", Addr: ap("192.0.2.1:53")}}
	want.Clients.Allow = nil
	for _, p := range []string{"0.0.0.0/0", "::/0", "192.0.2.7/32", "192.0.2.8/32"} {
		want.Clients.Allow = append(want.Clients.Allow, netip.MustParsePrefix(p))
	}
	want.Control.Listen = ControlAddr{Socket: "/run/x.sock"}
	want.Server = Server{Version: "9.18"}
	want.Cache.Size, want.Cache.MinTTL, want.Cache.MaxTTL, want.Cache.MaxNegativeTTL = 3<<29, 90*time.Second, 8*24*time.Hour, 0
	want.Stale.Enabled = false
	want.Stale.MaxStale, want.Stale.ClientTimeout = 72*time.Hour, Timeout{Fixed: 1800 * time.Millisecond}
	want.Stale.NeverFor = []dnsname.Name{dnsname.MustParse("bank.example.")}
	zone := StaleZone{Zone: dnsname.MustParse("consul."), StalePolicy: want.Stale.StalePolicy}
	zone.ClientTimeout, zone.MaxStale, zone.PositiveOnly = Timeout{Fixed: 500 * time.Millisecond}, time.Hour, true
	want.Stale.Zones = []StaleZone{zone}
	want.Recursion.QNAMEMinimisation, want.Recursion.DoNotQuery, want.Recursion.IPv6, want.Recursion.Prefetch = "off", []netip.Prefix{}, false, false
	want.DNSSEC = DNSSEC{TrustAnchors: []string{"example. 3600 IN DS 2854 3 1 46e4ffc6e9a4793b488954bd3f0cc6af0dfb201b ; old", "/etc/key", ". IN DNSKEY 257 3 8 AwEAAQ==", "example. DNSKEY 257 3 RSASHA256 ( AwEA AQ ) ; kept apart"},
		TrustAnchorUpdates: "auto", KeyTagSignal: true, Sentinel: true, ErrorReporting: true, SHA1: true,
		Insecure: []dnsname.Name{}, NegativeTrustAnchors: []NegativeTrustAnchor{}, ValidationTime: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	want.Forward = []Forward{{Zone: dnsname.Root, Fallback: true, Cache: true, To: []Endpoint{
		{Scheme: "dns", Addr: ap("192.0.2.1:5353")}, {Scheme: "tcp", Addr: ap("[2001:db8::1]:53")}, {Scheme: "dns", Addr: ap("[2001:db8::2]:53")},
		{Scheme: "dns", Addr: none(53), Host: dnsname.MustParse("ns1.example.")}, {Scheme: "tcp", Addr: none(54), Host: dnsname.MustParse("ns2.example.")},
	}}}
	want.Stub = []Stub{{Zone: dnsname.MustParse("corp.example."), Cache: true, Servers: []Endpoint{{Scheme: "dns", Addr: ap("192.0.2.53:53")}}}}
	want.Limits.UDPSize, want.Limits.FailureMin = 1400, 2*time.Second
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestControlOff(t *testing.T) {
	for _, doc := range []string{`control: {listen: ""}`, `control: {listen: off}`, `control: {listen: "off"}`} {
		c, err := Parse("f", []byte(doc))
		if err != nil || c.Control.Listen.Enabled() {
			t.Errorf("%s: %+v, %v", doc, c, err)
		}
	}
	if _, err := Parse("f", []byte(`control: {listen: "0.0.0.0:8053", token-file: /etc/token}`)); err != nil {
		t.Error(err)
	}
}

func TestEmpty(t *testing.T) {
	for _, doc := range []string{"", "# nothing\n", "---\n", "cache:\nstale:\n", "{}", "null"} {
		c, err := Parse("f", []byte(doc))
		if err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q: %v", doc, err)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lastgood.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("cache: {size: 16MiB}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || c.Cache.Size != 16<<20 {
		t.Errorf("%v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("# long\n"+strings.Repeat("\n", 1<<20)+"nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || err.Error() != path+": longer than 1 MiB; see whether this is the right file, or shorten its lists" {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("\n\nlisen: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":3: unknown key") {
		t.Errorf("got %v", err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "0s": 0, "1w": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute,
		"1h30m": 90 * time.Minute, "0.001s": time.Millisecond, "1m1ms": time.Minute + time.Millisecond, "15000w": 15000 * 7 * 24 * time.Hour,
	} {
		if got, bad := parseDuration(text); bad != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, bad)
		}
	}
	for _, text := range []string{"", "s", "1", "1.s", ".5s", "1.2345s", "30s1h", "1s1s", "1h 30m", "1S", "16000w", "99999999999999999999w", "1.1.1s", "1us", "0x1s", "+1s", "15249w99999d"} {
		if got, bad := parseDuration(text); bad == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

// FuzzParse: no text makes the parser panic, mistakes come as Errors and are
// bounded, and what is accepted keeps what the checks promise to the others.
func FuzzParse(f *testing.F) {
	f.Add([]byte(Example()))
	for i := range table {
		f.Add([]byte(document(&table[i], table[i].sample())))
	}
	f.Add([]byte("a: &a [*a]\n---\n!!binary x: {<<: *a}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			var many *Errors
			if !errors.As(err, &many) || len(many.List) == 0 || len(many.List) > maxErrors || c != nil {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for _, s := range c.RootZone.Sources {
			if kinds := strings.Count(fmt.Sprint(s.URL != "", s.File != "", s.Server.Addr.Port() != 0), "true"); kinds != 1 {
				t.Errorf("accepted the source %+v", s)
			}
		}
		if len(c.Listen) == 0 || c.Cache.MinTTL > c.Cache.MaxTTL || c.Cache.Size < 1<<20 || c.Limits.Depth < 1 || c.Limits.FailureMin < time.Second {
			t.Errorf("accepted what is out of bounds: %+v", c)
		}
		for _, z := range c.Forward {
			for _, e := range z.To {
				if len(z.Zone) == 0 || e.Addr.Port() == 0 || e.Addr.Addr().IsValid() == (e.Host != "") {
					t.Errorf("accepted the forwarder %+v", e)
				}
			}
		}
	})
}
