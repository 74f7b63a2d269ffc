package conformance

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// rootDaemons serve the root zone to the program under test, each to one of its own.
var rootDaemons = []string{"nsd", "named", "knot"}

// rootZoneText is a root zone of a serial, not signed.
func rootZoneText(serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN .\n@ 3600 IN SOA ns. admin. %d 1800 900 604800 300\n@ 3600 IN NS ns.\nns. 3600 IN A 192.0.2.1\n", serial)
	for i := range 1000 {
		fmt.Fprintf(&b, "tld%d. 3600 IN NS ns.tld%[1]d.\nns.tld%[1]d. 3600 IN A 192.0.2.2\n", i)
	}
	fmt.Fprintf(&b, "serial%d. 3600 IN NS ns.tld1.\n", serial)
	return b.String()
}

// rootKeys makes the root's keys, and gives their files without ending.
func (n *namespace) rootKeys() (ksk, zsk string) {
	ksk = strings.TrimSpace(n.run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "."))
	return ksk, strings.TrimSpace(n.run("ldns-keygen", "-a", "ECDSAP256SHA256", "."))
}

// signRoot signs it by ldns, with digests of both kinds, into a file.
func (n *namespace) signRoot(serial int, ksk, zsk string) (path string) {
	in, out := n.write(fmt.Sprintf("root-%d", serial), rootZoneText(serial)), filepath.Join(n.dir, fmt.Sprintf("root-%d.signed", serial))
	n.run("ldns-signzone", "-z", "simple:sha384", "-z", "simple:sha512", "-o", ".", "-f", out, in, ksk, zsk)
	return out
}

// startRootDaemon serves a file that will be replaced, with transfers, incremental
// ones too. Knot DNS signs by itself.
func (n *namespace) startRootDaemon(kind, file string) *process {
	switch kind {
	case "nsd":
		return n.start(nsdAt, ".", "nsd", "-d", "-c", n.write("root-nsd.conf", fmt.Sprintf(`server:
  ip-address: %s
  database: ""
  zonesdir: "%s"
  pidfile: "%[2]s/root-nsd.pid"
  xfrdfile: "%[2]s/root-xfrd.state"
  zonelistfile: "%[2]s/root-zone.list"
  username: ""
  verbosity: 2
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "%[3]s"
  provide-xfr: 0.0.0.0/0 NOKEY
  create-ixfr: yes
`, host(nsdAt), n.dir, file)))
	case "named":
		return n.start(namedAt, ".", "named", "-g", "-n", "1", "-c", n.write("root-named.conf", fmt.Sprintf(`options {
  directory "%s";
  pid-file "%[1]s/root-named.pid";
  session-keyfile none;
  listen-on port 53 { %s; };
  listen-on-v6 { none; };
  recursion no;
  notify no;
  dnssec-validation no;
  allow-transfer { any; };
  ixfr-from-differences yes;
};
controls { };
zone "." { type primary; file "%s"; };
`, n.dir, host(namedAt), file)))
	}
	if err := os.Mkdir(filepath.Join(n.dir, "root-knotdb"), 0o755); err != nil {
		n.t.Fatal(err)
	}
	return n.start(knotAt, ".", "knotd", "-c", n.write("root-knot.conf", fmt.Sprintf(`server:
  rundir: "%s"
  listen: [ %s@53 ]
  user: root:root
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: "%[1]s/root-knotdb"
acl:
  - id: all
    address: 0.0.0.0/0
    action: transfer
zone:
  - domain: .
    file: "%[3]s"
    acl: all
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    zonemd-generate: zonemd-sha512
`, n.dir, host(knotAt), file)))
}

// rootStatus is what the program tells of its copy.
type rootStatus struct {
	Usable      bool
	Serial      uint32
	Records     int
	Source      string
	Answers     uint64
	Fetched     uint64
	LastFailure string `json:"last_failure"`
}

// rooted is the program under test, with a copy of the root zone from one daemon.
type rooted struct {
	*process
	binary, at, control, clock string
}

// startRooted runs it. The root's servers by its hints are dead.
func (n *namespace) startRooted(binary string, i int, anchor, source string) *rooted {
	n.t.Helper()
	r := &rooted{binary: binary, at: fmt.Sprintf("127.0.0.%d:5300", 31+i), control: fmt.Sprintf("127.0.0.%d:8053", 31+i)}
	r.clock = n.write(fmt.Sprintf("clock-%d", i), strings.Repeat("\x00", 8))
	hints := n.write("dead.hints", ". 3600 NS dead.\ndead. 3600 A 192.0.2.66\n")
	conf := n.write(fmt.Sprintf("rooted-%d.yaml", i), fmt.Sprintf(`listen: ["dns://%s"]
control: {listen: %q}
cache: {snapshot: "off"}
recursion: {root-hints: %q}
root-zone: {mode: local, sources: [%s]}
dnssec: {trust-anchors: [%q]}
`, r.at, r.control, hints, source, anchor))
	state := filepath.Join(n.dir, fmt.Sprintf("state-%d", i))
	r.process = n.start(r.at, ".", "env", "XDG_STATE_HOME="+state, "LASTGOOD_TEST_CLOCK="+r.clock, binary, "serve", "--config", conf)
	return r
}

