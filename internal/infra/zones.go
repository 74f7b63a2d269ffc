package infra

import (
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/stale"
)

// ZoneHealth describes a cut, for people.
type ZoneHealth struct {
	Cut         dnsname.Name
	Failing     bool          // as a whole, and tried or rechecked within 5 min
	Suspect     bool          // not failing, but servers of it do not answer and are being rechecked: perhaps all
	Cause       *ede.Error    // of Failing, Suspect or, else, LastFailure
	Since       clock.Mono    // of Failing or Suspect
	LastFailure clock.Mono    // when an attempt failed last, 0: none is remembered
	Timeout     time.Duration // for clients, as learnt
	Samples     int           // that it is learnt from
	NextRecheck clock.Mono    // 0: none is planned
}

// Zones tells what is known of each cut that is failing, or failed once, is
// rechecked, or was resolved below, sorted by name. Bound: the tables'.
func (i *Infra) Zones(now clock.Mono) []ZoneHealth {
	speeds := i.measured()
	zones := make(map[dnsname.Name]*ZoneHealth, len(speeds))
	zone := func(cut dnsname.Name) *ZoneHealth {
		z := zones[cut]
		if z == nil {
			z = &ZoneHealth{Cut: cut}
			zones[cut] = z
		}
		return z
	}
	for k := range speeds {
		z := zone(speeds[k].cut)
		z.Timeout, z.Samples = speeds[k].learned(), speeds[k].n
	}
	i.addTroubled(now, zone)
	list := make([]ZoneHealth, 0, len(zones))
	for _, z := range zones {
		if z.Samples == 0 {
			z.Timeout = stale.Learned(nil)
		}
		list = append(list, *z)
	}
	slices.SortFunc(list, func(a, b ZoneHealth) int { return dnsname.Compare(a.Cut, b.Cut) })
	return list
}

// addTroubled adds what is held against cuts, now or last.
func (i *Infra) addTroubled(now clock.Mono, zone func(dnsname.Name) *ZoneHealth) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cuts.each(func(cut dnsname.Name, c *cutState) bool {
		if i.revive(c); c.failing || c.failed != 0 {
			z := zone(cut)
			z.LastFailure, z.Cause = c.failed, c.failedBy
			if c.failing && !i.outdated(now, c) {
				z.Failing, z.Cause, z.Since = true, c.cause, c.since
			}
		}
		return true
	})
	i.plan.targets.each(func(_ targetKey, t *target) bool {
		for k := range t.n {
			i.rechecked(now, zone(t.ring[k].cut), t, t.ring[k].host)
		}
		return true
	})
}

// InTrouble counts the cuts that are failing, and gives those of which servers are
// suspect; see [ZoneHealth.Suspect]. It costs less than Zones.
func (i *Infra) InTrouble(now clock.Mono) (failing int, suspect []dnsname.Name) {
	zones := map[dnsname.Name]*ZoneHealth{}
	i.addTroubled(now, func(cut dnsname.Name) *ZoneHealth {
		z := zones[cut]
		if z == nil {
			z = new(ZoneHealth)
			zones[cut] = z
		}
		return z
	})
	for cut, z := range zones {
		switch {
		case z.Failing:
			failing++
		case z.Suspect:
			suspect = append(suspect, cut)
		}
	}
	return failing, suspect
}

// measuredCut is a copy of what was learnt of the speed below a cut.
type measuredCut struct {
	cut dnsname.Name
	speed
}

// measured copies all that was learnt of speeds, the most recently used first.
// Clients wait for the lock, and there may be ten thousand: whatever is made of
// the copies, and the room for them, is made without it.
func (i *Infra) measured() []measuredCut {
	i.mu.Lock()
	n := i.speeds.len()
	i.mu.Unlock()
	list := make([]measuredCut, 0, n+n/16)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.speeds.each(func(cut dnsname.Name, s *speed) bool {
		list = append(list, measuredCut{cut, *s})
		return true
	})
	return list
}

// rechecked adds what a recheck's target tells of a zone, which knows the server
// under a name.
func (i *Infra) rechecked(now clock.Mono, z *ZoneHealth, t *target, host dnsname.Name) {
	a, ok := i.addrs.peek(t.key.addr)
	mum := ok && a.mum(now)
	if !mum && !z.Failing {
		return // it is back: the plan does not know yet
	}
	if z.NextRecheck == 0 || t.due < z.NextRecheck {
		z.NextRecheck = max(t.due, now)
	}
	if mum && !z.Failing {
		z.Suspect, z.Since, z.Cause = true, max(z.Since, a.silentSince()), a.blamed(host)
	}
}

// CutMemory is what outlives a restart of what is known of a cut.
type CutMemory struct {
	Cut     dnsname.Name
	Failing bool
	Silent  bool // it fails because its servers do not answer
	Refused bool
	Cause   ede.Error
	Since   clock.Mono      // zero or less: before this clock began
	Samples []time.Duration // what useful resolutions took, the oldest first, at most 64
}

// Memory gives what should outlive a restart, the most recently used first.
func (i *Infra) Memory() []CutMemory {
	at := map[dnsname.Name]int{}
	var list []CutMemory
	i.mu.Lock()
	i.cuts.each(func(cut dnsname.Name, c *cutState) bool {
		if i.revive(c); c.failing {
			m := CutMemory{Cut: cut, Failing: true, Silent: c.mute, Refused: c.refused, Since: c.since}
			if c.cause != nil {
				m.Cause = *c.cause
			}
			at[cut] = len(list)
			list = append(list, m)
		}
		return true
	})
	i.mu.Unlock()
	speeds := i.measured()
	for n := range speeds {
		k, ok := at[speeds[n].cut]
		if !ok {
			k = len(list)
			list = append(list, CutMemory{Cut: speeds[n].cut})
		}
		list[k].Samples = slices.Clone(speeds[n].samples(new([stale.SamplesKept]time.Duration)))
	}
	return list
}

// Restore takes what Memory gave before a restart. What was learnt meanwhile
// stays. A cut that failed is in trouble until it is rechecked, which is at once
// when somebody wants it.
func (i *Infra) Restore(list []CutMemory) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := len(list) - 1; k >= 0; k-- { // the most recently used last
		m := &list[k]
		if _, known := i.cuts.peek(m.Cut); m.Failing && !known {
			c := i.cut(m.Cut)
			cause := m.Cause
			c.failing, c.mute, c.refused, c.cause, c.since, c.gap = true, m.Silent, m.Refused, &cause, m.Since, backoffFirst
			if c.unsound = !m.Silent && cause.Code.FailsValidation(); c.unsound { // no reply ends it, as before
				cause.Zone, c.bogusBy = string(m.Cut), &cause
			}
		}
		if _, known := i.speeds.peek(m.Cut); len(m.Samples) > 0 && !known {
			s := new(speed)
			for _, took := range m.Samples[max(0, len(m.Samples)-len(s.took)):] {
				s.add(took)
			}
			i.speeds.put(clone(m.Cut), s)
		}
	}
}
