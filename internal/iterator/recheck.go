package iterator

import (
	"context"
	"slices"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
)

const (
	recheckWaits = 2 * time.Second // for the reply; what comes later is heard all the same
	// recheckTries are what the servers' ways may cost once they answer: EDNS or
	// cookies refused, truncation. To a silent one it is one packet.
	recheckTries = 4
	// resolveTries are for a recheck that takes a resolution: of the parent, or of
	// servers whose addresses are not known.
	resolveTries = 10
	recheckBytes = 128 << 10
)

// Recheck finds out whether a server is back: one exchange, 2 s at most. Any
// reply makes its address good again; a useful one ends the failure of the cut,
// and what it says is in the Result, as far as it answers the question: a
// referral is stored here and leaves the Result empty but for its link. An error
// changes nothing.
func (it *Iterator) Recheck(ctx context.Context, r infra.Recheck) Result {
	if r.Parent || !r.Server.Addr.IsValid() {
		return it.recheckByResolving(ctx, r)
	}
	t := it.newTask(Request{Name: r.Question.Name, Type: r.Question.Type, Budget: NewBudget(recheckTries, recheckBytes)})
	s := it.seat(t.now(), r.Cut)
	if !s.way(&r.Server) {
		return Result{Failure: &ede.Error{Code: ede.Other, ID: "NOWY", Text: r.Server.Addr.String() + " does not serve " + r.Cut.String()}, Ours: true}
	}
	t.sitDown(s, r)
	y := &try{Choice: infra.Choice{Candidate: r.Server, Why: event.ReasonProbe}, Question: r.Question, zone: r.Cut, sent: t.now()}
	troubled := it.troubled(y.sent, s)
	q := t.query(y)
	q.RD = r.RD || t.forwarding()
	limited, cancel := context.WithTimeout(ctx, recheckWaits)
	defer cancel()
	reply, err := it.exchanger.Exchange(limited, q)
	if ctx.Err() != nil {
		return Result{Failure: &ede.Error{Code: ede.Other, ID: "STPD", Text: "not waited for"}, Ours: true}
	}
	v, e := t.judge(result{y, reply, err})
	if err != nil && limited.Err() != nil {
		e.Outcome, e.Text = event.Timeout, "did not answer"
	}
	t.rechecked(y, v, e)
	t.result.Since = t.since
	now := t.now()
	still := it.troubled(now, it.seat(now, r.Cut))
	it.infra.Rechecked(e.Outcome)
	it.events.Emit(event.Rechecked{
		At: now, Cut: r.Cut, Server: y.Addr, Question: r.Question, Outcome: e.Outcome, RTT: e.RTT,
		Recovered: v != nil && troubled && !still, // who hears nothing has seen another's recovery
	})
	return t.result
}

// way fills in how a server is asked that only its address is known of: whoever
// is configured to be asked over TLS is never asked in the clear. False when
// nobody configured it.
func (s *seat) way(c *infra.Candidate) bool {
	if s.zone == nil || c.TCP {
		return true
	}
	for i := range s.servers {
		if have := &s.servers[i]; have.Addr == c.Addr {
			c.TCP, c.TLS = have.TCP, have.TLS
			return true
		}
	}
	return false
}

// sitDown puts a task that sends one question only to its place.
func (t *task) sitDown(s *seat, r infra.Recheck) {
	t.place = place{cut: r.Cut}
	if s.cut == r.Cut {
		t.place.zone, t.place.deleg = s.zone, s.deleg
	}
	t.asked = r.Question
	t.targets.old = slices.Clip(s.old)
	if d := t.place.deleg; d != nil {
		t.via = past(d, t.now())
	}
	if d, ok := t.it.cache.Lapsed(t.now(), r.Question.Name); ok && d.Cut.Below(r.Cut) {
		t.lapsed = d
	}
}

// past tells whether a delegation is past its TTL. Those of the hints have none.
func past(d *cache.Delegation, now clock.Mono) bool { return d.Expiry != 0 && d.Expiry <= now }

