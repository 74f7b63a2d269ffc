package authority

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// algorithms are all that zones can be signed with.
var algorithms = []dnssec.Algorithm{
	dnssec.RSASHA1, dnssec.RSASHA1NSEC3, dnssec.RSASHA256, dnssec.RSASHA512, dnssec.ECDSAP256, dnssec.ECDSAP384, dnssec.Ed25519,
}

func newKey(t testing.TB, zone dnsname.Name, spec KeySpec) *Key {
	t.Helper()
	k, err := NewKey(zone, spec)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signing is valid from an hour ago to tomorrow.
func signing(keys ...*Key) Signing {
	now := time.Now()
	return Signing{From: now.Add(-time.Hour), Until: now.Add(24 * time.Hour), Keys: keys}
}

func signedServer(t *testing.T, a dnssec.Algorithm) (*Server, *dns.DNSKEY) {
	t.Helper()
	z := testZone(t, "example.com")
	key := newKey(t, z.Origin(), KeySpec{Algorithm: a, Seed: [32]byte{1, 2, 3}})
	signed, err := z.Sign(signing(key))
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
	for _, a := range algorithms {
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
	s, _ := signedServer(t, dnssec.Ed25519)
	for _, question := range []string{"www.example.com. A edns", "nope.example.com. A", "x.sub.example.com. A"} {
		if got := sketch(ask(t, s, question)); strings.Contains(got, "RRSIG") || strings.Contains(got, "NSEC") {
			t.Errorf("%s: %s", question, got)
		}
	}
}

func TestDenialProofs(t *testing.T) {
	s, key := signedServer(t, dnssec.Ed25519)
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
	key := newKey(t, z.Origin(), KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{9}})
	signed, err := z.Sign(Signing{From: time.Unix(0, 0), Until: time.Unix(1e9, 0), Keys: []*Key{key}})
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
	zone := dnsname.MustParse("example.com")
	for _, a := range algorithms {
		spec := KeySpec{Algorithm: a, Seed: [32]byte{7}}
		key := newKey(t, zone, spec)
		for _, d := range []dnssec.DigestType{dnssec.SHA1, dnssec.SHA256, dnssec.SHA384} {
			r, err := key.DS(d)
			if err != nil {
				t.Fatal(err)
			}
			dnskey, err := key.DNSKEY()
			if err != nil {
				t.Fatal(err)
			}
			ds, err := dnssec.ReadDS(r.Data)
			if err != nil || ds.Algorithm != a || ds.Type != d {
				t.Errorf("%s: %+v, %v", a, ds, err)
			}
			if k, err := dnssec.ReadKey(dnskey.Data); err != nil || !k.Usable() || !k.IsEntryPoint() || !ds.Matches(zone, k) {
				t.Errorf("%s: digest %d does not match, %v", a, d, err)
			}
		}
		if again := newKey(t, zone, spec); again.public.PublicKey != key.public.PublicKey {
			t.Errorf("%s: the same seed made another key", a)
		}
		if other := newKey(t, zone, KeySpec{Algorithm: a, Seed: [32]byte{8}}); other.public.PublicKey == key.public.PublicKey {
			t.Errorf("%s: another seed made the same key", a)
		}
	}
	if _, err := NewKey(dnsname.Root, KeySpec{Algorithm: 12}); err == nil {
		t.Error("algorithm 12 made a key")
	}
	if _, err := newKey(t, zone, KeySpec{Algorithm: dnssec.Ed25519}).DS(3); err == nil {
		t.Error("digest 3 made a DS record")
	}
}

// Keys have roles: who signs the DNSKEY set, who the rest, who is published, and
// whom DS records point to.
func TestRoles(t *testing.T) {
	z := testZone(t, "example.com")
	byRole := map[Role]*Key{}
	var keys []*Key
	for _, role := range []Role{Combined, KeySigning, ZoneSigning, Standby, Hidden} {
		byRole[role] = newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Role: role, Seed: [32]byte{byte(role)}})
		keys = append(keys, byRole[role])
	}
	signed, err := z.Sign(signing(keys...))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		role               Role
		signsKeys, signs   bool
		published, pointed bool
	}{
		{Combined, true, true, true, true}, {KeySigning, true, false, true, true}, {ZoneSigning, false, true, true, false},
		{Standby, false, false, true, false}, {Hidden, true, true, false, false},
	} {
		k := byRole[c.role]
		record, err := k.DNSKEY()
		if err != nil {
			t.Fatal(err)
		}
		set, _ := signed.nodes[z.origin].set(wire.TypeDNSKEY)
		if got := signedBy(set, k); got != c.signsKeys {
			t.Errorf("role %d signs keys: %v", c.role, got)
		}
		if got := set.Data.Contains(record.Data); got != c.published {
			t.Errorf("role %d is published: %v", c.role, got)
		}
		mx, _ := signed.nodes[z.origin].set(wire.TypeMX)
		if got := signedBy(mx, k); got != c.signs {
			t.Errorf("role %d signs: %v", c.role, got)
		}
		if got := k.EntryPoint(); got != c.pointed {
			t.Errorf("role %d is pointed to: %v", c.role, got)
		}
	}
	if _, err := z.Sign(signing()); err == nil {
		t.Error("no key signed a zone")
	}
}

func signedBy(s rrset.Set, k *Key) bool {
	for rdata := range s.Sigs.All() {
		if sig, err := dnssec.ReadSignature(rdata); err == nil && sig.Tag == k.Tag() {
			return true
		}
	}
	return false
}

// A revoked key says so, has another tag for it, and still signs the keys (RFC
// 5011 §2.1).
func TestRevokedKey(t *testing.T) {
	z := testZone(t, "example.com")
	spec := KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{1}}
	before := newKey(t, z.origin, spec)
	spec.Revoked = true
	revoked := newKey(t, z.origin, spec)
	record, err := revoked.DNSKEY()
	if err != nil {
		t.Fatal(err)
	}
	k, err := dnssec.ReadKey(record.Data)
	if err != nil || !k.IsRevoked() || k.Tag != revoked.Tag() || k.Tag == before.Tag() {
		t.Errorf("%+v, %v", k, err)
	}
	signed, err := z.Sign(signing(revoked))
	if err != nil {
		t.Fatal(err)
	}
	if set, _ := signed.nodes[z.origin].set(wire.TypeDNSKEY); !signedBy(set, revoked) {
		t.Error("the revoked key did not sign")
	}
}

// Twins have their sibling's tag and are other keys.
func TestTwins(t *testing.T) {
	zone := dnsname.MustParse("example.com.")
	for _, a := range []dnssec.Algorithm{dnssec.Ed25519, dnssec.RSASHA256} {
		k := newKey(t, zone, KeySpec{Algorithm: a, Seed: [32]byte{3}})
		twins, err := k.Twins(10)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{k.public.PublicKey: true}
		for _, twin := range twins {
			record, err := twin.DNSKEY()
			if err != nil {
				t.Fatal(err)
			}
			read, err := dnssec.ReadKey(record.Data)
			if err != nil || !read.Usable() || read.Tag != k.Tag() || seen[twin.public.PublicKey] || twin.EntryPoint() {
				t.Errorf("%s: %+v, %v", a, read, err)
			}
			seen[twin.public.PublicKey] = true
		}
		if _, err := k.Twins(1000); err == nil {
			t.Errorf("%s: a thousand twins", a)
		}
	}
}
