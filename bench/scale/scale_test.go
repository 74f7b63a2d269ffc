package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"lastgood/bench/ask"
	"lastgood/bench/openloop"
	"lastgood/bench/servers"
)

// What a load asks, cheaply, is what ask asks.
func TestNumbered(t *testing.T) {
	n := newNumbered("m", "plain.bench")
	for _, i := range []int{0, 7, 4_999_999} {
		if got, want := n.append(nil, i), ask.Append(nil, 0, fmt.Sprintf("m%d.plain.bench", i), false); !bytes.Equal(got, want) {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
	next := newNames("q", "plain.bench")
	if a, b := next(nil), next(nil); bytes.Equal(a, b) {
		t.Error("a new name is asked for twice")
	}
}

func TestFigure(t *testing.T) {
	f := figure{loads: []openloop.Loaded{
		{Sent: 1000, Rcodes: [16]int{0: 700, 2: 200, 3: 50}, Length: time.Second}, // 250 without an answer
		{Sent: 2000, Rcodes: [16]int{0: 2000}, Length: 2 * time.Second},
	}, probe: openloop.Probed{Sent: 100, Answered: 98, Wrong: 3}}
	if f.asked() != 2000 || f.answered() != 1750 || f.lost() != 0.125 || f.missed() != 0.05 {
		t.Errorf("asked %v, answered %v, lost %v, missed %v", f.asked(), f.answered(), f.lost(), f.missed())
	}
	if empty := (figure{}); empty.lost() != 0 || empty.missed() != 0 {
		t.Error("nothing asked, and something lost")
	}
}

// Checks are for lastgood alone, and the report tells those that do not hold.
func TestMust(t *testing.T) {
	r := &rig{part: "part", server: &servers.Server{Name: servers.Unbound}}
	r.must("p99", 7, 5, " ms")
	if len(r.checks) != 0 {
		t.Errorf("%+v", r.checks)
	}
	r.server = &servers.Server{Name: servers.Lastgood}
	r.must("p99", 5, 5, " ms")
	r.must("p99", 7, 5, " ms")
	if len(r.checks) != 2 || !r.checks[0].holds || r.checks[1].holds {
		t.Errorf("%+v", r.checks)
	}
	r.note(figure{part: parts[0].title, server: "lastgood", what: "1,000 names"})
	if text := r.report(t.Context()); !strings.Contains(text, "| p99 | 5 ms | 7 ms | **does not hold** |") || !strings.Contains(text, "1,000 names") || strings.Contains(text, "NaN") {
		t.Error(text)
	}
}

func TestNumbers(t *testing.T) {
	if got, err := numbers("1000,5"); err != nil || len(got) != 2 || got[0] != 1000 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "0", "10,,20", "99999999"} {
		if got, err := numbers(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
	for n, want := range map[int]string{7: "7", 1000: "1,000", 5_000_000: "5,000,000", 50_010: "50,010"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
