package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// The time that the machine slept counts, soon after it woke up, and the system
// is asked a hundred times a second at most.
func TestSleep(t *testing.T) {
	const ms = time.Millisecond
	var s sleep
	asked, total := 0, time.Hour // it slept before the clock was made
	s.start(func() time.Duration { asked++; return total })
	asked = 0
	for _, v := range []struct {
		up, slept, read time.Duration
		asked           int
	}{
		{1 * ms, 0, 0, 0},
		{9 * ms, 2 * time.Hour, 0, 0}, // it woke up just now
		{10 * ms, 2 * time.Hour, 2 * time.Hour, 1},
		{19 * ms, 3 * time.Hour, 2 * time.Hour, 1},
		{20 * ms, 3 * time.Hour, 3 * time.Hour, 2},
		{30 * ms, 3*time.Hour + 99*ms, 3 * time.Hour, 3},         // as far as reading both clocks is exact
		{40 * ms, 3*time.Hour + 100*ms, 3*time.Hour + 100*ms, 4}, // many short ones make a long one
		{50 * ms, time.Hour, 3*time.Hour + 100*ms, 5},            // nothing makes time run backwards
		{10 * time.Hour, 4 * time.Hour, 4 * time.Hour, 6},
	} {
		total = time.Hour + v.slept
		if got := s.read(v.up); got != v.read || asked != v.asked {
			t.Errorf("after %v up and %v asleep: %v, asked %d times; want %v, %d", v.up, v.slept, got, asked, v.read, v.asked)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.read(time.Duration(asked) * time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A process that is stopped between two readings of the system's clocks sees too
// little, once; that must not count as sleep afterwards.
func TestSleepStoppedAtStart(t *testing.T) {
	var s sleep
	readings := []time.Duration{-time.Minute, 0, 0}
	s.start(func() time.Duration {
		r := readings[0]
		readings = readings[1:]
		return r
	})
	if got := s.read(time.Second); got != 0 {
		t.Errorf("slept %v", got)
	}
}

// In virtual time, which stands still while code runs, nothing of the machine's
// own time shows.
func TestBusyIsNotAsleep(t *testing.T) {
	busy := make(chan time.Time)
	go func() { // outside of the bubble
		for range 2 {
			busy <- time.Now()
			time.Sleep(3 * sleepLeast)
		}
		close(busy)
	}()
	synctest.Test(t, func(t *testing.T) {
		c := New()
		time.Sleep(sleepEvery)
		before := c.Now()
		for range busy { // virtual time does not go on: this is no wait of the bubble's own
		}
		time.Sleep(sleepEvery)
		if d := c.Now().Sub(before); d != sleepEvery {
			t.Errorf("%v went by", d)
		}
	})
}

// A simulated machine's sleep counts on both clocks, a step of its time of day on
// that one only.
func TestSimulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Shift
		c := Simulated(&s)
		mono, wall := c.Now(), c.Wall()
		for _, v := range []struct {
			do         func(time.Duration)
			d          time.Duration
			mono, wall time.Duration // since the beginning
		}{
			{s.Suspend, 2 * time.Hour, 2 * time.Hour, 2 * time.Hour},
			{s.Step, -24 * time.Hour, 2 * time.Hour, -22 * time.Hour},
			{s.Step, 48 * time.Hour, 2 * time.Hour, 26 * time.Hour},
			{s.Suspend, time.Nanosecond, 2*time.Hour + 1, 26*time.Hour + 1},
			{time.Sleep, time.Hour, 3*time.Hour + 1, 27*time.Hour + 1},
		} {
			v.do(v.d)
			if m, w := c.Now().Sub(mono), c.Wall().Sub(wall); m != v.mono || w != v.wall {
				t.Errorf("after %v more: %v and %v, want %v and %v", v.d, m, w, v.mono, v.wall)
			}
		}
		if at := c.At(mono); !at.Equal(c.Wall().Add(-3*time.Hour - 1)) {
			t.Errorf("the first reading was at %v", at)
		}
	})
}
