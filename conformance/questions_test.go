package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// question is one (name, type), and the kind of zone that it was made for.
type question struct {
	name string
	kind string
	typ  uint16
}

func (q question) String() string { return q.name + " " + dns.Type(q.typ).String() }

// usual are asked of every name, odd of some. NSEC is asked of zones' own names
// alone: at an alias NSD follows it, Knot DNS and BIND do not (RFC 4035 §2.5),
// and any resolver's answer depends on what it happens to hold. DNAME is asked
// where one is: below, Unbound leaves out the SOA record, and Knot Resolver by
// chance the DNAME.
var (
	usual = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX}
	odd   = []uint16{dns.TypeCNAME, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypePTR, dns.TypeSRV, dns.TypeHTTPS,
		dns.TypeDNSKEY, dns.TypeCAA, dns.TypeNAPTR, 65280, 65534, 300, dns.TypeHINFO, dns.TypeSPF}
)

// apart are zones that oracles are not asked about. A stalling server keeps Knot
// Resolver silent for longer than the whole test may take. A server that refers
// to the very zone that it should serve denies all types at the zone's own name
// in the eyes of both (docs/divergences.md); whether they meet it is chance.
var apart = []string{"stalling.one.", "self-referring.one."}

func isApart(name string) bool {
	return slices.ContainsFunc(apart, func(zone string) bool { return strings.HasSuffix(strings.ToLower(name), zone) })
}

// deck collects distinct questions.
type deck struct {
	seen map[string]bool
	all  []question
}

func (d *deck) add(kind, name string, types ...uint16) {
	name, ok := normal(name)
	if !ok || isApart(name) {
		return
	}
	for _, t := range types {
		q := question{name, kind, t}
		if key := strings.ToLower(q.String()); !d.seen[key] {
			d.seen[key] = true
			d.all = append(d.all, q)
		}
	}
}

// faulty are the kinds of zones that cost time: fewer questions go there.
var faulty = map[string]bool{"dead-one": true, "lossy": true, "lame-one": true, "slow": true, "truncated": true, "six-only": true}

// questions makes them: everything that the zones hold by every kind of
// name around it, and as many random ones as make the number up to want.
func questions(w *world, seed uint64, want int) ([]question, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := &deck{seen: map[string]bool{}}
	owners := map[*zone][]string{}
	for _, z := range w.zones {
		held, err := z.owners()
		if err != nil {
			return nil, err
		}
		for name := range held {
			owners[z] = append(owners[z], name)
		}
		slices.Sort(owners[z])
		for _, name := range owners[z] {
			d.add(z.kind, name, held[name]...)
			if slices.Contains(held[name], dns.TypeDNAME) { // also with a result that is too long
				for _, length := range []int{1, 48, 56, 63} {
					d.add(z.kind, strings.Repeat("y", length)+"."+name, dns.TypeA, dns.TypeCNAME)
				}
			}
			if !faulty[z.kind] {
				d.add(z.kind, name, usual[:2]...)
				d.around(rng, z, name)
			}
		}
		d.add(z.kind, z.name, dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeA, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeANY)
	}
	for tries := 0; len(d.all) < want && tries < 20*want; tries++ {
		z := w.zones[rng.IntN(len(w.zones))]
		if name := owners[z][rng.IntN(len(owners[z]))]; !faulty[z.kind] || rng.IntN(8) == 0 {
			d.random(rng, z, name)
		}
	}
	rng.Shuffle(len(d.all), func(i, j int) { d.all[i], d.all[j] = d.all[j], d.all[i] })
	return d.all, nil
}

