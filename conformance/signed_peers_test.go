package conformance

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// validatingAt is where a named listens that resolves and validates.
const validatingAt = "127.0.0.23:53"

// signedAddrs are the addresses of the signed world.
func signedAddrs() []string {
	out := []string{host(validatingAt)}
	for _, a := range signedAt {
		out = append(out, a)
	}
	return out
}

// serve writes the signed zones and starts the authorities.
func (n *namespace) serve(w *signedWorld) {
	n.t.Helper()
	files := map[string]*strings.Builder{}
	some := map[string]string{}
	format := map[string]string{
		"upper": "zone:\n  name: %q\n  zonefile: %q\n", "nsd": "zone:\n  name: %q\n  zonefile: %q\n",
		"knot": "  - domain: %q\n    file: %q\n", "named": "zone %q { type primary; file %q; };\n",
	}
	for i, z := range w.zones {
		var text strings.Builder
		for _, rr := range z.signed {
			text.WriteString(strings.Replace(rr.String(), "\tCLASS1\t", "\tIN\t", 1) + "\n") // which Knot DNS does not know by number
		}
		path := n.write(fmt.Sprintf("served-%d.zone", i), text.String())
		for _, s := range z.servers {
			if files[s] == nil {
				files[s], some[s] = &strings.Builder{}, z.name
			}
			fmt.Fprintf(files[s], format[s], z.name, path)
		}
	}
	running := map[string]*process{
		"upper": n.nsd("upper", signedAt["upper"], some["upper"], files["upper"].String()),
		"nsd":   n.nsd("lower", signedAt["nsd"], some["nsd"], files["nsd"].String()),
		"knot":  n.knot(signedAt["knot"], some["knot"], files["knot"].String()),
		"named": n.named(signedAt["named"], some["named"], files["named"].String()),
	}
	for _, z := range w.zones {
		for _, s := range z.servers {
			running[s].waitReady(signedAt[s]+":53", z.name) // a zone with a mistake is never loaded
		}
	}
}

// anchor is the root's DS record.
func (w *signedWorld) anchor() *dns.DS { return w.byName["."].ds[0].(*dns.DS) }

func (w *signedWorld) hints() string {
	return ". 86400 NS upper.\nupper. 86400 A " + signedAt["upper"] + "\n"
}

// startValidators starts lastgood, Unbound and a named that resolves, with the
// world's root as trust anchor. It gives the file by which delv knows it.
func (n *namespace) startValidators(w *signedWorld, binary string) (delvAnchors string) {
	n.t.Helper()
	hints, ds := n.write("hints", w.hints()), w.anchor()
	conf := n.write("lastgood.yaml", fmt.Sprintf(`listen: ["dns://%s"]
control: {listen: "off"}
cache: {snapshot: "off"}
recursion: {root-hints: %q, special-names: false}
dnssec: {validation: true, trust-anchors: [". IN DS %d %d %d %s"]}
`, resolverAt, hints, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest))
	n.start(resolverAt, ".", binary, "serve", "--config", conf)

	conf = n.write("unbound.conf", fmt.Sprintf(`server:
  interface: %s
  use-syslog: no
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "%s"
  num-threads: 1
  module-config: "validator iterator"
  trust-anchor: ". DS %d %d %d %s"
  root-hints: %q
  access-control: 127.0.0.0/8 allow
  unblock-lan-zones: yes
  insecure-lan-zones: yes
  minimal-responses: yes
  trust-anchor-signaling: no
  ede: yes
remote-control:
  control-enable: no
`, strings.ReplaceAll(unboundAt, ":", "@"), n.dir, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest, hints))
	n.start(unboundAt, ".", "unbound", "-d", "-c", conf)

	anchors := fmt.Sprintf("trust-anchors { . static-ds %d %d %d \"%s\"; };\n", ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
	conf = n.write("validating.conf", fmt.Sprintf(`options {
  directory "%s";
  pid-file "%[1]s/validating.pid";
  session-keyfile none;
  listen-on port 53 { %s; };
  listen-on-v6 { none; };
  recursion yes;
  allow-recursion { any; };
  allow-query-cache { any; };
  empty-zones-enable no;
  dnssec-validation yes;
  trust-anchor-telemetry no;
  minimal-responses yes;
  resolver-query-timeout 4000;
};
controls { };
zone "." { type hint; file %q; };
`, n.dir, host(validatingAt), hints)+anchors)
	n.start(validatingAt, ".", "named", "-g", "-n", "1", "-c", conf)
	return n.write("delv.anchors", anchors)
}
