package authority

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// setsOf gives the sets of a section with their signatures.
func setsOf(t testing.TB, section []dns.RR) []rrset.Set {
	t.Helper()
	var sets []rrset.Set
	at := func(name dnsname.Name, typ wire.Type) *rrset.Set {
		for i := range sets {
			if sets[i].Name == name && sets[i].Type == typ {
				return &sets[i]
			}
		}
		sets = append(sets, rrset.Set{Name: name, Type: typ})
		return &sets[len(sets)-1]
	}
	for _, rr := range section {
		r, err := fromRR(rr)
		if err != nil {
			t.Fatal(err)
		}
		if r.Type != wire.TypeRRSIG {
			at(r.Name, r.Type).Add(r.TTL, r.Data)
			continue
		}
		sig, err := dnssec.ReadSignature(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		s := at(r.Name, sig.Covered)
		s.Sigs = s.Sigs.Append(r.Data)
	}
	return sets
}

// judge is a validator of the answers of one zone.
type judge struct {
	zone   dnsname.Name
	keys   []*dnssec.Key
	policy dnssec.Policy
	limits dnssec.Limits
	now    time.Time
}

func newJudge(t testing.TB, zone dnsname.Name, keys ...*Key) *judge {
	t.Helper()
	j := &judge{
		zone: zone, policy: dnssec.Policy{SHA1: true, Iterations: 50, Refused: 500}, now: time.Now(),
		limits: dnssec.Limits{Signatures: 1000, PerSet: 8, PerTag: 4, Keys: 32, Hashes: 1000},
	}
	for _, k := range keys {
		r, err := k.DNSKEY()
		if err != nil {
			t.Fatal(err)
		}
		key, err := dnssec.ReadKey(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		j.keys = append(j.keys, key)
	}
	return j
}

// verdict is what a judge finds of a reply.
type verdict struct {
	kind  string // what was proven: data, name, type, cut, chain
	proof dnssec.Proof
}

// judge holds the reply to a question against its signatures and proofs: the whole
// chain within the zone. An error is why it is bogus.
func (j *judge) judge(t testing.TB, m *dns.Msg, name dnsname.Name, typ wire.Type) (verdict, *ede.Error) {
	t.Helper()
	budget := dnssec.NewBudget(j.limits)
	verifier := &dnssec.Verifier{Zone: j.zone, Keys: j.keys, Now: j.now, Policy: &j.policy, Budget: budget}
	answers, rest := setsOf(t, m.Answer), setsOf(t, m.Ns)
	var denials []rrset.Set
	var cut dnsname.Name
	soa, ds := false, false
	for i := range rest {
		s := &rest[i]
		if s.Type == wire.TypeNS {
			cut = s.Name
			continue // the child's
		}
		if _, err := verifier.Verify(s); err != nil {
			return verdict{}, err
		}
		soa, ds = soa || s.Type == wire.TypeSOA, ds || s.Type == wire.TypeDS
		denials = append(denials, *s)
	}
	denial := dnssec.NewDenial(j.zone, denials, &j.policy, budget)
	worst := dnssec.Proven
	for i := range answers {
		s := &answers[i]
		made := s.Type == wire.TypeCNAME && slices.ContainsFunc(answers, func(d rrset.Set) bool {
			return d.Type == wire.TypeDNAME && s.Name.Below(d.Name)
		})
		if target, ok := s.Target(); ok && s.Type == wire.TypeCNAME && (made || typ != wire.TypeCNAME) {
			name = target
		}
		if made {
			continue // the DNAME has a signature
		}
		v, err := verifier.Verify(s)
		if err != nil {
			return verdict{}, err
		}
		if v.Encloser >= 0 {
			p, err := denial.Expanded(s.Name, v.Encloser)
			if err != nil {
				return verdict{}, err
			}
			worst = max(worst, p)
		}
	}
	var p dnssec.Proof
	var err *ede.Error
	v := verdict{kind: "data"}
	switch {
	case m.Rcode == dns.RcodeNameError:
		v.kind = "name"
		p, err = denial.NXDomain(name)
	case soa:
		v.kind = "type"
		p, err = denial.NoData(name, typ)
	case cut != "" && !ds:
		v.kind = "cut"
		var c dnssec.Cut
		if c, p, err = denial.NoDS(cut); err == nil && c != dnssec.Delegated {
			t.Errorf("%s %s: the referral proves %s of %s", name, typ, c, cut)
		}
	case len(answers) == 0 && !ds, !name.Under(j.zone):
		v.kind = "chain"
	}
	v.proof = max(worst, p)
	return v, err
}

// randomZone makes a zone of few labels, so that names are near to one another:
// aliases, wildcards, cuts with and without DS records, empty non-terminals.
func randomZone(t testing.TB, r *rand.Rand) (*Zone, []dnsname.Name) {
	t.Helper()
	origin := dnsname.MustParse("z.example.")
	random := func() dnsname.Name {
		name := origin
		for range r.IntN(4) {
			name, _ = name.Prepend([]string{"a", "b", "*", "ab", "c"}[r.IntN(5)])
		}
		return name
	}
	kinds := map[dnsname.Name]int{}
	for range 1 + r.IntN(12) {
		kinds[random()] = r.IntN(8)
	}
	delete(kinds, origin)
	order := slices.SortedFunc(maps.Keys(kinds), dnsname.Compare)
	var text strings.Builder
	text.WriteString("z.example. 300 SOA ns. admin. 1 1 1 1 60\nz.example. 300 NS ns.other.\n")
	for _, name := range order {
		if slices.ContainsFunc(order, func(up dnsname.Name) bool { return name.Below(up) && up.FirstLabel() != "*" && kinds[up] < 3 }) {
			continue // below a cut or DNAME
		}
		kind := kinds[name]
		if strings.Contains(name.String(), "*") {
			kind = max(kind, 3)
		}
		data := []string{
			"%[1]s 300 NS ns.other.\n", "%[1]s 300 NS ns.other.\n%[1]s 300 DS 1 13 2 " + strings.Repeat("00", 32) + "\n",
			"%[1]s 300 DNAME %[2]s\n", "%[1]s 300 CNAME %[2]s\n",
		}[min(kind, 3)]
		if kind > 3 {
			data = "%[1]s 300 A 192.0.2.1\n%[1]s 300 TXT %[2]s\n"
		}
		target := random()
		if target == origin { // of which the zone above says whether it has DS records
			target, _ = origin.Prepend("a")
		}
		fmt.Fprintf(&text, data, name, target)
	}
	records, err := ParseRecords(dnsname.Root, text.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, &text)
	}
	z, err := NewZone(origin, records)
	if err != nil {
		t.Fatal(err)
	}
	var names []dnsname.Name
	for range 30 {
		names = append(names, random())
	}
	return z, names
}

// TestDenialsAreProven: whatever random zones answer, signatures and proofs hold,
// with NSEC, NSEC3 and opt-out.
func TestDenialsAreProven(t *testing.T) {
	types := []string{"A", "TXT", "DS", "NS", "MX", "CNAME", "NSEC3PARAM"}
	chains := map[string]*NSEC3{"NSEC": nil, "NSEC3": {Iterations: 1, Salt: []byte{0xab}}, "opt-out": {OptOut: true}}
	seen := map[string]int{}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		z, names := randomZone(t, r)
		key := newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{byte(seed)}})
		for _, chain := range slices.Sorted(maps.Keys(chains)) {
			s := signing(key)
			s.NSEC3 = chains[chain]
			signed, err := z.Sign(s)
			if err != nil {
				t.Fatal(err)
			}
			server := NewServer(Options{Minimal: true})
			server.SetZone(signed)
			j := newJudge(t, z.origin, key)
			for _, name := range names {
				typ := types[r.IntN(len(types))]
				if name == z.origin && typ == "DS" {
					continue // the zone above says that
				}
				m := ask(t, server, fmt.Sprintf("%s %s do tcp", name, typ))
				v, failed := j.judge(t, m, name, wire.Type(dns.StringToType[typ]))
				optOut := v.proof == dnssec.OptOut && chain == "opt-out"
				if failed != nil || v.proof != dnssec.Proven && !optOut {
					t.Fatalf("seed %d, %s: %s %s: %v of %s: %v\n%s\n%v", seed, chain, name, typ, v.proof, v.kind, failed, sketch(m), z.Records())
				}
				seen[fmt.Sprintf("%s %s %s", chain, v.kind, v.proof)]++
			}
		}
	}
	t.Log(seen)
	for _, chain := range []string{"NSEC", "NSEC3", "opt-out"} {
		for _, kind := range []string{"data proven", "name proven", "type proven", "cut proven"} {
			switch {
			case chain == "opt-out" && kind == "name proven", chain == "opt-out" && kind == "cut proven":
				kind = strings.Replace(kind, "proven", "opt-out", 1)
			}
			if n := seen[chain+" "+kind]; n < 50 {
				t.Errorf("only %d of %s %s", n, chain, kind)
			}
		}
	}
}

