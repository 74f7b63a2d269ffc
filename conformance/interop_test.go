// Package conformance runs the built program among real servers and clients.
package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// TestRealAuthorities puts lastgood in front of a root and a top-level zone on
// NSD, and zones below on Knot DNS, IPv4 and IPv6, and asks with dig.
func TestRealAuthorities(t *testing.T) {
	binary := build(t)
	n := newNamespace(t, "192.0.2.1", "2001:db8::1", "198.51.100.1", "198.51.100.2")
	interopNSD(n)
	interopKnot(n)
	hints := n.write("hints", ". 3600000 NS a.root-servers.example.\na.root-servers.example. 3600000 A 192.0.2.1\na.root-servers.example. 3600000 AAAA 2001:db8::1\n")
	n.startResolver(binary, hints)
	for _, c := range []struct {
		name string
		args []string
		want []string // fragments of dig's output, in this order
		not  []string
	}{
		{"address", []string{"www.shop.example.", "A"}, []string{"status: NOERROR", "qr rd ra;", "www.shop.example.", "A", "203.0.113.80"}, []string{"flags: qr aa"}},
		{"chain across servers and zones", []string{"alias.example.", "A"}, []string{"NOERROR", "alias.example.", "CNAME", "www.shop.example.", "203.0.113.80"}, nil},
		{"DNAME", []string{"www.old.example.", "A"}, []string{"NOERROR", "DNAME", "shop.example.", "CNAME", "www.shop.example.", "203.0.113.80"}, nil},
		{"wildcard", []string{"a.b.wild.shop.example.", "TXT"}, []string{"NOERROR", "a.b.wild.shop.example.", "any name"}, nil},
		{"no such name", []string{"nope.shop.example."}, []string{"status: NXDOMAIN", "ANSWER: 0", "shop.example.", "SOA"}, nil},
		{"no such type", []string{"www.shop.example.", "MX"}, []string{"status: NOERROR", "ANSWER: 0", "SOA"}, nil},
		{"empty non-terminal", []string{"deep.shop.example."}, []string{"status: NOERROR", "ANSWER: 0", "SOA"}, nil},
		{"below it", []string{"a.very.deep.shop.example."}, []string{"NOERROR", "203.0.113.81"}, nil},
		{"large answer over UDP comes over TCP", []string{"big.shop.example.", "TXT"}, []string{"Truncated, retrying in TCP", "NOERROR", "ANSWER: 40"}, nil},
		{"over TCP", []string{"+tcp", "www.shop.example."}, []string{"NOERROR", "203.0.113.80"}, nil},
		{"name server identity", []string{"+nsid", "www.shop.example."}, []string{"NOERROR", "NSID", "interop"}, nil},
		{"cookie", []string{"+cookie", "www.shop.example."}, []string{"NOERROR", "COOKIE:", "(good)", "203.0.113.80"}, nil},
		{"keepalive", []string{"+tcp", "+keepalive", "www.shop.example."}, []string{"NOERROR", "TCP KEEPALIVE: 10.0 secs"}, nil},
		{"an unknown EDNS version", []string{"+edns=5", "+noednsnegotiation", "www.shop.example."}, []string{"status: BADVERS"}, nil},
		{"no recursion, not cached", []string{"+norecurse", "never.shop.example."}, []string{"status: REFUSED", "EDE: 20"}, nil},
		{"an unknown opcode", []string{"+opcode=notify", "www.shop.example."}, []string{"status: NOTIMP"}, nil},
		{"an unknown type", []string{"odd.shop.example.", "TYPE65400"}, []string{"NOERROR", "TYPE65400", `\# 3 010203`}, nil},
		{"service binding", []string{"www.shop.example.", "HTTPS"}, []string{"NOERROR", "HTTPS", `1 . alpn="h2,h3"`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := n.dig(c.args...)
			rest := out
			for _, w := range c.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Fatalf("no %q (in order) in:\n%s", w, out)
				}
				rest = after
			}
			for _, w := range c.not {
				if strings.Contains(out, w) {
					t.Errorf("%q in:\n%s", w, out)
				}
			}
		})
	}
	t.Run("kdig", func(t *testing.T) { kdigCases(t, n) })
}

