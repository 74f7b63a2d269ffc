package rrset

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

type sample struct {
	t     wire.Type
	rdata []byte
	text  string
}

// samples reads the records that package wire's tests use too.
func samples(t testing.TB) []sample {
	t.Helper()
	file, err := os.ReadFile("../wire/testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []sample
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, ";") {
			continue
		}
		f := strings.SplitN(strings.TrimSpace(line), " ", 5)
		typ, err := wire.ParseType(f[3])
		if err != nil {
			t.Fatal(err)
		}
		rdata, err := parse(typ, f[4])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, sample{typ, rdata, f[4]})
	}
	return out
}

// parse reads presentation form with a general DNS library.
func parse(t wire.Type, text string) ([]byte, error) {
	line := fmt.Sprintf(". 0 IN %v %s", t, text)
	line = strings.ReplaceAll(line, " WKS", " TYPE11") // no type of the library's
	rr, err := dns.NewRR(line)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	if n := int(binary.BigEndian.Uint16(buf[9:])); n != end-11 {
		return nil, fmt.Errorf("%d octets of data, says %d", end-11, n)
	}
	return buf[11:end:end], nil
}

// TestTextOfSamples: what the library read out of the text, we print as that
// very text, so the samples are the specification.
func TestTextOfSamples(t *testing.T) {
	seen := map[wire.Type]bool{}
	for _, s := range samples(t) {
		seen[s.t] = true
		if got := Text(s.t, s.rdata); got != s.text {
			t.Errorf("%v %s\nprinted as %s", s.t, s.text, got)
		}
	}
	for i := range wire.Type(300) {
		if wire.Shape(i) != "g" && wire.Shape(i) != "ng" && !seen[i] {
			t.Errorf("no sample of %v", i)
		}
	}
}

