package resolver

import (
	"context"
	"errors"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/stale"
)

// A client that waits for something better than a stale answer looks every quarter
// of its client timeout, within these bounds, whether the servers are known to fail
// by now. So it learns of that 250 ms late at most, once, when an outage begins; it
// looks eight times in the longest timeout that is learnt, at some hundred
// nanoseconds each. Nobody could tell it instead: servers become suspect by time
// that passes, not by anything that happens.
const (
	lookLeast = 50 * time.Millisecond
	lookMost  = 250 * time.Millisecond
)

// attempt is how a trail gets a hop that the cache has not fresh: from a flight,
// or past its TTL; stale.Decide says which. It belongs to the trail's goroutine.
type attempt struct {
	stale.Attempt
	t      *trail
	policy *stale.Policy
	old    Hop  // the last good answer
	has    bool // there is one that may be given here
	flight *flight
	fresh  bool       // it began with this attempt
	dark   bool       // it failed at once, for its zone does
	again  bool       // and another before it
	bound  bool       // the chain's limits were looked at
	final  bool       // the cache was looked into again, or nobody is there to be answered
	cause  *ede.Error // of the failure that is known
	memory *ede.Error // tells that it is remembered, nil when it just happened
}

// attempt begins one. The state is what the last good answer is.
func (t *trail) attempt(now clock.Mono, old Hop, state stale.State) *attempt {
	a := t.newAttempt()
	*a = attempt{t: t, policy: t.r.stale.For(t.name)}
	if a.take(old, state); a.has {
		a.look(now)
	} else {
		a.remember(now)
	}
	return a
}

// take makes something the attempt's last good answer, if it may be given here.
func (a *attempt) take(old Hop, state stale.State) {
	if state != stale.Stale {
		return
	}
	if p := a.t.r.stale.For(old.Entry.Name); p.Enabled && a.t.takesStale() {
		a.old, a.has, a.policy = old, true, p
		a.Valid, a.Link = a.t.r.monoOf(old.Entry.Valid), a.t.job.link > 0
	}
}

// monoOf is a moment of the time that signatures are judged by on the other scale, 0
// for none.
func (r *Resolver) monoOf(at time.Time) clock.Mono {
	if at.IsZero() {
		return 0
	}
	wall := r.clock.Wall()
	if r.validator != nil {
		wall = r.validator.Wall()
	}
	return r.clock.Now().Add(at.Sub(wall))
}

// fails notes why there is nothing better than the last good answer.
func (a *attempt) fails(why, memory *ede.Error) {
	a.cause, a.memory = why, memory
	a.Bogus = a.Bogus || why != nil && why.Code.FailsValidation()
}

// lastLook looks into the cache again, once, before an attempt fails that waited
// for its flight: a snapshot that is being loaded, or another question, may have
// brought what speaks for the name. It adds the hop when that is fresh; what is
// past its TTL becomes the last good answer (found), about which is to be decided.
func (a *attempt) lastLook(now clock.Mono) (added, found bool) {
	if a.final || a.flight == nil {
		return false, false
	}
	a.final, a.has = true, false
	h, state := a.t.known(now)
	if state == stale.Fresh {
		a.t.chain = append(a.t.chain, h)
		return true, true
	}
	if a.take(h, state); a.has {
		a.trouble(now)
	}
	return false, a.has
}

// takesStale tells whether whoever asks may be given what is stale.
func (t *trail) takesStale() bool {
	return t.job.depth > 0 || t.r.neverStale == nil || !t.r.neverStale(t.q.Client)
}

// remember ends the attempt with the failure that is remembered of the question
// (RFC 9520 §3.2), if there is one.
func (a *attempt) remember(now clock.Mono) {
	t := a.t
	if f, ok := t.r.cache.Failure(now, t.question()); ok && !t.job.tries(now, &f) && !t.checks(now, &f) {
		a.Ended, a.Refused = true, f.Refused
		a.fails(f.Cause, errRemembered())
	}
}

// tryAgain is how long a failure counts for who looks whether it is over, while
// nobody waits, and has a budget for that.
const tryAgain = 30 * time.Second

// tries tells whether to look whether a failure is over.
func (j *job) tries(now clock.Mono, f *cache.Failure) bool {
	return j.behind && now.Sub(f.Last) >= tryAgain
}

// checkAgain is how often at most what is known to be bogus is asked for again
// since somebody wants it all the same.
const checkAgain = time.Second

// checks tells whether the client checks for himself what failed validation, and
// what that was is not known any more.
func (t *trail) checks(now clock.Mono, f *cache.Failure) bool {
	if !t.q.CD || t.r.validator == nil || f.Cause == nil || !f.Cause.Code.FailsValidation() || now.Sub(f.Last) < checkAgain {
		return false
	}
	_, known := t.r.cache.Bogus(now, t.question())
	return !known
}

