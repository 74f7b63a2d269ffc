package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/openloop"
)

// shares are those of the capacity at which it is measured, the last one once more at
// half, to see that nothing stays behind.
var shares = []float64{0.5, 0.9, 1.2, 0.5}

// smallCache is a cache that is soon full, so that memory tells of other things.
const smallCache = 32 // MiB

// afterSearch is the rest after more than a server can take: longer than it works at a
// question that it was asked.
const afterSearch = 12 * time.Second

// firstRate is where the search for the capacity begins.
const firstRate = 4000.

// What must hold under load.
const (
	calmP99      = 5.   // ms, of cached questions at half of the capacity
	overP99      = 100. // ms, of cached questions above it: queues are short
	throughput   = 0.8  // of the capacity is still answered above it
	rssShare     = 1.3  // of the cache's size, and
	rssMore      = 64.  // MiB
	rssGrowth    = 16.  // MiB from before the overload to after it
	missedCached = 25.  // percent of cached questions above the capacity for them: the excess is a sixth
	missedCold   = 5.   // percent of cached questions above the capacity for others
	missedBelow  = 0.1  // percent below it
	cachedBeside = 5e3  // cached questions a second beside those that are not
)

// cachedLoad loads a server with cached questions alone.
func cachedLoad(ctx context.Context, r *rig) error {
	s, err := r.start(ctx, smallCache, 1, 100)
	if err != nil {
		return err
	}
	defer s.process.Stop()
	if err := s.warm(ctx, "m", 0, hotNames); err != nil {
		return err
	}
	next := func() func(b []byte) []byte { return anyOf("m", "plain.bench", hotNames) }
	top, err := r.measure(ctx, s, told(flatOut), s.probe("m", "plain.bench"), s.load(next(), flatOut, 16, 32))
	if err != nil {
		return err
	}
	capacity := top.answered()
	limit := "the server's"
	if top.lost() < 0.02 {
		limit = "the load's: the server may do more"
	}
	log.Printf("%s: capacity %.0f cached questions/s, %s limit", r.server.Name, capacity, limit)
	return r.levels(ctx, s, capacity, missedCached, func(rate float64) []openloop.Load {
		return []openloop.Load{s.load(next(), rate, 16, 32)}
	})
}

// levels measures at shares of a capacity, and checks; missed is the percentage of
// cached questions that may go without an answer above it.
func (r *rig) levels(ctx context.Context, s running, capacity, missed float64, loads func(rate float64) []openloop.Load) error {
	var before float64
	for i, share := range shares {
		what := fmt.Sprintf("%.0f %% of %s/s", 100*share, grouped(int(capacity)))
		if i == len(shares)-1 {
			what += ", afterwards"
		}
		f, err := r.measure(ctx, s, what, s.probe("m", "plain.bench"), loads(share*capacity)...)
		if err != nil {
			return err
		}
		r.checkLevel(f, share, capacity, missed)
		if i == 1 {
			before = f.rss
		}
		if i == len(shares)-1 {
			r.must("memory gained by overload", f.rss-before, rssGrowth, " MiB")
		}
	}
	return nil
}

func (r *rig) checkLevel(f figure, share, capacity, missed float64) {
	p99 := f.probe.Waits.Quantile(0.99).Seconds() * 1000
	if share <= 0.5 {
		r.must("p99 of cached questions, "+f.what, p99, calmP99, " ms")
		r.must("cached questions missed, "+f.what, 100*f.missed(), missedBelow, " %")
	}
	if share > 1 {
		r.must("p99 of cached questions, "+f.what, p99, overP99, " ms")
		r.must("cached questions missed, "+f.what, 100*f.missed(), missed, " %")
		r.must("capacity not answered any more, "+f.what, 100*max(0, 1-f.answered()/capacity), 100*(1-throughput), " %")
	}
	r.must("resident memory, "+f.what, f.rss, rssShare*smallCache+rssMore, " MiB")
}

// coldLoad loads a server with names that nobody asked for, beside some that are cached.
func coldLoad(ctx context.Context, r *rig) error {
	s, err := r.start(ctx, smallCache, 1, 100)
	if err != nil {
		return err
	}
	defer s.process.Stop()
	if err := s.warm(ctx, "m", 0, hotNames); err != nil {
		return err
	}
	fresh := newNames("q", "plain.bench")
	loads := func(rate float64) []openloop.Load {
		cold := s.load(fresh, rate, 64, 8)
		return []openloop.Load{cold, s.load(anyOf("m", "plain.bench", hotNames), cachedBeside, 8, 8)}
	}
	capacity := r.o.capacity
	if capacity == 0 {
		if capacity, err = r.search(ctx, s, loads); err != nil {
			return err
		}
	}
	return r.levels(ctx, s, capacity, missedCold, loads)
}

// search finds the highest of rates that rise by a quarter at which the first load is
// answered. A rate has two tries: others may use the machine for a moment.
func (r *rig) search(ctx context.Context, s running, loads func(rate float64) []openloop.Load) (capacity float64, err error) {
	failed := 0
	for rate := firstRate; rate < flatOut && failed < 2; {
		f, err := r.measure(ctx, s, fmt.Sprintf("looking for the capacity at %s/s", grouped(int(rate))), s.probe("m", "plain.bench"), loads(rate)...)
		if err != nil {
			return 0, err
		}
		// Of what was asked: this program may have been too slow to ask more.
		cold := f.loads[0]
		if float64(cold.Answered()) < 0.99*float64(cold.Sent) || f.missed() > 0.01 {
			failed++
			if err := machine.Wait(ctx, afterSearch); err != nil {
				return 0, err
			}
			continue
		}
		capacity, failed = float64(cold.Sent)/cold.Length.Seconds(), 0
		rate *= 1.25
	}
	if capacity == 0 {
		return 0, fmt.Errorf("not even %s cold questions/s are answered", grouped(int(firstRate)))
	}
	return capacity, nil
}
