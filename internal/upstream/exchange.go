package upstream

import (
	"context"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// exchange is one call of Exchange: the same question, sent until the server
// and we agree on how to talk.
type exchange struct {
	u    *Upstream
	q    iterator.Query
	plan plan
	m    message

	attempts int
	now      clock.Mono // when this attempt began
	until    clock.Mono // when whoever waits stops waiting; 0: with the context
	open     bool       // suspended while it listened to the socket
	kept     bool       // a goroutine listens for late replies: not to be used again
	socket   socket

	ednsRefused bool            // plain DNS is being tried because EDNS was refused
	miscased    bool            // a reply had the wrong case: it is being checked over TCP
	byHabit     bool            // TCP because of an earlier flood: UDP is the way out
	noCookies   bool            // the cookie is being left out, for the query was refused
	flooded     bool            // too many wrong replies: only TCP is believed
	badCookies  int             // BADCOOKIE replies
	held        *iterator.Reply // lacks the cookie it should have: good only if TCP cannot be had
	spare       iterator.Reply  // what held points to
}

// arrival is what one sending of the question brought.
type arrival struct {
	reply iterator.Reply
	fit   fit // fits, wrongCase, wrongCookie or malformed
	flood bool
}

// begin plans how the server is spoken to first, by what is known of it.
func (x *exchange) begin() {
	x.now = x.u.opt.Clock.Now()
	can := x.u.opt.Infra.Capability(x.now, x.q.Server)
	edns := can.EDNS != infra.EDNSBroken
	tls := x.q.TLS != ""
	x.q.TCP = x.q.TCP || tls
	x.plan = plan{
		tls:     tls,
		tcp:     x.q.TCP || can.TCP,
		edns:    edns,
		cookies: edns && x.u.opt.Cookies && !can.NoCookies && !tls, // nobody can forge there
		mixed:   x.u.opt.CaseRandomisation && !can.ManglesCase,
	}
	x.byHabit = can.TCP && !x.q.TCP
	if x.plan.mixed && !x.plan.tcp && x.q.Sends.WasMiscased() {
		x.plan.tcp, x.miscased = true, true // another try is at it: the datagrams left are for asking without
	}
}

// run sends until there is a reply to hand out, or the exchange is suspended.
func (x *exchange) run(ctx context.Context) (iterator.Reply, *Error) {
	for x.attempts < maxAttempts {
		if x.plan.tcp && x.until != 0 {
			return iterator.Reply{}, suspended
		}
		if x.attempts++; x.attempts > 1 {
			x.now = x.u.opt.Clock.Now()
		}
		if ctx.Err() != nil {
			return iterator.Reply{}, x.fail(event.Timeout, "not sent", context.Cause(ctx))
		}
		if !x.q.Sends.Take(x.plan.tcp) {
			return iterator.Reply{}, x.fail(event.Timeout, "not sent: asked three times without an answer", nil)
		}
		if !x.spend() {
			return iterator.Reply{}, x.overBudget()
		}
		x.m.compose(x.u, x.now, x.q, x.plan)
		got, err := x.once(ctx)
		if r, done, err := x.settle(ctx, &got, err); done {
			return r, err
		}
	}
	return iterator.Reply{}, x.fail(event.Garbage, "no agreement on how to talk", nil)
}

// settle tells whether one sending of the question brought the end, and which.
func (x *exchange) settle(ctx context.Context, got *arrival, err *Error) (r iterator.Reply, done bool, _ *Error) {
	switch {
	case err == suspended:
		return r, true, err
	case err != nil:
		held, ok := x.without(ctx)
		if held != nil {
			return *held, true, nil
		}
		return r, !ok, err
	}
	done, err = x.judge(got)
	return got.reply, done || err != nil, err
}

// refund is for a query that did not leave: a network that is down costs nobody
// but us.
func (x *exchange) refund() {
	if x.q.Budget != nil {
		x.q.Budget.Refund()
	}
}

// spend pays for one packet or connection with the question.
func (x *exchange) spend() bool { return x.q.Budget == nil || x.q.Budget.Spend() }

func (x *exchange) overBudget() *Error {
	x.u.counts.budgetRefused.Add(1)
	return x.fail(event.Budget, "not sent: the work budget is used up", nil)
}

// once sends the question one time over the plan's transport.
func (x *exchange) once(ctx context.Context) (arrival, *Error) {
	if !x.plan.tcp {
		return x.udp(ctx)
	}
	if x.plan.tls {
		return x.tls(ctx)
	}
	if x.miscased || x.held != nil || x.byHabit {
		// TCP is a check here, there is a way without it.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, optionalTCP)
		defer cancel()
	}
	return x.tcp(ctx)
}

// without finds the way on when TCP was only a check and cannot be had: a reply,
// or nil when the question is to be sent again; ok is false when there is none.
func (x *exchange) without(ctx context.Context) (r *iterator.Reply, ok bool) {
	switch {
	case !x.plan.tcp || ctx.Err() != nil:
		return nil, false
	case x.byHabit:
		x.u.opt.Infra.LearnTCP(x.u.opt.Clock.Now(), x.q.Server, false)
		x.byHabit, x.plan.tcp = false, false
		return nil, true
	case x.held != nil:
		x.u.opt.Infra.LearnCookie(x.q.Server, x.m.cookie.Client, nil)
		return x.held, true
	case x.miscased && x.plan.mixed:
		x.plan.tcp, x.plan.mixed = x.q.TCP, false
		return nil, !x.q.TCP
	}
	return nil, false
}

// judge decides whether a reply is the one to hand out, or how to ask again.
func (x *exchange) judge(got *arrival) (done bool, err *Error) {
	c := &x.u.counts
	udp := !x.plan.tcp
	switch {
	case got.flood:
		c.floods.Add(1)
		x.plan.tcp, x.flooded = true, true
		return false, nil
	case udp && got.fit == wrongCookie:
		x.plan.tcp = true // perhaps forged, perhaps a server that has it wrong: TCP tells
		return false, nil
	case udp && got.fit == wrongCase:
		x.plan.tcp, x.miscased = true, true
		x.q.Sends.Miscased()
		return false, nil
	case udp && got.reply.View.TC():
		c.truncated.Add(1)
		x.plan.tcp = true
		return false, nil
	case got.fit == malformed:
		c.garbage.Add(1)
		return false, x.fail(event.Garbage, "malformed reply", nil)
	case got.reply.View.TC():
		c.garbage.Add(1) // more than any message holds: what is there is not all (RFC 2181 §9)
		return false, x.fail(event.Garbage, "reply cut short", nil)
	}
	x.learnCase(got.fit)
	if x.flooded && x.u.opt.Infra.LearnTCP(got.reply.At, x.q.Server, true) {
		x.u.downgraded(x.q.Server, "tcp", "many forged-looking replies over UDP")
	}
	return !x.again(&got.reply), nil
}

// again tells whether to ask again because of EDNS or cookies, and learns.
func (x *exchange) again(r *iterator.Reply) bool {
	e, hasOPT := r.View.EDNS()
	if x.plan.edns && x.refusesEDNS(r.View, hasOPT) {
		return true
	}
	x.learnEDNS(r, hasOPT)
	if !x.m.cookies {
		return false
	}
	cookie, has := e.Option(wire.OptionCookie)
	if has && len(cookie) >= 16 && x.m.ownCookie(r.View) {
		x.u.opt.Infra.LearnCookie(x.q.Server, x.m.cookie.Client, cookie[8:])
	}
	switch {
	case r.View.Rcode() == wire.RcodeBadCookie:
		return x.badCookie(has)
	case !has && len(x.m.cookie.Server()) > 0 && !x.plan.tcp:
		// A server that gave a cookie and now does not echo ours: forged, or it
		// stopped. TCP tells, as with RFC 7873 §5.3's way out of a bad cookie.
		x.u.counts.cookieMissing.Add(1)
		x.spare = *r
		x.held, x.plan.tcp = &x.spare, true
		return true
	case !has && len(x.m.cookie.Server()) > 0:
		x.u.opt.Infra.LearnCookie(x.q.Server, x.m.cookie.Client, nil) // it stopped
	}
	return false
}

// badCookie: ask again with the server cookie that came with the error, then
// over TCP (RFC 7873 §5.3).
func (x *exchange) badCookie(has bool) bool {
	x.u.counts.badCookie.Add(1)
	x.badCookies++
	if x.plan.tcp {
		return false
	}
	if x.badCookies > 1 || !has {
		x.plan.tcp = true
	}
	return true
}

// refusesEDNS tells whether a reply is the refusal of a server that does not
// know EDNS, or not this option or version, and plans the question without.
func (x *exchange) refusesEDNS(v wire.View, hasOPT bool) bool {
	switch rc := v.Rcode(); {
	case rc == wire.RcodeFormErr && hasOPT && x.plan.cookies:
		x.plan.cookies, x.noCookies = false, true // it knows EDNS: the option it may dislike
		return true
	case rc == wire.RcodeFormErr, rc == wire.RcodeBadVers, rc == wire.RcodeNotImp && !hasOPT:
		x.u.counts.ednsFallbacks.Add(1)
		x.plan.edns, x.plan.cookies, x.ednsRefused = false, false, true
		return true
	}
	return false
}

// learnEDNS notes what the reply proves.
func (x *exchange) learnEDNS(r *iterator.Reply, hasOPT bool) {
	now := r.At
	switch rc := r.View.Rcode(); {
	case hasOPT && x.plan.edns:
		x.u.opt.Infra.LearnEDNS(now, x.q.Server, true)
		if x.noCookies && rc != wire.RcodeFormErr && x.u.opt.Infra.LearnNoCookies(now, x.q.Server) {
			x.u.downgraded(x.q.Server, "cookies off", "it refuses queries with a cookie")
		}
	case x.ednsRefused && rc != wire.RcodeFormErr && rc != wire.RcodeNotImp:
		if x.u.opt.Infra.LearnEDNS(now, x.q.Server, false) {
			x.u.downgraded(x.q.Server, "edns off", "it refuses queries with EDNS")
		}
	}
}

// learnCase notes a server that mangles letters: over TCP too, where nobody
// forges, or over UDP without a chance of checking over TCP.
func (x *exchange) learnCase(f fit) {
	if f != wrongCase && (!x.miscased || x.plan.tcp) {
		return
	}
	if x.u.opt.Infra.LearnMangledCase(x.u.opt.Clock.Now(), x.q.Server) {
		x.u.downgraded(x.q.Server, "case randomisation off", "its replies do not keep the question's case")
	}
}

// sent tells infra of a packet.
func (x *exchange) sent() clock.Mono {
	now := x.u.opt.Clock.Now()
	x.u.opt.Infra.Sent(now, x.q.Server)
	return now
}

var _ iterator.Exchanger = (*Upstream)(nil)
