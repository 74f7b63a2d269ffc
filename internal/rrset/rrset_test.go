package rrset

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

func wireName(text string) []byte { return []byte(dnsname.MustParse(text)) }

func mx(preference byte, name string) []byte { return append([]byte{0, preference}, name...) }

func TestPacked(t *testing.T) {
	var p Packed
	if p.Len() != 0 || p.First() != nil || p.Contains(nil) {
		t.Error("an empty list has records")
	}
	records := [][]byte{{1, 2, 3}, {}, bytes.Repeat([]byte{7}, 300)}
	for _, rd := range records {
		p = p.Append(rd)
	}
	if got := slices.Collect(p.All()); !slices.EqualFunc(got, records, bytes.Equal) {
		t.Errorf("%v, want %v", got, records)
	}
	if p.Len() != 3 || !bytes.Equal(p.First(), records[0]) || !p.Contains(records[1]) || p.Contains([]byte{1, 2}) {
		t.Error("wrong count, first or member")
	}
	for cut := range len(p) { // whatever is cut off, what is read lies inside
		if n := p[:cut].Len(); n > 2 {
			t.Errorf("%d records in %d octets", n, cut)
		}
	}
}

func TestSetAdd(t *testing.T) {
	s := Set{Name: dnsname.Root, Type: wire.TypeMX}
	if !s.Empty() {
		t.Error("a new set is not empty")
	}
	s.Add(300, mx(10, "\x04mail\x00"))
	s.Add(60, mx(10, "\x04MAIL\x00")) // the same
	s.Add(600, mx(20, "\x04mail\x00"))
	if s.Data.Len() != 2 || s.TTL != 60 || s.Empty() {
		t.Errorf("%d records, TTL %d", s.Data.Len(), s.TTL)
	}
	if !bytes.Equal(s.Data.First(), mx(10, "\x04mail\x00")) {
		t.Error("the first one's case did not stay")
	}
}

func TestSameData(t *testing.T) {
	soa := func(name string) []byte {
		return slices.Concat([]byte(name), []byte("\x04HOST\x00"), bytes.Repeat([]byte{'A'}, 20))
	}
	for _, tc := range []struct {
		why  string
		t    wire.Type
		a, b string
		want bool
	}{
		{"name", wire.TypeNS, "\x02ns\x00", "\x02nS\x00", true},
		{"another name", wire.TypeNS, "\x02ns\x00", "\x02nt\x00", false},
		{"number before a name", wire.TypeMX, "\x00A\x01a\x00", "\x00a\x01a\x00", false},
		{"number behind names", wire.TypeSOA, string(soa("\x01a\x00")), string(soa("\x01A\x00")), true},
		{"name behind strings", wire.TypeNAPTR, "\x00\x01\x00\x01\x01U\x00\x00\x01a\x00", "\x00\x01\x00\x01\x01U\x00\x00\x01A\x00", true},
		{"string", wire.TypeNAPTR, "\x00\x01\x00\x01\x01U\x00\x00\x01a\x00", "\x00\x01\x00\x01\x01u\x00\x00\x01a\x00", false},
		{"text", wire.TypeTXT, "\x01a", "\x01A", false},
		{"unknown type", 65280, "\x01a\x00", "\x01A\x00", false},
		{"signer", wire.TypeRRSIG, "\x00\x01\x08\x01AAAABBBBCCCCDD\x01a\x00sig", "\x00\x01\x08\x01AAAABBBBCCCCDD\x01A\x00sig", true},
		{"signature", wire.TypeRRSIG, "\x00\x01\x08\x01AAAABBBBCCCCDD\x01a\x00sig", "\x00\x01\x08\x01AAAABBBBCCCCDD\x01a\x00Sig", false},
		{"next name", wire.TypeNSEC, "\x01a\x00", "\x01A\x00", false},
		{"length", wire.TypeTXT, "\x01a", "\x01a\x00", false},
		{"malformed", wire.TypeMX, "\x00", "\x00", true},
		{"malformed names", wire.TypeMX, "\x00\x01\x02a", "\x00\x01\x02A", false},
	} {
		if got := SameData(tc.t, []byte(tc.a), []byte(tc.b)); got != tc.want {
			t.Errorf("%s: %v", tc.why, got)
		}
		canonical := bytes.Equal(AppendCanonical(nil, tc.t, []byte(tc.a)), AppendCanonical(nil, tc.t, []byte(tc.b)))
		if canonical != tc.want {
			t.Errorf("%s: canonical forms equal: %v", tc.why, canonical)
		}
	}
}

