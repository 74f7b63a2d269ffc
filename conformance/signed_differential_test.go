package conformance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// inquiry is one question with what it says of DNSSEC, and the zone that it is
// meant for.
type inquiry struct {
	name string
	typ  uint16
	bits bits
	zone *signedZone
}

func (q inquiry) String() string {
	return fmt.Sprintf("%s %s %s (%s, %s)", q.name, dns.Type(q.typ), q.bits, q.zone.kind, q.zone.signer)
}

// opinion is an inquiry with what the three validators said.
type opinion struct {
	inquiry
	ours, unbound, bind answer
	again               answer // ours, from the cache
}

func (o opinion) String() string {
	return fmt.Sprintf("%s\n\tours    %s\n\tunbound %s\n\tbind    %s", o.inquiry, o.ours, o.unbound, o.bind)
}

// key is what must be equal. That AD is told to whom checking is disabled depends
// on what the resolver has validated before, for somebody else.
func (a answer) key(b bits) string {
	if a.rcode == dns.RcodeServerFailure || a.rcode == silence {
		return "SERVFAIL"
	}
	return fmt.Sprintf("%d ad=%t %q", a.rcode, a.ad && !b.cd, a.data)
}

// inquiries makes questions: every name that a zone has with every kind of type,
// what lies near, and names that are not there, each with bits by chance.
func (w *signedWorld) inquiries(seed uint64, want int) []inquiry {
	rng := rand.New(rand.NewPCG(seed, 3))
	seen := map[string]bool{}
	var out []inquiry
	labels := []string{
		"www", "mail", "nope", "any.w", "a.b.w", "*.w", "there.w", "under.w", "x.under.w", "no.under.w", "w", "ent", "b.ent", "a.b.ent", "c.b.ent",
		"alias", "gone", "wild", "x.cw", "over", "far", "toplain", "tobad", "old", "h.old", "any.old", "new", "away", "www.away", "nope.away", "odd",
		"_443._tcp.www", "_tcp.www", "ins", "www.ins", "nope.ins", "any.w.ins", "alias.ins", "ent.ins", "over.ins", "sub", "www.sub", "e", "www.d.e", "a.nope", `sp\032ace`, `\000`, "",
	}
	types := []uint16{
		dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeA, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC3PARAM, dns.TypeSOA, dns.TypeNS,
		dns.TypeTLSA, dns.TypeCNAME, dns.TypeCAA, dns.TypeHTTPS, dns.TypeCDS, 65300, 65301,
	}
	kinds := []bits{{do: true}, {do: true}, {do: true}, {ad: true}, {}, {cd: true}, {do: true, cd: true}, {do: true, ad: true}, {do: true, ad: true, cd: true}}
	for tries := 0; len(out) < want && tries < 20*want; tries++ {
		z := w.zones[rng.IntN(len(w.zones))]
		if z.kind == "matrix" || z.kind == "unsigned" { // there are many of these
			z = w.zones[rng.IntN(len(w.zones))]
		}
		label := labels[rng.IntN(len(labels))]
		switch rng.IntN(12) {
		case 0:
			label = fmt.Sprintf("n%d", rng.IntN(5000))
		case 1:
			label = fmt.Sprintf("n%d.%s", rng.IntN(100), label)
		case 2:
			label = ""
		}
		name, ok := normal(strings.TrimPrefix(label+"."+strings.TrimPrefix(z.name, "."), "."))
		if !ok {
			continue
		}
		if name == "" {
			name = "."
		}
		q := inquiry{name, types[rng.IntN(len(types))], kinds[rng.IntN(len(kinds))], nil}
		q.zone = w.holder(name, q.typ)
		if strings.Contains(q.zone.name, "bare.four.") && rng.IntN(4) > 0 { // BIND takes its time about these
			continue
		}
		if key := q.String(); !seen[key] {
			seen[key] = true
			out = append(out, q)
		}
	}
	return out
}

// holder is the zone that has what a name has of a type.
func (w *signedWorld) holder(name string, typ uint16) *signedZone {
	if typ == dns.TypeDS && name != "." {
		name = above(name)
	}
	for name = strings.ToLower(name); w.byName[name] == nil; {
		name = above(name)
	}
	return w.byName[name]
}

