package authority

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
)

func signedServer(t *testing.T, a Algorithm) (*Server, *dns.DNSKEY) {
	t.Helper()
	z := testZone(t, "example.com")
	key, err := NewKey(z.Origin(), a, [32]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signed, err := z.Sign(now.Add(-time.Hour), now.Add(24*time.Hour), key)
	if err != nil {
		t.Fatal(err)
	}
	if z.Signed() || !signed.Signed() {
		t.Error("Sign changed the zone, or made none")
	}
	s := NewServer(Options{Minimal: true})
	s.SetZone(signed)
	return s, key.public
}

// verified checks every set of a reply against its signature with the general
// library's verifier, and gives the sets that have none.
func verified(t *testing.T, m *dns.Msg, key *dns.DNSKEY) (unsigned []string) {
	t.Helper()
	type set struct {
		name string
		t    uint16
	}
	sets, sigs := map[set][]dns.RR{}, map[set]*dns.RRSIG{}
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		h := rr.Header()
		if sig, ok := rr.(*dns.RRSIG); ok {
			sigs[set{h.Name, sig.TypeCovered}] = sig
			continue
		}
		sets[set{h.Name, h.Rrtype}] = append(sets[set{h.Name, h.Rrtype}], rr)
	}
	for k, rrs := range sets {
		sig := sigs[k]
		if sig == nil {
			unsigned = append(unsigned, k.name+" "+dns.TypeToString[k.t])
			continue
		}
		if err := sig.Verify(key, rrs); err != nil || !sig.ValidityPeriod(time.Now()) {
			t.Errorf("%s %s: %v", k.name, dns.TypeToString[k.t], err)
		}
	}
	return unsigned
}

func nsecs(m *dns.Msg) (spans []*dns.NSEC) {
	for _, rr := range m.Ns {
		if n, ok := rr.(*dns.NSEC); ok {
			spans = append(spans, n)
		}
	}
	return spans
}

// covers tells whether an NSEC record says that a name does not exist.
func covers(n *dns.NSEC, name string) bool {
	owner, next, q := dnsname.MustParse(n.Hdr.Name), dnsname.MustParse(n.NextDomain), dnsname.MustParse(name)
	after := dnsname.Compare(owner, q) < 0
	return after && (dnsname.Compare(q, next) < 0 || dnsname.Compare(next, owner) <= 0)
}

func TestSignedAnswers(t *testing.T) {
	for _, a := range []Algorithm{Ed25519, ECDSAP256} {
		synctest.Test(t, func(t *testing.T) { // where it is the year 2000
			s, key := signedServer(t, a)
			for question, unsigned := range map[string]string{
				"www.example.com. A do":      "",
				"www.example.com. MX do":     "",
				"example.com. DNSKEY do":     "",
				"a1.example.com. A do":       "",
				"nope.example.com. A do":     "",
				"www.old.example.com. A do":  "www.old.example.com. CNAME", // RFC 6672 §5.3.1
				"x.sub.example.com. A do":    "sub.example.com. NS",
				"x.signed.example.com. A do": "signed.example.com. NS",
				"signed.example.com. DS do":  "",
			} {
				if got := strings.Join(verified(t, ask(t, s, question+" tcp"), key), ", "); got != unsigned {
					t.Errorf("%s: unsigned are %q", question, got)
				}
			}
		})
	}
}

func TestNoSignaturesWithoutDO(t *testing.T) {
	s, _ := signedServer(t, Ed25519)
	for _, question := range []string{"www.example.com. A edns", "nope.example.com. A", "x.sub.example.com. A"} {
		if got := sketch(ask(t, s, question)); strings.Contains(got, "RRSIG") || strings.Contains(got, "NSEC") {
			t.Errorf("%s: %s", question, got)
		}
	}
}

func TestDenialProofs(t *testing.T) {
	s, key := signedServer(t, Ed25519)
	for _, c := range []struct {
		question string
		covered  []string // names of which the absence is proven
		at       string   // a name of which the NSEC itself must be there
	}{
		{"nope.example.com. A do tcp", []string{"nope.example.com.", "*.example.com."}, ""},
		{"b.host.wild.example.com. A do tcp", []string{"b.host.wild.example.com.", "*.host.wild.example.com."}, ""},
		{"www.example.com. MX do tcp", nil, "www.example.com."},
		{"empty.example.com. A do tcp", []string{"empty.example.com."}, ""},
		{"x.wild.example.com. MX do tcp", []string{"x.wild.example.com."}, "*.wild.example.com."},
		{"sub.example.com. DS do tcp", nil, "sub.example.com."},
		{"x.sub.example.com. A do tcp", nil, "sub.example.com."},
	} {
		m := ask(t, s, c.question)
		spans := nsecs(m)
		for _, name := range c.covered {
			if !slices.ContainsFunc(spans, func(n *dns.NSEC) bool { return covers(n, name) }) {
				t.Errorf("%s: nothing covers %s\n%s", c.question, name, sketch(m))
			}
		}
		if c.at != "" && !slices.ContainsFunc(spans, func(n *dns.NSEC) bool { return n.Hdr.Name == c.at }) {
			t.Errorf("%s: no NSEC at %s\n%s", c.question, c.at, sketch(m))
		}
		verified(t, m, key)
	}
	m := ask(t, s, "x.wild.example.com. A do tcp")
	spans := nsecs(m)
	if len(m.Answer) != 2 || len(spans) != 1 || !covers(spans[0], "x.wild.example.com.") {
		t.Errorf("wildcard answer: %s", sketch(m))
	}
	if sig := m.Answer[1].(*dns.RRSIG); int(sig.Labels) != 3 {
		t.Errorf("wildcard signature has %d labels", sig.Labels)
	}
}

// The chain closes, and no NSEC gives away glue.
func TestNSECChainIsACircle(t *testing.T) {
	z := testZone(t, "example.com")
	key, err := NewKey(z.Origin(), Ed25519, [32]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := z.Sign(time.Unix(0, 0), time.Unix(1e9, 0), key)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]string{}
	for _, r := range signed.Records() {
		if rr, err := r.toRR(); err != nil {
			t.Fatal(err)
		} else if n, ok := rr.(*dns.NSEC); ok {
			next[n.Hdr.Name] = n.NextDomain
		}
	}
	name, steps := "example.com.", 0
	for ; steps == 0 || name != "example.com."; steps++ {
		name = next[name]
		if steps > len(next) || name == "" || name == "ns.sub.example.com." || name == "deep.sub.example.com." {
			t.Fatalf("step %d leads to %q", steps, name)
		}
	}
	if steps != len(next) {
		t.Errorf("%d steps around %d records", steps, len(next))
	}
}

func TestDSMatchesKey(t *testing.T) {
	key, err := NewKey(dnsname.MustParse("example.com"), Ed25519, [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := key.DS()
	if err != nil {
		t.Fatal(err)
	}
	if rr, err := ds.toRR(); err != nil || rr.(*dns.DS).KeyTag != key.Tag() || rr.(*dns.DS).Digest != strings.ToLower(key.public.ToDS(dns.SHA256).Digest) {
		t.Errorf("%v, %v", rr, err)
	}
	again, _ := NewKey(dnsname.MustParse("example.com"), Ed25519, [32]byte{7})
	if again.Tag() != key.Tag() {
		t.Error("the same seed made another key")
	}
	if _, err := NewKey(dnsname.Root, 8, [32]byte{}); err == nil {
		t.Error("algorithm 8 made a key")
	}
}