// kdigCases asks with Knot's client what dig does not: several questions on one
// connection, the full EDNS of its own making, and wire forms of its own.
func kdigCases(t *testing.T, n *namespace) {
	t.Helper()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"+tcp", "+keepopen", "www.shop.example.", "A", "big.shop.example.", "TXT", "nope.shop.example.", "A"}, []string{"203.0.113.80", "39 xxx", "NXDOMAIN"}},
		{[]string{"+edns", "+nsid", "+padding=64", "+cookie", "alias.example.", "A"}, []string{"NSID", "interop", "alias.example.", "www.shop.example.", "203.0.113.80"}},
		{[]string{"+dnssec", "+cd", "www.shop.example.", "HTTPS"}, []string{"NOERROR", "alpn=h2,h3"}},
		{[]string{"+noedns", "+bufsize=512", "big.shop.example.", "TXT"}, []string{"NOERROR", "39 xxx"}},
	} {
		out := n.run(append([]string{"kdig", "@" + resolverHost, "-p", resolverPort, "+timeout=12", "+retry=0"}, c.args...)...)
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("kdig %s: no %q in\n%s", strings.Join(c.args, " "), w, out)
			}
		}
	}
}

// interopNSD serves the root and example. with a delegation whose servers have
// addresses of both families.
func interopNSD(n *namespace) {
	n.t.Helper()
	n.write("root.zone", `$TTL 86400
. SOA a.root-servers.example. nobody.example. 1 1800 900 604800 86400
. NS a.root-servers.example.
example. NS ns.example.
ns.example. A 192.0.2.1
ns.example. AAAA 2001:db8::1
a.root-servers.example. A 192.0.2.1
a.root-servers.example. AAAA 2001:db8::1
`)
	n.write("example.zone", `$TTL 3600
example. SOA ns.example. nobody.example. 1 1800 900 604800 300
example. NS ns.example.
ns.example. A 192.0.2.1
ns.example. AAAA 2001:db8::1
a.root-servers.example. A 192.0.2.1
a.root-servers.example. AAAA 2001:db8::1
alias.example. CNAME www.shop.example.
old.example. DNAME shop.example.
shop.example. NS ns1.shop.example.
shop.example. NS ns2.shop.example.
ns1.shop.example. A 198.51.100.1
ns2.shop.example. A 198.51.100.2
`)
	conf := n.write("nsd.conf", fmt.Sprintf(`server:
  ip-address: 192.0.2.1
  ip-address: 2001:db8::1
  database: ""
  zonesdir: "%s"
  pidfile: "%[1]s/nsd.pid"
  xfrdfile: "%[1]s/xfrd.state"
  zonelistfile: "%[1]s/zone.list"
  username: ""
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
zone:
  name: "example."
  zonefile: "example.zone"
`, n.dir))
	n.start("192.0.2.1:53", ".", "nsd", "-d", "-c", conf)
}

func interopKnot(n *namespace) {
	n.t.Helper()
	zone := `$TTL 300
shop.example. SOA ns1.shop.example. nobody.example. 1 1800 900 604800 60
shop.example. NS ns1.shop.example.
shop.example. NS ns2.shop.example.
ns1.shop.example. A 198.51.100.1
ns2.shop.example. A 198.51.100.2
www.shop.example. A 203.0.113.80
www.shop.example. HTTPS 1 . alpn="h2,h3"
*.wild.shop.example. TXT "any name"
a.very.deep.shop.example. A 203.0.113.81
odd.shop.example. TYPE65400 \# 3 010203
`
	for i := range 40 {
		zone += fmt.Sprintf("big.shop.example. TXT \"%d %s\"\n", i, strings.Repeat("x", 100))
	}
	n.write("shop.zone", zone)
	conf := n.write("knot.conf", fmt.Sprintf(`server:
  rundir: "%s"
  listen: [ 198.51.100.1@53, 198.51.100.2@53 ]
  user: root:root
log:
  - target: stderr
    any: warning
database:
  storage: "%[1]s/knotdb"
template:
  - id: default
    storage: "%[1]s"
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: shop.example.
    file: shop.zone
`, n.dir))
	n.start("198.51.100.1:53", "shop.example.", "knotd", "-c", conf)
}
