package main

import (
	"fmt"
	"slices"
	"time"

	"lastgood/bench/openloop"
)

// The bounds that a soak is judged by.
const (
	warmShare = 0.2 // of the time, before which nothing is judged

	memoryShare = 0.05 // growth of memory along the fitted line, of the mean
	memoryFloor = 4.0  // MiB that it may grow in any case

	countFactor = 1.5 // last third's median of a count against the first third's
	countFloor  = 100.0

	latencyFactor = 1.5 // last third's median p99 against the first third's
	latencyFloor  = 5 * time.Millisecond

	// More than before the load, at rest after it: the resolver and the listener
	// keep 256 idle goroutines each for the next questions, and no more.
	leftGoroutines = 2*256 + 10
	leftFiles      = 5
)

// verdict is one judgement.
type verdict struct {
	what, bound, found string
	ok                 bool
}

func passed(list []verdict) bool {
	return !slices.ContainsFunc(list, func(v verdict) bool { return !v.ok })
}

// judge holds what was measured against the bounds.
func (r *record) judge() []verdict {
	warm := r.samples[int(warmShare*float64(len(r.samples))):]
	third := max(len(warm)/3, 1)
	early, late := warm[:third], warm[len(warm)-third:]
	list := []verdict{
		memory("RSS", warm, func(s *sample) float64 { return s.rss }),
		memory("heap in use", warm, func(s *sample) float64 { return s.heap }),
		count("goroutines under load", early, late, func(s *sample) float64 { return s.goroutines }),
		count("descriptors under load", early, late, func(s *sample) float64 { return s.fds }),
		left("goroutines at rest", r.before.goroutines, r.after.goroutines, leftGoroutines),
		left("descriptors at rest", r.before.fds, r.after.fds, leftFiles),
		latency("p99 of cached questions", early, late, func(s *sample) openloop.Histogram { return s.window[steady] }),
		latency("p99 of all questions", early, late, func(s *sample) openloop.Histogram { return s.all() }),
	}
	end := &r.samples[len(r.samples)-1]
	unexplained := r.unexplained()
	return append(list,
		verdict{"questions without an answer that no counter explains", "0", fmt.Sprintf("%.0f", unexplained), unexplained <= 0},
		verdict{"internal errors", "0", fmt.Sprintf("%.0f", max(end.panics, r.after.panics)), end.panics+r.after.panics == 0},
		verdict{"end on SIGTERM", "exit code 0 within 15 s", fmt.Sprint(r.clean), r.clean},
	)
}

// unexplained is how many questions got no answer though neither the server
// nor the kernel counted a drop.
func (r *record) unexplained() float64 {
	first := &r.samples[0]
	return float64(r.after.lost-first.lost) - (r.after.dropped - first.dropped) - (r.after.kernelDrops - first.kernelDrops)
}

func memory(what string, list []sample, of func(*sample) float64) verdict {
	var x, y []float64
	mean := 0.0
	for i := range list {
		x, y = append(x, list[i].at.Minutes()), append(y, of(&list[i]))
		mean += y[i] / float64(len(list))
	}
	grown := fit(x, y) * (x[len(x)-1] - x[0])
	bound := max(memoryFloor, memoryShare*mean)
	return verdict{what + " after warm-up", fmt.Sprintf("grows by at most %.1f MiB (%.0f %%, at least %.0f MiB)", bound, 100*memoryShare, memoryFloor),
		fmt.Sprintf("%+.1f MiB in %.1f min, mean %.1f MiB", grown, x[len(x)-1]-x[0], mean), grown <= bound}
}

// fit is the slope of the straight line through the points, by least squares.
func fit(x, y []float64) float64 {
	n, sx, sy, sxx, sxy := float64(len(x)), 0.0, 0.0, 0.0, 0.0
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	if d := n*sxx - sx*sx; d != 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

func median(list []sample, of func(*sample) float64) float64 {
	var v []float64
	for i := range list {
		v = append(v, of(&list[i]))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func count(what string, early, late []sample, of func(*sample) float64) verdict {
	a, b := median(early, of), median(late, of)
	bound := max(countFactor*a, a+countFloor)
	return verdict{what + ", median of the last third", fmt.Sprintf("at most %.0f (%.1f times the first third's, at least %.0f more)", bound, countFactor, countFloor),
		fmt.Sprintf("%.0f, first third %.0f", b, a), b <= bound}
}

func left(what string, before, after, more float64) verdict {
	return verdict{what, fmt.Sprintf("at most %.0f (before the load %.0f)", before+more, before), fmt.Sprintf("%.0f", after), after <= before+more}
}

func latency(what string, early, late []sample, of func(*sample) openloop.Histogram) verdict {
	p99 := func(s *sample) float64 {
		h := of(s)
		return float64(h.Quantile(0.99))
	}
	a, b := time.Duration(median(early, p99)), time.Duration(median(late, p99))
	bound := max(time.Duration(latencyFactor*float64(a)), a+latencyFloor)
	return verdict{what + ", median of the last third", fmt.Sprintf("at most %v (%.1f times the first third's, at least %v more)", round(bound), latencyFactor, latencyFloor),
		fmt.Sprintf("%v, first third %v", round(b), round(a)), b <= bound}
}

func round(d time.Duration) time.Duration { return d.Round(max(10*time.Microsecond, d/200)) }

// all is the latency of all questions in the sample's window.
func (s *sample) all() (h openloop.Histogram) {
	for c := range s.window {
		h.Add(&s.window[c])
	}
	return h
}
