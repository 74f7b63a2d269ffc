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

func TestUntil(t *testing.T) {
	on := stale.Policy{Enabled: true, Max: 24 * time.Hour, Negative: time.Hour}
	off := on
	off.Enabled = false
	stored, expiry := 10*second, 70*second
	for _, v := range []struct {
		what     string
		p        stale.Policy
		expiry   clock.Mono
		negative bool
		want     clock.Mono
	}{
		{"positive", on, expiry, false, expiry.Add(24 * time.Hour)},
		{"negative has its own limit", on, expiry, true, expiry.Add(time.Hour)},
		{"TTL 0 is never stale (RFC 8767 section 4)", on, stored, false, stored},
		{"switched off", off, expiry, false, expiry},
		{"switched off, negative", off, expiry, true, expiry},
		{"the zero policy", stale.Policy{}, expiry, false, expiry},
	} {
		if got := v.p.Until(stored, v.expiry, v.negative); got != v.want {
			t.Errorf("%s: %v, want %v", v.what, got, v.want)
		}
	}
}

// Whatever the policy, an entry is never gone while its TTL runs, and never
// served later than expiry plus the limit.
func TestBounds(t *testing.T) {
	for _, p := range []stale.Policy{{}, {Enabled: true}, {Enabled: true, Max: time.Minute, Negative: time.Second}} {
		for _, negative := range []bool{false, true} {
			for ttl := range clock.Mono(5) {
				stored := 3 * second
				expiry := stored + ttl*second
				until := p.Until(stored, expiry, negative)
				if got := stale.StateOf(expiry-1, expiry, until); got != stale.Fresh {
					t.Errorf("%+v: %v before the expiry", p, got)
				}
				limit := max(p.Max, p.Negative)
				if got := stale.StateOf(expiry.Add(limit), expiry, until); got != stale.Gone {
					t.Errorf("%+v: %v after every limit", p, got)
				}
			}
		}
	}
}
