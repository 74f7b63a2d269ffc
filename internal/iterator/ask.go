package iterator

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

const (
	// relaxAfter is how many tries of a minimised question may time out before
	// the full one is asked: some servers do not answer for empty non-terminals.
	relaxAfter = 2
	// softEnough is how many doubtful replies are enough to believe one.
	softEnough = 3
)

// try is one question on its way to one server.
type try struct {
	task *task
	infra.Choice
	event.Question
	zone      dnsname.Name
	epoch     int
	minimised bool
	sent      clock.Mono
	givenUp   bool
	sends     *Sends
	lives     bool // the server does, though it could not be reached as this question needs it
	untrusted bool // it did not prove to be who it should be
}

// result is what an exchange brought.
type result struct {
	try   *try
	reply Reply
	err   error
}

// send asks the next server, if there is one and the budget allows it.
func (t *task) send(ctx context.Context) state {
	t.current, t.patience = nil, false
	if t.stops() {
		return exhausted
	}
	if q, minimised := t.nextQuestion(); q != t.asked {
		t.ask(q, minimised)
		if minimised {
			t.min.count++
		}
	}
	if t.mayShare() {
		return share
	}
	if t.req.Budget != nil && t.req.Budget.Left() == 0 {
		return t.outOfBudget()
	}
	now := t.now()
	choice, ok := t.it.infra.Choose(now, t.place.cut, t.targets.cands, t.tries)
	t.held, t.paused = choice.Held, choice.Pause > 0
	switch {
	case t.paused:
		t.setTimer(choice.Pause)
		return wait
	case !ok:
		return exhausted
	}
	choice.Timeout += t.hair(choice.Timeout)
	t.countTry(choice)
	t.current = t.newTry(now, &choice)
	if t.it.patient != nil && t.open == 0 && t.targets.pending == 0 {
		return t.exchangeHere(ctx, t.current)
	}
	t.exchange(ctx, t.current)
	t.setTimer(choice.Timeout)
	return wait
}

// question is what to ask here. A resolver that we forward to has to know the
// whole name anyway, and less would only be a question more.
func (t *task) question() (event.Question, bool) {
	if t.forwarding() {
		return event.Question{Name: t.req.Name, Type: t.req.Type}, false
	}
	return t.min.question(t.req.Name, t.req.Type)
}

func (t *task) countTry(c infra.Choice) {
	for i := range t.tries {
		if t.tries[i].Addr == c.Addr && t.tries[i].TCP == c.TCP {
			t.tries[i].N++
			return
		}
	}
	t.addTry(infra.Tries{Addr: c.Addr, TCP: c.TCP, N: 1})
}

// exchange runs a try in a goroutine that ends with ctx at the latest.
func (t *task) exchange(ctx context.Context, y *try) {
	q := t.query(y)
	t.open++
	t.handOut()
	go func() {
		if t.it.patient == nil {
			y.Deliver(t.it.exchanger.Exchange(ctx, q))
			return
		}
		// So it is known there who is waited for, and who need not be.
		if reply, pending, err := t.it.patient.ExchangeFor(ctx, q, y.Timeout, y); !pending {
			y.Deliver(reply, err)
		}
	}()
}

// exchangeHere runs a try in the task's own goroutine while there is nothing
// else to wait for. Nearly every question ends so: the round trip then costs no
// other goroutine, no timer and no context of the resolution's own. Its deadline
// counts as the end of the wait.
func (t *task) exchangeHere(ctx context.Context, y *try) state {
	t.stopTimer()
	reply, pending, err := t.it.patient.ExchangeFor(t.life.under, t.query(y), t.life.left(y.sent, y.Timeout), y)
	if pending {
		t.open++
	}
	switch {
	case (pending || err != nil) && ctx.Err() != nil:
		return t.outOfTime()
	case pending:
		return t.timedOut(ctx)
	}
	return t.heard(result{y, reply, err})
}

// Context is what a try ends with that is not waited for alone any more.
func (y *try) Context() context.Context {
	y.task.handOut()
	return &y.task.life
}

// Deliver hands the task what another goroutine brought, unless it has ended.
func (y *try) Deliver(reply Reply, err error) {
	select {
	case y.task.results <- result{y, reply, err}:
	case <-y.task.life.Done():
	}
}

func (t *task) query(y *try) Query {
	return Query{
		Server: y.Addr, Zone: y.zone, Name: y.Name, Type: y.Type, TCP: y.TCP, TLS: y.TLS,
		RD: t.forwarding(), Budget: t.req.Budget, Sends: y.sends,
	}
}

