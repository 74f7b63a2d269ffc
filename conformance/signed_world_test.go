package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// trust is what a validator must make of a zone.
type trust int

const (
	secure trust = iota
	insecure
	bogus
)

// signedZone is a zone of the signed world. Its children are delegated by text,
// with the DS records that came of their signing.
type signedZone struct {
	name    string // absolute
	kind    string // what is special about it
	signer  string // "bind", "ldns", "knot"; "" for an unsigned zone
	alg     string // mnemonic of the algorithm of its keys
	denial  string // "nsec", "nsec3", "optout"
	salt    string // of NSEC3, "-" for none
	rounds  int    // NSEC3 iterations on top of the first
	shift   int    // days by which signatures were made before (or, above zero, after) their time
	digest  uint8  // of its DS record
	records []string
	servers []string

	want trust  // of what the zone's own signatures cover
	ede  uint16 // with which its www has to fail, or be insecure; 0 for none

	spoil   func(z *signedZone, rrs []dns.RR) []dns.RR // what is done to it after it was signed
	spoilDS func(ds *dns.DS)                           // what its parent gets wrong

	// The zone is signed a second time, with other keys, or with the same by
	// a clock that is so many days away: for spoil to take parts from.
	otherKeys  bool
	otherShift int
	other      []dns.RR

	signed []dns.RR // by sign
	ds     []dns.RR // by sign
}

// signedWorld is a root with five top-level zones and what lies below them.
type signedWorld struct {
	zones  []*signedZone
	byName map[string]*signedZone
}

func (w *signedWorld) add(z *signedZone) *signedZone {
	w.zones = append(w.zones, z)
	w.byName[z.name] = z
	return z
}

// parent is the closest zone above z, nil for the root.
func (w *signedWorld) parent(z *signedZone) *signedZone {
	for name := z.name; name != "."; {
		if name = above(name); w.byName[name] != nil {
			return w.byName[name]
		}
	}
	return nil
}

// signedAt are the addresses of the authorities. The upper one has the root and
// the top-level zones, the others what is below.
var signedAt = map[string]string{"upper": "192.0.2.1", "nsd": "198.51.100.1", "knot": "198.51.100.2", "named": "198.51.100.3"}

// delegation gives the zone's NS records and the servers' addresses.
func (z *signedZone) delegation() []string {
	if z.kind == "dname" { // nothing may lie below, its servers' names neither
		return []string{z.name + " 86400 NS upper."}
	}
	var out []string
	for _, s := range z.servers {
		host := dns.Fqdn(s + "." + strings.TrimPrefix(z.name, "."))
		out = append(out, fmt.Sprintf("%s 86400 NS %s", z.name, host), fmt.Sprintf("%s 86400 A %s", host, signedAt[s]))
	}
	return out
}

// text is the zone's file before it is signed.
func (w *signedWorld) text(z *signedZone) string {
	lines := []string{"$ORIGIN " + z.name, "$TTL 3600", z.name + " SOA nobody.example. nobody.example. 1 1800 900 604800 900"}
	lines = append(lines, z.delegation()...)
	for _, c := range w.zones {
		if w.parent(c) == z {
			lines = append(lines, c.delegation()...)
			for _, ds := range c.ds {
				lines = append(lines, ds.String())
			}
		}
	}
	return strings.Join(append(lines, z.records...), "\n") + "\n"
}

// leaf is what every zone at the bottom has: addresses, wildcards, empty
// non-terminals, aliases within the zone and out of it.
func leaf() []string {
	return []string{
		"@ A 203.0.113.1", "@ MX 10 mail", "@ TXT \"signed\"", "www A 203.0.113.2", "www AAAA 2001:db8::2", "mail A 203.0.113.3",
		"*.w A 203.0.113.4", "*.w TXT \"any\"", "there.w A 203.0.113.5", "x.under.w A 203.0.113.6", "a.b.ent A 203.0.113.7",
		"alias CNAME www", "gone CNAME nowhere", "wild CNAME some.w", "*.cw CNAME www", "self CNAME self",
		"over CNAME www.ecdsap256sha256-nsec.one.", "far CNAME over.ecdsap384sha384-nsec3.two.", "toplain CNAME www.plain.five.",
		"tobad CNAME www.expired.four.", "old DNAME new", "h.new A 203.0.113.8", "*.new TXT \"below an alias\"",
		"away DNAME ed25519-nsec3.three.", "_443._tcp.www TLSA 3 1 1 " + strings.Repeat("ab", 32), "odd TYPE65300 \\# 3 010203",
	}
}

// Three authorities, in pairs.
var pairs = [][]string{{"nsd", "knot"}, {"knot", "named"}, {"named", "nsd"}}

// makeSignedWorld lays it out; sign makes the signatures.
func makeSignedWorld() *signedWorld {
	w := &signedWorld{byName: map[string]*signedZone{}}
	top := func(name, kind, signer, alg, denial string) {
		w.add(&signedZone{name: name, kind: kind, signer: signer, alg: alg, denial: denial, salt: "-", servers: []string{"upper"}, digest: dns.SHA256})
	}
	top(".", "root", "bind", "RSASHA256", "nsec")
	top("one.", "tld", "bind", "ECDSAP256SHA256", "nsec")
	top("two.", "tld", "ldns", "RSASHA256", "optout")
	top("three.", "tld", "knot", "ED25519", "nsec3")
	top("four.", "tld", "ldns", "ECDSAP256SHA256", "nsec3")
	top("five.", "tld", "", "", "")
	w.byName["five."].want = insecure
	w.addMatrix()
	w.addInsecure()
	w.addOdd()
	w.addBroken()
	return w
}