// Hashes are those of RFC 5155 appendix A.
func TestHashes(t *testing.T) {
	origin := dnsname.MustParse("example.")
	for name, want := range map[string]string{
		"example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi", "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s", "xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
	} {
		if got := hashName(dnsname.MustParse(name), origin, 12, []byte{0xaa, 0xbb, 0xcc, 0xdd}); got.String() != want+".example." {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// The owners of NSEC3 records are no names of the zone, and NSEC3PARAM tells their
// parameters (RFC 5155 §4, §7.2.8).
func TestHashedOwnersAreNoNames(t *testing.T) {
	z := testZone(t, "example.com")
	key := newKey(t, z.origin, KeySpec{Algorithm: dnssec.ECDSAP256, Seed: [32]byte{1}})
	s := signing(key)
	s.NSEC3 = &NSEC3{Iterations: 3, Salt: []byte{1, 2}}
	signed, err := z.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(Options{Minimal: true})
	server.SetZone(signed)
	if !signed.Signed() {
		t.Error("not signed")
	}
	owner := signed.hashed.match(z.origin)
	for _, typ := range []string{"NSEC3", "A"} {
		m := ask(t, server, owner.String()+" "+typ+" do tcp")
		if v, err := newJudge(t, z.origin, key).judge(t, m, owner, wire.Type(dns.StringToType[typ])); err != nil || v.kind != "name" {
			t.Errorf("%s: %+v, %v\n%s", typ, v, err, sketch(m))
		}
	}
	if m := ask(t, server, "example.com. NSEC3PARAM"); len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "1 0 3 0102") {
		t.Errorf("%v", m.Answer)
	}
	for range 2 { // what was signed can be signed anew, and otherwise
		s.NSEC3 = nil
		if signed, err = signed.Sign(s); err != nil || len(signed.hashed.order) > 0 || len(signed.chain) == 0 {
			t.Errorf("signed anew: %v", err)
		}
	}
	// A zone that comes signed is served as it is.
	s.NSEC3 = &NSEC3{OptOut: true}
	first, err := z.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewZone(z.origin, first.Records())
	if err != nil || !slices.Equal(again.hashed.order, first.hashed.order) {
		t.Errorf("read again: %v", err)
	}
}

// Each way to break a zone is found, and its cause told.
func TestBreaks(t *testing.T) {
	z := testZone(t, "example.com")
	key := newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{5}})
	for _, c := range []struct {
		word, question string
		want           ede.Code
	}{
		{"expired", "www.example.com. A", ede.SignatureExpired},
		{"not-yet", "www.example.com. A", ede.SignatureNotYetValid},
		{"backwards", "www.example.com. A", ede.SignatureExpiredBefore},
		{"stripped", "www.example.com. A", ede.RRSIGsMissing},
		{"forged", "www.example.com. A", ede.Bogus},
		{"forged-16", "www.example.com. A", ede.Bogus},
		{"wrong-key", "www.example.com. A", ede.DNSKEYMissing},
		{"wrong-signer", "www.example.com. A", ede.Bogus},
		{"by-parent", "www.example.com. A", ede.Bogus},
		{"by-child", "www.example.com. A", ede.Bogus},
		{"by-sibling", "www.example.com. A", ede.Bogus},
		{"proof-without-1", "nope.example.com. A", ede.NSECMissing},
		{"proof-without-2", "nope.example.com. A", ede.NSECMissing},
		{"proof-without-1", "www.example.com. MX", ede.NSECMissing},
		{"proof-without-1", "x.wild.example.com. A", ede.NSECMissing},
		{"proof-without-1", "sub.example.com. DS", ede.NSECMissing},
		{"wrong-owner", "www.example.com. A", ede.Bogus},
		{"wrong-labels", "www.example.com. A", ede.NSECMissing},
		{"wrong-algorithm", "www.example.com. A", ede.RRSIGsMissing},
		{"no-denial", "nope.example.com. A", ede.NSECMissing},
		{"wrong-denial", "nope.example.com. A", ede.NSECMissing},
		{"no-denial", "www.example.com. MX", ede.NSECMissing},
		{"wrong-denial", "www.example.com. MX", ede.NSECMissing},
		{"no-denial", "x.wild.example.com. A", ede.NSECMissing},
		{"denied", "www.example.com. A", ede.NSECMissing},
		{"denied", "host.wild.example.com. A", ede.NSECMissing},
		{"no-denial", "sub.example.com. DS", ede.NSECMissing},
		{"withheld", "www.example.com. A", ede.NSECMissing},
		{"withheld", "signed.example.com. DS", ede.NSECMissing},
	} {
		for chain, params := range map[string]*NSEC3{"NSEC": nil, "NSEC3": {}} {
			at := c.word + " " + c.question + " " + chain
			words := strings.Fields(c.question)
			name, typ := dnsname.MustParse(words[0]), wire.Type(dns.StringToType[words[1]])
			b, err := ParseBreak(c.word, name, typ)
			if err != nil {
				t.Fatal(err)
			}
			s := signing(key)
			s.NSEC3, s.Breaks = params, []Break{b}
			signed, err := z.Sign(s)
			if err != nil {
				t.Fatal(err)
			}
			server := NewServer(Options{Minimal: true})
			server.SetZone(signed)
			j := newJudge(t, z.origin, key)
			m := ask(t, server, c.question+" do tcp")
			if v, err := j.judge(t, m, name, typ); err == nil || err.Code != c.want {
				t.Errorf("%s: %+v, %v\n%s", at, v, err, sketch(m))
			}
			// What the break is not about is as it was.
			if _, err := j.judge(t, ask(t, server, "mail.example.com. A do tcp"), dnsname.MustParse("mail.example.com."), wire.TypeA); err != nil {
				t.Errorf("%s: another name: %v", at, err)
			}
		}
	}
	if _, err := ParseBreak("dance", "", wire.TypeNone); err == nil || !strings.Contains(err.Error(), "known are expired, not-yet") {
		t.Errorf("%v", err)
	}
	for _, w := range BreakWords() {
		if _, err := ParseBreak(w.Word, "", wire.TypeNone); err != nil || w.Help == "" {
			t.Errorf("%q: %v", w.Word, err)
		}
	}
}

