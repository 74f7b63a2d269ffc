package dnssec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// finder finds among the records that are shown, as an index does.
func finder(zone dnsname.Name, shown []rrset.Set) (func(dnsname.Name) *rrset.Set, func([]byte) *rrset.Set) {
	byName := func(name dnsname.Name) *rrset.Set {
		for i := range shown {
			if n, ok := readNSEC(zone, &shown[i]); shown[i].Type == wire.TypeNSEC && ok && (n.owner == name || n.covers(name)) {
				return &shown[i]
			}
		}
		return nil
	}
	byHash := func(h []byte) *rrset.Set {
		for i := range shown {
			if shown[i].Type != wire.TypeNSEC3 {
				continue
			}
			c := (*chain3)(nil).add(zone, &shown[i], lenient, nil)
			if r := &c.records[0]; bytes.Equal(r.owner, h) || r.covers(h) {
				return &shown[i]
			}
		}
		return nil
	}
	return byName, byHash
}

// TestSynthesis holds what is synthesised from any part of a zone's records against
// the truth: it is never wrong, and with all of them it is whatever the zone says,
// but for what may have been opted out.
func TestSynthesis(t *testing.T) {
	types := []wire.Type{wire.TypeA, wire.TypeDS, wire.TypeNS, wire.TypeCNAME, wire.TypeTXT, wire.TypeSOA, wire.TypeMX}
	said := map[string]int{}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := randomModel(r)
		chain, optOut, what := m.nsecs(), false, "NSEC"
		if r.IntN(2) == 0 {
			optOut, what = r.IntN(3) == 0, "NSEC3"
			chain = m.nsec3s(uint16(r.IntN(3)), []byte{1, 2}[:r.IntN(3)], optOut)
		}
		shown := someOf(r, chain)
		all := len(shown) == len(chain) && !optOut
		byName, byHash := finder(m.zone, shown)
		for range 20 {
			name, typ := m.random(r), types[r.IntN(len(types))]
			at := fmt.Sprintf("zone %d, %s (opt-out %v), %v: %s %v", seed, what, optOut, m.types, name, typ)
			d := NewDenial(m.zone, nil, lenient, nil)
			d.Like(&chain[0], NewBudget(ample))
			used := d.Gather(name, byName, byHash)
			says, encloser := d.Synthesise(name, typ)
			m.checkSynthesis(t, at, name, typ, says, encloser)
			if want := m.nxDomain(name); all && want && says != NoSuchName {
				t.Errorf("%s: there is no such name, and %d is said", at, says)
			}
			if want := m.noData(name, typ); all && want && says != NoSuchType {
				t.Errorf("%s: there is no such type, and %d is said", at, says)
			}
			checkShown(t, at, m, used, name, typ, says)
			said[fmt.Sprintf("%s %v %d", what, optOut, says)]++
			if t.Failed() {
				return
			}
		}
	}
	t.Log(said)
	for _, what := range []string{"NSEC false", "NSEC3 false"} {
		for _, says := range []Synthesis{NothingSaid, NoSuchName, NoSuchType, MayExpand} {
			if n := said[fmt.Sprintf("%s %d", what, says)]; n < 100 {
				t.Errorf("only %d of %s %d", n, what, says)
			}
		}
	}
}

// checkSynthesis: what is said is so.
func (m *model) checkSynthesis(t *testing.T, at string, name dnsname.Name, typ wire.Type, says Synthesis, encloser dnsname.Name) {
	t.Helper()
	up, _ := m.above(name)
	switch says {
	case NoSuchName:
		if !m.nxDomain(name) {
			t.Errorf("%s: no such name is said, and there is one", at)
		}
	case NoSuchType:
		if !m.noData(name, typ) {
			t.Errorf("%s: no such type is said, and that is wrong", at)
		}
	case MayExpand:
		if up != "" || m.exists(name) || m.encloser(name) != encloser {
			t.Errorf("%s: a wildcard below %s is said to stand for it", at, encloser)
		}
	}
}

// checkShown: the records that are given prove to others what is said.
func checkShown(t *testing.T, at string, m *model, used []*rrset.Set, name dnsname.Name, typ wire.Type, says Synthesis) {
	t.Helper()
	var sets []rrset.Set
	for _, s := range used {
		sets = append(sets, *s)
	}
	d := NewDenial(m.zone, sets, lenient, NewBudget(ample))
	p := Proven
	switch says {
	case NoSuchName:
		p, _ = d.NXDomain(name)
	case NoSuchType:
		p, _ = d.NoData(name, typ)
	case MayExpand:
		p, _ = d.Expanded(name, m.encloser(name).Labels())
	}
	if p != Proven {
		t.Errorf("%s: %d is said, and its own records do not prove it: %v", at, says, p)
	}
}

// Nothing is hashed with more iterations than the policy allows, nor more names than
// the budget has; and nothing is said then.
func TestSynthesisHashes(t *testing.T) {
	www := dnsname.MustParse("www.z.example.")
	m := &model{www.Parent(), map[dnsname.Name][]wire.Type{www.Parent(): {wire.TypeSOA, wire.TypeNS}, www: {wire.TypeA}}}
	deep := m.zone
	for i := range 20 {
		deep, _ = deep.Prepend(fmt.Sprint("n", i))
	}
	for _, tc := range []struct {
		name       dnsname.Name
		iterations uint16
		allowed    int
		says       Synthesis
	}{
		{dnsname.MustParse("nowhere.z.example."), 51, 1000, NothingSaid},
		{dnsname.MustParse("nowhere.z.example."), 50, 1000, NoSuchName},
		{deep, 0, 1000, NoSuchName}, {deep, 0, 8, NothingSaid},
	} {
		limits := ample
		limits.Hashes = tc.allowed
		chain := m.nsec3s(tc.iterations, nil, false)
		byName, byHash := finder(m.zone, chain)
		b := NewBudget(limits)
		d := NewDenial(m.zone, nil, lenient, nil)
		d.Like(&chain[0], b)
		d.Gather(tc.name, byName, byHash)
		says, _ := d.Synthesise(tc.name, wire.TypeA)
		_, hashes := b.Spent()
		if says != tc.says || hashes > tc.allowed || (hashes == 0) != (tc.iterations > lenient.Iterations) {
			t.Errorf("%s, %d iterations: %d after %d hashes", tc.name, tc.iterations, says, hashes)
		}
	}
}
