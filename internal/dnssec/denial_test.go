package dnssec

import (
	"crypto/sha1"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// model is a small zone whose truth is known: names with their types. Names with NS
// below the top are cuts; what is below them is not the zone's.
type model struct {
	zone  dnsname.Name
	types map[dnsname.Name][]wire.Type
}

// randomModel makes a zone of few labels, so that names are near to one another.
func randomModel(r *rand.Rand) *model {
	m := &model{dnsname.MustParse("z.example."), map[dnsname.Name][]wire.Type{}}
	m.types[m.zone] = []wire.Type{wire.TypeSOA, wire.TypeNS, wire.TypeDNSKEY}
	for range 1 + r.IntN(12) {
		name := m.random(r)
		switch r.IntN(8) {
		case 0:
			m.types[name] = []wire.Type{wire.TypeNS}
		case 1:
			m.types[name] = []wire.Type{wire.TypeNS, wire.TypeDS}
		case 2:
			m.types[name] = []wire.Type{wire.TypeCNAME}
		case 3:
			m.types[name] = []wire.Type{wire.TypeDNAME, wire.TypeA}
		default:
			m.types[name] = []wire.Type{wire.TypeA, wire.TypeTXT}
		}
	}
	m.types[m.zone] = []wire.Type{wire.TypeSOA, wire.TypeNS, wire.TypeDNSKEY}
	for name := range m.types { // nothing is below a cut or a DNAME
		if up, _ := m.above(name); up != "" {
			delete(m.types, name)
		}
	}
	return m
}

// random is a name in the zone, or the zone itself.
func (m *model) random(r *rand.Rand) dnsname.Name {
	name := m.zone
	for range r.IntN(4) {
		name, _ = name.Prepend([]string{"a", "b", "*", "ab", "\x00", "B"}[r.IntN(6)])
	}
	return name
}

// above finds the cut or DNAME above a name.
func (m *model) above(name dnsname.Name) (dnsname.Name, []wire.Type) {
	for up := name; up != m.zone; {
		up = up.Parent()
		if t := m.types[up]; up != m.zone && slices.Contains(t, wire.TypeNS) || slices.Contains(t, wire.TypeDNAME) {
			return up, t
		}
	}
	return "", nil
}

// exists tells whether there is a name, empty non-terminals too.
func (m *model) exists(name dnsname.Name) bool {
	for n := range m.types {
		if n.Under(name) {
			return true
		}
	}
	return false
}

func (m *model) encloser(name dnsname.Name) dnsname.Name {
	for !m.exists(name) {
		name = name.Parent()
	}
	return name
}

// star is the wildcard that stands for a name that does not exist, if there is one.
func (m *model) star(name dnsname.Name) (dnsname.Name, bool) {
	w, _ := m.encloser(name).Prepend("*")
	return w, m.exists(w)
}

// nxDomain is whether the zone says NXDOMAIN for a name.
func (m *model) nxDomain(name dnsname.Name) bool {
	up, _ := m.above(name)
	_, wild := m.star(name)
	return up == "" && !m.exists(name) && !wild
}

// noData is whether it says NODATA.
func (m *model) noData(name dnsname.Name, t wire.Type) bool {
	if up, _ := m.above(name); up != "" {
		return false
	}
	if !m.exists(name) {
		w, ok := m.star(name)
		if !ok {
			return false
		}
		name = w
	}
	types := m.types[name]
	cut := name != m.zone && slices.Contains(types, wire.TypeNS)
	switch {
	case slices.Contains(types, t), slices.Contains(types, wire.TypeCNAME):
		return false
	case t == wire.TypeDS:
		return name != m.zone
	}
	return !cut
}

// bits is a type bitmap of window 0.
func bits(types ...wire.Type) []byte {
	var b [32]byte
	n := 0
	for _, t := range append(types, wire.TypeRRSIG) {
		b[t/8] |= 0x80 >> (t % 8)
		n = max(n, int(t/8)+1)
	}
	return append([]byte{0, byte(n)}, b[:n]...)
}

// nsecs is the zone's NSEC chain.
func (m *model) nsecs() []rrset.Set {
	names := slices.SortedFunc(maps.Keys(m.types), dnsname.Compare)
	var list []rrset.Set
	for i, name := range names {
		s := rrset.Set{Name: name, Type: wire.TypeNSEC}
		s.Add(300, append([]byte(names[(i+1)%len(names)]), bits(append(m.types[name], wire.TypeNSEC)...)...))
		list = append(list, s)
	}
	return list
}

// nsec3s is its NSEC3 chain, with the empty non-terminals; with opt-out the
// unsigned delegations are left out.
func (m *model) nsec3s(iterations uint16, salt []byte, optOut bool) []rrset.Set {
	hashes := map[string][]wire.Type{}
	for name, types := range m.types {
		if optOut && name != m.zone && slices.Contains(types, wire.TypeNS) && !slices.Contains(types, wire.TypeDS) {
			continue
		}
		for up := name.Parent(); name != m.zone && up != m.zone; up = up.Parent() {
			if _, ok := m.types[up]; !ok {
				hashes[slowHash(up, iterations, salt)] = nil
			}
		}
		hashes[slowHash(name, iterations, salt)] = types
	}
	order := slices.Sorted(maps.Keys(hashes))
	var list []rrset.Set
	for i, h := range order {
		owner, _ := m.zone.Prepend(base32Hex.EncodeToString([]byte(h)))
		s := rrset.Set{Name: owner, Type: wire.TypeNSEC3}
		flags := byte(0)
		if optOut {
			flags = flagOptOut
		}
		data := append([]byte{hashSHA1, flags, byte(iterations >> 8), byte(iterations), byte(len(salt))}, salt...)
		data = append(append(data, sha1.Size), order[(i+1)%len(order)]...)
		if types := hashes[h]; types != nil {
			data = append(data, bits(types...)...)
		}
		s.Add(300, data)
		list = append(list, s)
	}
	return list
}

func slowHash(name dnsname.Name, iterations uint16, salt []byte) string {
	h := sha1.Sum(append([]byte(name), salt...))
	for range iterations {
		h = sha1.Sum(append(h[:], salt...))
	}
	return string(h[:])
}

// someof leaves out records at random, often none.
func someOf(r *rand.Rand, sets []rrset.Set) []rrset.Set {
	if r.IntN(2) == 0 {
		return sets
	}
	return slices.DeleteFunc(slices.Clone(sets), func(rrset.Set) bool { return r.IntN(2) == 0 })
}

// TestDenials holds proofs against the truth in random zones. Whatever subset of a
// zone's records is shown, nothing is proven that is not so; and with all of them
// everything that is so.
func TestDenials(t *testing.T) {
	types := []wire.Type{wire.TypeA, wire.TypeDS, wire.TypeNS, wire.TypeCNAME, wire.TypeTXT, wire.TypeSOA, wire.TypeMX}
	proven := map[string]int{}
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := randomModel(r)
		chain, optOut := m.nsecs(), false
		what := "NSEC"
		if r.IntN(2) == 0 {
			optOut, what = r.IntN(2) == 0, "NSEC3"
			chain = m.nsec3s(uint16(r.IntN(3)), []byte{1, 2}[:r.IntN(3)], optOut)
		}
		shown := someOf(r, chain)
		d := NewDenial(m.zone, shown, lenient, NewBudget(ample))
		for range 20 {
			name, typ := m.random(r), types[r.IntN(len(types))]
			at := fmt.Sprintf("zone %d, %s (opt-out %v), %v: %s %v", seed, what, optOut, m.types, name, typ)
			p, err := d.NXDomain(name)
			m.check(t, at+": NXDOMAIN", p, m.nxDomain(name), len(shown) == len(chain) && !optOut)
			if (err == nil) != (p != Unproven) {
				t.Errorf("%s: %v %v", at, p, err)
			}
			proven[what+" name "+p.String()]++
			p, _ = d.NoData(name, typ)
			m.check(t, at+": NODATA", p, m.noData(name, typ), len(shown) == len(chain) && !optOut)
			proven[what+" data "+p.String()]++
			c, p, _ := d.NoDS(name)
			m.checkCut(t, at+": no DS", name, c, p)
			proven[what+" cut "+c.String()]++
			if w, ok := m.star(name); ok || r.IntN(4) == 0 {
				encloser := w.Labels() - 1
				if r.IntN(4) == 0 {
					encloser = r.IntN(6)
				}
				up, _ := m.above(name)
				p, _ = d.Expanded(name, encloser)
				is := up == "" && !m.exists(name) && encloser == w.Labels()-1
				if what == "NSEC3" { // that the encloser exists, in this zone, the wildcard's signature proves
					is = encloser >= m.zone.Labels() && encloser < name.Labels() && !m.exists(name.Suffix(encloser+1))
				}
				m.check(t, at+fmt.Sprintf(": expanded from %d", encloser), p, is, len(shown) == len(chain) && !optOut)
				proven[what+" wildcard "+p.String()]++
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Log(proven)
	for _, what := range []string{"NSEC", "NSEC3"} {
		for _, kind := range []string{"name proven", "data proven", "wildcard proven", "cut delegated", "cut no cut", "cut no name", "name unproven"} {
			if proven[what+" "+kind] < 20 {
				t.Errorf("only %d of %s %s", proven[what+" "+kind], what, kind)
			}
		}
	}
}

// check: what is proven is so, and what is so is proven if everything is shown.
// With opt-out an unsigned delegation may be where nothing is.
func (m *model) check(t *testing.T, at string, p Proof, is, all bool) {
	t.Helper()
	if p == Proven && !is {
		t.Errorf("%s is proven, and not so", at)
	}
	if all && is && p != Proven {
		t.Errorf("%s is so, and not proven: %v", at, p)
	}
}

// checkCut: whoever is said to be delegated without DS records is, or may be.
func (m *model) checkCut(t *testing.T, at string, name dnsname.Name, c Cut, p Proof) {
	t.Helper()
	types := m.types[name]
	cut := name != m.zone && slices.Contains(types, wire.TypeNS)
	up, _ := m.above(name)
	switch c {
	case Delegated:
		if p == Proven && (!cut || slices.Contains(types, wire.TypeDS)) {
			t.Errorf("%s: delegated, and it is not", at)
		}
		if p == OptOut && slices.Contains(types, wire.TypeDS) {
			t.Errorf("%s: without DS records, and has some", at)
		}
	case NoCut:
		if cut || !m.exists(name) || up != "" {
			t.Errorf("%s: no cut, and it is one, or not there", at)
		}
	case NoName:
		if m.exists(name) || up != "" {
			t.Errorf("%s: not there, and it is", at)
		}
	}
}

// An empty non-terminal above delegations that were all opted out has no record: what
// is said of it is insecure, and neither proven nor bogus.
func TestOptedOutNonTerminal(t *testing.T) {
	zone, cut := dnsname.MustParse("z.example."), dnsname.MustParse("b.a.z.example.")
	m := &model{zone, map[dnsname.Name][]wire.Type{zone: {wire.TypeSOA, wire.TypeNS}, cut: {wire.TypeNS}}}
	for optOut, want := range map[bool]Proof{true: OptOut, false: Proven} {
		d := NewDenial(zone, m.nsec3s(0, nil, optOut), lenient, NewBudget(ample))
		for _, typ := range []wire.Type{wire.TypeA, wire.TypeDS} {
			if p, err := d.NoData(cut.Parent(), typ); p != want || err != nil {
				t.Errorf("opt-out %v: %v: %v, %v", optOut, typ, p, err)
			}
		}
	}
}

// More iterations than the policy allows prove nothing, and far more not even that
// (RFC 9276 §3.2).
func TestIterations(t *testing.T) {
	m := &model{dnsname.MustParse("z.example."), map[dnsname.Name][]wire.Type{"\x01z\x07example\x00": {wire.TypeSOA, wire.TypeNS}}}
	name := dnsname.MustParse("nowhere.z.example.")
	for _, tc := range []struct {
		n    uint16
		want Proof
	}{{50, Proven}, {51, Unwanted}, {500, Unwanted}, {501, Unproven}} {
		budget := NewBudget(ample)
		p, err := NewDenial(m.zone, m.nsec3s(tc.n, nil, false), lenient, budget).NXDomain(name)
		if p != tc.want || p != Proven && (err == nil || err.Code != 27) {
			t.Errorf("%d iterations: %v %v", tc.n, p, err)
		}
		if _, hashes := budget.Spent(); tc.n > 50 && hashes > 0 {
			t.Errorf("%d iterations: %d names hashed", tc.n, hashes)
		}
	}
}

// Hashing is taken from the budget (CVE-2023-50868).
func TestHashBudget(t *testing.T) {
	m := randomModel(rand.New(rand.NewPCG(2, 1)))
	name := m.zone
	for i := range 50 {
		name, _ = name.Prepend(fmt.Sprint(i))
	}
	limits := ample
	limits.Hashes = 10
	b := NewBudget(limits)
	p, err := NewDenial(m.zone, m.nsec3s(10, nil, false)[:0:0], lenient, b).NXDomain(name)
	if p != Unproven || err == nil || err.Code != 12 {
		t.Errorf("without records: %v %v", p, err)
	}
	sets := m.nsec3s(10, nil, false)[1:]
	p, err = NewDenial(m.zone, sets, lenient, b).NXDomain(name)
	if _, hashes := b.Spent(); p != Unproven || err == nil || err.ID != "WORK" || hashes != 10 {
		t.Errorf("%v %v after %d", p, err, hashes)
	}
}

// FuzzDenial: whatever the records are, proofs end and do no harm.
func FuzzDenial(f *testing.F) {
	m := randomModel(rand.New(rand.NewPCG(3, 1)))
	for _, s := range append(m.nsecs(), m.nsec3s(1, []byte{7}, true)...) {
		f.Add([]byte(s.Name), []byte(s.Data), []byte(m.zone), uint16(s.Type))
	}
	f.Fuzz(func(t *testing.T, owner, data, asked []byte, typ uint16) {
		name, err := dnsname.FromWire(owner)
		ask, err2 := dnsname.FromWire(asked)
		if err != nil || err2 != nil {
			return
		}
		set := rrset.Set{Name: name, Type: wire.Type(typ), Data: data}
		d := NewDenial(dnsname.MustParse("z.example."), []rrset.Set{set, set}, lenient, NewBudget(ample))
		d.NXDomain(ask)
		d.NoData(ask, wire.TypeDS)
		d.NoDS(ask)
		d.Expanded(ask, int(typ%200))
	})
}