// A referral without the DS records that there are shows that they are withheld.
func TestWithheldDS(t *testing.T) {
	z := testZone(t, "example.com")
	key := newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{5}})
	for _, chain := range []*NSEC3{nil, {}, {OptOut: true}} {
		for _, breaks := range [][]Break{nil, {{Word: withheld, Name: dnsname.MustParse("signed.example.com."), Type: wire.TypeDS}}} {
			s := signing(key)
			s.NSEC3, s.Breaks = chain, breaks
			signed, err := z.Sign(s)
			if err != nil {
				t.Fatal(err)
			}
			server := NewServer(Options{Minimal: true})
			server.SetZone(signed)
			m := ask(t, server, "x.signed.example.com. A do tcp")
			_, failed := newJudge(t, z.origin, key).judge(t, m, dnsname.MustParse("x.signed.example.com."), wire.TypeA)
			if want := len(breaks) > 0; (failed != nil && failed.Code == ede.NSECMissing) != want || !want && failed != nil {
				t.Errorf("%+v, withheld %v: %v\n%s", chain, want, failed, sketch(m))
			}
		}
	}
}

// NSEC3 records of another hash or with other flags say so, and prove nothing (RFC
// 5155 §8.1, §8.2).
func TestUnknownNSEC3(t *testing.T) {
	z := testZone(t, "example.com")
	key := newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{5}})
	for said, proven := range map[struct{ hash, flags uint8 }]bool{{}: true, {1, 0}: true, {1, 1}: true, {2, 0}: false, {1, 2}: false, {1, 3}: false} {
		s := signing(key)
		s.NSEC3 = &NSEC3{Hash: said.hash, Flags: said.flags}
		signed, err := z.Sign(s)
		if err != nil {
			t.Fatal(err)
		}
		server := NewServer(Options{Minimal: true})
		server.SetZone(signed)
		m := ask(t, server, "nope.example.com. A do tcp")
		v, failed := newJudge(t, z.origin, key).judge(t, m, dnsname.MustParse("nope.example.com."), wire.TypeA)
		if (failed == nil) != proven || failed != nil && failed.Code != ede.NSECMissing {
			t.Errorf("%+v: %+v, %v", said, v, failed)
		}
	}
}

