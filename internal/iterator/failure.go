package iterator

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
)

// maxFailures bounds what is remembered for telling the cause.
const maxFailures = 64

// failure is a try that brought nothing useful.
type failure struct {
	cut     dnsname.Name // whose server it was asked as
	host    dnsname.Name
	addr    netip.AddrPort
	asked   event.Question
	outcome event.Outcome
	text    string
	lives   bool // unreachable for this question alone: over TCP, where it needs that
	other   bool // over TCP, which was only another way
	// untrusted: who was reached did not prove to be the server.
	untrusted bool
}

// failed remembers a failure of the present question.
func (t *task) failed(y *try, outcome event.Outcome, text string) {
	other := y.TCP && slices.ContainsFunc(t.targets.cands, func(c infra.Candidate) bool {
		return c.Addr == y.Addr && !c.TCP
	})
	if len(t.failures) < maxFailures {
		t.failures = append(t.failures, failure{y.zone, y.Host, y.Addr, y.Question, outcome, text, y.lives || other, other, y.untrusted})
	}
	if outcome == event.Budget {
		t.unsent()
	}
}

// unsent keeps the other servers from being tried when there was no socket for
// one: there would be none for them, and who waits for one may have less to ask.
func (t *task) unsent() {
	t.targets.unsent = true
	for _, c := range t.targets.cands {
		t.spend(c.Addr, c.TCP)
	}
}

// sentence tells of a failure in prose: who, what, and what was asked.
func (f *failure) sentence() string {
	who := f.addr.Addr().String()
	if f.addr.Port() != 53 {
		who = f.addr.String()
	}
	if f.host != "" {
		who = f.host.String() + " " + who
	}
	text := strings.TrimPrefix(f.text, f.addr.String()+" ") // errors of upstream say so too
	return who + " " + text + " for " + f.asked.Name.String() + " " + f.asked.Type.String()
}

// saidError is the least weight of a failure that is a server's own word.
const saidError = 4

// telling orders failures by how much they tell of the cause, and says as what
// clients hear of it.
func (f *failure) telling() (weight int, as ede.Error) {
	if f.untrusted {
		return 3, ede.Error{Code: ede.NetworkError, ID: "CERT"}
	}
	switch f.outcome {
	case event.ServFail, event.NotImp, event.FormErr, event.BadVers, event.OtherRcode:
		return 6, ede.Error{Code: ede.NetworkError, ID: "ERCD"}
	case event.Refused:
		return 5, ede.Error{Code: ede.NetworkError, ID: "RFSD"}
	case event.Garbage, event.Spoofed:
		return 4, ede.Error{Code: ede.NetworkError, ID: "GARB"}
	case event.Lame:
		return 3, ede.Error{Code: ede.NoReachableAuthority, ID: "LAMD"}
	case event.Unreachable:
		return 2, ede.Error{Code: ede.NoReachableAuthority, ID: "UNRC"}
	case event.Budget: // for want of sockets
		return 1, ede.Error{Code: ede.Other, ID: "LOCL"}
	}
	return 0, ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE"}
}

// cause makes the error that tells a client why there is no answer: of the
// present place's failures, or those before, the one that tells most.
func (t *task) cause() *ede.Error {
	list := t.failures
	if len(list) == 0 {
		list = t.overall
	}
	best := &ede.Error{Code: ede.NoReachableAuthority, ID: "NOAD",
		Text: "no usable address of a server of " + t.place.cut.String()}
	if t.held || t.stopped {
		best.ID, best.Text = "DARK", "no server of "+t.place.cut.String()+" answers anything"
	}
	if len(t.req.Avoid) > 0 {
		best.ID, best.Text = "ELSE", "no other server of "+t.place.cut.String()+" could be asked"
	}
	if t.targets.hindered {
		best.ID, best.Text = "CIRC", "the name servers of "+t.place.cut.String()+" depend on others in a circle or too deeply"
	}
	if t.targets.ours {
		best.Code, best.ID, best.Text = ede.Other, "LACK", "too much else is being resolved to find the name servers of "+t.place.cut.String()
	}
	heaviest := -1
	for i := range list {
		if weight, as := list[i].telling(); weight > heaviest {
			heaviest, *best = weight, as
			best.Text = list[i].sentence()
		}
	}
	return best
}

// away tells whether every server here that was asked is not to be had for any
// question of the place.
func (t *task) away() bool {
	lives := func(f failure) bool { return f.lives }
	return t.all(event.Unreachable, event.Lame, event.Spoofed) && !slices.ContainsFunc(t.failures, lives)
}

// all tells whether every failure here has one of the outcomes.
func (t *task) all(outcomes ...event.Outcome) bool {
	list := t.failures
	if len(list) == 0 {
		list = t.overall // nobody here was left to ask
	}
	for i := range list {
		found := false
		for _, o := range outcomes {
			found = found || list[i].outcome == o
		}
		if !found {
			return false
		}
	}
	return len(list) > 0
}

