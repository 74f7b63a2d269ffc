package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// signers are the programs that sign.
var signers = []string{"dnssec-keygen", "dnssec-signzone", "ldns-keygen", "ldns-signzone", "knotd", "delv"}

const knotSigner = "127.0.0.14" // a knotd that signs and hands out, and is stopped again

// sign signs the world from its leaves up, for a parent needs its children's DS
// records.
func (n *namespace) sign(w *signedWorld) {
	n.t.Helper()
	for i, level := range w.levels() {
		n.signByKnot(w, level, i)
		var wg sync.WaitGroup
		room := make(chan struct{}, runtime.NumCPU())
		for _, z := range level {
			if z.signer == "knot" {
				continue
			}
			room <- struct{}{}
			wg.Go(func() { n.signByFile(w, z); <-room })
		}
		wg.Wait()
		for _, z := range level {
			z.finish(n)
		}
	}
}

// signByFile has a zone signed by a program that reads a file and writes one.
func (n *namespace) signByFile(w *signedWorld, z *signedZone) {
	text := w.text(z)
	if z.signer == "" {
		z.signed = n.parse(z.name, text)
		return
	}
	keys := n.keys(z)
	if len(keys) == 0 {
		return
	}
	z.signed = n.parse(z.name, n.signFile(z, text, keys, z.shift))
	if z.otherKeys {
		keys = n.keys(z)
	}
	if z.otherKeys || z.otherShift != 0 {
		z.other = n.parse(z.name, n.signFile(z, text, keys, z.otherShift))
	}
}

// keys makes a key-signing and a zone-signing key of each of the zone's
// algorithms, and gives their files' names without ending.
func (n *namespace) keys(z *signedZone) []string {
	var out []string
	for _, alg := range strings.Split(z.alg, "+") {
		for _, entry := range []bool{true, false} {
			args := []string{"dnssec-keygen", "-q", "-a", alg}
			if z.signer == "ldns" {
				args = []string{"ldns-keygen", "-a", strings.Replace(alg, "NSEC3RSASHA1", "RSASHA1-NSEC3-SHA1", 1)}
			}
			if strings.Contains(alg, "RSA") {
				args = append(args, "-b", strconv.Itoa(rsaBits(alg)))
			}
			if entry && z.signer == "ldns" {
				args = append(args, "-k")
			} else if entry {
				args = append(args, "-f", "KSK")
			}
			said := strings.Fields(n.run(append(args, z.name)...))
			if len(said) == 0 {
				return nil
			}
			out = append(out, said[len(said)-1])
		}
	}
	return out
}

// rsaBits is the size of an algorithm's keys: what is usual for the usual one, and
// for the others what is made quickly.
func rsaBits(alg string) int {
	if alg == "RSASHA256" {
		return 2048
	}
	return 1024
}

// signFile signs with signatures that are valid from a week before to a month
// after a day that is shift days from today.
func (n *namespace) signFile(z *signedZone, text string, keys []string, shift int) string {
	base := strings.TrimSuffix(strings.ReplaceAll(z.name, ".", "_"), "_") + "-" + keys[0][len(keys[0])-5:] + "-" + strconv.Itoa(shift)
	in, out := n.write(base+".unsigned", text), filepath.Join(n.dir, base+".signed")
	day := time.Now().UTC().AddDate(0, 0, shift)
	from, to := day.AddDate(0, 0, -7).Format("20060102150405"), day.AddDate(0, 1, 0).Format("20060102150405")
	var args []string
	switch z.signer {
	case "bind":
		for _, k := range keys { // the keys belong into the zone
			in = n.write(base+".unsigned", text+n.read(k+".key"))
			text += n.read(k + ".key")
		}
		args = []string{"dnssec-signzone", "-q", "-n", "1", "-P", "-N", "keep", "-O", "full", "-s", from, "-e", to, "-o", z.name, "-f", out}
		if z.denial != "nsec" {
			args = append(args, "-3", z.salt, "-H", strconv.Itoa(z.rounds))
		}
		if z.denial == "optout" {
			args = append(args, "-A")
		}
	case "ldns":
		args = []string{"ldns-signzone", "-i", from, "-e", to, "-o", z.name, "-f", out}
		if z.denial != "nsec" {
			args = append(args, "-n", "-t", strconv.Itoa(z.rounds))
			if z.salt != "-" {
				args = append(args, "-s", z.salt)
			}
		}
		if z.denial == "optout" {
			args = append(args, "-p")
		}
	}
	n.run(append(append(args, in), keys...)...)
	return n.read(out)
}

