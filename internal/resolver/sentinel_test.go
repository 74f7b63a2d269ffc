package resolver

import (
	"testing"

	"lastgood/internal/dnsname"
)

func TestSentinelNames(t *testing.T) {
	for _, c := range []struct {
		name string
		tag  uint16
		not  bool
		ok   bool
	}{
		{"root-key-sentinel-is-ta-20326.example.", 20326, false, true},
		{"root-key-sentinel-not-ta-20326.example.", 20326, true, true},
		{"root-key-sentinel-not-ta-00001.", 1, true, true},
		{"root-key-sentinel-is-ta-65535.a.b.", 65535, false, true},
		{"root-key-sentinel-is-ta-65536.a.b.", 0, false, false},
		{"root-key-sentinel-is-ta-2032a.example.", 0, false, false},
		{"root-key-sentinel-is-ta-326.example.", 0, false, false},
		{"root-key-sentinel-is-ta-020326.example.", 0, false, false},
		{"root-key-sentinel-not-ta-0326.example.", 0, false, false},
		{"www.root-key-sentinel-is-ta-20326.example.", 0, false, false},
		{"xoot-key-sentinel-is-ta-20326.example.", 0, false, false},
		{".", 0, false, false},
	} {
		tag, not, ok := sentinelOf(dnsname.MustParse(c.name))
		if ok != c.ok || ok && (tag != c.tag || not != c.not) {
			t.Errorf("%s: %d, %v, %v", c.name, tag, not, ok)
		}
	}
}

// TestSentinelCostsNothing: every question is looked at.
func TestSentinelCostsNothing(t *testing.T) {
	names := []dnsname.Name{
		dnsname.MustParse("www.example."), dnsname.MustParse("root-key-sentinel-is-ta-20326.example."), dnsname.MustParse("xxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example."),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			sentinelOf(name)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
