package stale_test

import (
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
)

func TestUntil(t *testing.T) {
	on := stale.Policy{Enabled: true, Max: 24 * time.Hour, Negative: time.Hour}
	off, positive := on, on
	off.Enabled, positive.PositiveOnly = false, true
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
		{"positive only", positive, expiry, true, expiry},
		{"positive only, positive", positive, expiry, false, expiry.Add(24 * time.Hour)},
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

// A stale record is told with the answer TTL, never more than its own, never zero.
func TestTTL(t *testing.T) {
	p := stale.Policy{AnswerTTL: 30 * time.Second}
	for original, want := range map[uint32]uint32{3600: 30, 30: 30, 5: 5, 1: 1, 0: 1, 1<<32 - 1: 30} {
		if got := p.TTL(original); got != want {
			t.Errorf("of %d: %d, want %d", original, got, want)
		}
	}
	if got := new(stale.Policy).TTL(60); got != 1 {
		t.Errorf("an answer TTL of less than a second: %d, want 1", got)
	}
}

func TestRules(t *testing.T) {
	name := dnsname.MustParse
	general := stale.Policy{Enabled: true, Max: time.Hour}
	consul := stale.Policy{Enabled: true, Max: time.Minute}
	r := stale.NewRules(general, map[dnsname.Name]stale.Policy{
		name("consul."): consul, name("prod.consul."): general, name("a.bank.example."): consul,
	}, []dnsname.Name{name("bank.example.")})
	for text, want := range map[string]time.Duration{
		".": time.Hour, "example.": time.Hour, "consul.": time.Minute, "web.service.consul.": time.Minute,
		"notconsul.": time.Hour, "x.prod.consul.": time.Hour,
		"bank.example.": 0, "www.bank.example.": 0, "a.bank.example.": 0, // never is never
	} {
		if got := r.For(name(text)); got.Max != want || got.Enabled != (want > 0) {
			t.Errorf("%s: %+v, want a limit of %v", text, *got, want)
		}
	}
	if (*stale.Rules)(nil).For(name("example.")).Enabled {
		t.Error("no rules serve something stale")
	}
	if n := testing.AllocsPerRun(100, func() { r.For("\x03www\x06consul\x00") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
