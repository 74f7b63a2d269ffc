package main

import (
	"math"
	"testing"
	"time"
)

func TestFit(t *testing.T) {
	var x, y []float64
	for i := range 100 {
		x, y = append(x, float64(i)), append(y, 7+0.25*float64(i)+float64(i%2))
	}
	if slope := fit(x, y); math.Abs(slope-0.25) > 0.01 {
		t.Errorf("slope %v, want 0.25", slope)
	}
}

// A run that leaks must not pass.
func TestJudgeSeesGrowth(t *testing.T) {
	flat := func(change func(i int, s *sample)) *record {
		r := &record{clean: true}
		for i := range 100 {
			s := sample{at: time.Duration(i) * 5 * time.Second, rss: 100 + float64(i%3), heap: 40, goroutines: 200, fds: 90, answered: 1}
			for c := range s.window {
				for range 100 {
					s.window[c].Note(time.Millisecond)
				}
			}
			change(i, &s)
			r.samples = append(r.samples, s)
		}
		r.before = sample{goroutines: 190, fds: 80}
		r.after = sample{goroutines: 190 + 512, fds: 80}
		return r
	}
	for name, c := range map[string]struct {
		change func(int, *sample)
		passes bool
	}{
		"flat":       {func(int, *sample) {}, true},
		"memory":     {func(i int, s *sample) { s.rss += float64(i) / 5 }, false},
		"heap":       {func(i int, s *sample) { s.heap += float64(i) / 5 }, false},
		"goroutines": {func(i int, s *sample) { s.goroutines += float64(3 * i) }, false},
		"files":      {func(i int, s *sample) { s.fds += float64(3 * i) }, false},
		"panic":      {func(i int, s *sample) { s.panics = float64(i / 99) }, false},
		"latency": {func(i int, s *sample) {
			for range max(0, i-60) {
				s.window[steady].Note(80 * time.Millisecond)
			}
		}, false},
	} {
		if got := passed(flat(c.change).judge()); got != c.passes {
			t.Errorf("%s: passed %v, want %v", name, got, c.passes)
		}
	}
	r := flat(func(int, *sample) {})
	r.after.goroutines = 190 + 530
	if passed(r.judge()) {
		t.Error("goroutines that are left at the end pass")
	}
}
