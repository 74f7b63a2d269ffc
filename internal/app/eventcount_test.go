package app

import (
	"testing"
	"time"

	"lastgood/internal/control"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// What events tell is what the metrics say.
func TestEventsAreCounted(t *testing.T) {
	a := newApp(t, "{}")
	for _, e := range []event.Event{
		event.Exchanged{RTT: 30 * time.Millisecond},
		event.Exchanged{RTT: time.Hour, Late: true},
		event.Exchanged{Outcome: event.Timeout, RTT: time.Hour},
		event.Priming{}, event.Priming{Failure: &ede.Error{}},
		event.BudgetHit{Bound: "depth"}, event.BudgetHit{Bound: "depth"},
		event.Rechecked{Outcome: event.Timeout}, event.Rechecked{Outcome: event.NoData, Recovered: true},
	} {
		a.counts.hear(e)
	}
	got := map[string]control.Metric{}
	a.gather(func(m control.Metric) {
		key := m.Name
		for i := 1; i < len(m.Labels); i += 2 {
			key += " " + m.Labels[i]
		}
		got[key] = m
	})
	for key, want := range map[string]float64{
		"lastgood_upstream_late_total":                                     1,
		"lastgood_upstream_queries_total udp " + event.Timeout.String():    1,
		"lastgood_upstream_queries_total udp " + event.Outcome(0).String(): 2,
		"lastgood_primings_total useful":                                   1,
		"lastgood_primings_total failed":                                   1,
		"lastgood_bounds_hit_total depth":                                  2,
		"lastgood_rechecks_total timeout":                                  1,
		"lastgood_rechecks_total nodata":                                   1,
		"lastgood_recheck_recoveries_total":                                1,
	} {
		if m, ok := got[key]; !ok || m.Value != want {
			t.Errorf("%s is %v, want %v", key, m.Value, want)
		}
	}
	rtt := got["lastgood_upstream_rtt_seconds"]
	if rtt.Count != 2 || rtt.Sum != (time.Hour+30*time.Millisecond).Seconds() {
		t.Errorf("%d round trips of %v s together, want 2 of 3600.03 s: a timeout is none", rtt.Count, rtt.Sum)
	}
	for i, bound := range rtt.Bounds {
		if want := bound >= 0.03; (rtt.Counts[i] == 1) != want || rtt.Counts[i] > 1 {
			t.Errorf("%d round trips up to %v s", rtt.Counts[i], bound)
		}
	}
}