// A break without a name is about all of the zone's sets.
func TestBreakOfAWholeZone(t *testing.T) {
	z := testZone(t, "example.com")
	key := newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{5}})
	s := signing(key)
	s.Breaks = []Break{{Word: "expired"}}
	signed, err := z.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	now := uint32(time.Now().Unix())
	for _, r := range signed.Records() {
		if sig, err := dnssec.ReadSignature(r.Data); r.Type == wire.TypeRRSIG && (err != nil || sig.Expires >= now) {
			t.Errorf("%s: %+v, %v", r.Name, sig, err)
		}
	}
}

// NSEC3 records tell the types that are signed by having RRSIG among them (RFC 5155
// §7.1): an unsigned delegation and an empty non-terminal do not.
func TestHashedTypes(t *testing.T) {
	z := testZone(t, "example.com")
	for _, optOut := range []bool{false, true} {
		s := signing(newKey(t, z.origin, KeySpec{Algorithm: dnssec.Ed25519, Seed: [32]byte{1}}))
		s.NSEC3 = &NSEC3{OptOut: optOut}
		signed, err := z.Sign(s)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"example.com.": "NS SOA MX RRSIG DNSKEY NSEC3PARAM", "www.example.com.": "A RRSIG TYPE65280", "sub.example.com.": "NS",
			"signed.example.com.": "NS DS RRSIG", "empty.example.com.": "", "*.wild.example.com.": "A TXT RRSIG", "ns.sub.example.com.": "absent",
		} {
			if optOut && name == "sub.example.com." {
				want = "absent"
			}
			got := "absent"
			if owner := signed.hashed.match(dnsname.MustParse(name)); owner != "" {
				set, _ := signed.hashed.nodes[owner].set(wire.TypeNSEC3)
				rr, err := Record{Name: owner, Type: set.Type, Data: set.Data.First()}.toRR()
				if err != nil {
					t.Fatal(err)
				}
				var types []string
				for _, typ := range rr.(*dns.NSEC3).TypeBitMap {
					types = append(types, wire.Type(typ).String())
				}
				got = strings.Join(types, " ")
			}
			if got != want {
				t.Errorf("opt-out %v: %s has %q, want %q", optOut, name, got, want)
			}
		}
	}
}
