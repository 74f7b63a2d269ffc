package rootzone

import (
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// example reads one of the zones of RFC 8976 appendix A.
func example(t *testing.T, file, origin string) ([]Record, dnsname.Name) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rfc8976", file))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, origin, string(text)), dnsname.MustParse(origin)
}

func load(t *testing.T, origin dnsname.Name, records []Record) *Data {
	t.Helper()
	l := loader{origin: origin}
	for _, r := range records {
		if err := l.add(r); err != nil {
			t.Fatal(err)
		}
	}
	d, err := l.build()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDigestExamples is RFC 8976 appendix A, in any order of the records.
func TestDigestExamples(t *testing.T) {
	for _, tc := range []struct{ file, origin string }{
		{"a1.zone", "example."}, {"a2.zone", "example."}, {"a3.zone", "example."},
		{"a4.zone", "uri.arpa."}, {"a5.zone", "root-servers.net."},
	} {
		records, origin := example(t, tc.file, tc.origin)
		if h, err := load(t, origin, records).checkDigest(); err != nil || h != crypto.SHA384 {
			t.Errorf("%s: %v, %v", tc.file, h, err)
		}
		slices.Reverse(records)
		if _, err := load(t, origin, records).checkDigest(); err != nil {
			t.Errorf("%s, from its end: %v", tc.file, err)
		}
		// Whatever is left out, but for out-of-zone data and what is there twice, is missed.
		for i, r := range records {
			rest := slices.Delete(slices.Clone(records), i, i+1)
			twice := slices.ContainsFunc(rest, func(o Record) bool { return o.Name == r.Name && o.Type == r.Type && string(o.Data) == string(r.Data) })
			if !r.Name.Under(origin) || twice || r.Type == wire.TypeSOA || r.Type == wire.TypeZONEMD && r.Name == origin {
				continue
			}
			if _, err := load(t, origin, rest).checkDigest(); !errors.Is(err, errDigest) {
				t.Errorf("%s without %s %s: %v", tc.file, r.Name, r.Type, err)
			}
		}
	}
}

// TestDigestOfMany takes away what vouches for the zone of appendix A.3 one after
// another: each of the two known hashes is enough, and what is not known is not.
func TestDigestOfMany(t *testing.T) {
	records, origin := example(t, "a3.zone", "example.")
	without := func(scheme, algorithm byte) {
		records = slices.DeleteFunc(records, func(r Record) bool {
			return r.Type == wire.TypeZONEMD && r.Data[4] == scheme && r.Data[5] == algorithm
		})
	}
	without(1, 1)
	if h, err := load(t, origin, records).checkDigest(); err != nil || h != crypto.SHA512 {
		t.Errorf("with SHA-512 only: %v, %v", h, err)
	}
	without(1, 2)
	for _, left := range []string{"which is not known", "which is not known"} {
		if _, err := load(t, origin, records).checkDigest(); err == nil || !strings.Contains(err.Error(), left) {
			t.Errorf("with what is not known: %v", err)
		}
		without(1, 240)
	}
	without(241, 1)
	if _, err := load(t, origin, records).checkDigest(); !errors.Is(err, errNoDigest) {
		t.Errorf("without any: %v", err)
	}
}