// rechecked acts on what a recheck brought.
func (t *task) rechecked(y *try, v *verdict, e event.Exchanged) {
	why := &ede.Error{Code: ede.NetworkError, ID: "RECH", Text: e.Text}
	t.result = Result{Failure: why}
	switch {
	case v == nil:
		t.confirmSilence(y, e.Outcome)
		return
	case e.Outcome == event.Lame:
		t.it.infra.Lame(e.At, y.zone, y.Addr, ede.Error{Code: ede.NoReachableAuthority, ID: "LAMR", Text: e.Text})
		return
	case !v.outcome.Useful():
		t.it.infra.Erred(e.At, y.zone, y.Addr, e.Outcome)
		return
	case !v.useful():
		return // others may know better: it takes a resolution
	}
	t.useful(e.At, y, v)
	t.reply = nil
	t.result = Result{}
	if v.outcome == event.Referral {
		t.keepLink(v)
		t.delegate(v)
		t.result.Links = t.links
		return
	}
	t.denied(v)
	t.result.Undone = t.undone
	t.result.Entries, t.result.From, t.result.Borrowed = entries(v.message, &v.class, v.asked), v.from, t.borrowed(v)
	zone := t.it.zoneOf(t.req.Name)
	t.result.Entries = inZone(t.result.Entries, func(n dnsname.Name) bool { return t.it.zoneOf(n) == zone })
	t.shorten(&t.result)
}

// confirmSilence makes a cut failing whose servers' silence the rechecks have
// proved, as checks would have: while clients are content with stale answers
// nobody else does.
func (t *task) confirmSilence(y *try, outcome event.Outcome) {
	now, cut := t.now(), y.zone
	s := t.it.seat(now, cut)
	if outcome == event.Budget || s.cut != cut || !s.all || len(s.servers) == 0 {
		return
	}
	if _, already := t.it.infra.CutFailing(now, cut); already || !t.it.infra.Quiet(now, s.servers) {
		return
	}
	proof := 0
	for _, c := range s.servers {
		proof += t.it.infra.Silence(now, cut, c.Addr)
	}
	if proof < checksInAll {
		return
	}
	f := failure{host: y.Host, addr: y.Addr, asked: y.Question, outcome: event.Timeout, text: "did not answer"}
	_, cause := f.telling()
	cause.Text = f.sentence()
	if t.it.infra.CutFailed(now, cut, &cause, infra.Blame{Silent: s.servers}) {
		t.it.events.Emit(event.CutHealth{At: now, Cut: cut, Failing: true, Cause: &cause})
	}
}

// recheckByResolving asks the parent of a cut who serves it by now and, if that
// is somebody else, the question; or looks for servers of whom no address is
// known. It sends nothing to servers that are known to be silent.
func (it *Iterator) recheckByResolving(ctx context.Context, r infra.Recheck) Result {
	t := it.newTask(Request{
		Name: r.Question.Name, Type: r.Question.Type, Stale: true, Budget: NewBudget(resolveTries, recheckBytes),
	})
	if r.Parent {
		if it.zones[r.Cut] != nil || r.Cut.IsRoot() || !r.Question.Name.Under(r.Cut) {
			return Result{Failure: &ede.Error{Code: ede.Other, ID: "NOPA", Text: "no parent knows " + r.Cut.String()}}
		}
		t.restarted, t.avoid = true, r.Cut
	}
	ctx, cancel := context.WithTimeout(ctx, 2*recheckWaits)
	defer cancel()
	troubled := it.troubled(t.now(), it.seat(t.now(), r.Cut))
	res := t.run(ctx)
	if !r.Parent {
		outcome := event.Answer
		if res.Failure != nil {
			outcome = event.Timeout
		}
		now := it.clock.Now()
		still := it.troubled(now, it.seat(now, r.Cut))
		it.infra.Rechecked(outcome)
		it.events.Emit(event.Rechecked{
			At: now, Cut: r.Cut, Question: r.Question, Outcome: outcome, Recovered: res.Failure == nil && troubled && !still,
		})
	}
	return *res
}
