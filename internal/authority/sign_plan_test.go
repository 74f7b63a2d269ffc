package authority

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/wire"
)

func plan(t testing.TB, zone dnsname.Name, words string) *Plan {
	t.Helper()
	p, err := ParsePlan(zone, strings.Fields(words))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is planned in words validates, from DS record to answer, with every
// algorithm, kind of denial and division of keys.
func TestPlansValidate(t *testing.T) {
	z := testZone(t, "example.com")
	for _, words := range []string{
		"", "algorithm=5", "algorithm=7 nsec3=0", "algorithm=8 keys=ksk1,zsk1 ds=1,2,4", "algorithm=10 nsec3=5:c0ffee opt-out",
		"algorithm=13 keys=ksk1,zsk1,zsk2,standby3", "algorithm=14 valid=3h key-ttl=2d", "algorithm=8,13 keys=csk1,csk2", "keys=csk1,ksk2-revoked",
		"twins=3", "keys=csk1,hidden2",
	} {
		synctest.Test(t, func(t *testing.T) {
			p := plan(t, z.origin, words)
			signed, err := p.Sign(z, time.Now())
			if err != nil {
				t.Fatalf("%s: %v", words, err)
			}
			ds, err := p.DS()
			if err != nil || len(ds) == 0 {
				t.Fatalf("%s: %v, %v", words, ds, err)
			}
			set, _ := signed.nodes[z.origin].set(wire.TypeDNSKEY)
			j := newJudge(t, z.origin)
			budget := dnssec.NewBudget(j.limits)
			all := dnssec.ReadKeys(&set, budget)
			for _, r := range ds {
				pointer, err := dnssec.ReadDS(r.Data)
				if err != nil {
					t.Fatal(err)
				}
				found := false
				for _, k := range all {
					if pointer.Matches(z.origin, k) {
						found = true
						v := &dnssec.Verifier{Zone: z.origin, Keys: []*dnssec.Key{k}, Now: time.Now(), Policy: &j.policy, Budget: budget}
						if _, err := v.Verify(&set); err != nil {
							t.Errorf("%s: the keys are not signed by %d: %v", words, k.Tag, err)
						}
					}
				}
				if !found {
					t.Errorf("%s: %s matches no key", words, r)
				}
			}
			j.keys = all
			server := NewServer(Options{Minimal: true})
			server.SetZone(signed)
			for question, kind := range map[string]string{"www.example.com. A": "data", "nope.example.com. A": "name", "www.example.com. MX": "type", "x.sub.example.com. A": "cut"} {
				name, _, _ := strings.Cut(question, " ")
				typ := wire.TypeA
				if kind == "type" {
					typ = wire.TypeMX
				}
				m := ask(t, server, question+" do tcp")
				if v, err := j.judge(t, m, dnsname.MustParse(name), typ); err != nil || v.kind != kind {
					t.Errorf("%s: %s: %+v, %v", words, question, v, err)
				}
			}
		})
	}
}

// A plan is the same each time, down to the signatures.
func TestPlansRepeat(t *testing.T) {
	z := testZone(t, "example.com")
	for _, words := range []string{"algorithm=8", "algorithm=13 nsec3=1", "algorithm=14", "algorithm=15"} {
		p := plan(t, z.origin, words)
		a, err := p.Sign(z, time.Unix(1e9, 0))
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Sign(z, time.Unix(1e9, 0))
		if err != nil {
			t.Fatal(err)
		}
		one, two := map[string]bool{}, 0
		for _, r := range a.Records() {
			one[r.String()] = true
		}
		for _, r := range b.Records() {
			if one[r.String()] {
				two++
			}
		}
		if len(a.Records()) != len(b.Records()) || two != len(b.Records()) {
			t.Errorf("%s: of %d records %d are the same", words, len(b.Records()), two)
		}
	}
}

func TestPlanOfDS(t *testing.T) {
	zone := dnsname.MustParse("example.com.")
	for words, want := range map[string]int{
		"": 1, "ds=1,2,4": 3, "ds=none": 0, "ds=wrong": 1, "keys=ksk1,zsk1": 1, "keys=csk1,csk2 ds=2,4": 4,
		"keys=standby1,csk2": 1, "keys=ksk1-revoked,ksk2,zsk1": 1, "algorithm=13,15": 2,
	} {
		p := plan(t, zone, words)
		ds, err := p.DS()
		if err != nil || len(ds) != want {
			t.Errorf("%s: %v, %v", words, ds, err)
		}
		keys, err := p.DNSKEYs()
		if err != nil || len(p.Digests) > 0 && len(keys)*len(p.Digests) != want {
			t.Errorf("%s: %v, %v", words, keys, err)
		}
		if len(ds) == 0 || len(keys) == 0 {
			continue
		}
		pointer, err := dnssec.ReadDS(ds[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		k, err := dnssec.ReadKey(keys[0].Data)
		if err != nil || pointer.Matches(zone, k) == p.WrongDS {
			t.Errorf("%s: matches %v, %v", words, !p.WrongDS, err)
		}
	}
}

func TestPlanMistakes(t *testing.T) {
	for words, want := range map[string]string{
		"algorithm=12": "algorithm 12 is not supported", "algorithm=x": "algorithm=x: ", "keys=none1": `key "none1": want csk`, "keys=csk": `key "csk"`,
		"twins=-1": "want up to 64", "nsec3-says=x": "nsec3-says=x: ", "nsec3-says=1:256": "nsec3-says=1:256: ", "nsec3=70000": "nsec3=70000: ", "nsec3=1:xy": "nsec3=1:xy: ", "valid=1y": "want a duration", "valid=9999999d": "want a duration",
		"ds=x": "ds=x: ", "wrong=dance": "unknown way", "wrong=expired:a..b.": "empty label", "wrong=expired:*:QQ": `unknown record type "QQ"`,
		"alg=1": "unknown; known are algorithm, keys", "algorithm=8,13,15 keys=csk1,csk2,csk3,csk4,csk5,csk6,csk7,csk8,csk9,csk10,csk11": "more than 32 keys",
	} {
		p, err := ParsePlan(dnsname.MustParse("example.com."), strings.Fields(words))
		if err == nil {
			_, err = p.Sign(testZone(t, "example.com"), time.Unix(1e9, 0))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", words, err, want)
		}
	}
	for _, w := range PlanWords() {
		if w.Word == "" || w.Help == "" {
			t.Errorf("%+v", w)
		}
	}
}

// FuzzPlan: no words make the parser panic, and what it takes is bounded.
func FuzzPlan(f *testing.F) {
	for _, words := range []string{"", "algorithm=8,13 keys=ksk1,zsk2-revoked", "nsec3=5:aabb opt-out", "wrong=expired:www.example.:A ds=wrong valid=3d", "twins=5"} {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		p, err := ParsePlan(dnsname.MustParse("example."), strings.Fields(words))
		if err != nil {
			return
		}
		if len(p.Keys) == 0 || len(p.Keys) > maxKeys || p.Twins > maxTwins || p.Valid < 0 || p.Valid > maxValid {
			t.Errorf("accepted %+v", p)
		}
	})
}
