package main

import (
	"context"
	"fmt"
	"time"

	"lastgood/bench/ask"
	"lastgood/bench/machine"
	"lastgood/bench/openloop"
	"lastgood/bench/world"
)

// Rates of the flood and of those who want what an outage took away.
const (
	floodRate  = 5e3
	staleRate  = 5e3 // questions a second for popular names of the zone
	othersRate = 1e3 // and for others in it
	floodFrom  = 16  // addresses
)

// What clients of other names may notice at most.
const (
	noticedP99    = 5.  // ms
	noticedMissed = 0.1 // percent
)

// isolation measures what clients of cached names notice of a flood of random names
// below a zone, of an outage of a popular zone, and of both.
func isolation(ctx context.Context, r *rig) error {
	s, err := r.start(ctx, 256, 1, 100)
	if err != nil {
		return err
	}
	defer s.process.Stop()
	if err := s.warm(ctx, "m", 0, hotNames); err != nil {
		return err
	}
	popular := world.Names("n", "brief.bench", 0, hotNames)
	if err := ask.All(ctx, s.addr, window, false, popular, func(_ string, r ask.Reply) error {
		if r.Rcode != 0 {
			return fmt.Errorf("rcode %d", r.Rcode)
		}
		return nil
	}); err != nil {
		return err
	}
	flood := func(zone string) openloop.Load {
		return s.load(newNames("q", zone), floodRate, floodFrom, 4)
	}
	wanted := []openloop.Load{s.load(anyOf("n", "brief.bench", hotNames), staleRate, 32, 4), s.load(newNames("o", "brief.bench"), othersRate, 32, 4)}
	steps := []struct {
		what   string
		silent bool
		loads  []openloop.Load
	}{
		{"at rest", false, nil},
		{fmt.Sprintf("flood: %s random names/s below a zone", grouped(floodRate)), false, []openloop.Load{flood("plain.bench")}},
		{"a popular zone, healthy", false, wanted},
		{"a popular zone's outage", true, wanted},
		{"a popular zone's outage, and a flood below it", true, append([]openloop.Load{flood("brief.bench")}, wanted...)},
		{"at rest again", false, nil},
	}
	for _, step := range steps {
		if err := r.noticed(ctx, s, step.what, step.silent, step.loads); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) noticed(ctx context.Context, s running, what string, silent bool, loads []openloop.Load) error {
	if silent {
		if err := r.world.Silence(); err != nil {
			return err
		}
		defer r.world.Speak()
		// What the zone has in the cache expires.
		if err := machine.Wait(ctx, (world.BriefTTL+1)*time.Second); err != nil {
			return err
		}
	}
	f, err := r.measure(ctx, s, what, s.probe("m", "plain.bench"), loads...)
	if err != nil {
		return err
	}
	r.must("p99 of cached questions, "+what, f.probe.Waits.Quantile(0.99).Seconds()*1000, noticedP99, " ms")
	r.must("cached questions missed, "+what, 100*f.missed(), noticedMissed, " %")
	return nil
}