// status asks for the state of the copy.
func (r *rooted) status() (s rootStatus) {
	text := r.n.run(r.binary, "root-zone", "--json", "--control", r.control)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		r.n.t.Errorf("%v: %s", err, text)
	}
	return s
}

// advance lets time pass for the program.
func (r *rooted) advance(d time.Duration) {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], uint64(d.Microseconds()))
	f, err := os.OpenFile(r.clock, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(b[:])
		f.Close()
	}
	if err != nil {
		r.n.t.Error(err)
	}
}

// ask asks the program.
func (r *rooted) ask(name string, typ uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, typ)
	q.SetEdns0(1232, true)
	m, err := r.n.once(r.at, q, 3*time.Second)
	if err != nil {
		r.n.t.Errorf("%s: %v", name, err)
		return new(dns.Msg)
	}
	return m
}

// TestLocalRoot has NSD, BIND and Knot DNS give a signed root zone with digests, made
// by ldns and by Knot DNS: whole, then what changed.
func TestLocalRoot(t *testing.T) {
	n := newNamespace(t, host(namedAt)) // BIND listens on addresses of interfaces alone
	need(t, "ldns-keygen", "ldns-signzone")
	binary := filepath.Join(t.TempDir(), "lastgood")
	if out, err := exec.Command("go", "-C", "..", "build", "-tags", "testclock", "-o", binary, "./cmd/lastgood").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	ksk, zsk := n.rootKeys()
	versions := []string{n.signRoot(1, ksk, zsk), n.signRoot(2, ksk, zsk)}
	at := map[string]string{"nsd": nsdAt, "named": namedAt, "knot": knotAt}
	daemons, programs, serials := map[string]*process{}, map[string]*rooted{}, map[string]uint32{}
	for i, kind := range rootDaemons {
		file := n.write("served-"+kind, n.read(versions[0]))
		anchor := strings.TrimSpace(n.read(ksk + ".ds"))
		if kind == "knot" {
			n.write("served-knot", rootZoneText(1))
		}
		daemons[kind] = n.startRootDaemon(kind, file)
		if kind == "knot" {
			anchor = n.entryPoint(at[kind])
		}
		programs[kind] = n.startRooted(binary, i, anchor, host(at[kind]))
		serials[kind] = programs[kind].holds(kind)
	}
	for _, kind := range rootDaemons {
		text := n.read(versions[1])
		if kind == "knot" {
			text = rootZoneText(2)
		}
		n.write("served-"+kind, text)
		daemons[kind].cmd.Process.Signal(syscall.SIGHUP)
	}
	for _, kind := range rootDaemons {
		programs[kind].follows(kind, serials[kind])
	}
	for kind, said := range map[string]string{"named": "IXFR started", "knot": "IXFR, outgoing"} {
		if !strings.Contains(daemons[kind].said.String(), said) {
			t.Errorf("%s gave no difference: %s", kind, daemons[kind].said)
		}
	}
}

// entryPoint is the key of the root's that signs its keys.
func (n *namespace) entryPoint(at string) string {
	q := new(dns.Msg)
	q.SetQuestion(".", dns.TypeDNSKEY)
	m, err := n.once(at, q, 3*time.Second)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, rr := range m.Answer {
		if k, ok := rr.(*dns.DNSKEY); ok && k.Flags&dns.SEP != 0 {
			return strings.ReplaceAll(k.String(), "\t", " ")
		}
	}
	n.t.Fatalf("no key: %s", m)
	return ""
}

// holds sees that the first version is there, and answers.
func (r *rooted) holds(kind string) uint32 {
	r.n.t.Helper()
	s := r.status()
	if !s.Usable || s.Records < 4000 {
		r.n.t.Fatalf("from %s: %+v\n%s", kind, s, r.said)
	}
	if m := r.ask("nothing.serial2.", dns.TypeA); m.Rcode != dns.RcodeNameError || !m.AuthenticatedData {
		r.n.t.Errorf("from %s: %s", kind, m)
	}
	return s.Serial
}

// follows sees that the next version comes when the SOA record says so.
func (r *rooted) follows(kind string, before uint32) {
	r.n.t.Helper()
	r.advance(time.Hour)
	for range 60 {
		if s := r.status(); s.Serial > before {
			if m := r.ask("serial2.", dns.TypeDS); m.Rcode != dns.RcodeSuccess || !m.AuthenticatedData {
				r.n.t.Errorf("from %s: %s", kind, m)
			}
			return
		}
		<-time.After(time.Second)
	}
	r.n.t.Errorf("from %s: %+v\n%s", kind, r.status(), r.said)
}