// refuses tells whether every server here refuses. One that was left out since it
// says nothing does not.
func (t *task) refuses() bool { return !t.held && t.all(event.Refused) }

// exhausted is when no try is left: first it looks for further servers of the
// cut, then elsewhere.
func (t *task) exhausted(ctx context.Context) state {
	t.current = nil
	t.stopTimer()
	t.endWalk() // nothing is with a server any more
	if t.stopped && !t.stops() {
		return send // somebody was heard meanwhile
	}
	switch {
	case t.soft != nil && (t.soft.outcome != event.NoData || t.softs >= softEnough):
		return t.believeSoft()
	case t.targets.unsent && t.soft == nil && !t.awaitsLate():
		return t.giveUp(t.cause())
	case t.startLookups(ctx) || t.targets.pending > 0:
		t.setTimer(lookupStagger)
		return wait
	case t.soft != nil:
		return t.believeSoft()
	case len(t.failures) == 0 && t.req.Budget != nil && t.req.Budget.Left() == 0:
		return t.outOfBudget() // that look-ups found no address is nobody's fault
	case t.addSpares():
		return send
	case !t.stopped && t.overTCP():
		return send
	case !t.stopped && t.minimised && t.relax():
		return send
	case t.awaitsLate():
		t.patience = true
		t.setTimer(lateAgain)
		return wait
	case t.priming:
		return t.giveUp(t.cause())
	}
	return t.failCut()
}

// believeSoft takes the doubtful reply, nobody having known better.
func (t *task) believeSoft() state {
	t.reply, t.soft = t.soft, nil
	return consider
}

// overTCP gives servers another chance that let every datagram with this
// question go unanswered and yet are alive: where much is lost, or a server
// limits its rate, TCP gets through. It tells whether there are any.
func (t *task) overTCP() bool {
	added := false
	for _, f := range t.failures {
		if f.outcome != event.Timeout || f.asked != t.asked || t.it.infra.Mute(t.now(), t.place.cut, f.addr) {
			continue
		}
		if s, ok := t.it.infra.Server(t.now(), f.addr); ok && s.Heard > 0 {
			added = t.addCandidate(infra.Candidate{Addr: f.addr, Host: f.host, TCP: true}) || added
		}
	}
	return added
}

// stops tells whether nothing more is to be sent here: somebody has a last good
// answer, and no server of the place says anything. What was sent may be answered
// yet.
func (t *task) stops() bool {
	t.stopped = t.req.Stale && t.it.infra.Quiet(t.now(), t.targets.cands)
	return t.stopped
}

// stoppedWaits is how long a resolution that nobody is in need of waits for the
// reply to its last try.
const stoppedWaits = 3 * time.Second

// lateAgain is how often it is looked whether late replies are still worth
// waiting for.
const lateAgain = 200 * time.Millisecond

// awaitsLate tells whether a reply may yet come to a try that was given up: of a
// server that was not heard since, and is not known to be silent. One that became
// slow has nothing wrong with it but its time.
func (t *task) awaitsLate() bool {
	now := t.now()
	return slices.ContainsFunc(t.late, func(y *try) bool {
		if y.epoch != t.epoch || y.Question != t.asked || t.it.infra.Silence(now, y.zone, y.Addr) > 0 ||
			t.stopped && now.Sub(y.sent) >= stoppedWaits {
			return false
		}
		s, ok := t.it.infra.Server(now, y.Addr)
		return ok && s.Heard <= y.sent
	})
}

// failCut ends the attempt at a cut: where servers were configured by usual
// resolution, if that is wanted; where the delegation may be out of date by
// asking the parent for it, once (RFC 8767 §5, RFC 9520 §3.3).
func (t *task) failCut() state {
	now, cause := t.now(), t.cause()
	silent := t.stopped || t.silentHere() || t.targets.mute && len(t.targets.cands) == 0
	memory := (t.held || t.stopped) && len(t.failures) == 0 && len(t.overall) == 0
	if f, failing := t.it.infra.CutFailing(now, t.place.cut); memory && failing && f.Cause != nil {
		cause = f.Cause // told once is enough
	} else {
		t.report(cause)
	}
	if z := t.place.zone; z != nil && z.Fallback && !t.pinned {
		t.noZones = true
		return begin
	}
	if t.useLapsed() {
		return gather
	}
	refused := t.refuses()
	if t.place.cached && !t.restarted && !t.pinned && !t.place.cut.IsRoot() && t.it.infra.AskParent(now, t.place.cut) {
		t.restarted, t.avoid = true, t.place.cut
		return begin
	}
	t.giveUp(cause)
	t.result.Refused, t.result.Silent, t.result.Memory = refused, silent, memory
	return done
}