// around adds what lies next to a name: below, between it and its zone, and in
// the place of a wildcard's asterisk.
func (d *deck) around(rng *rand.Rand, z *zone, name string) {
	d.add(z.kind, "below."+name, dns.TypeA)
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		for _, label := range []string{"any", "a.b", `\000`, `sp\032ace`, "*", "*.x"} {
			d.add(z.kind, label+"."+rest, usual...)
		}
	}
	for parent := name; strings.HasSuffix(parent, "."+z.name) && strings.Count(name, ".") < 30; {
		parent = above(parent)
		d.add(z.kind, parent, usual[rng.IntN(len(usual))])
	}
}

// random adds one question about a name, or near it.
func (d *deck) random(rng *rand.Rand, z *zone, name string) {
	switch rng.IntN(8) {
	case 0:
		name = fmt.Sprintf("no%d.%s", rng.IntN(1000), z.name)
	case 1:
		name = fmt.Sprintf("no%d.%s", rng.IntN(1000), name)
	case 2:
		name = fmt.Sprintf("n\\%03d.%s", rng.IntN(256), name)
	case 3:
		name = mixCase(rng, name)
	case 4:
		for range rng.IntN(6) {
			name = fmt.Sprintf("x%d.%s", rng.IntN(10), name)
		}
	case 5:
		if left := 255 - wireLength(name); left > 2 {
			name = strings.Repeat("y", min(63, left-1)) + "." + name
		}
	}
	types := append(slices.Clone(usual), odd...)
	d.add(z.kind, name, types[rng.IntN(len(types))])
}

// owners gives the names that the zone's file holds, with their types.
func (z *zone) owners() (map[string][]uint16, error) {
	out := map[string][]uint16{}
	parser := dns.NewZoneParser(strings.NewReader(z.text()), z.name, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		h := rr.Header()
		if !slices.Contains(out[h.Name], h.Rrtype) {
			out[h.Name] = append(out[h.Name], h.Rrtype)
		}
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("zone %s: %w", z.name, err)
	}
	return out, nil
}

// above cuts off the first label.
func above(name string) string {
	if at, end := dns.NextLabel(name, 0); !end {
		return name[at:]
	}
	return "."
}

func mixCase(rng *rand.Rand, name string) string {
	out := []byte(name)
	for i, c := range out {
		if c |= 0x20; c >= 'a' && c <= 'z' && rng.IntN(2) == 0 {
			out[i] ^= 0x20
		}
	}
	return string(out)
}

// normal gives a name as it comes back from the wire; false if it is too long.
func normal(name string) (string, bool) {
	buf := make([]byte, 512)
	n, err := dns.PackDomainName(name, buf, 0, nil, false)
	if err != nil || n > 255 {
		return "", false
	}
	name, _, err = dns.UnpackDomainName(buf[:n], 0)
	return name, err == nil
}

// wireLength is the length of a name on the wire, escapes and all.
func wireLength(name string) int {
	n, err := dns.PackDomainName(name, make([]byte, 512), 0, nil, false)
	if err != nil {
		return 1 << 10
	}
	return n
}

// TestQuestions holds the deck to what it promises: enough, distinct, the same
// for the same seed, and of every kind.
func TestQuestions(t *testing.T) {
	w := makeWorld()
	a, err := questions(w, 7, 5500)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := questions(makeWorld(), 7, 5500)
	if !slices.Equal(a, b) {
		t.Error("not the same for the same seed")
	}
	if len(a) < 5000 {
		t.Errorf("only %d questions", len(a))
	}
	kinds, seen := map[string]int{}, map[string]bool{}
	longest := 0
	for _, q := range a {
		kinds[q.kind]++
		longest = max(longest, wireLength(q.name))
		if key := strings.ToLower(q.String()); seen[key] {
			t.Errorf("twice: %s", q)
		} else {
			seen[key] = true
		}
	}
	if longest != 255 {
		t.Errorf("the longest name has %d octets, want 255", longest)
	}
	for _, z := range w.zones {
		if kinds[z.kind] == 0 && !isApart(z.name) {
			t.Errorf("no question for zones of kind %s", z.kind)
		}
	}
	t.Log(len(a), kinds)
}
