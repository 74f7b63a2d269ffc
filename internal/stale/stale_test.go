package stale_test

import (
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/stale"
)

const second = clock.Mono(time.Second)

// Each state begins at the very moment that ends the one before.
func TestStateOf(t *testing.T) {
	for _, v := range []struct {
		now, expiry, until clock.Mono
		want               stale.State
	}{
		{1 * second, 2 * second, 5 * second, stale.Fresh},
		{2*second - 1, 2 * second, 5 * second, stale.Fresh},
		{2 * second, 2 * second, 5 * second, stale.Stale},
		{5*second - 1, 2 * second, 5 * second, stale.Stale},
		{5 * second, 2 * second, 5 * second, stale.Gone},
		{2 * second, 2 * second, 2 * second, stale.Gone}, // the policy is off
		{3 * second, 2 * second, 0, stale.Gone},
		{1 * second, 2 * second, 0, stale.Fresh}, // no limit cuts a TTL short
	} {
		if got := stale.StateOf(v.now, v.expiry, v.until); got != v.want {
			t.Errorf("at %v, expiry %v, until %v: %v, want %v", v.now, v.expiry, v.until, got, v.want)
		}
	}
}

// The window is the last tenth of a life that is long enough for one.
func TestPrefetchDue(t *testing.T) {
	for _, v := range []struct {
		now, stored, expiry clock.Mono
		want                bool
	}{
		{90 * second, 0, 100 * second, true},
		{90*second - 1, 0, 100 * second, false},
		{100*second - 1, 0, 100 * second, true},
		{100 * second, 0, 100 * second, false},   // expired: that is no prefetch
		{9 * second, 0, 10 * second, true},       // the shortest that is worth it
		{9 * second, second, 10 * second, false}, // a lifetime of nine seconds
		{0, 0, 0, false},
	} {
		if got := stale.PrefetchDue(v.now, v.stored, v.expiry); got != v.want {
			t.Errorf("at %v of %v to %v: %v, want %v", v.now, v.stored, v.expiry, got, v.want)
		}
	}
}
