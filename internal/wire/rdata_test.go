package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// TestDecompress writes the names in the data of every sample as pointers, as
// RFC 3597 §4 demands that receivers understand for old types: read back, the
// data is what it was.
func TestDecompress(t *testing.T) {
	for _, rr := range sampleRecords(t) {
		plain, typ := plainRdata(t, rr), Type(rr.Header().Rrtype)
		// The names stand behind the question, as data of a NULL record.
		names, at := "", HeaderLen+len(question)+len(www)+10
		compressed, rest := "", plain
		for _, f := range []byte(Shape(typ)) {
			n, err := FieldLen(rest, Field(f))
			if err != nil {
				t.Fatalf("%v: %v", rr, err)
			}
			if Field(f) == FieldName {
				compressed += string([]byte{0xc0 | byte(at>>8), byte(at)})
				names += string(rest[:n])
				at += n
			} else {
				compressed += string(rest[:n])
			}
			rest = rest[n:]
		}
		v, err := Read(message(1, 2, 0, 0, question, record(www, TypeNULL, names), record(www, typ, compressed)))
		if err != nil {
			t.Fatalf("%v: %v", rr, err)
		}
		c := v.Records()
		c.Next()
		c.Next()
		r := c.Record()
		if got, err := r.AppendRdata([]byte("x")); err != nil || string(got) != "x"+string(plain) {
			t.Errorf("%v: %q, %v", rr, got, err)
		}
	}
}

// TestShortRdata cuts the data of every sample: no part may pass for whole
// unless the type has a part that is free to be shorter.
func TestShortRdata(t *testing.T) {
	for _, rr := range sampleRecords(t) {
		plain, typ := plainRdata(t, rr), Type(rr.Header().Rrtype)
		open := strings.ContainsAny(Shape(typ), "xbtgSmpPIiT") // ends in what has no length of its own
		for n := range plain {
			err := CheckRdata(typ, plain[:n])
			if err == nil && !open {
				t.Errorf("%v: %d of %d octets pass", rr, n, len(plain))
			}
			_, err2 := dataRecord(typ, plain[:n]).AppendRdata(nil)
			if (err == nil) != (err2 == nil) {
				t.Errorf("%v: %d octets: stored %v, received %v", rr, n, err, err2)
			}
		}
		if err := CheckRdata(typ, plain); err != nil {
			t.Errorf("%v: %v", rr, err)
		}
		more := append(bytes.Clone(plain), 0)
		err := CheckRdata(typ, more)
		_, err2 := dataRecord(typ, more).AppendRdata(nil)
		if !open && (err == nil || err2 == nil) {
			t.Errorf("%v: an octet too many passes: stored %v, received %v", rr, err, err2)
		}
	}
}

// dataRecord is a record with this data.
func dataRecord(t Type, rdata []byte) Record {
	msg := append(make([]byte, HeaderLen), rdata...)
	return Record{Type: t, Class: ClassIN, msg: msg, rdata: HeaderLen, end: len(msg)}
}