// signedDifferential asks lastgood, Unbound and a validating named the same.
// Every difference must be explained below and in docs/divergences.md.
func (n *namespace) signedDifferential(t *testing.T, w *signedWorld, s uint64) {
	want := 4000
	if os.Getenv("CONFORMANCE_SIGNED") != "" { // a run by hand
		if _, err := fmt.Sscan(os.Getenv("CONFORMANCE_SIGNED"), &want); err != nil {
			t.Fatal(err)
		}
	}
	qs := w.inquiries(s, want)
	opinions := make([]opinion, len(qs))
	var wg sync.WaitGroup
	for i := range askers {
		trio, err := n.validators(s + uint64(i)*10)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for j := i; j < len(qs); j += askers {
				opinions[j] = trio.ask(qs[j])
			}
		})
	}
	wg.Wait()
	judgeSigned(t, opinions)
}

// validators is a client of each.
type validators struct{ ours, unbound, bind *client }

func (n *namespace) validators(seed uint64) (v validators, err error) {
	for i, c := range []struct {
		to   **client
		addr string
	}{{&v.ours, resolverAt}, {&v.unbound, unboundAt}, {&v.bind, validatingAt}} {
		if *c.to, err = n.client(c.addr, seed+uint64(i)); err != nil {
			return v, err
		}
	}
	v.bind.wait = 5 * time.Second // where it finds no way out it asks everybody again, and then says nothing
	return v, nil
}

func (v validators) ask(q inquiry) opinion {
	o := opinion{inquiry: q}
	var wg sync.WaitGroup
	wg.Go(func() { o.unbound = v.unbound.askSigned(q.name, q.typ, q.bits) })
	wg.Go(func() { o.bind = v.bind.askSigned(q.name, q.typ, q.bits) })
	o.ours = v.ours.askSigned(q.name, q.typ, q.bits)
	o.again = v.ours.askSigned(q.name, q.typ, q.bits)
	wg.Wait()
	return o
}

// wrong is what is wrong with our answer, whatever others say.
func (o opinion) wrong() string {
	switch a := o.ours; {
	case a.rcode == silence || a.fault != "":
		return "ours: " + a.fault
	case a.ad && !o.bits.do && !o.bits.ad:
		return "AD told to who did not ask for it (RFC 6840 §5.8)"
	case a.ad && o.zone.want == insecure:
		return "AD for a zone that no chain leads to"
	case o.bits.do && a.ad && a.bare != "":
		return "AD, and no signature with " + a.bare
	case o.bits.do && a.ad && len(a.data) == 0 && !slices.Contains(a.proof, dns.TypeNSEC) && !slices.Contains(a.proof, dns.TypeNSEC3):
		return "AD for a denial without proof"
	case a.rcode != dns.RcodeServerFailure && len(a.data) == 0 && !slices.Contains(a.proof, dns.TypeSOA):
		return "a denial without SOA record"
	case a.rcode != dns.RcodeServerFailure && o.again.key(o.bits) != a.key(o.bits):
		return "from the cache: " + o.again.String()
	}
	return ""
}

func judgeSigned(t *testing.T, opinions []opinion) {
	t.Helper()
	agreed, matched := map[string]int{}, map[string]int{}
	verdicts := map[string]int{}
	var open []string
	for _, o := range opinions {
		if wrong := o.wrong(); wrong != "" {
			open = append(open, wrong+": "+o.String())
		}
		ours := o.ours.key(o.bits)
		withUnbound, withBIND := ours == o.unbound.key(o.bits), ours == o.bind.key(o.bits)
		agreed[fmt.Sprintf("Unbound %t, BIND %t", withUnbound, withBIND)]++
		switch {
		case o.ours.rcode == dns.RcodeServerFailure:
			verdicts["SERVFAIL"]++
		case o.ours.ad:
			verdicts["AD"]++
		default:
			verdicts["no AD"]++
		}
		if withUnbound && withBIND {
			continue
		}
		if rule := explainSigned(o); rule != "" {
			matched[rule]++
		} else {
			open = append(open, o.String())
		}
	}
	t.Logf("%d questions: %v; %v", len(opinions), verdicts, agreed)
	for _, r := range seldom {
		t.Logf("explained %5d: %s (%s)", matched[r.name], r.name, r.clause)
	}
	for _, r := range explainedSigned {
		t.Logf("explained %5d: %s (%s)", matched[r.name], r.name, r.clause)
		if matched[r.name] == 0 {
			t.Errorf("nothing differs any more by the rule %q: remove it", r.name)
		}
	}
	if path := os.Getenv("CONFORMANCE_REPORT"); path != "" { // every difference, for reading
		if err := os.WriteFile(path, []byte(strings.Join(open, "\n")), 0o644); err != nil {
			t.Error(err)
		}
	}
	for i, text := range open {
		if i == 60 {
			t.Errorf("and %d more", len(open)-i)
			break
		}
		t.Error("not explained: " + text)
	}
}
