package main

import (
	"context"
	"log"
	"time"

	"lastgood/bench/machine"
)

// record is what a soak showed.
type record struct {
	o              options
	capacity, rate float64
	began          time.Time
	plan           []episode
	before, after  sample // at rest
	samples        []sample
	losses         []loss
	clean          bool // the server ended well on SIGTERM
}

const (
	sampleEvery = 5 * time.Second
	faultEvery  = time.Second
	restFor     = 45 * time.Second // at most
)

// steady keeps the load up while faults come and go, and samples.
func (r *record) steady(ctx context.Context, l *lab, g *generator) error {
	length := time.Duration(r.o.minutes * float64(time.Minute))
	if r.o.faults {
		r.plan = schedule(r.o.seed, length)
	}
	first, err := r.take(l, g, 0)
	if err != nil {
		return err
	}
	last := first
	r.began = time.Now()
	g.setRate(r.rate)
	done, sampled := time.Duration(0), time.Duration(0)
	for done < length {
		if err := machine.Wait(ctx, faultEvery); err != nil {
			return err
		}
		now := time.Since(r.began)
		if err := apply(ctx, l, r.plan, done, now); err != nil {
			return err
		}
		done = now
		if now-sampled < sampleEvery {
			continue
		}
		s, err := r.take(l, g, now)
		if err != nil {
			return err
		}
		s.since(&last)
		r.samples = append(r.samples, s)
		last, sampled = s, now
		if len(r.samples)%6 == 0 {
			log.Print(s.line())
		}
	}
	return nil
}

func (r *record) take(l *lab, g *generator, now time.Duration) (sample, error) {
	s, err := l.sample()
	s.at = now
	s.asked, s.answered, s.lost = g.asked.Load(), g.answered.Load(), g.lost.Load()
	s.hist = g.latencies()
	return s, err
}

// since derives what is per window.
func (s *sample) since(last *sample) {
	s.rate = float64(s.answered-last.answered) / (s.at - last.at).Seconds()
	for c := range s.window {
		s.window[c] = s.hist[c].Minus(&last.hist[c])
	}
}

// rest waits until what was under way has ended, and takes the last sample.
func (r *record) rest(ctx context.Context, l *lab, g *generator) error {
	if err := machine.Wait(ctx, patience+2*sweeps); err != nil { // what is lost is known then
		return err
	}
	end := time.Now().Add(restFor)
	for {
		var err error
		if r.after, err = r.take(l, g, time.Since(r.began)); err != nil {
			return err
		}
		calm := r.after.goroutines <= r.before.goroutines+leftGoroutines && r.after.fds <= r.before.fds+leftFiles
		if calm || time.Now().After(end) {
			g.mu.Lock()
			r.losses = g.losses
			g.mu.Unlock()
			return nil
		}
		if err := machine.Wait(ctx, sampleEvery); err != nil {
			return err
		}
	}
}