// sends counts what is sent of the present question to an address, whatever
// place it is asked from.
func (t *task) sends(to netip.AddrPort) *Sends {
	for i := range t.counts {
		if c := &t.counts[i]; c.to == to && c.asked == t.asked {
			return c.sends
		}
	}
	s := t.newSends()
	t.counts = append(t.counts, counting{t.asked, to, s})
	return s
}

// counting is the Sends of a question and an address.
type counting struct {
	asked event.Question
	to    netip.AddrPort
	sends *Sends
}

func (t *task) forwarding() bool { return t.place.zone != nil && t.place.zone.Forward }

// wait waits for whatever comes first.
func (t *task) wait(ctx context.Context) state {
	var fired <-chan time.Time
	if t.timer != nil {
		fired = t.timer.C
	}
	select {
	case r := <-t.results:
		t.open--
		t.late = slices.DeleteFunc(t.late, func(y *try) bool { return y == r.try })
		return t.heard(r)
	case l := <-t.lookups:
		return t.learnt(l)
	case <-fired:
		t.timer = nil
		return t.timedOut(ctx)
	case <-ctx.Done():
		return t.outOfTime()
	}
}

// timedOut gives the current try up, which stays open, or looks up more name
// servers when it was those that were waited for.
func (t *task) timedOut(ctx context.Context) state {
	y := t.current
	switch {
	case t.paused:
		return send
	case t.patience:
		t.patience = false
		return exhausted
	case y == nil:
		if t.startLookups(ctx) {
			t.setTimer(lookupStagger)
		}
		return wait
	}
	y.givenUp, t.current = true, nil
	t.late = append(t.late, y)
	now := t.now()
	t.it.infra.TimedOut(now, y.Addr)
	t.failed(y, event.Timeout, "did not answer")
	t.check(ctx, y)
	t.it.events.Emit(event.Exchanged{
		At: now, Flight: t.req.Flight, Zone: y.zone, Server: y.Addr, Host: y.Host, Why: y.Why,
		Asked: y.Question, Minimised: y.minimised, RTT: now.Sub(y.sent), Outcome: event.Timeout,
	})
	if t.timeouts++; t.minimised && t.timeouts >= relaxAfter {
		t.relax()
	}
	if t.soft != nil { // not worth waiting for every silent server
		if t.softs++; t.softs >= softEnough {
			return exhausted
		}
	}
	return send
}

// relax asks for the full name from now on, if the mode allows it.
func (t *task) relax() bool {
	if t.it.mode != Relaxed || t.min.full {
		return false
	}
	t.min.full = true
	if t.leads != nil {
		t.it.walks.learnt(t.leads, found{relax: true})
	}
	return true
}

// heard takes the outcome of an exchange: of the current try, of one that was
// given up, or of an earlier question.
func (t *task) heard(r result) state {
	v, e := t.judge(r)
	if v == nil && r.try.givenUp && e.Outcome == event.Timeout {
		return wait // as was said when it was given up
	}
	e.Late = r.try.givenUp
	t.it.events.Emit(e)
	y := r.try
	switch {
	case y.epoch != t.epoch:
		return wait
	case v != nil && v.useful() && t.helps(v):
		t.useful(e.At, y, v)
		return consider
	case y.Question != t.asked:
		return wait // to a question that was left behind
	case v != nil && v.outcome.Useful():
		return t.doubtful(y, v)
	}
	return t.refused(y, v, e)
}

// helps tells whether a useful reply is of use now: it answers the present
// question, or is a referral to an earlier, shorter one.
func (t *task) helps(v *verdict) bool {
	return v.asked.Question == t.asked || v.outcome == event.Referral
}

// next goes on after a reply that did not help: with the next server if it was
// this one that was waited for.
func (t *task) next(y *try) state {
	if y == t.current {
		return send
	}
	return wait
}

// useful takes a reply that moves the resolution on.
func (t *task) useful(now clock.Mono, y *try, v *verdict) {
	t.stopTimer()
	t.current = nil
	t.reply = v
	t.via = t.via || slices.Contains(t.targets.old, y.Addr)
	t.takenIn(y, v)
	if t.borrowed(v) {
		return // the server has nothing better either: that ends nobody's failure
	}
	if t.it.infra.Useful(now, t.place.cut, y.Addr) {
		t.it.events.Emit(event.CutHealth{At: now, Cut: t.place.cut})
	}
}