// look fills in what is known of getting something better than the last good
// answer. The clock of a client runs from its arrival, or from the start of the
// flight that it joins, and once it has run out it has for the whole chain.
func (a *attempt) look(now clock.Mono) {
	t, r := a.t, a.t.r
	a.Began = t.q.Arrival
	if since, ok := r.flights.underWay(t.key()); ok {
		a.Began = min(a.Began, since)
	}
	if !t.past.waited {
		learned, _ := r.health.ClientTimeout(a.cut())
		a.Timeout = a.policy.Timeout(learned)
	}
	a.trouble(now) // may forget the failure below
	f, ok := r.cache.LastFailure(now, t.question())
	switch {
	case !ok, f.Last < a.old.Entry.Stored: // another question brought the answer since
		return
	case f.Refused && a.policy.RefuseRefused && now >= f.Until: // it has no answer behind which it is tried again
		return
	}
	a.Failed, a.Counts, a.Refused = f.Last, f.Until, a.Refused || f.Refused
	if why, memory := a.cause, a.memory; a.Trouble {
		a.fails(f.Cause, nil)
		a.cause, a.memory = why, memory
	} else {
		a.fails(f.Cause, errRemembered())
	}
}

// cut is the zone that the last good answer came from, "" without one.
func (a *attempt) cut() dnsname.Name { return a.old.Entry.Cut }

// trouble sees whether the zone's servers are known not to answer, or to fail.
func (a *attempt) trouble(now clock.Mono) {
	tr, bad := a.t.r.trouble(now, a.cut())
	if a.Trouble = bad; !bad || a.Ended {
		return
	}
	a.Refused = a.Refused || tr.Refused
	a.fails(tr.Cause, errZone())
	if a.cause == nil {
		a.cause = &ede.Error{Code: ede.NoReachableAuthority, ID: "TRBL", Text: "no server of " + a.cut().String() + " answers"}
	}
}

func errRemembered() *ede.Error {
	return &ede.Error{Code: ede.CachedError, ID: "RFAI", Text: "remembered failure"}
}

// errBorrowed passes on that whoever we forward to has nothing better than what is
// stale.
func errBorrowed(nxdomain bool) *ede.Error {
	if nxdomain {
		return &ede.Error{Code: ede.StaleNXDOMAIN, ID: "FWDN", Text: "stale where it was forwarded to"}
	}
	return &ede.Error{Code: ede.StaleAnswer, ID: "FWDS", Text: "stale where it was forwarded to"}
}

// errWithheld tells who gets nothing stale that there was nothing else.
func errWithheld() *ede.Error {
	return &ede.Error{Code: ede.NoReachableAuthority, ID: "FWDO", Text: "only something stale where it was forwarded to"}
}

func errZone() *ede.Error {
	return &ede.Error{Code: ede.CachedError, ID: "ZFAI", Text: "remembered failure of the zone"}
}

// decide asks the policy.
func (a *attempt) decide(now clock.Mono) stale.Decision {
	state := stale.Gone
	if e := &a.old.Entry; a.has {
		state = e.State(now)
	}
	d := a.policy.Decide(now, state, a.Attempt)
	if d.Action == stale.Wait && state == stale.Stale && !a.bound {
		a.bound = true
		a.limit(now)
		d = a.policy.Decide(now, state, a.Attempt)
	}
	return d
}

// limit keeps the wait within the limits of all last good answers that make the
// chain: of the hops before, this one, and those behind it. Where nothing that may
// be served is behind it, the limits end nothing: there is no whole chain to give.
func (a *attempt) limit(now clock.Mono) {
	t := a.t
	limits := []clock.Mono{a.old.Entry.StaleUntil}
	ahead := trail{r: t.r, q: &Query{Type: t.q.Type}, job: t.job, have: t.have, unasked: true}
	for h, n := a.old, len(t.chain); !t.ends(&h) && n < t.r.cnameHops; n++ {
		var state stale.State
		ahead.name = h.Target
		if h, state = ahead.known(now); state == stale.Gone {
			return
		}
		if state == stale.Stale {
			limits = append(limits, h.Entry.StaleUntil)
		}
	}
	for i := range t.chain {
		if h := &t.chain[i]; h.stale {
			limits = append(limits, h.Entry.StaleUntil)
		}
	}
	for _, until := range limits {
		a.Within(until)
	}
}

// wait boards the question's flight, unless the attempt is aboard, and waits for
// its end, at most until a moment (0: none). It adds the hop when the flight
// brought it.
func (a *attempt) wait(ctx context.Context, now, until clock.Mono) (added bool) {
	t, r := a.t, a.t.r
	if a.flight == nil {
		j := a.job()
		j.here = until == 0 && t.q.Stays && t.job.from == 0
		f, fresh, err := r.board(ctx, now, t.key(), j)
		if err != nil {
			a.unflown(err)
			return false
		}
		a.flight, a.fresh = f, fresh
		if m := j.room; m != nil && fresh && !f.here {
			m.known = true
		}
	}
	if until != 0 {
		until = min(until, now.Add(min(max(a.Timeout/4, lookLeast), lookMost)))
	}
	t.past.awaited, t.past.waitedSince = true, t.past.hops > 0
	if a.fresh && a.flight.here {
		if waiters := r.run(a.flight); t.job.room != nil {
			t.job.room.flown(a.flight, waiters)
		}
		return a.landed(&a.flight.result)
	}
	switch err := r.await(ctx, a.flight, t.job, until); {
	case err == errWaited:
		a.trouble(r.clock.Now())
		return false
	case err != nil:
		a.unflown(err)
		return false
	}
	return a.landed(&a.flight.result)
}

