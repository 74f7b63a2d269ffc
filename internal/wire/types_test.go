package wire

import (
	"testing"

	"github.com/miekg/dns"
)

// TestTypeNames holds names and numbers against the library's.
func TestTypeNames(t *testing.T) {
	for typ, name := range typeNames {
		if want, ok := dns.TypeToString[uint16(typ)]; ok && want != name {
			t.Errorf("type %d is %s, not %s", typ, want, name)
		}
		if got, err := ParseType(name); got != typ || err != nil {
			t.Errorf("%s read as %d, %v", name, got, err)
		}
	}
	for typ, shape := range shapes {
		if _, ok := typeNames[Type(typ)]; shape != "" && !ok {
			t.Errorf("type %d has a shape and no name", typ)
		}
	}
	for code, name := range rcodeNames {
		if want, ok := dns.RcodeToString[int(code)]; ok && want != name && code != RcodeNotImp && code != RcodeBadVers {
			t.Errorf("rcode %d is %s, not %s", code, want, name)
		}
	}
}

func TestParseType(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Type
		ok   bool
	}{
		{"A", TypeA, true}, {"aaaa", TypeAAAA, true}, {"TYPE1", TypeA, true}, {"type65535", 65535, true},
		{"TYPE65536", 0, false}, {"TYPE", 0, false}, {"TYPE-1", 0, false}, {"TYPE+1", 0, false}, {"", 0, false}, {"X", 0, false},
	} {
		if got, err := ParseType(tc.text); got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%q: %v, %v", tc.text, got, err)
		}
	}
	for typ := range Type(0xffff) {
		if got, err := ParseType(typ.String()); got != typ || err != nil {
			t.Fatalf("%v read back as %v, %v", typ, got, err)
		}
	}
}

func TestStrings(t *testing.T) {
	for got, want := range map[string]string{
		ClassIN.String(): "IN", ClassCH.String(): "CH", ClassHS.String(): "HS", ClassNONE.String(): "NONE",
		ClassANY.String(): "ANY", Class(9).String(): "CLASS9",
		OpcodeQuery.String(): "QUERY", OpcodeStatus.String(): "STATUS", OpcodeNotify.String(): "NOTIFY",
		OpcodeUpdate.String(): "UPDATE", Opcode(9).String(): "OPCODE9",
		RcodeNXDomain.String(): "NXDOMAIN", Rcode(4000).String(): "RCODE4000", Type(4000).String(): "TYPE4000",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestIsMeta(t *testing.T) {
	for typ, want := range map[Type]bool{
		TypeNone: true, TypeOPT: true, TypeTKEY: true, TypeTSIG: true, TypeAXFR: true, TypeANY: true, 128: true,
		TypeA: false, TypeSPF: false, TypeURI: false, TypeCAA: false, 127: false, 65280: false,
	} {
		if typ.IsMeta() != want {
			t.Errorf("%v: %v", typ, !want)
		}
	}
}