// read gives a file of the namespace's folder.
func (n *namespace) read(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(n.dir, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		n.t.Error(err)
	}
	return string(data)
}

// parse reads a zone's file.
func (n *namespace) parse(zone, text string) []dns.RR {
	var out []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), zone, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		out = append(out, rr)
	}
	if err := parser.Err(); err != nil {
		n.t.Errorf("zone %s: %v", zone, err)
	}
	return out
}

// finish makes the zone's DS records, and does to it what is to be wrong with it.
func (z *signedZone) finish(n *namespace) {
	for _, rr := range z.signed {
		key, ok := rr.(*dns.DNSKEY)
		if !ok || key.Flags&dns.SEP == 0 || z.name == "island.five." {
			continue
		}
		if strings.Contains(z.alg, "+") && len(z.ds) > 0 {
			continue
		}
		ds := key.ToDS(z.digest)
		ds.Hdr.Ttl = 3600
		if z.spoilDS != nil {
			z.spoilDS(ds)
		}
		z.ds = append(z.ds, ds)
	}
	if z.signer != "" && len(z.ds) == 0 && z.name != "island.five." {
		n.t.Fatalf("%s has no key that signs keys", z.name)
	}
	if z.spoil != nil {
		z.signed = z.spoil(z, z.signed)
	}
}

// signByKnot has the zones of a level signed by a knotd that does so by itself,
// and fetches what it made.
func (n *namespace) signByKnot(w *signedWorld, level []*signedZone, number int) {
	n.t.Helper()
	var zones, policies strings.Builder
	var mine []*signedZone
	for i, z := range level {
		if z.signer != "knot" {
			continue
		}
		mine = append(mine, z)
		path := n.write(fmt.Sprintf("knot-sign-%d-%d.zone", number, i), w.text(z))
		fmt.Fprintf(&zones, "  - domain: %q\n    file: %q\n    dnssec-policy: p%d\n", z.name, path, i)
		size := ""
		if strings.Contains(z.alg, "RSA") {
			size = fmt.Sprintf("    ksk-size: %d\n    zsk-size: %[1]d\n", rsaBits(z.alg))
		}
		fmt.Fprintf(&policies, "  - id: p%d\n    algorithm: %s\n%s    nsec3: %t\n    nsec3-opt-out: %t\n    nsec3-iterations: %d\n    nsec3-salt-length: %d\n    rrsig-lifetime: 14d\n",
			i, strings.ToLower(z.alg), size, z.denial != "nsec", z.denial == "optout", z.rounds, len(strings.Trim(z.salt, "-"))/2)
	}
	if len(mine) == 0 {
		return
	}
	if err := os.Mkdir(filepath.Join(n.dir, fmt.Sprintf("knotsign%d", number)), 0o755); err != nil {
		n.t.Fatal(err)
	}
	conf := n.write(fmt.Sprintf("knot-sign-%d.conf", number), fmt.Sprintf(`server:
  rundir: "%s"
  listen: [ %s@53 ]
  user: root:root
  udp-workers: 1
  tcp-workers: 1
  background-workers: 2
log:
  - target: stderr
    any: warning
database:
  storage: "%[1]s/knotsign%[3]d"
acl:
  - id: all
    address: 127.0.0.0/8
    action: transfer
policy:
%[4]stemplate:
  - id: default
    zonefile-sync: -1
    journal-content: none
    dnssec-signing: on
    acl: all
zone:
%[5]s`, n.dir, knotSigner, number, policies.String(), zones.String()))
	p := n.start(knotSigner+":53", mine[0].name, "knotd", "-c", conf)
	for _, z := range mine {
		z.signed = n.transfer(p, knotSigner+":53", z.name)
	}
	p.stop()
}

// transfer fetches a zone, as soon as it is there.
func (n *namespace) transfer(p *process, addr, zone string) []dns.RR {
	n.t.Helper()
	p.waitReady(addr, zone)
	conn, err := n.dial("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	m := new(dns.Msg)
	m.SetAxfr(zone)
	tr := &dns.Transfer{Conn: &dns.Conn{Conn: conn}}
	parts, err := tr.In(m, addr)
	if err != nil {
		n.t.Fatal(err)
	}
	var out []dns.RR
	for part := range parts {
		if part.Error != nil {
			n.t.Fatalf("transfer of %s: %v", zone, part.Error)
		}
		out = append(out, part.RR...)
	}
	if len(out) < 4 || out[len(out)-1].Header().Rrtype != dns.TypeSOA {
		n.t.Fatalf("transfer of %s: %d records", zone, len(out))
	}
	return out[:len(out)-1] // the SOA record came twice
}
