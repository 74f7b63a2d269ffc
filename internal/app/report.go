package app

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// Bounds of reports. What is more is not reported, and counted.
const (
	reportsWaiting  = 64          // that are not sent yet
	reportPause     = time.Second // between two to one agent
	reportAgain     = time.Hour   // until the same is reported again, whatever the agent's TTL says
	reportsKnown    = 4096        // that are not sent again, and agents
	reportFlights   = 4096        // resolutions whose servers want reports
	reportRateLimit = 100 * time.Millisecond
)

// reportLabel begins and ends what is reported in a name (RFC 9567 §6.1.1).
const reportLabel = "_er"

// reporter tells the agents that zones' servers name of what does not validate there
// (RFC 9567): by questions for TXT records, so that there is nothing that an agent
// could say back. It hears events, and sends in a goroutine of its own.
type reporter struct {
	clock *clock.Clock
	queue chan dnsname.Name

	mu      sync.Mutex
	flights map[event.FlightID]dnsname.Name // whose latest server wants reports, and where to
	sent    map[dnsname.Name]clock.Mono     // reports, and agents, by when

	sends, repeats, dropped, unfit atomic.Uint64
}

func newReporter(c *clock.Clock) *reporter {
	return &reporter{
		clock: c, queue: make(chan dnsname.Name, reportsWaiting),
		flights: map[event.FlightID]dnsname.Name{}, sent: map[dnsname.Name]clock.Mono{},
	}
}

// hear notes who wants reports, and reports what does not validate by the fault of
// what such a server said.
func (r *reporter) hear(e event.Event) {
	switch e := e.(type) {
	case event.Exchanged:
		r.heard(&e)
	case event.Judged:
		if agent := r.agent(e.Flight); agent != "" && e.Bogus && e.Failure != nil {
			r.report(e.At, e.Question, e.Failure.Code, agent)
		}
	case event.FlightEnded:
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.flights, e.Flight)
	}
}

func (r *reporter) heard(e *event.Exchanged) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Late || !e.Outcome.Useful(): // what speaks for the zone is what is believed
	case e.Agent == "":
		delete(r.flights, e.Flight)
	case len(r.flights) < reportFlights:
		r.flights[e.Flight] = e.Agent
	}
}

func (r *reporter) agent(f event.FlightID) dnsname.Name {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flights[f]
}

// report has one sent, unless it was of late or there are too many.
func (r *reporter) report(now clock.Mono, q event.Question, code ede.Code, agent dnsname.Name) {
	name, ok := reportName(q, code, agent)
	if !ok {
		r.unfit.Add(1)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.sent[name]; ok && now.Sub(at) < reportAgain {
		r.repeats.Add(1)
		return
	}
	if at, ok := r.sent[agent]; ok && now.Sub(at) < reportPause || !r.room(now) {
		r.dropped.Add(1)
		return
	}
	select {
	case r.queue <- name:
		r.sent[name], r.sent[agent] = now, now
	default:
		r.dropped.Add(1)
	}
}

// room forgets what was long ago, when the table is full. The lock is held.
func (r *reporter) room(now clock.Mono) bool {
	if len(r.sent)+2 <= reportsKnown {
		return true
	}
	for name, at := range r.sent {
		if now.Sub(at) >= reportAgain {
			delete(r.sent, name)
		}
	}
	return len(r.sent)+2 <= reportsKnown
}

// reportName is the name that reports an error at a question to an agent (RFC 9567
// §6.1.1); not ok: nothing may be said. What is asked of the agent itself is not
// reported, for that would go on and on, nor a report (§6.1.2).
func reportName(q event.Question, code ede.Code, agent dnsname.Name) (dnsname.Name, bool) {
	if agent.IsRoot() || q.Name.Under(agent) || q.Name.FirstLabel() == reportLabel {
		return "", false
	}
	name := agent
	labels := []string{reportLabel, strconv.Itoa(int(code))}
	for n := 1; n <= q.Name.Labels(); n++ { // from the right
		labels = append(labels, q.Name.Suffix(n).FirstLabel())
	}
	for _, label := range append(labels, strconv.Itoa(int(q.Type)), reportLabel) {
		longer, err := name.Prepend(label)
		if err != nil { // too long (§6.1.1)
			return "", false
		}
		name = longer
	}
	return name, true
}

// run sends what waits, a little at a time, until ctx ends. What an agent answers is
// cached as anything is, and of no interest.
func (r *reporter) run(ctx context.Context, ask func(context.Context, resolver.Query) *resolver.Answer) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-r.queue:
			r.sends.Add(1)
			ask(ctx, resolver.Query{Name: name, Type: wire.TypeTXT, RD: true, Arrival: r.clock.Now()})
		}
		timer.Reset(reportRateLimit)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

func (a *App) gatherReports(g gatherer) {
	r := a.reporter
	if r == nil {
		return
	}
	const reports = "Error reports to the agents that zones name (RFC 9567), by what became of them."
	for _, c := range []struct {
		result string
		n      *atomic.Uint64
	}{{"sent", &r.sends}, {"repeated", &r.repeats}, {"dropped", &r.dropped}, {"unfit", &r.unfit}} {
		g.count("lastgood_error_reports_total", reports, c.n.Load(), "result", c.result)
	}
}