func TestCheckRdata(t *testing.T) {
	for _, tc := range []struct {
		why   string
		t     Type
		rdata string // hexadecimal
		ok    bool
	}{
		{"A", TypeA, "c0000201", true},
		{"A of 3 octets", TypeA, "c00002", false},
		{"A of 5 octets", TypeA, "c000020101", false},
		{"empty A", TypeA, "", false},
		{"AAAA of 4 octets", TypeAAAA, "c0000201", false},
		{"TXT", TypeTXT, "0161", true},
		{"TXT with an empty string", TypeTXT, "00", true},
		{"TXT without strings", TypeTXT, "", false},
		{"TXT whose string sticks out", TypeTXT, "0261", false},
		{"HINFO with one string", TypeHINFO, "0161", false},
		{"NS with octets behind", TypeNS, "016100ff", false},
		{"MX without a name", TypeMX, "000a", false},
		{"SOA of 4 numbers", TypeSOA, "0000" + strings.Repeat("00000001", 4), false},
		{"NSEC without bitmap", TypeNSEC, "00", true},
		{"NSEC window of length 0", TypeNSEC, "000000", false},
		{"NSEC window of length 33", TypeNSEC, "000021" + strings.Repeat("01", 33), false},
		{"NSEC window of length 32", TypeNSEC, "000020" + strings.Repeat("01", 32), true},
		{"NSEC windows twice the same", TypeNSEC, "00000101000101", false},
		{"NSEC window cut", TypeNSEC, "00000201", false},
		{"NSEC3 salt sticks out", TypeNSEC3, "0100000003aabb", false},
		{"SVCB without parameters", TypeSVCB, "000100", true},
		{"SVCB keys ascend", TypeSVCB, "000100" + "00010000" + "00030000", true},
		{"SVCB keys descend", TypeSVCB, "000100" + "00030000" + "00010000", false},
		{"SVCB key twice", TypeSVCB, "000100" + "00030000" + "00030000", false},
		{"SVCB value sticks out", TypeSVCB, "000100" + "00030002" + "01", false},
		{"SVCB parameter cut", TypeHTTPS, "000100" + "000300", false},
		{"LOC", TypeLOC, strings.Repeat("00", 16), true},
		{"LOC of 15 octets", TypeLOC, strings.Repeat("00", 15), false},
		{"LOC of another version", TypeLOC, "01", true},
		{"empty LOC", TypeLOC, "", false},
		{"empty APL", TypeAPL, "", true},
		{"APL item sticks out", TypeAPL, "00011802c0", false},
		{"IPSECKEY of 2 octets", TypeIPSECKEY, "0000", false},
		{"IPSECKEY with half a gateway", TypeIPSECKEY, "000100c00002", false},
		{"IPSECKEY with half an IPv6 gateway", TypeIPSECKEY, "000200" + strings.Repeat("00", 15), false},
		{"IPSECKEY with a compressed gateway", TypeIPSECKEY, "000300c00c", false},
		{"HIP without servers", TypeHIP, "01020001aabb", true},
		{"HIP without tag", TypeHIP, "00020001bb", false},
		{"HIP key sticks out", TypeHIP, "01020002aabb", false},
		{"HIP with a server", TypeHIP, "01020001aabb016100", true},
		{"HIP with half a server", TypeHIP, "01020001aabb0161", false},
		{"unknown type", 65280, "c00c", true},
	} {
		rdata, err := hex.DecodeString(tc.rdata)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckRdata(tc.t, rdata); (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrRdata) {
			t.Errorf("%s: %v", tc.why, err)
		}
	}
}

// TestShapes: each shape is of known fields, and one that takes the rest ends it.
func TestShapes(t *testing.T) {
	// Names by type: RFC 4034 §6.2 as RFC 6840 §5.1 amends it, without A6.
	names := map[Type]int{
		TypeNS: 1, TypeMD: 1, TypeMF: 1, TypeCNAME: 1, TypeSOA: 2, TypeMB: 1, TypeMG: 1, TypeMR: 1, TypePTR: 1,
		TypeMINFO: 2, TypeMX: 1, TypeRP: 2, TypeAFSDB: 1, TypeRT: 1, TypeSIG: 1, TypePX: 2, TypeNXT: 1, TypeNAPTR: 1,
		TypeKX: 1, TypeSRV: 1, TypeDNAME: 1, TypeRRSIG: 1,
	}
	for typ, shape := range shapes {
		if got := strings.Count(shape, "n"); got != names[Type(typ)] {
			t.Errorf("%v: %d names in %q, want %d", Type(typ), got, shape, names[Type(typ)])
		}
		for i, f := range shape {
			if strings.ContainsRune("xbtgSmplPIi", f) && i != len(shape)-1 {
				t.Errorf("%v: %c does not end %q", Type(typ), f, shape)
			}
			if !strings.ContainsRune("nN124a6scStxbmTDhHpeElPIig", f) {
				t.Errorf("%v: unknown field %c", Type(typ), f)
			}
		}
		if compressible(Type(typ)) != (typ <= 15 && strings.Contains(shape, "n")) {
			t.Errorf("%v: compressed or not, against RFC 3597 §4", Type(typ))
		}
	}
	if Shape(65280) != "g" || Shape(TypeOPT) != "g" || Shape(TypeWKS) != "g" {
		t.Error("data of unknown types is not opaque")
	}
}

func TestNameIn(t *testing.T) {
	for typ, want := range map[Type]int{
		TypeNS: 0, TypeCNAME: 0, TypeMX: 2, TypeSRV: 6, TypeSVCB: 2, TypeRRSIG: 18, TypeSOA: 0,
		TypeA: -1, TypeTXT: -1, TypeNAPTR: -1, 65280: -1,
	} {
		if got := NameIn(typ); got != want {
			t.Errorf("%v: %d, want %d", typ, got, want)
		}
	}
}
