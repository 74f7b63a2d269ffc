package app

import (
	"strconv"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// watchZones hears what was validated, and in vain: see [anchor.Watch]. A key set
// speaks of no data.
func (a *App) watchZones(e event.Event) {
	var began *anchor.Incident
	switch e := e.(type) {
	case event.Judged:
		switch {
		case e.Failure != nil:
			began = a.watch.Failed(e.At, e.Question, e.Failure)
		case e.Secure && e.Zone != "" && e.Question.Type != wire.TypeDNSKEY:
			a.watch.Validated(e.Zone, e.Question.Name)
		}
	case event.Failed:
		began = a.watch.Asked(e.At, e.Question, e.Cause, 0)
	case event.StaleServed:
		began = a.watch.Asked(e.At, e.Question, e.Cause, e.Until)
	}
	if began != nil {
		a.tellIncident(began)
	}
}

// lookAtZones tells of incidents that are over or made room for others.
func (a *App) lookAtZones() {
	wall := a.clock.Wall()
	covered := func(zone dnsname.Name) bool { return a.anchors.Ground(zone, wall).Kind != anchor.Anchored }
	for _, i := range a.watch.Look(a.clock.Now(), covered) {
		a.tellIncident(&i)
	}
}

// tellIncident logs that one begins, is over, or is told of no more. There are few: it takes many names of
// a zone.
func (a *App) tellIncident(i *anchor.Incident) {
	e := event.Incident{
		At: a.clock.Now(), Zone: i.Zone, Cause: i.Cause, Names: i.Names, Questions: i.Questions, Stale: i.Stale, Command: i.Command(),
	}
	if i.Ended == anchor.Open {
		a.o.Log.Warn("many names of a zone that validated before do not any more", "zone", i.Zone.String(), "cause", i.Cause.Error(),
			"advice", "make sure that the zone's keepers are at fault and nobody forges its answers (lastgood query --trace); see `lastgood zones`; this would end it: "+e.Command)
	} else {
		e.Ended = i.Ended.String()
		what := "the zone whose names did not validate: that is over"
		if i.Ended == anchor.Yielded {
			what = "the zone whose names do not validate: no more is told of it"
		}
		a.o.Log.Info(what, "zone", i.Zone.String(), "why", e.Ended, "cause", i.Cause.Error(),
			"lasted", i.Last.Sub(i.Since).Round(time.Second), "names", i.Names, "questions", i.Questions, "stale_names", i.Stale)
	}
	a.events.Emit(e)
}

// suggestions are the incidents as people read them.
func (c controlAPI) suggestions(m moments) []control.Suggestion {
	var list []control.Suggestion
	for _, i := range c.a.watch.List(m.now) {
		list = append(list, control.Suggestion{
			Zone: i.Zone.String(), Since: m.at(i.Since), LastFailure: m.at(i.Last), Code: int(i.Cause.Code), Cause: i.Cause.Error(),
			Names: int64(i.Names), Questions: int64(i.Questions), StaleNames: int64(i.Stale), StaleFirst: m.at(i.StaleEnd), StaleLast: m.at(i.StaleLast),
			Command: i.Command(),
		})
	}
	return list
}

// gatherIncidents tells of the zones that fail: they are few at a time.
func (a *App) gatherIncidents(g gatherer) {
	if a.validator == nil {
		return
	}
	list := a.watch.List(a.clock.Now())
	g.gauge("lastgood_validation_incidents", "Zones that validated before and now fail in many names: see lastgood zones.", float64(len(list)))
	g.count("lastgood_validation_incidents_total", "Of those, how many there were since the start.", a.watch.Total())
	for _, i := range list {
		labels := []string{"zone", i.Zone.String(), "ede", strconv.Itoa(int(i.Cause.Code))}
		g.gauge("lastgood_validation_incident_names", "Names of such a zone that failed, about.", float64(i.Names), labels...)
		g.gauge("lastgood_validation_incident_stale_names", "Of those, names that the last good answer was given for.", float64(i.Stale), labels...)
		g.gauge("lastgood_validation_incident_questions", "Questions of clients that met it.", float64(i.Questions), labels...)
	}
}
