package app

import (
	"cmp"
	"maps"
	"slices"

	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
)

// usualCauses are those of most failures. Their series are there, at 0, before the
// first failure is: the increase from nothing to one is none to Prometheus.
var usualCauses = [...]ede.Code{ede.Other, ede.NotAuthoritative, ede.NoReachableAuthority, ede.NetworkError, ede.InvalidData} // constant in effect

// usualStale are the counts of stale answers that there is always something to
// say of, if only 0.
func usualStale() []resolver.StaleCount {
	list := []resolver.StaleCount{{Why: event.StaleTimeout, Cause: -1}, {Why: event.StaleCrowd, Cause: -1}}
	for _, why := range []event.StaleReason{event.StaleFailed, event.StaleRemember, event.StaleTrouble} {
		for _, cause := range usualCauses {
			list = append(list, resolver.StaleCount{Why: why, Cause: int(cause)})
		}
	}
	return list
}

// withZeros adds keys to counts that lack them.
func withZeros[K comparable](counts map[K]uint64, keys []K) map[K]uint64 {
	all := make(map[K]uint64, len(counts)+len(keys))
	for _, k := range keys {
		all[k] = 0
	}
	maps.Copy(all, counts)
	return all
}

// freshness tells how good answers are: the metrics that show an outage at a
// glance. What the cache alone answered is fresh.
func (g gatherer) freshness(cached uint64, s resolver.Stats) {
	const answers = "Answers by freshness; none: questions that got no answer. Those that are not resolved (RD=0, special names, ANY) are not counted."
	counts := withZeros(s.Stale, usualStale())
	var stale uint64
	for _, by := range slices.SortedFunc(maps.Keys(counts), func(a, b resolver.StaleCount) int {
		return cmp.Or(cmp.Compare(a.Why, b.Why), cmp.Compare(a.Cause, b.Cause))
	}) {
		stale += counts[by]
		g.count("lastgood_stale_answers_total", "Answers past their TTL, by why they were given and the failure behind it.", counts[by],
			"why", by.Why.String(), "cause", causeName(by.Cause))
	}
	g.count("lastgood_answers_total", answers, cached+s.Fresh, "freshness", "fresh")
	g.count("lastgood_answers_total", answers, stale, "freshness", "stale")
	g.count("lastgood_answers_total", answers, s.None, "freshness", "none")
	g.histogram("lastgood_stale_answer_age_seconds", "How long before a stale answer was given it had expired.", s.StaleAge.Bounds, s.StaleAge.Counts, s.StaleAge.Sum)
	g.count("lastgood_servfails_prevented_total", "Stale answers given when the attempt at something better had failed, or was known to fail.", s.Prevented)
	g.count("lastgood_client_waits_cut_total", "Waits for something better than a stale answer that the client timeout ended.", s.WaitsCut)
}

// causeName is a cause's name in the registry of extended errors.
func causeName(code int) string {
	if code < 0 {
		return "none yet"
	}
	return ede.Code(code).String()
}

// refreshes tells what was asked for that nobody waited for, and how zones that
// came back are treated.
func (g gatherer) refreshes(s resolver.Stats) {
	g.count("lastgood_refreshes_total", "Resolutions begun behind a stale answer.", s.Behind)
	g.count("lastgood_prefetches_total", "Answers refreshed before they expired.", s.Prefetches)
	g.count("lastgood_prefetches_dropped_total", "Answers that were due for that when too many were under way.", s.PrefetchesDropped)
	const recovery = "Refreshes of zones in the slow start after their return, by what became of them."
	g.count("lastgood_recovery_refreshes_total", recovery, s.Recovery, "result", "begun")
	g.count("lastgood_recovery_refreshes_total", recovery, s.RecoveryQueued, "result", "queued")
	g.count("lastgood_recovery_refreshes_total", recovery, s.RecoveryForgotten, "result", "forgotten")
	g.count("lastgood_recoveries_unbounded_total", "Zones that came back when too many others had, and had no slow start.", s.RecoveryUnbounded)
}

// gatherHealth tells how zones and the way to them are.
func (a *App) gatherHealth(g gatherer) {
	now := a.clock.Now()
	failing, perhaps := a.infra.InTrouble(now)
	suspect := 0
	for _, cut := range perhaps {
		if a.resolver.InTrouble(cut) {
			suspect++
		}
	}
	const zones = "Zones whose servers fail, or are all suspect."
	g.gauge("lastgood_zones_in_trouble", zones, float64(failing), "state", "failing")
	g.gauge("lastgood_zones_in_trouble", zones, float64(suspect), "state", "suspect")
	_, offline := a.infra.Offline(now)
	g.gauge("lastgood_network_offline", "Whether no name server answers any more, whoever is asked.", boolean(offline))
	for o := range outcomes {
		g.count("lastgood_rechecks_total", "Questions to see whether a server is back, by what came of them.", a.counts.rechecks[o].Load(),
			"outcome", event.Outcome(o).String())
	}
	g.count("lastgood_recheck_recoveries_total", "Zones found to be back by a recheck.", a.counts.returns.Load())
}
