package conformance

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// Where everybody listens. Authorities listen on loopback addresses and are
// reached through proxies on the addresses that delegations name.
const (
	resolverHost, resolverPort = "127.0.0.1", "5300"

	nsdAt   = "127.0.0.11:53"
	knotAt  = "127.0.0.12:53"
	namedAt = "127.0.0.13:53"

	unboundAt = "127.0.0.21:53"
	kresdAt   = "127.0.0.22:53"
)

var resolverAt = net.JoinHostPort(resolverHost, resolverPort)

// zoneFiles writes the zones that a daemon serves and gives a line of its
// configuration for each, made with format from name and path.
func (n *namespace) zoneFiles(daemon string, zones []*zone, format string) string {
	n.t.Helper()
	var conf strings.Builder
	for i, z := range zones {
		if z.servedBy(daemon) {
			path := n.write(fmt.Sprintf("%s-%d.zone", daemon, i), z.text())
			fmt.Fprintf(&conf, format, z.name, path)
		}
	}
	return conf.String()
}

// first is the name of one zone that the daemon serves, to see it ready.
func first(daemon string, zones []*zone) string {
	for _, z := range zones {
		if z.servedBy(daemon) {
			return z.name
		}
	}
	return "."
}

func (n *namespace) startNSD(zones []*zone) *process {
	n.t.Helper()
	return n.nsd("nsd", host(nsdAt), first("nsd", zones), n.zoneFiles("nsd", zones, "zone:\n  name: %q\n  zonefile: %q\n"))
}

// nsd runs NSD at an address. zones is that part of its configuration, and ready
// the name of one of them.
func (n *namespace) nsd(id, addr, ready, zones string) *process {
	n.t.Helper()
	conf := n.write(id+".conf", fmt.Sprintf(`server:
  ip-address: %s
  database: ""
  zonesdir: "%s"
  pidfile: "%[2]s/%[3]s.pid"
  xfrdfile: "%[2]s/%[3]s.state"
  zonelistfile: "%[2]s/%[3]s.list"
  username: ""
  server-count: 1
  tcp-count: 500
  rrl-ratelimit: 0
remote-control:
  control-enable: no
`, addr, n.dir, id)+zones)
	return n.start(addr+":53", ready, "nsd", "-d", "-c", conf)
}

func (n *namespace) startKnot(zones []*zone) *process {
	n.t.Helper()
	return n.knot(host(knotAt), first("knot", zones), n.zoneFiles("knot", zones, "  - domain: %q\n    file: %q\n"))
}

// knot runs Knot DNS, as nsd does NSD.
func (n *namespace) knot(addr, ready, zones string) *process {
	n.t.Helper()
	conf := n.write("knot.conf", fmt.Sprintf(`server:
  rundir: "%s"
  listen: [ %s@53 ]
  user: root:root
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: warning
database:
  storage: "%[1]s/knotdb"
template:
  - id: default
    zonefile-sync: -1
    journal-content: none
zone:
`, n.dir, addr)+zones)
	return n.start(addr+":53", ready, "knotd", "-c", conf)
}

func (n *namespace) startNamed(zones []*zone) *process {
	n.t.Helper()
	return n.named(host(namedAt), first("named", zones), n.zoneFiles("named", zones, "zone %q { type primary; file %q; };\n"))
}

// named runs BIND as an authority, as nsd does NSD.
func (n *namespace) named(addr, ready, zones string) *process {
	n.t.Helper()
	conf := n.write("named.conf", fmt.Sprintf(`options {
  directory "%s";
  pid-file "%[1]s/named.pid";
  session-keyfile none;
  listen-on port 53 { %s; };
  listen-on-v6 { none; };
  recursion no;
  notify no;
  check-names primary ignore;
  check-integrity no;
  check-sibling no;
  dnssec-validation no;
  max-records-per-type 0;
  max-types-per-name 0;
  tcp-clients 500;
};
controls { };
`, n.dir, addr)+zones)
	return n.start(addr+":53", ready, "named", "-g", "-n", "1", "-c", conf)
}

// startUnbound runs Unbound as a plain iterator: no validation, no zones of
// its own.
func (n *namespace) startUnbound(hints string) *process {
	n.t.Helper()
	conf := n.write("unbound.conf", fmt.Sprintf(`server:
  interface: %s
  use-syslog: no
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "%s"
  num-threads: 1
  module-config: "iterator"
  root-hints: %q
  access-control: 127.0.0.0/8 allow
  unblock-lan-zones: yes
  insecure-lan-zones: yes
  minimal-responses: yes
  qname-minimisation: yes
  log-servfail: yes
remote-control:
  control-enable: no
`, strings.ReplaceAll(unboundAt, ":", "@"), n.dir, hints))
	return n.start(unboundAt, ".", "unbound", "-d", "-c", conf)
}

// startKresd runs Knot Resolver without trust anchors and without what asks on
// its own account.
func (n *namespace) startKresd(roots map[string][]string) *process {
	n.t.Helper()
	var hints strings.Builder
	for name, addrs := range roots {
		fmt.Fprintf(&hints, "['%s'] = {'%s'},", name, strings.Join(addrs, "', '"))
	}
	conf := n.write("kresd.conf", fmt.Sprintf(`net.listen('%s', 53, { kind = 'dns' })
modules = { 'hints' }
hints.root({ %s })
trust_anchors.remove('.')
cache.size = 100 * MB
for _, name in ipairs({'ta_update', 'ta_signal_query', 'priming', 'detect_time_skew', 'detect_time_jump', 'watchdog'}) do
	pcall(modules.unload, name)
end
`, host(kresdAt), hints.String()))
	run := filepath.Dir(n.write("kresd.empty", ""))
	return n.start(kresdAt, ".", "kresd", "-n", "-c", conf, run)
}

// startResolver runs the program under test, without validation as its peers.
func (n *namespace) startResolver(binary, hints string) *process {
	n.t.Helper()
	conf := n.write("lastgood.yaml", fmt.Sprintf(`listen: ["dns://%s"]
control: {listen: "off"}
cache: {snapshot: "off"}
server: {id: interop}
recursion: {root-hints: %q, special-names: false}
dnssec: {validation: false}
`, resolverAt, hints))
	return n.start(resolverAt, ".", binary, "serve", "--config", conf)
}

func host(addr string) string {
	h, _, _ := net.SplitHostPort(addr)
	return h
}
