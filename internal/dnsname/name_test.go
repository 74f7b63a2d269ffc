package dnsname

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomName makes names that often share suffixes, with odd octets at times.
func randomName(r *rand.Rand) Name {
	alphabet := []byte("abcz-_0.\\\"\x00\xff @;$()")
	n := Root
	for range r.IntN(6) {
		label := make([]byte, 1+r.IntN(3))
		for i := range label {
			label[i] = alphabet[r.IntN(min(len(alphabet), 2+r.IntN(20)))]
		}
		longer, err := n.Prepend(string(label))
		if err != nil {
			break
		}
		n = longer
	}
	return n
}

// longestName is 255 octets: three labels of 63, one of 61, and the root.
func longestName() string {
	l := strings.Repeat("x", 63)
	return l + "." + l + "." + l + "." + l[:61] + "."
}

func TestParse(t *testing.T) {
	longest := longestName()
	deepest := strings.Repeat("a.", 127)
	for _, tc := range []struct {
		text string
		want string // presentation form; "" stands for the error
		err  error
	}{
		{".", ".", nil},
		{"example", "example.", nil},
		{"WWW.Example.", "www.example.", nil},
		{`a\.b.example.`, `a\.b.example.`, nil},
		{`\065\066c.`, "abc.", nil},
		{`\000\255.`, `\000\255.`, nil},
		{`a\"\;\@\$\(\)\\.`, `a\"\;\@\$\(\)\\.`, nil},
		{`sp ace.`, `sp\032ace.`, nil},
		{"_sip._udp.example", "_sip._udp.example.", nil},
		{longest, longest, nil},
		{strings.TrimSuffix(longest, "."), longest, nil},
		{deepest, deepest, nil},
		{"x" + longest, "", ErrLabel},
		{"a." + longest, "", ErrTooLong},
		{"a." + deepest, "", ErrTooLong},
		{strings.TrimSuffix(longest, ".") + "x.", "", ErrTooLong}, // 256
		{strings.Repeat("y", 64), "", ErrLabel},
		{"", "", ErrEmptyLabel},
		{"..", "", ErrEmptyLabel},
		{".a", "", ErrEmptyLabel},
		{"a..b", "", ErrEmptyLabel},
		{`a\`, "", ErrEscape},
		{`a\25`, "", ErrEscape},
		{`a\256`, "", ErrEscape},
		{`a\2x5`, "", ErrEscape},
	} {
		n, err := Parse(tc.text)
		if !errors.Is(err, tc.err) {
			t.Errorf("Parse(%q): error %v, want %v", tc.text, err, tc.err)
		}
		if err == nil && n.String() != tc.want {
			t.Errorf("Parse(%q) = %q, want %q", tc.text, n, tc.want)
		}
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic for a bad constant")
		}
	}()
	MustParse("a..b")
}

func TestFromWire(t *testing.T) {
	for _, tc := range []struct {
		wire, want string
		err        error
	}{
		{"\x00", "\x00", nil},
		{"\x03WwW\x02Ex\x00", "\x03www\x02ex\x00", nil},
		{"\x03www\x00", "\x03www\x00", nil},
		{"", "", ErrWire},
		{"\x03www", "", ErrWire},
		{"\x03ww", "", ErrWire},
		{"\x03www\x00\x00", "", ErrWire},
		{"\xc0\x0c", "", ErrWire},
		{"\x40" + strings.Repeat("a", 64) + "\x00", "", ErrWire},
		{strings.Repeat("\x01a", 127) + "\x00", strings.Repeat("\x01a", 127) + "\x00", nil},
		{strings.Repeat("\x01a", 128) + "\x00", "", ErrWire},
		{strings.Repeat("\x01a", 126) + "\x02bb\x00", "", ErrWire}, // 256
	} {
		n, err := FromWire([]byte(tc.wire))
		if string(n) != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("FromWire(%q) = %q, %v; want %q, %v", tc.wire, string(n), err, tc.want, tc.err)
		}
	}
}

func TestFromWireCopies(t *testing.T) {
	b := []byte("\x01a\x00")
	n, _ := FromWire(b)
	b[1] = 'b'
	if n != "\x01a\x00" {
		t.Error("name changed with the buffer it came from")
	}
}

func TestFamily(t *testing.T) {
	www, example := MustParse("www.example."), MustParse("example.")
	for _, tc := range []struct {
		n, zone      Name
		under, below bool
	}{
		{www, example, true, true},
		{www, www, true, false},
		{www, Root, true, true},
		{Root, Root, true, false},
		{example, www, false, false},
		{Root, example, false, false},
		{MustParse("ample."), example, false, false},
		{MustParse("wwwexample."), example, false, false},
		// Ends in the zone's octets, but inside a label.
		{MustParse(`x\007example.`), example, false, false},
		{www, "", false, false},
	} {
		if got := tc.n.Under(tc.zone); got != tc.under {
			t.Errorf("%v under %v: %v", tc.n, tc.zone, got)
		}
		if got := tc.n.Below(tc.zone); got != tc.below {
			t.Errorf("%v below %v: %v", tc.n, tc.zone, got)
		}
	}
	if www.Parent() != example || example.Parent() != Root || Root.Parent() != Root {
		t.Error("wrong parent")
	}
	if www.FirstLabel() != "www" || Root.FirstLabel() != "" {
		t.Error("wrong first label")
	}
	if www.Suffix(1) != example || www.Suffix(0) != Root || www.Suffix(2) != www || www.Suffix(9) != www {
		t.Error("wrong suffix")
	}
	if www.Labels() != 2 || !Root.IsRoot() || www.IsRoot() {
		t.Error("wrong count of labels")
	}
}

func TestPrepend(t *testing.T) {
	longest := MustParse(longestName())
	for _, tc := range []struct {
		label string
		n     Name
		want  string
		err   error
	}{
		{"WwW", MustParse("example."), "www.example.", nil},
		{"*", Root, "*.", nil},
		{strings.Repeat("a", 63), Root, strings.Repeat("a", 63) + ".", nil},
		{strings.Repeat("a", 64), Root, "", ErrLabel},
		{"", Root, "", ErrEmptyLabel},
		{"a", longest, "", ErrTooLong},
		{strings.Repeat("b", 62), MustParse(strings.Repeat("a.", 64) + strings.Repeat("c", 63)), "", ErrTooLong}, // 256
		{strings.Repeat("b", 63), longest.Parent(), "b" + strings.Repeat("b", 62) + longestName()[63:], nil},
	} {
		n, err := tc.n.Prepend(tc.label)
		if !errors.Is(err, tc.err) || err == nil && n.String() != tc.want {
			t.Errorf("Prepend(%q, %v) = %v, %v", tc.label, tc.n, n, err)
		}
	}
}

// RFC 6672 §2.2, table 1, and the length that overflows.
func TestRebase(t *testing.T) {
	for _, tc := range []struct{ n, from, to, want string }{
		{"a.example.com.", "example.com.", "example.net.", "a.example.net."},
		{"a.b.example.com.", "example.com.", "example.net.", "a.b.example.net."},
		{"foo.example.com.", "example.com.", ".", "foo."},
		{"shortloop.x.x.", "x.", ".", "shortloop.x."},
		{"a.x.", ".", "y.", "a.x.y."},
	} {
		n, err := MustParse(tc.n).Rebase(MustParse(tc.from), MustParse(tc.to))
		if err != nil || n != MustParse(tc.want) {
			t.Errorf("%s from %s to %s: %v, %v", tc.n, tc.from, tc.to, n, err)
		}
	}
	longest := MustParse(longestName())
	if n, err := longest.Rebase(Root, Root); n != longest || err != nil {
		t.Error("the longest name no longer fits")
	}
	if _, err := MustParse("a.b.").Rebase(MustParse("b."), longest); !errors.Is(err, ErrTooLong) {
		t.Error("a name of 257 octets was made")
	}
}

// RFC 4034 §6.1: the section's own example, in order.
func TestCompareOrder(t *testing.T) {
	var names []Name
	for _, s := range []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.",
		"z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`} {
		names = append(names, MustParse(s))
	}
	for i, a := range names {
		for j, b := range names {
			want := min(max(i-j, -1), 1)
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestProperties checks on many random names what must hold of all.
func TestProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a, b, c := randomName(r), randomName(r), randomName(r)
		if back, err := Parse(a.String()); err != nil || back != a {
			t.Fatalf("%q -> %s -> %q, %v", string(a), a, string(back), err)
		}
		if Compare(a, b) != -Compare(b, a) || (Compare(a, b) == 0) != (a == b) {
			t.Fatalf("order of %v and %v is not antisymmetric", a, b)
		}
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Fatalf("order of %v, %v, %v is not transitive", a, b, c)
		}
		checkFamily(t, a, b)
	}
}

func checkFamily(t *testing.T, a, b Name) {
	t.Helper()
	labels := func(n Name) []string {
		var l []string
		for ; !n.IsRoot(); n = n.Parent() {
			l = append(l, n.FirstLabel())
		}
		slices.Reverse(l)
		return l
	}
	la, lb := labels(a), labels(b)
	common := 0
	for common < min(len(la), len(lb)) && la[common] == lb[common] {
		common++
	}
	if got := CommonLabels(a, b); got != common {
		t.Fatalf("%v and %v share %d labels, not %d", a, b, common, got)
	}
	if got, want := a.Under(b), common == len(lb); got != want {
		t.Fatalf("%v under %v: %v", a, b, got)
	}
	if want := slices.Compare(la, lb); Compare(a, b) != want {
		t.Fatalf("Compare(%v, %v) = %d, label by label %d", a, b, Compare(a, b), want)
	}
	if a.Under(b) {
		if n, err := a.Rebase(b, b); err != nil || n != a {
			t.Fatalf("%v rebased from %v to itself: %v, %v", a, b, n, err)
		}
	}
}

func TestEqualFold(t *testing.T) {
	if !EqualFold([]byte("\x03WwW\x00"), Name("\x03wWw\x00")) {
		t.Error("case counts")
	}
	for _, other := range []string{"\x03wwx\x00", "\x03www\x00\x00", "\x03\x57w[\x00"} {
		if EqualFold([]byte("\x03www\x00"), other) {
			t.Errorf("%q is taken for www", other)
		}
	}
	if EqualFold("@[", "`{") { // beside the letters, 32 apart
		t.Error("octets that are no letters were folded")
	}
}

// TestLowerIsAsOctetByOctet: eight at once give what one at a time does, for every
// octet in every place, beside any other.
func TestLowerIsAsOctetByOctet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for n := range 40 {
		for range 400 {
			src := make([]byte, n)
			for i := range src {
				src[i] = byte(r.Uint32())
			}
			got := make([]byte, n)
			Lower(got, src)
			for i, c := range src {
				if got[i] != lower(c) {
					t.Fatalf("%x became %x", src, got)
				}
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	a, b := MustParse("a.b.c.example."), MustParse("x.b.c.example.")
	raw := []byte(a)
	if n := testing.AllocsPerRun(100, func() {
		_ = Compare(a, b)
		_ = CommonLabels(a, b)
		_ = a.Under(b.Parent())
		_ = Alias(raw).Suffix(1)
		Lower(raw, raw)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{".", "www.example.", `a\.b\255.`, `\`, "a..b", longestName(), `\032x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		if WireLen([]byte(n)) != len(n) {
			t.Fatalf("%q gave the malformed %q", s, string(n))
		}
		if back, err := Parse(n.String()); err != nil || back != n {
			t.Fatalf("%q -> %s -> %q, %v", s, n, string(back), err)
		}
	})
}

func FuzzFromWire(f *testing.F) {
	for _, s := range []string{"\x00", "\x03WWW\x07example\x00", "\xc0\x0c", "\x01", "\x40"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := FromWire(b)
		if err != nil {
			return
		}
		if !EqualFold(b, n) || !bytes.Equal(bytes.ToLower([]byte(n)), []byte(n)) && isASCII(b) {
			t.Fatalf("%q became %q", b, string(n))
		}
		if back, err := Parse(n.String()); err != nil || back != n {
			t.Fatalf("%q -> %s -> %q, %v", b, n, string(back), err)
		}
		if n.Labels() > maxLabels || Compare(n, n) != 0 || !n.Under(n) || !n.Under(Root) {
			t.Fatalf("%v is not itself", n)
		}
	})
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
}

func BenchmarkCompare(b *testing.B) {
	x, y := MustParse("mail.host1.example.com."), MustParse("mail.host2.example.com.")
	for b.Loop() {
		_ = Compare(x, y)
	}
}

func BenchmarkUnder(b *testing.B) {
	x, y := MustParse("mail.host1.example.com."), MustParse("com.")
	for b.Loop() {
		_ = x.Under(y)
	}
}
