package app

import (
	"time"

	"lastgood/internal/control"
	"lastgood/internal/rootzone"
)

// RootZone tells where the root comes from, and how the local copy is.
func (c controlAPI) RootZone() control.RootZone {
	r := c.a.root
	if r == nil {
		return control.RootZone{Mode: "hints"}
	}
	m := c.moments()
	s := r.now()
	out := control.RootZone{
		Mode: "local", Usable: s.status.Zone != nil, Source: s.source, NextCheck: m.at(s.next), Stored: s.status.Zone != nil && r.file != "" && s.stored == "",
		Answers: r.answers.Load(), Fallbacks: r.fallbacks.Load(), Fetched: s.fetched, Confirmed: s.same, Failures: s.failures,
		LastFailure: s.failure, LastFailureSource: s.failed,
	}
	if s.failure != "" {
		out.LastFailureAt = s.at.Truncate(time.Millisecond)
	}
	if z := s.status.Zone; z != nil {
		out.Serial, out.Records = z.Serial(), z.Len()
		out.ConfirmedAt, out.Expires = second(s.status.Confirmed), second(s.status.Expires)
	}
	for i, source := range r.sources {
		out.Sources = append(out.Sources, control.RootSource{Source: source.String(), Failure: errorText(s.status.Errors, i)})
	}
	return out
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func errorText(errs []error, i int) string {
	if i >= len(errs) || errs[i] == nil {
		return ""
	}
	return errs[i].Error()
}

// now gives the state, in which a zone that may not be used any more is none.
func (r *rootCopy) now() rootState {
	usable := r.keeper.Zone(r.moment())
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	if usable == nil {
		s.status.Zone, s.source = nil, ""
	}
	return s
}

// gatherRoot tells how the local copy of the root zone is. All of it is 0 with
// root-zone.mode hints.
func (a *App) gatherRoot(g gatherer) {
	r := a.root
	if r == nil {
		r = &rootCopy{clock: a.clock, keeper: rootzone.NewKeeper(1, nil)}
	}
	s := r.now()
	var serial, age, left float64
	if z := s.status.Zone; z != nil {
		wall := r.moment().Wall
		serial, age, left = float64(z.Serial()), wall.Sub(s.status.Confirmed).Seconds(), s.status.Expires.Sub(wall).Seconds()
	}
	g.gauge("lastgood_root_zone_usable", "Whether questions to the root are answered from the local copy of its zone.", boolean(s.status.Zone != nil))
	g.gauge("lastgood_root_zone_serial", "Serial of that zone; 0 without one.", serial)
	g.gauge("lastgood_root_zone_age_seconds", "Time since a source last said that it is current.", age)
	g.gauge("lastgood_root_zone_expires_seconds", "Time until it may not be used any more, if nothing confirms it.", left)
	const asked = "Questions to the root with root-zone.mode local, by where they were answered."
	g.count("lastgood_root_zone_questions_total", asked, r.answers.Load(), "by", "copy")
	g.count("lastgood_root_zone_questions_total", asked, r.fallbacks.Load(), "by", "root-servers")
	const fetches = "Attempts to get the root zone from a source: newer and verified, not newer, or failed."
	g.count("lastgood_root_zone_fetches_total", fetches, s.fetched, "result", "newer")
	g.count("lastgood_root_zone_fetches_total", fetches, s.same, "result", "same")
	g.count("lastgood_root_zone_fetches_total", fetches, s.failures, "result", "failed")
}

// RootZone tells where the root comes from, and how the local copy is.
func (a *App) RootZone() control.RootZone { return controlAPI{a}.RootZone() }
