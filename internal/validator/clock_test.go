package validator

import (
	"strings"
	"testing"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// atTime is a world whose validator has another time, and what it says of its clock.
func atTime(t *testing.T, text, top string, now time.Time) (*world, *[]event.ClockSuspect) {
	t.Helper()
	w := newWorld(t, text)
	said := new([]event.ClockSuspect)
	w.v = New(Options{
		Grounds: anchor.NewTable(w.anchors(dnsname.MustParse(top)), nil), Clock: clock.New(), Policy: policy, Pinned: now,
		Events: func(e event.Event) {
			if c, ok := e.(event.ClockSuspect); ok {
				*said = append(*said, c)
			}
		},
	})
	return w, said
}

// TestWrongClock: when nothing of the root is valid now the clock is to blame, and no
// zone; of another anchor's keys it is when they are valid only later.
func TestWrongClock(t *testing.T) {
	const text = ". keys=csk1 valid=90d\nexample. keys=csk1 valid=90d\nwww A 192.0.2.1\n"
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		top  string
		off  time.Duration
		code ede.Code
		said bool
	}{
		{".", 0, 0, false},
		{".", -year, ede.SignatureNotYetValid, true},
		{".", year, ede.SignatureExpired, true},
		{"example.", -year, ede.SignatureNotYetValid, true},
		{"example.", year, ede.SignatureExpired, false},
	} {
		w, said := atTime(t, text, c.top, noon.Add(c.off))
		v, _ := w.judge("www.example.", wire.TypeA)
		if c.code == 0 {
			if v.Failure != nil || len(*said) > 0 {
				t.Errorf("at the right time: %v, %+v", v.Failure, *said)
			}
			continue
		}
		if v.Failure == nil || v.Failure.Code != c.code || (len(*said) > 0) != c.said {
			t.Errorf("%s %v: %v, said %+v", c.top, c.off, v.Failure, *said)
			continue
		}
		blames := v.Zone == "" && v.Failure.Zone == "" && strings.HasPrefix(v.Failure.Text, "dnssec.validation-time says "+noon.Add(c.off).Format(time.RFC3339))
		if blames != c.said || v.Links[0].Failure != v.Failure {
			t.Errorf("%s %v: %+v", c.top, c.off, v)
		}
		if c.said && (!(*said)[0].Begins.Equal(noon.Add(-time.Hour)) || !(*said)[0].Ends.Equal(noon.Add(90*24*time.Hour)) || (*said)[0].Zone.String() != c.top) {
			t.Errorf("%+v", (*said)[0])
		}
	}
}

// TestNotTheClock: nobody makes us doubt the clock by signatures of the keys that the
// keys did not make.
func TestNotTheClock(t *testing.T) {
	w, said := atTime(t, ". keys=csk1\nwww A 192.0.2.1\n", ".", noon.Add(-365*24*time.Hour))
	w.change = func(q event.Question, entries []cache.Entry) {
		if q.Type == wire.TypeDNSKEY {
			sig := entries[0].Set.Sigs
			sig[len(sig)-1] ^= 1
		}
	}
	v, _ := w.judge("www.", wire.TypeA)
	if v.Failure == nil || v.Failure.ID == wrongClock || len(*said) > 0 {
		t.Errorf("%v, said %+v", v.Failure, *said)
	}
}
