package app

import (
	"net/netip"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// Zones in trouble are counted by how they are, those that are well not at all.
func TestZonesInTroubleAreCounted(t *testing.T) {
	a := newApp(t, "{}")
	now := a.clock.Now()
	name := dnsname.MustParse
	one, other := netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("192.0.2.54:53")
	for _, zone := range []string{"one.", "two."} {
		a.infra.CutFailed(now, name(zone), &ede.Error{}, infra.Blame{Silent: []infra.Candidate{{Addr: one}}})
	}
	a.infra.Unreachable(now, other, "no route", false)
	a.cache.PutDelegation(now, &cache.Delegation{Cut: name("silent."), Parent: dnsname.Root, TTL: 60, Servers: []cache.NameServer{
		{Name: name("ns.silent."), Addrs: []netip.Addr{other.Addr()}},
	}})
	a.infra.Wanted(now, infra.Want{
		Cut: name("silent."), Servers: []infra.Candidate{{Addr: other}},
		Question: event.Question{Name: name("www.silent."), Type: wire.TypeA},
	})
	a.infra.Resolved(now, name("well."), 1)
	got := map[string]float64{}
	a.gatherHealth(gatherer{func(m control.Metric) {
		if m.Name == "lastgood_zones_in_trouble" {
			got[m.Labels[1]] = m.Value
		}
	}})
	if len(got) != 2 || got["failing"] != 2 || got["suspect"] != 1 {
		t.Errorf("%v, want 2 failing and 1 suspect", got)
	}
}

// Answers are fresh, stale or none, each counted once: what the cache alone
// answered, which the resolver never saw, is fresh.
func TestAnswersAreCountedByFreshness(t *testing.T) {
	got := map[string]float64{}
	g := gatherer{func(m control.Metric) {
		if m.Name == "lastgood_answers_total" {
			got[m.Labels[1]] += m.Value
		}
	}}
	g.freshness(100, resolver.Stats{Fresh: 20, None: 3, Stale: map[resolver.StaleCount]uint64{
		{Why: event.StaleTimeout, Cause: -1}: 4, {Why: event.StaleTrouble, Cause: int(ede.NoReachableAuthority)}: 5}})
	if len(got) != 3 || got["fresh"] != 120 || got["stale"] != 9 || got["none"] != 3 {
		t.Errorf("%v, want 120 fresh, 9 stale, 3 none", got)
	}
}