// TestCanonicalOrder is RFC 4034 §6.3: by octets, a prefix first, each once.
func TestCanonicalOrder(t *testing.T) {
	var p, want Packed
	for _, name := range []string{"\x02NT\x00", "\x01z\x00", "\x02ns\x00", "\x02Ns\x00", "\x01z\x01a\x00"} {
		p = p.Append([]byte(name))
	}
	before := slices.Clone(p)
	for _, name := range []string{"\x01z\x00", "\x01z\x01a\x00", "\x02ns\x00", "\x02nt\x00"} {
		want = want.Append([]byte(name))
	}
	if got := Canonical(wire.TypeNS, p); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !bytes.Equal(p, before) {
		t.Error("the original was changed")
	}
}

func TestSetEqual(t *testing.T) {
	set := func(records ...string) *Set {
		s := &Set{Name: dnsname.MustParse("example."), Type: wire.TypeNS}
		for _, rd := range records {
			s.Data = s.Data.Append([]byte(rd))
		}
		return s
	}
	a := set("\x01a\x00", "\x01b\x00")
	other := set("\x01a\x00", "\x01b\x00")
	other.TTL, other.Sigs = 5, Packed{0, 0}
	for _, b := range []*Set{a, other, set("\x01b\x00", "\x01A\x00")} {
		if !a.Equal(b) {
			t.Errorf("%q differs from %q", a.Data, b.Data)
		}
	}
	elsewhere, otherType := *a, *a
	elsewhere.Name, otherType.Type = dnsname.Root, wire.TypeTXT
	for _, b := range []*Set{set("\x01a\x00"), set("\x01a\x00", "\x01c\x00"), &elsewhere, &otherType} {
		if a.Equal(b) {
			t.Errorf("equals %v %v %q", b.Name, b.Type, b.Data)
		}
	}
}

func TestTarget(t *testing.T) {
	for _, tc := range []struct {
		t     wire.Type
		rdata string
		want  string
	}{
		{wire.TypeCNAME, "\x03WwW\x00", "www."},
		{wire.TypeMX, "\x00\x0a\x04mail\x00", "mail."},
		{wire.TypeSRV, "\x00\x01\x00\x01\x00\x35\x01a\x00", "a."},
		{wire.TypeHTTPS, "\x00\x01\x00", "."},
		{wire.TypeSOA, "\x02ns\x00\x04host\x00", "ns."},
		{wire.TypeA, "\xc0\x00\x02\x01", ""},
		{wire.TypeNAPTR, "\x00\x01\x00\x01\x00\x00\x00\x01a\x00", ""},
		{wire.TypeMX, "\x00\x0a", ""},
		{wire.TypeMX, "\x00\x0a\x04mai", ""},
		{wire.TypeCNAME, "", ""},
	} {
		got, ok := Target(tc.t, []byte(tc.rdata))
		if ok != (tc.want != "") || ok && got != dnsname.MustParse(tc.want) {
			t.Errorf("%v %q: %v, %v", tc.t, tc.rdata, got, ok)
		}
	}
	s := Set{Type: wire.TypeCNAME, Data: Packed(nil).Append(wireName("www.example."))}
	if n, ok := s.Target(); !ok || n != dnsname.MustParse("www.example.") {
		t.Error("a set's target is not its record's")
	}
	if _, ok := (&Set{Type: wire.TypeCNAME}).Target(); ok {
		t.Error("an empty set has a target")
	}
}

func TestClone(t *testing.T) {
	s := Set{Name: dnsname.Root, Type: wire.TypeA, TTL: 5, Data: Packed{0, 1, 9}, Sigs: Packed{0, 1, 8}}
	c := s.Clone()
	s.Data[2], s.Sigs[2] = 0, 0
	if c.Data[2] != 9 || c.Sigs[2] != 8 || c.Name != s.Name || c.Type != s.Type || c.TTL != s.TTL {
		t.Errorf("clone is %v", c)
	}
}

func TestSecurityString(t *testing.T) {
	seen := map[string]bool{}
	for s := Unchecked; s <= Bogus; s++ {
		seen[s.String()] = true
	}
	if len(seen) != 5 || seen["security 4"] || (Bogus+1).String() != "security 5" {
		t.Errorf("%v", seen)
	}
}

func TestCanonicalRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	all := samples(t)
	for range 5000 {
		s := all[r.IntN(len(all))]
		rdata := bytes.Clone(s.rdata)
		for range r.IntN(4) {
			if len(rdata) > 0 {
				rdata[r.IntN(len(rdata))] = byte(r.Uint32())
			}
		}
		checkCanonical(t, s.t, rdata)
	}
}

func FuzzPacked(f *testing.F) {
	f.Add([]byte{0, 1, 9, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again Packed
		for rd := range Packed(b).All() {
			again = again.Append(rd)
		}
		if !bytes.HasPrefix(b, again) || Packed(b).Len() != again.Len() {
			t.Fatalf("%x reads as %x", b, again)
		}
	})
}
