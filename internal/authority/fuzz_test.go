package authority

import (
	"os"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
)

// FuzzHints: no file of hints makes the reader panic, and what it takes has
// servers that can be asked, no more than the bound.
func FuzzHints(f *testing.F) {
	for _, text := range []string{
		". NS a.root.example.\na.root.example. A 192.0.2.1\na.root.example. AAAA 2001:db8::1\n", ". 3600000 IN NS A.\nA. A 192.0.2.1",
		"example. NS a.", "; nothing", ". NS a.\n. NS a.\na. A ::1", "$INCLUDE /dev/zero", "$GENERATE 1-200 . NS $.", ". CH NS a.", ". NS a.\na. A ", " NS ",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		servers, err := ReadHints("f", strings.NewReader(text))
		if err != nil {
			return
		}
		if len(servers) > maxHints {
			t.Errorf("%d servers", len(servers))
		}
		for _, s := range servers {
			if len(s.Addrs) == 0 {
				t.Errorf("no address of %v", s.Name)
			}
			for _, a := range s.Addrs {
				if !a.IsValid() || a.Is4In6() {
					t.Errorf("%v has the address %v", s.Name, a)
				}
			}
		}
	})
}

// FuzzZone: no zone file makes the reader panic, and the records of one that it
// takes can be written and read again.
func FuzzZone(f *testing.F) {
	if data, err := os.ReadFile("testdata/example.com.zone"); err == nil {
		f.Add(string(data))
	}
	f.Add("@ SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.1\n* TXT x\n")
	f.Add("$TTL 5\n$ORIGIN sub\n@ SOA a b ( 1 2 3\n4 5 )")
	f.Add("$GENERATE 1-9 a$ A 192.0.2.$")
	f.Add(" NS ")
	f.Add("a A ")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ParseZone("example.com.", "f", strings.NewReader(text))
		records, err := ParseRecords(dnsname.MustParse("example.com."), text)
		if err != nil {
			return
		}
		for _, r := range records {
			again, err := ParseRecords(dnsname.Root, r.String())
			if err != nil || len(again) != 1 || again[0].Name != r.Name || again[0].Type != r.Type || again[0].TTL != r.TTL || string(again[0].Data) != string(r.Data) {
				t.Errorf("%v\nis read as %v, %v", r, again, err)
			}
		}
	})
}

// FuzzFault: no words make the parser of faults panic, and what it takes reads
// the same when it is written.
func FuzzFault(f *testing.F) {
	for _, text := range []string{"off", "slow=800ms,servfail", "loss=30%", "loss=1e-9%", "loss=NaN%", "slow=-1s", "silent, lame", ",", "off,lame"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			return
		}
		if !(fault.Loss >= 0 && fault.Loss <= 1) || fault.Delay < 0 || fault.Delay > maxDelay {
			t.Errorf("%q: out of bounds: %+v", text, fault)
		}
		again, err := ParseFault(fault.String())
		if err != nil || again.String() != fault.String() {
			t.Errorf("%q is %v, and again %v, %v", text, fault, again, err)
		}
	})
}