// doubtful keeps a reply that is believed if others say no better.
func (t *task) doubtful(y *try, v *verdict) state {
	t.softs++
	if t.soft == nil || t.soft.outcome == event.NoData && v.outcome == event.Answer {
		t.soft = v
	}
	t.exclude(y)
	if t.softs >= softEnough {
		t.stopTimer()
		return exhausted
	}
	return t.next(y)
}

// exclude keeps a server from being asked the same again: it would say the same.
func (t *task) exclude(y *try) {
	for i := range t.tries {
		if t.tries[i].Addr == y.Addr && t.tries[i].TCP == y.TCP {
			t.tries[i].Done = true
		}
	}
}

// refused takes a failure of a server: an error, lameness, garbage, or no reply.
func (t *task) refused(y *try, v *verdict, e event.Exchanged) state {
	if e.Outcome == event.Budget && t.req.Budget != nil && t.req.Budget.Left() == 0 {
		return t.outOfBudget()
	}
	t.exclude(y)
	if v != nil && y.minimised && t.relax() {
		return send // it may cope with the full name
	}
	t.failed(y, e.Outcome, e.Text)
	switch {
	case e.Outcome == event.Lame:
		t.it.infra.Lame(e.At, t.place.cut, y.Addr, ede.Error{Code: ede.NoReachableAuthority, ID: "LAME", Text: e.Text})
	case v != nil:
		t.it.infra.Erred(e.At, t.place.cut, y.Addr, e.Outcome)
	}
	return t.next(y)
}

// judge reads a reply and makes the event that tells of it. The verdict is nil
// without a reply.
func (t *task) judge(r result) (*verdict, event.Exchanged) {
	y := r.try
	e := event.Exchanged{
		At: t.now(), Flight: t.req.Flight, Zone: y.zone, Server: y.Addr, Host: y.Host, Why: y.Why,
		Asked: y.Question, Minimised: y.minimised,
	}
	if r.err != nil {
		e.Outcome, e.Text = event.Unreachable, r.err.Error()
		var o interface{ Outcome() event.Outcome }
		if errors.As(r.err, &o) {
			e.Outcome = o.Outcome()
		}
		var l interface{ Lives() bool }
		y.lives = errors.As(r.err, &l) && l.Lives()
		var u interface{ Untrusted() bool }
		y.untrusted = errors.As(r.err, &u) && u.Untrusted()
		e.RTT = e.At.Sub(y.sent)
		return nil, e
	}
	if t.req.Budget != nil {
		t.req.Budget.receive(len(r.reply.View.Bytes()))
	}
	v := t.it.verdict(r.reply, t.askedBy(y), t.newJudgement())
	if t.req.Stale && v.baseless() {
		v.outcome, v.text = event.Garbage, "denies without authority"
	}
	v.from = y.Addr
	if v.minimised = y.minimised; v.cutOff {
		t.bound("records-per-section")
	}
	e.Transport, e.RTT, e.Rcode = r.reply.Transport, r.reply.RTT, v.rcode
	e.Outcome, e.Text, e.Scrubbed = v.outcome, v.text, v.scrubbed
	switch {
	case v.ns != nil:
		e.Next = v.ns.Name
	case v.outcome == event.Alias:
		e.Next = v.chain.end
	}
	for _, s := range v.chain.hops {
		e.Answers += s.Data.Len()
	}
	if !v.asked.forward { // only the zone's own servers speak for it
		e.Agent = agentOf(r.reply.View)
	}
	return v, e
}

// askedBy gives what a try's reply is judged by.
func (t *task) askedBy(y *try) asked {
	a := asked{Question: y.Question, zone: y.zone, hops: t.it.limits.CNAMEHops}
	if z := t.it.zones[y.zone]; z != nil && y.epoch == t.epoch && t.place.zone != nil {
		// Servers that somebody configured need not be authoritative.
		a.lenient, a.forward = true, z.Forward
	}
	return a
}

// verdict reads, scrubs and classifies a reply, in memory that it is given.
func (it *Iterator) verdict(r Reply, a asked, in *judgement) *verdict {
	m := read(&in.reply, r.View, a.Question, &it.limits)
	scrub(m, a)
	single(m)
	v := &in.verdict
	*v = verdict{message: m, asked: a, class: classify(m, a)}
	for i := range m.answer {
		if s := &m.answer[i]; !v.chain.on(s) && !v.chain.made(s) {
			m.drop(wire.AnswerSection, s.Name, s.Type, "not part of the answer")
		}
	}
	return v
}