func TestTextGeneric(t *testing.T) {
	for _, tc := range []struct {
		why, rdata string
		t          wire.Type
		want       string // the generic form if empty
	}{
		{"short", "c00002", wire.TypeA, ""},
		{"long", "c000020100", wire.TypeA, ""},
		{"empty", "", wire.TypeA, `\# 0`},
		{"empty of an unknown type", "", 65280, `\# 0`},
		{"no name", "000a", wire.TypeMX, ""},
		{"pointer in stored data", "000ac00c", wire.TypeMX, ""},
		{"string sticks out", "05616263", wire.TypeTXT, ""},
		{"no strings", "", wire.TypeTXT, `\# 0`},
		{"no digest", "30390802", wire.TypeDS, ""},
		{"no key", "0101030d", wire.TypeDNSKEY, ""},
		{"tag with a space", "0002612062", wire.TypeCAA, ""},
		{"empty tag", "000061", wire.TypeCAA, ""},
		{"bitmap with a zero octet last", "00000240 00", wire.TypeNSEC, ""},
		{"bitmap windows descend", "000101400001 40", wire.TypeNSEC, ""},
		{"bitmap of 33 octets", "000021" + strings.Repeat("01", 33), wire.TypeNSEC, ""},
		{"nothing denied", "00", wire.TypeNSEC, "."},
		{"NSEC3 without hash", "010000000000", wire.TypeNSEC3, ""},
		{"port of 3 octets", "0001000003000301bbff", wire.TypeSVCB, ""},
		{"empty alpn", "000100000100 00", wire.TypeSVCB, ""},
		{"alpn with a comma", "00010000010004 03612c62", wire.TypeSVCB, ""},
		{"alpn item sticks out", "000100000100020568", wire.TypeSVCB, ""},
		{"default alpn with a value", "00010000020001ff", wire.TypeSVCB, ""},
		{"hint of 3 octets", "00010000040003c00002", wire.TypeSVCB, ""},
		{"mandatory names itself", "000100000000020000", wire.TypeSVCB, ""},
		{"mandatory descends", "0001000000000400040001", wire.TypeSVCB, ""},
		{"keys descend", "00010000030002003500010003026832", wire.TypeSVCB, ""},
		{"key 65535", "000100ffff0000", wire.TypeSVCB, ""},
		{"dohpath", "00010000070002" + "2f22", wire.TypeSVCB, `1 . dohpath="/\""`},
		{"LOC of another version", "0112", wire.TypeLOC, ""},
		{"LOC beyond the pole", "00121613" + "ffffffff" + "80000000" + "00989680", wire.TypeLOC, ""},
		{"LOC with size 0e3", "00031613" + "80000000" + "80000000" + "00989680", wire.TypeLOC, ""},
		{"LOC with size 16e0", "00f01613" + "80000000" + "80000000" + "00989680", wire.TypeLOC, ""},
		{"LOC at zero", "00000000" + "80000000" + "80000000" + "00989680", wire.TypeLOC, "0 0 0.000 N 0 0 0.000 E 0.00m 0.00m 0.00m 0.00m"},
		{"APL of an unknown family", "00031801c0", wire.TypeAPL, ""},
		{"APL with a trailing zero", "00011802c000", wire.TypeAPL, ""},
		{"APL prefix too long", "00012101c0", wire.TypeAPL, ""},
		{"APL cut", "000118", wire.TypeAPL, ""},
		{"IPSECKEY gateway of a later type", "0a0402ffff", wire.TypeIPSECKEY, ""},
		{"IPSECKEY without key", "0a0000", wire.TypeIPSECKEY, "10 0 0 ."},
		{"IPSECKEY gateway cut", "0a010ac00002", wire.TypeIPSECKEY, ""},
		{"HIP without key", "01020000ff", wire.TypeHIP, ""},
		{"HIP with half a name", "01020001ffff0161", wire.TypeHIP, ""},
		{"NXT is as old as it is rare", "00 40", wire.TypeNXT, ""},
	} {
		rdata, err := hex.DecodeString(strings.ReplaceAll(tc.rdata, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		want := tc.want
		if want == "" {
			want = fmt.Sprintf(`\# %d %X`, len(rdata), rdata)
		}
		if got := Text(tc.t, rdata); got != want {
			t.Errorf("%s: %s, want %s", tc.why, got, want)
		}
	}
}

func TestAppendTextAppends(t *testing.T) {
	dst := []byte("example. 5 IN A ")
	if got := string(AppendText(dst, wire.TypeA, []byte{192, 0, 2, 1})); got != "example. 5 IN A 192.0.2.1" {
		t.Error(got)
	}
	if got := string(AppendText(dst, wire.TypeA, []byte{192, 0, 2})); got != `example. 5 IN A \# 3 C00002` {
		t.Error(got)
	}
}

// refusals are what the library says to forms that are right.
var refusals = []string{
	"extra bits in APL address", // RFC 3123 has no such rule
}

// checkText: text that we print reads back as the data that it came from.
func checkText(t *testing.T, typ wire.Type, rdata []byte) {
	t.Helper()
	text := Text(typ, rdata)
	for _, c := range text {
		if c < ' ' || c > '~' {
			t.Fatalf("%v %x: octet %d in %q", typ, rdata, c, text)
		}
	}
	if strings.HasPrefix(text, `\#`) { // the library refuses to unpack some of these
		if want := strings.TrimSpace(fmt.Sprintf(`\# %d %X`, len(rdata), rdata)); text != want {
			t.Fatalf("%v %x: %s", typ, rdata, text)
		}
		return
	}
	if typ == wire.TypeISDN { // the library makes two strings of any number
		return
	}
	if typ == wire.TypeIPSECKEY && strings.Contains(text, " ::ffff:") {
		return // a gateway in IPv4-mapped IPv6 is one to us; the library takes it for IPv4
	}
	back, err := parse(typ, text)
	if err != nil {
		for _, r := range refusals {
			if strings.Contains(err.Error(), r) {
				return
			}
		}
		t.Fatalf("%v %x\n%s\nis not read: %v", typ, rdata, text, err)
	}
	if !bytes.Equal(back, rdata) && !tolerated(typ, back, rdata) {
		t.Fatalf("%v %x\n%s\nis read as\n%x", typ, rdata, text, back)
	}
}

// tolerated tells whether what the library read differs from the data for a
// reason of the library's own.
func tolerated(typ wire.Type, back, rdata []byte) bool {
	switch typ {
	case wire.TypeNSEC3: // it takes every hash for one of 20 octets
		at := 5 + int(rdata[4])
		return len(back) == len(rdata) && back[at] == 20 && bytes.Equal(back[:at], rdata[:at]) && bytes.Equal(back[at+1:], rdata[at+1:])
	case wire.TypeLOC: // it computes with floating point
		for i := 4; i < 16; i += 4 {
			if d := int32(binary.BigEndian.Uint32(back[i:]) - binary.BigEndian.Uint32(rdata[i:])); d < -1 || d > 1 {
				return false
			}
		}
		return bytes.Equal(back[:4], rdata[:4])
	}
	return false
}

// TestTextReadsBack prints the samples with random octets changed.
func TestTextReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	all := samples(t)
	for range 10000 {
		s := all[r.IntN(len(all))]
		rdata := bytes.Clone(s.rdata)
		for range r.IntN(3) {
			if len(rdata) > 0 {
				rdata[r.IntN(len(rdata))] = byte(r.Uint32())
			}
		}
		checkText(t, s.t, rdata)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(uint16(s.t), s.rdata)
	}
	f.Fuzz(func(t *testing.T, typ uint16, rdata []byte) {
		if len(rdata) <= 255 { // the library's reader has bounds of its own
			checkText(t, wire.Type(typ), rdata)
		}
		_ = Text(wire.Type(typ), rdata)
		checkCanonical(t, wire.Type(typ), rdata)
	})
}

func checkCanonical(t *testing.T, typ wire.Type, rdata []byte) {
	t.Helper()
	c := AppendCanonical([]byte("x"), typ, rdata)[1:]
	if !dnsname.EqualFold(c, rdata) || !bytes.Equal(c, AppendCanonical(nil, typ, c)) {
		t.Fatalf("%v %x becomes %x", typ, rdata, c)
	}
	if !SameData(typ, rdata, c) {
		t.Fatalf("%v %x is not the same as its canonical form", typ, rdata)
	}
}

func BenchmarkAppendText(b *testing.B) {
	all := samples(b)
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		for _, s := range all {
			buf = AppendText(buf[:0], s.t, s.rdata)
		}
	}
}
