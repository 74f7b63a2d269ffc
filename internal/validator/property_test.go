package validator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// truth is what is so of a random world.
type truth struct {
	text  string
	zones map[dnsname.Name]*zoneTruth
	order []dnsname.Name
}

type zoneTruth struct {
	state  rrset.Security // of what it signs, were its parent secure
	optOut bool
	forged map[dnsname.Name]bool // names whose addresses are signed wrongly
	names  []dnsname.Name
}

// randomTruth makes a few zones below and beside one another: signed with NSEC, NSEC3
// or opt-out, unsigned, islands, and broken in one way or another.
func randomTruth(r *rand.Rand) *truth {
	w := &truth{zones: map[dnsname.Name]*zoneTruth{}}
	w.add(r, dnsname.Root, ". keys=csk1", &zoneTruth{state: rrset.Secure})
	for range 2 + r.IntN(4) {
		parent := w.order[r.IntN(len(w.order))]
		zone, err := parent.Prepend([]string{"a", "b", "c"}[r.IntN(3)])
		if err != nil || w.zones[zone] != nil || r.IntN(3) == 0 {
			if zone, err = zone.Prepend("deep"); err != nil || w.zones[zone] != nil {
				continue
			}
		}
		if w.hidden(zone) {
			continue
		}
		z := &zoneTruth{state: rrset.Secure}
		plan := []string{"", "nsec3=0", "nsec3=2:ab", "nsec3=0 opt-out", "keys=ksk1,zsk1 algorithm=13", "unsigned", "ds=none", "alien-digest",
			"ds=wrong", "wrong=expired", "wrong=forged:" + zone.String() + ":DNSKEY", "wrong=not-yet", "wrong=stripped"}[r.IntN(13)]
		switch {
		case plan == "unsigned", plan == "ds=none", plan == "alien-digest":
			z.state = rrset.Insecure
		case plan == "ds=wrong", strings.HasPrefix(plan, "wrong="):
			z.state = rrset.Bogus
		}
		z.optOut = strings.Contains(plan, "opt-out")
		w.add(r, zone, zone.String()+" "+plan, z)
	}
	return w
}

// hidden tells whether a zone would be where another one's names are.
func (w *truth) hidden(zone dnsname.Name) bool {
	for _, z := range w.order {
		if z != zone && z.Below(zone) {
			return true
		}
	}
	return false
}

func (w *truth) add(r *rand.Rand, zone dnsname.Name, head string, z *zoneTruth) {
	z.forged = map[dnsname.Name]bool{}
	body := ""
	for _, label := range []string{"www", "x.y", "*.w", "mail", "z"} {
		if r.IntN(3) == 0 {
			continue
		}
		name := zone
		for i := len(strings.Split(label, ".")) - 1; i >= 0; i-- {
			name, _ = name.Prepend(strings.Split(label, ".")[i])
		}
		body += name.String() + " A 192.0.2.1\n"
		z.names = append(z.names, name)
		if z.state == rrset.Secure && r.IntN(5) == 0 {
			z.forged[name] = true
			head += " wrong=" + []string{"forged", "stripped", "expired", "wrong-key"}[r.IntN(4)] + ":" + name.String() + ":A"
		}
	}
	w.zones[zone], w.order = z, append(w.order, zone)
	w.text += head + "\n" + body
}

// of is what is so of an answer: its security, and whether it may be insecure instead
// where a zone opted out.
func (w *truth) of(name dnsname.Name, kind cache.Kind, wild dnsname.Name) (s rrset.Security, loose bool) {
	for labels := 0; labels <= name.Labels(); labels++ {
		z := w.zones[name.Suffix(labels)]
		if z == nil {
			continue
		}
		if z.state != rrset.Secure {
			return z.state, false
		}
		if s = rrset.Secure; w.zoneOf(name) == name.Suffix(labels) {
			loose = z.optOut && (kind != cache.Data || wild != "")
			if kind == cache.Data && (z.forged[name] || z.forged[wild]) {
				return rrset.Bogus, false
			}
		}
	}
	return s, loose
}

func (w *truth) zoneOf(name dnsname.Name) dnsname.Name {
	for w.zones[name] == nil {
		name = name.Parent()
	}
	return name
}

// wildcard is the one that a name is answered by, "" for none.
func (w *truth) wildcard(name dnsname.Name, e *cache.Entry) dnsname.Name {
	z := w.zones[w.zoneOf(name)]
	for _, n := range z.names {
		if n == name {
			return ""
		}
	}
	for _, n := range z.names {
		if n.FirstLabel() == "*" && name.Below(n.Parent()) && e.Kind == cache.Data {
			return n
		}
	}
	return ""
}

// TestRandomWorlds holds verdicts against the truth: what is secure is found to be, and
// nothing else is.
func TestRandomWorlds(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 7))
		so := randomTruth(r)
		w := newWorld(t, so.text)
		for range 12 {
			zone := so.order[r.IntN(len(so.order))]
			name := zone
			if names := so.zones[zone].names; len(names) > 0 && r.IntN(2) == 0 {
				name = names[r.IntN(len(names))]
			}
			if r.IntN(3) == 0 {
				name, _ = name.Prepend([]string{"nope", "w", "y", "a"}[r.IntN(4)])
			}
			typ := []wire.Type{wire.TypeA, wire.TypeA, wire.TypeTXT}[r.IntN(3)]
			v, entries := w.judge(name.String(), typ)
			e := &entries[0]
			want, loose := so.of(name, e.Kind, so.wildcard(name, e))
			got := rrset.Bogus
			if v.Failure == nil {
				got = e.Security
			}
			seen[fmt.Sprint(got, " ", e.Kind)]++
			if got != want && !(loose && want == rrset.Secure && got == rrset.Insecure) {
				t.Fatalf("seed %d: %s %v: %v, %v (%v)\n%s", seed, name, typ, got, want, v.Failure, so.text)
			}
			if v.Failure != nil && (v.Failure.Zone == "" || v.Sentence() == "") {
				t.Errorf("seed %d: %s: nobody's fault: %v", seed, name, v.Failure)
			}
		}
	}
	t.Log(seen)
	for _, s := range []rrset.Security{rrset.Secure, rrset.Insecure, rrset.Bogus} {
		for _, k := range []cache.Kind{cache.Data, cache.NoData, cache.NXDomain} {
			if what := fmt.Sprint(s, " ", k); seen[what] < 20 {
				t.Errorf("only %d of %s", seen[what], what)
			}
		}
	}
}
