package app

import (
	"context"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// controlAPI lets the control address see and flush the cache, and see how
// zones are: it puts what the packages know into the form that people read.
type controlAPI struct{ a *App }

// moments turns moments into times of day, and back, by one reading of the clock,
// so that their differences stay exact.
type moments struct {
	now  clock.Mono
	wall time.Time
}

func (c controlAPI) moments() moments {
	now := c.a.clock.Now()
	return moments{now, c.a.clock.At(now)}
}

// at gives the zero time for the moment that is none.
func (m moments) at(t clock.Mono) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return m.wall.Add(t.Sub(m.now)).UTC().Truncate(time.Millisecond)
}

// Entries lists everything at a name.
func (c controlAPI) Entries(name dnsname.Name) []control.Entry {
	m := c.moments()
	var list []control.Entry
	for _, e := range c.a.cache.Names(name) {
		list = append(list, m.entry(&e))
	}
	return list
}

// dumpStride is how many entries a dump passes over before it looks whether
// anybody still wants it.
const dumpStride = 1024

// Dump hands entries to yield, one at a time.
func (c controlAPI) Dump(ctx context.Context, f control.Filter, yield func(control.Entry) bool) {
	seen := 0
	c.a.cache.Walk(func(h *cache.Hit, _ uint8) bool {
		if seen++; seen%dumpStride == 0 && ctx.Err() != nil {
			return false
		}
		m := c.moments()
		switch state := h.State(m.now); {
		case state == stale.Gone, state == stale.Fresh && !f.Fresh, state == stale.Stale && !f.Stale, !h.Name().Under(f.Zone):
			return true
		}
		e := h.Entry()
		return yield(m.entry(&e))
	})
}

// Flush forgets a name, or a type of it.
func (c controlAPI) Flush(name dnsname.Name, t wire.Type) int {
	defer c.a.snapshots.afterFlush() // whatever went: the file may hold what the cache does not any more
	return c.a.cache.Flush(name, t)
}

// FlushZone forgets a name and everything below it.
func (c controlAPI) FlushZone(zone dnsname.Name) int {
	defer c.a.snapshots.afterFlush()
	return c.a.cache.FlushBelow(zone)
}

// FlushStale forgets what expired.
func (c controlAPI) FlushStale() int {
	defer c.a.snapshots.afterFlush()
	return c.a.cache.FlushStale(c.a.clock.Now())
}

// FlushNegative forgets denials.
func (c controlAPI) FlushNegative() int {
	defer c.a.snapshots.afterFlush()
	return c.a.cache.FlushNegative(c.a.clock.Now())
}

// Stats counts.
func (c controlAPI) Stats() control.CacheStats {
	s := c.a.cache.Stats()
	return control.CacheStats{
		Size: s.Size, Used: s.Bytes, Held: s.Held, Entries: s.Entries, Stale: s.Stale, Delegations: s.Delegations, Failures: s.Failures,
		Hits: s.Hits, StaleHits: s.StaleHits, Misses: s.Misses, Puts: s.Puts, Refused: s.Outranked + s.Oversize, Replaced: s.Replaced,
		Evicted: control.Evictions{
			Gone: s.EvictGone, Unasked: s.EvictUnasked, Recency: s.EvictRecency, Contradicted: s.EvictContra,
			Types: s.EvictTypes, Buried: s.EvictBuried, Flushed: s.Flushed, Delegations: s.EvictCuts, Failures: s.EvictFailures,
		},
	}
}

