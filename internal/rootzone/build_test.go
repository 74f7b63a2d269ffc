package rootzone

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// TestBuildOrder: whatever the order of the records, and whichever come twice or in
// capital letters, the zone is the same to the octet, and gives them all.
func TestBuildOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		records := randomZone(t, r, r.Uint32())
		first := build(t, records)
		again := append(slices.Clone(records), records[r.IntN(len(records))])
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if d := build(t, again); !d.same(first) || d.Len() != first.Len() {
			t.Fatal("another order gave another zone")
		}
		for got := range first.Records() {
			if !slices.ContainsFunc(records, func(o Record) bool {
				return o.Name == got.Name && o.Type == got.Type && o.TTL == got.TTL && string(o.Data) == string(got.Data)
			}) {
				t.Fatalf("%s %s was not given", got.Name, got.Type)
			}
		}
		if unique := build(t, slices.Collect(first.Records())); !unique.same(first) {
			t.Fatal("its records made another zone")
		}
	}
}

func TestBuildCase(t *testing.T) {
	lower := build(t, parse(t, ".", smallRoot))
	upper := parse(t, ".", smallRoot)
	for i, r := range upper {
		if r.Type == wire.TypeNS {
			upper[i].Data = []byte(strings.ToUpper(string(r.Data)))
		}
	}
	if !build(t, upper).same(lower) {
		t.Error("capital letters in data made another zone")
	}
}

func TestBuildRefuses(t *testing.T) {
	soa := parse(t, ".", ". 86400 IN SOA ns. admin. 1 1800 900 604800 86400")
	with := func(text string) []Record { return append(slices.Clone(soa), parse(t, ".", text)...) }
	broken := errors.New("broken source")
	for _, tc := range []struct {
		what    string
		records []Record
		want    string
	}{
		{"nothing", nil, "no SOA record"},
		{"no SOA", parse(t, ".", "aa. 60 IN NS ns."), "no SOA record"},
		{"two SOA", with(". 86400 IN SOA ns. admin. 2 1800 900 604800 86400"), "or more than one"},
		{"SOA below", with("aa. 86400 IN SOA ns. admin. 2 1800 900 604800 86400"), "aa. has an SOA record"},
		{"two TTLs", with("aa. 60 IN NS ns1.\naa. 61 IN NS ns2."), "TTLs of 60 and 61 s"},
		{"malformed", append(slices.Clone(soa), Record{dnsname.MustParse("aa."), wire.TypeA, 60, []byte{1}}), "malformed rdata"},
		{"no data", append(slices.Clone(soa), Record{dnsname.MustParse("aa."), wire.TypeANY, 60, nil}), "not a type of data"},
		{"a TTL too long", append(slices.Clone(soa), Record{dnsname.MustParse("aa."), wire.TypeA, 1 << 31, []byte{1, 2, 3, 4}}), "TTL of 2147483648 s"},
	} {
		if _, err := Build(seq(tc.records)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
	if _, err := Build(func(yield func(Record, error) bool) { yield(Record{}, broken) }); !errors.Is(err, broken) {
		t.Errorf("a source that fails: %v", err)
	}
}

// TestBuildBounds: what is too much is refused before it is all there.
func TestBuildBounds(t *testing.T) {
	given := 0
	many := func(size int) func(yield func(Record, error) bool) {
		data := make([]byte, size)
		return func(yield func(Record, error) bool) {
			for given = 0; ; given++ {
				data[0], data[1], data[2] = byte(given>>16), byte(given>>8), byte(given)
				if !yield(Record{dnsname.Root, 65280, 60, data}, nil) {
					return
				}
			}
		}
	}
	if _, err := Build(many(4)); !errors.Is(err, errManyRecords) || given > MaxRecords {
		t.Errorf("many records: %v after %d", err, given)
	}
	if _, err := Build(many(60000)); !errors.Is(err, errLarge) || given > MaxSize/60000+1 {
		t.Errorf("large records: %v after %d", err, given)
	}
}
