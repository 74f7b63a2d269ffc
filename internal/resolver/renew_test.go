package resolver

import (
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// A zone's keys are asked for anew every 30 s at most, each zone's for themselves.
func TestRenewalsAreSeldom(t *testing.T) {
	var r renewals
	a, b := dnsname.MustParse("a."), dnsname.MustParse("b.")
	now := clock.Mono(time.Hour)
	for _, v := range []struct {
		after time.Duration
		zone  dnsname.Name
		want  bool
	}{{0, a, true}, {0, a, false}, {0, b, true}, {renewEvery - 1, a, false}, {renewEvery, a, true}, {renewEvery, a, false}, {2 * renewEvery, a, true}} {
		if got := r.allow(now.Add(v.after), v.zone); got != v.want {
			t.Errorf("%s after %v: %v", v.zone, v.after, got)
		}
	}
}
