package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/event"
)

// TestSuspicion: it is told when it begins and every ten minutes, lasts ten minutes, and
// ends when the clock is set.
func TestSuspicion(t *testing.T) {
	var log bytes.Buffer
	a, err := New(Options{Config: config.Default(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	wall := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	suspect := func(at time.Duration) {
		a.hearClock(event.ClockSuspect{At: clock.Mono(1 + at), Says: wall.Add(at)})
	}
	s := &a.counts.suspicion
	if s.look(wall, 1) {
		t.Error("set before anybody doubted it")
	}
	for at := time.Duration(0); at <= 21*time.Minute; at += time.Minute {
		suspect(at)
		if s.look(wall.Add(at+time.Second), clock.Mono(at+time.Second)) {
			t.Fatalf("set, after %v", at)
		}
	}
	if n := strings.Count(log.String(), "seems to be wrong"); n != 3 {
		t.Errorf("told %d times", n)
	}
	if raised, now := s.state(); raised != 22 || !now {
		t.Errorf("%d, %v", raised, now)
	}
	at := 22 * time.Minute
	if !s.look(wall.Add(at+time.Hour), clock.Mono(at)) || s.look(wall.Add(at+time.Hour), clock.Mono(at)) {
		t.Error("that it was set is not seen, or twice")
	}
	suspect(at)
	s.look(wall.Add(at+9*time.Minute), clock.Mono(at+9*time.Minute))
	if _, now := s.state(); !now {
		t.Error("over after nine minutes")
	}
	s.look(wall.Add(at+11*time.Minute), clock.Mono(at+11*time.Minute))
	if _, now := s.state(); now {
		t.Error("not over after eleven minutes")
	}
}