// Explain tells what a client would get now.
func (c controlAPI) Explain(name dnsname.Name, t wire.Type) control.Explanation {
	x := c.a.resolver.Explain(name, t)
	out := control.Explanation{Outcome: x.Outcome, Wait: x.Wait.Milliseconds(), Why: x.Why}
	if x.Outcome != "resolve" {
		out.Rcode = x.Rcode.String()
	}
	for _, h := range x.Hops {
		hop := control.Hop{
			Name: h.Name.String(), Type: h.Type.String(), State: h.State, Decision: h.Action.String(),
			TTL: h.TTL, Refresh: h.Refresh, Why: h.Why,
		}
		if h.State != "absent" {
			hop.Kind = kindNames[h.Kind]
			if h.State != "local" {
				hop.Security = h.Security.String()
			}
		}
		if h.Target != "" {
			hop.Target = h.Target.String()
		}
		out.Hops = append(out.Hops, hop)
	}
	return out
}

// Zones tells how the zones are that something is known of.
func (c controlAPI) Zones() control.ZoneList {
	m := c.moments()
	var out control.ZoneList
	if since, offline := c.a.infra.Offline(m.now); offline {
		out.Offline, out.OfflineSince = true, m.at(since)
	}
	for _, z := range c.a.infra.Zones(m.now) {
		wait := c.a.o.Config.Limits.ResolutionDeadline // without stale answers
		if p := c.a.stale.For(z.Cut); p.Enabled {
			wait = p.Timeout(z.Timeout)
		}
		zone := control.Zone{
			Zone: z.Cut.String(), State: "well", Cause: causeText(z.Cause), Since: m.at(z.Since), LastFailure: m.at(z.LastFailure),
			NextRecheck: m.at(z.NextRecheck), ClientTimeout: wait.Milliseconds(), Learned: z.Timeout.Milliseconds(), Samples: z.Samples,
		}
		switch {
		case z.Failing:
			zone.State = "failing"
		case z.Suspect && c.a.resolver.InTrouble(z.Cut):
			zone.State = "suspect"
		}
		out.Zones = append(out.Zones, zone)
	}
	out.Suggestions = c.suggestions(m)
	return out
}

var kindNames = [...]string{cache.Data: "data", cache.NoData: "nodata", cache.NXDomain: "nxdomain"} // constant in effect

// rankNames are those of RFC 2181 §5.4.1.
var rankNames = map[cache.Rank]string{ // constant in effect
	cache.RankAuthority: "authority section", cache.RankAnswer: "answer", cache.RankAuthAnswer: "authoritative answer",
}

// entry puts an entry into the form that people read.
func (m moments) entry(e *cache.Entry) control.Entry {
	out := control.Entry{
		Name: e.Name.String(), Kind: kindNames[e.Kind], State: e.State(m.now).String(),
		Age: int64(m.now.Sub(e.Stored) / time.Second), OriginalTTL: e.TTL, Expires: m.at(e.Expiry), StaleUntil: m.at(e.StaleUntil),
		Rank: rankNames[e.Rank], Security: e.Security.String(), Data: presented(&e.Set, e.Set.Data), Signatures: signatures(&e.Set),
	}
	if out.Rank == "" {
		out.Rank = "unknown"
	}
	if e.Kind != cache.NXDomain {
		out.Type = e.Type.String()
	}
	if left := e.Expiry.Sub(m.now); left > 0 {
		out.TTL = uint32((left + time.Second - 1) / time.Second)
	}
	if e.Cut != "" {
		out.Cut = e.Cut.String()
	}
	for i := range e.Proof {
		p := &e.Proof[i]
		out.Proof = append(out.Proof, control.RecordSet{Name: p.Name.String(), Type: p.Type.String(), Data: presented(p, p.Data), Signatures: signatures(p)})
	}
	return out
}

func presented(s *rrset.Set, records rrset.Packed) []string {
	var list []string
	for rd := range records.All() {
		list = append(list, rrset.Text(s.Type, rd))
	}
	return list
}

func signatures(s *rrset.Set) []string {
	var list []string
	for rd := range s.Sigs.All() {
		list = append(list, rrset.Text(wire.TypeRRSIG, rd))
	}
	return list
}

// causeText says why something failed, "" for nothing.
func causeText(e *ede.Error) string {
	if e == nil {
		return ""
	}
	return e.Error()
}
