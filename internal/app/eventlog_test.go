package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
)

func TestLogIsRateLimitedAndSaysWhatItLeftOut(t *testing.T) {
	var out bytes.Buffer
	l := newEventLog(slog.New(slog.NewTextHandler(&out, nil)))
	at := clock.Mono(1)
	for range 1000 {
		l.hear(event.BudgetHit{At: at, Bound: "depth"})
	}
	if n := strings.Count(out.String(), "work bound hit"); n != logBurst {
		t.Errorf("logged %d times, want %d", n, logBurst)
	}
	out.Reset()
	l.hear(event.BudgetHit{At: at.Add(logWindow + time.Second), Bound: "depth"})
	if !strings.Contains(out.String(), "suppressed=990") {
		t.Errorf("what was left out isn't told: %s", out.String())
	}
	out.Reset()
	l.hear(event.CutHealth{At: at, Cut: "\x07example\x00"})
	if !strings.Contains(out.String(), "zone=example.") {
		t.Errorf("one kind's allowance used up another's: %q", out.String())
	}
}