var bySigner = map[string]string{"bind": "one.", "ldns": "two.", "knot": "three."}

// addMatrix adds a zone for each signer, algorithm and kind of denial, and below
// each an unsigned one.
func (w *signedWorld) addMatrix() {
	i := 0
	for _, signer := range []string{"bind", "ldns", "knot"} {
		for _, alg := range []string{"RSASHA256", "RSASHA512", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "ED448", "RSASHA1", "NSEC3RSASHA1"} {
			for _, denial := range []string{"nsec", "nsec3", "optout"} {
				if alg == "RSASHA1" && denial != "nsec" || alg == "NSEC3RSASHA1" && (denial != "nsec3" || signer == "knot") {
					continue
				}
				z := w.add(&signedZone{
					name: strings.ToLower(alg) + "-" + denial + "." + bySigner[signer], kind: "matrix", signer: signer, alg: alg, denial: denial,
					salt: []string{"-", "aabbccdd"}[i%2], digest: []uint8{dns.SHA256, dns.SHA384}[i/2%2], records: leaf(), servers: pairs[i%3],
				})
				if alg == "ED448" { // none of the standard library's
					z.want, z.ede = insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm
				}
				w.plain("ins."+z.name, z.servers).ede = z.ede // it is insecure by what is above
				i++
			}
		}
	}
}

func (w *signedWorld) plain(name string, servers []string) *signedZone {
	return w.add(&signedZone{name: name, kind: "unsigned", records: leaf(), servers: servers, want: insecure})
}

// addInsecure adds zones that no chain leads to.
func (w *signedWorld) addInsecure() {
	w.plain("plain.five.", pairs[0])
	w.plain("plain.one.", pairs[1])
	w.plain("plain.two.", pairs[2])
	w.plain("a.b.c.three.", pairs[0]) // empty non-terminals above the cut
	w.plain("a.b.two.", pairs[1])     // and an opt-out zone, which has no NSEC3 for them
	// A zone that is signed below one that is not.
	w.add(&signedZone{name: "island.five.", kind: "island", signer: "bind", alg: "ECDSAP256SHA256", denial: "nsec", records: leaf(), servers: pairs[2], want: insecure, digest: dns.SHA256})
	below := func(name string, ede uint16, spoil func(*dns.DS)) {
		w.add(&signedZone{name: name, kind: "unknown", signer: "ldns", alg: "ECDSAP256SHA256", denial: "nsec", records: leaf(), servers: pairs[1],
			want: insecure, ede: ede, digest: dns.SHA256, spoilDS: spoil})
	}
	below("digest.four.", dns.ExtendedErrorCodeUnsupportedDSDigestType, func(ds *dns.DS) { ds.DigestType = 200 })
	below("algorithm.four.", dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, func(ds *dns.DS) { ds.Algorithm = 200 })
	w.byName["algorithm.four."].spoil = renumber(200)
	below("gost.four.", dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, func(ds *dns.DS) { ds.Algorithm = dns.ECCGOST })
	w.byName["gost.four."].spoil = renumber(dns.ECCGOST)
}

// addOdd adds what is right though it does not look so.
func (w *signedWorld) addOdd() {
	w.add(&signedZone{name: "sub.ed25519-nsec3.three.", kind: "sub", signer: "bind", alg: "RSASHA512", denial: "optout", salt: "-", records: leaf(), servers: pairs[1], digest: dns.SHA256})
	w.add(&signedZone{name: "d.e.ecdsap256sha256-nsec.one.", kind: "sub", signer: "ldns", alg: "ED25519", denial: "nsec3", salt: "-", records: leaf(), servers: pairs[2], digest: dns.SHA384})
	w.add(&signedZone{name: "apex.one.", kind: "dname", signer: "bind", alg: "ECDSAP256SHA256", denial: "nsec", servers: []string{"upper"}, digest: dns.SHA256,
		records: []string{"@ DNAME ecdsap384sha384-nsec.two.", "@ TXT \"beside\""}})
	// Two algorithms, as in the middle of a rollover: the DS records mean one.
	w.add(&signedZone{name: "double.one.", kind: "double", signer: "bind", alg: "RSASHA256+ECDSAP256SHA256", denial: "nsec3", salt: "-", records: leaf(), servers: pairs[0], digest: dns.SHA256})
	for _, rounds := range []int{10, 50, 51, 150} { // RFC 9276 §3.2: above 50, what is denied is insecure
		z := w.add(&signedZone{name: fmt.Sprintf("rounds%d.four.", rounds), kind: "rounds", signer: "ldns", alg: "ECDSAP256SHA256", denial: "nsec3", salt: "abcd",
			rounds: rounds, records: leaf(), servers: pairs[rounds%3], digest: dns.SHA256})
		if rounds > insecureRounds {
			z.ede = unsupportedIterations
		}
	}
}

// insecureRounds is how many iterations still prove something.
const insecureRounds = 50

// levels are the zones by the number of their labels, the deepest first.
func (w *signedWorld) levels() [][]*signedZone {
	byDepth := map[int][]*signedZone{}
	var depths []int
	for _, z := range w.zones {
		d := dns.CountLabel(z.name)
		if byDepth[d] == nil {
			depths = append(depths, d)
		}
		byDepth[d] = append(byDepth[d], z)
	}
	slices.Sort(depths)
	slices.Reverse(depths)
	var out [][]*signedZone
	for _, d := range depths {
		out = append(out, byDepth[d])
	}
	return out
}
