package resolver

import (
	"fmt"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// past is what a trail notes of its hops that are past their TTL, for telling
// the client, and whoever hears events, once for the whole chain.
type past struct {
	hops    int
	expiry  clock.Mono // of the hop that expired first
	until   clock.Mono // when the first may not be served any more
	why     event.StaleReason
	cause   *ede.Error    // the first that is known
	timeout time.Duration // that the client waited for, when that is why
	waited  bool          // it ran out: nothing else is waited for

	awaited     bool // a flight was waited for
	waitedSince bool // a flight was waited for after a hop
}

// add notes a hop that is served at a moment. The first that has a cause speaks
// for the chain.
func (p *past) add(a *attempt, at clock.Mono) {
	if p.hops++; p.hops == 1 || a.old.Entry.Expiry < p.expiry {
		p.expiry = a.old.Entry.Expiry
	}
	if until := a.policy.Served(a.old.Entry.StaleUntil, &a.Attempt); p.hops == 1 || until < p.until {
		p.until = until
	}
	why := a.why()
	if p.hops == 1 || p.cause == nil && a.cause != nil {
		p.why, p.cause = why, a.cause
	}
	if why == event.StaleTimeout && !p.waited {
		p.waited, p.timeout = true, min(a.Timeout, max(at.Sub(a.Began), 0))
	}
}

// tellStale makes an answer with stale hops say so. What went by while another
// hop was waited for is not served: the limit holds for the answer. What was fresh
// and expired meanwhile is past its TTL like the others.
func (t *trail) tellStale(a *Answer) *Answer {
	for i := range a.Chain {
		h := &a.Chain[i]
		switch {
		case !h.stale && !h.lapses(a.At):
		case h.Entry.State(a.At) == stale.Gone:
			return failed(false, cause(t.past.cause))
		case !h.stale:
			h.stale, h.told = true, t.r.stale.For(h.Entry.Name).TTL(h.Entry.TTL)
		}
	}
	a.Stale = true
	if t.job.depth > 0 { // for name servers' addresses: no client sees it
		return a
	}
	age := a.At.Sub(t.past.expiry)
	a.Errors = append(t.past.errors(a.Rcode, age, t.r.errorText), a.Errors...)
	waited := max(a.At.Sub(t.q.Arrival), 0)
	t.r.stats.stale.count(&t.past, age)
	t.r.events.Emit(event.StaleServed{
		At: a.At, Question: event.Question{Name: t.q.Name, Type: t.q.Type},
		Negative: a.negative(), Age: age, Waited: waited, Why: t.past.why, Cause: t.past.cause,
		Until: t.past.until,
	})
	return a
}

// negative tells whether an answer denies the name or the type.
func (a *Answer) negative() bool {
	return len(a.Chain) > 0 && a.Chain[len(a.Chain)-1].Entry.Kind != cache.Data
}

// errors say that an answer is stale (RFC 8914 §4.4, §4.20), how much and why,
// then the cause's own code.
func (p *past) errors(rcode wire.Rcode, age time.Duration, text bool) []*ede.Error {
	first := &ede.Error{Code: ede.StaleAnswer, ID: "OLDA"}
	if rcode == wire.RcodeNXDomain {
		first = &ede.Error{Code: ede.StaleNXDOMAIN, ID: "OLDN"}
	}
	first.Text = "stale " + inWords(age) + ", " + p.reason()
	list := []*ede.Error{first}
	if p.cause != nil {
		list = append(list, &ede.Error{Code: p.cause.Code, ID: p.cause.ID})
	}
	if !text {
		for _, e := range list {
			e.ID, e.Text = "", ""
		}
	}
	return list
}

// reason is why there is nothing better, for people.
func (p *past) reason() string {
	switch {
	case p.cause != nil && p.cause.Text != "":
		return p.cause.Text
	case p.cause != nil:
		return p.cause.Code.String()
	case p.why == event.StaleCrowd:
		return "the servers have just come back"
	case p.timeout > 0:
		return "no answer within " + p.timeout.Round(time.Millisecond).String()
	}
	return "being refreshed"
}

// inWords is a time in its largest unit, as people say it.
func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