// job is the trail's, for a flight that may have a last good answer to refresh.
func (a *attempt) job() job {
	j := a.t.job
	if j.stale = a.has; a.has && !a.Full {
		j.cut = a.cut()
	}
	return j
}

// landed takes what the flight brought, and adds the hop if it is there.
func (a *attempt) landed(res *iterator.Result) (added bool) {
	t, r := a.t, a.t.r
	t.take(res)
	if f := a.flight; f != nil {
		t.explain(f.verdict.Why)
		if t.q.CD { // the client checks himself what did not validate
			t.have = append(t.have, f.bogus...)
		}
	}
	if h, ok := t.among(t.have); ok {
		if res.Borrowed && t.job.depth == 0 { // name servers' addresses are used, and not told of
			e := errBorrowed(h.Entry.Kind == cache.NXDomain)
			if !r.errorText {
				e.ID, e.Text = "", ""
			}
			t.tell = append(t.tell, e)
		}
		t.chain = append(t.chain, h)
		return true
	}
	// The budget of a flight is that of whoever began it; one who joined may try with its own, once.
	if res.Budget && !a.fresh && !a.again {
		a.leave()
		a.again = true
		r.cache.Recovered(t.question())
		r.stats.restarts.Add(1)
		t.job.seen = r.flights.landed.Load()
		h, state := t.known(r.clock.Now())
		if state == stale.Fresh {
			t.chain = append(t.chain, h)
		}
		return state == stale.Fresh
	}
	a.Ended, a.Refused = true, res.Refused
	a.fails(cause(res.Failure), nil)
	if res.Borrowed && res.Failure == nil {
		a.cause = errWithheld()
	}
	if a.dark = res.Memory; a.dark {
		a.memory = errZone()
	}
	if a.has {
		a.trouble(r.clock.Now())
	}
	return false
}

// unflown notes that there is no flight for the question, or that it is not
// waited for any longer. Whoever has gone is given nothing.
func (a *attempt) unflown(err error) {
	switch {
	case err == errCrowded:
		a.Full = true
		return
	case errors.Is(err, errDeadline), errors.Is(err, iterator.ErrLoop), errors.Is(err, errTooManyFlights):
	default:
		a.has, a.final = false, true
	}
	a.Ended, a.Refused, a.memory = true, false, nil
	a.cause = a.t.r.unflown(err)
}

// leave ends the wait for the flight, which goes on.
func (a *attempt) leave() {
	if a.flight != nil {
		a.t.r.flights.leave(a.flight, a.t.job)
		a.flight = nil
	}
}

// serve adds the last good answer, and refreshes it behind that if it should be.
func (a *attempt) serve(now clock.Mono, refresh bool) {
	t, h := a.t, a.old
	if refresh {
		t.r.behind(t.key(), a.cut(), t.job.seen)
	}
	a.want(now)
	h.stale, h.told = true, a.policy.TTL(h.Entry.TTL)
	t.past.add(a, now)
	t.chain = append(t.chain, h)
}

// fail tells why there is no answer.
func (a *attempt) fail(now clock.Mono) *Answer {
	a.want(now)
	if a.memory == nil {
		return failed(a.Refused, cause(a.cause))
	}
	a.t.r.stats.remembered.Add(1)
	return failed(a.Refused, cause(a.cause), a.memory)
}

// want has the servers rechecked that are why the client gets nothing better: of
// the zone that the last good answer came from, or without one of the closest
// that is known above the name.
func (a *attempt) want(now clock.Mono) {
	zone := a.cut()
	switch {
	case a.Trouble:
	case a.dark && !a.has && a.policy.Enabled:
		zone = a.t.name
	default:
		return
	}
	a.t.r.want(now, zone, event.Question{Name: a.t.name, Type: a.t.q.Type})
}

// why is the reason for serving stale, in the order in which stale.Decide judges.
func (a *attempt) why() event.StaleReason {
	switch {
	case a.Ended:
		return event.StaleFailed
	case a.Trouble:
		return event.StaleTrouble
	case a.Failed != 0:
		return event.StaleRemember
	case a.Full:
		return event.StaleCrowd
	}
	return event.StaleTimeout
}

func (t *trail) key() flightKey {
	return flightKey{name: t.name, typ: t.q.Type, raw: t.job.raw && !t.checked && t.r.validator != nil}
}

func (t *trail) question() cache.Question { return cache.Question{Name: t.name, Type: t.q.Type} }