// report tells infra how the attempt at the cut failed: as a whole, or for this
// name. That all its delegated servers refuse is how most domains show that
// they moved. Silence counts only of servers that nothing at all is heard from:
// else it is this question that they do not like, and nobody's failure.
func (t *task) report(cause *ede.Error) {
	if len(t.req.Avoid) > 0 {
		return // one of them answers: it is not as if there were nobody
	}
	if len(t.failures) == 0 && (t.targets.hindered || t.askedElsewhere() && !t.silentHere()) {
		return // nobody of the cut was asked, for reasons of ours
	}
	now, began := t.now(), false
	blame := infra.Blame{Refused: t.refuses()}
	switch {
	case t.local(): // nobody's fault but ours
	case t.silentHere() || t.away():
		blame.Silent = t.silentServers()
		began = t.it.infra.CutFailed(now, t.place.cut, cause, blame)
	case len(t.failures) == 0 && t.stopped: // nothing was sent, and nothing proves more than suspicion
	case len(t.failures) == 0,
		t.place.zone == nil && !t.held && t.all(event.Refused, event.Lame):
		began = t.it.infra.CutFailed(now, t.place.cut, cause, blame)
	case t.said():
		began = t.it.infra.NameFailed(now, t.place.cut, t.req.Name, cause, blame)
	default:
		t.it.infra.AttemptFailed(now, t.place.cut, cause)
	}
	if began {
		t.it.events.Emit(event.CutHealth{At: now, Cut: t.place.cut, Failing: true, Cause: cause})
	}
}

// askedElsewhere tells whether a server here was left out since it was asked this
// question already, and as a server of other cuts only. What it said as such, lame
// for a zone that somebody delegated to it, this cut is not to blame for.
func (t *task) askedElsewhere() bool {
	here := func(f failure) bool { return f.cut == t.place.cut }
	left := func(x infra.Tries) bool {
		return (x.Done || x.N >= infra.MaxTries) &&
			slices.ContainsFunc(t.targets.cands, func(c infra.Candidate) bool { return c.Addr == x.Addr && c.TCP == x.TCP })
	}
	return !slices.ContainsFunc(t.overall, here) && slices.ContainsFunc(t.tries, left)
}

// local tells whether queries were not sent for want of something of our own.
func (t *task) local() bool {
	list := t.failures
	if len(list) == 0 {
		list = t.overall
	}
	return slices.ContainsFunc(list, func(f failure) bool { return f.outcome == event.Budget })
}

// said tells whether a server replied with an error, or sent us where nothing
// is: the rest, silence over either transport, may be this question's fault.
func (t *task) said() bool {
	return slices.ContainsFunc(t.failures, func(f failure) bool {
		weight, _ := f.telling()
		return weight >= saidError || f.outcome == event.Unreachable && !f.other
	})
}

// silentHere tells whether every server of the place is silent or failed in a
// way that is as bad. Of few servers more proof is needed than of many, for
// chance can lose a few packets in a row.
func (t *task) silentHere() bool {
	proof := 0
	for i, c := range t.targets.cands {
		if slices.ContainsFunc(t.targets.cands[:i], func(o infra.Candidate) bool { return o.Addr == c.Addr }) {
			continue // over TCP too
		}
		n := t.it.infra.Silence(t.now(), t.place.cut, c.Addr)
		switch {
		case n > 0:
			proof += n
		case t.useless(c.Addr):
			proof += checksInAll / 2
		default:
			return false
		}
	}
	return proof >= checksInAll
}

// silentServers gives those of the place that say nothing, or cannot be reached.
func (t *task) silentServers() []infra.Candidate {
	now := t.now()
	var list []infra.Candidate
	for _, c := range t.targets.cands {
		away := slices.ContainsFunc(t.failures, func(f failure) bool {
			return f.addr == c.Addr && f.outcome == event.Unreachable && !f.lives
		})
		if away || t.it.infra.Silence(now, t.place.cut, c.Addr) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// useless tells whether a server is unreachable or lame for the place.
func (t *task) useless(addr netip.AddrPort) bool {
	for i := range t.failures {
		f := &t.failures[i]
		if f.addr == addr && (f.outcome == event.Unreachable && !f.lives || f.outcome == event.Lame) {
			return true
		}
	}
	return false
}

// outOfBudget ends a resolution whose work budget is used up.
func (t *task) outOfBudget() state {
	if t.req.Budget == nil {
		return t.giveUp(t.cause())
	}
	bound := "upstream-queries"
	if t.req.Budget.outOfBytes() {
		bound = "reply-bytes"
	}
	t.bound(bound)
	t.giveUp(&ede.Error{Code: ede.Other, ID: "BUDG",
		Text: "the work budget was used up at " + t.place.cut.String()})
	t.result.Budget = true
	return done
}

// outOfTime ends a resolution whose flight's time is up.
func (t *task) outOfTime() state {
	if y := t.current; y != nil {
		t.failed(y, event.Timeout, "did not answer in time")
	}
	cause, silent := t.cause(), t.silentHere()
	switch {
	case silent:
		t.report(cause)
	case len(t.failures) > 0 && !t.local():
		t.it.infra.AttemptFailed(t.now(), t.place.cut, cause)
	}
	t.giveUp(cause)
	t.result.Silent = silent || t.stopped
	return done
}
