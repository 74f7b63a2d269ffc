package app

import (
	"context"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const (
	// ntaRecheck is how often a zone is looked at whether it validates again.
	ntaRecheck = 5 * time.Minute
	// ntaLook is how long the list is left alone at most while there are any: the
	// time of day, which they end by, may be set.
	ntaLook = time.Minute
)

// tendNegatives ends negative trust anchors whose time is over, and those of zones
// that validate again (RFC 7646 §4), one zone after the other.
func (a *App) tendNegatives(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.ntas.changed:
		case <-timer.C:
		}
		for ctx.Err() == nil {
			zone, ok := a.tend()
			a.saveNegatives()
			if !ok {
				break
			}
			a.recheck(ctx, zone)
		}
		if wait, any := a.untend(); any {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// tend drops what has ended, and gives a zone that is to be rechecked now.
func (a *App) tend() (zone dnsname.Name, due bool) {
	n := &a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	now := a.clock.Now()
	for _, e := range a.negatives.Expire(a.clock.Wall(), now) {
		a.over(e, event.NegativeExpired)
	}
	longest := now // of those that are due the one that waits longest: a round may take longer than ntaRecheck
	for _, e := range a.negatives.List() {
		c, known := n.checks[e.Zone]
		if !known {
			c.next = now.Add(ntaRecheck)
			n.checks[e.Zone] = c
		}
		if c.next < longest || c.next == longest && !due {
			zone, longest, due = e.Zone, c.next, true
		}
	}
	return zone, due
}

// untend tells for how long there is nothing to do; any: there are negative trust
// anchors.
func (a *App) untend() (wait time.Duration, any bool) {
	n := &a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	now, wall := a.clock.Now(), a.clock.Wall()
	wait = ntaLook
	for _, e := range a.negatives.List() {
		any = true
		wait = min(wait, e.Until.Sub(wall), n.checks[e.Zone].next.Sub(now))
	}
	return max(wait, 0), any
}

// recheck validates a zone as if it had no negative trust anchor, and drops that if
// it is needed no longer.
func (a *App) recheck(ctx context.Context, zone dnsname.Name) {
	n := &a.ntas
	n.mu.Lock()
	check := n.checks[zone]
	n.mu.Unlock()
	due := check.next
	check.at, check.trouble = a.clock.Wall().UTC().Truncate(time.Second), a.troubleOf(ctx, zone, check.samples)
	a.looked(zone, due, check)
}

// looked takes what was found of a zone, that was due then, into account.
func (a *App) looked(zone dnsname.Name, due clock.Mono, check ntaCheck) {
	n := &a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.checks[zone].next != due { // removed meanwhile, or added again, perhaps for what else fails
		return
	}
	check.next = a.clock.Now().Add(ntaRecheck)
	n.checks[zone] = check
	if check.trouble != "" {
		n.checked[1].Add(1)
		return
	}
	n.checked[0].Add(1)
	for _, e := range a.negatives.Recovered(zone) {
		a.over(e, event.NegativeRecovered)
	}
}

// troubleOf tells why a zone does not validate, "" when it does: by its SOA record,
// which whoever serves it has, and by questions that failed before, as far as any are
// known. A name that is not there any more validates as that.
func (a *App) troubleOf(ctx context.Context, zone dnsname.Name, samples []event.Question) string {
	for _, q := range append([]event.Question{{Name: zone, Type: wire.TypeSOA}}, samples...) {
		if why := a.resolver.Rejudge(ctx, q).Failure; why != nil {
			return causeText(why)
		}
	}
	return ""
}

// negativeAdded has forgotten what failed because of what is not validated any more.
func (a *App) negativeAdded(zone dnsname.Name) {
	a.resolver.NegativeAdded(zone)
	a.snapshots.afterFlush()
}

// negativeEnded has forgotten what was stored without having been validated.
func (a *App) negativeEnded(zone dnsname.Name) {
	a.resolver.NegativeEnded(zone)
	a.snapshots.afterFlush()
}

// addedNegatives lists the zones of those that were added and count at a moment.
func (a *App) addedNegatives(at time.Time) []dnsname.Name {
	var zones []dnsname.Name
	for _, n := range a.negatives.List() {
		if !n.Configured && n.Until.After(at) {
			zones = append(zones, n.Zone)
		}
	}
	return zones
}
