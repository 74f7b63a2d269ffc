package iterator

import (
	"context"
	"net/netip"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// maxFailures bounds what is remembered for telling the cause.
const maxFailures = 64

// failure is a try that brought nothing useful.
type failure struct {
	host    dnsname.Name
	addr    netip.AddrPort
	asked   event.Question
	outcome event.Outcome
	text    string
}

// failed remembers a failure of the present question.
func (t *task) failed(y *try, outcome event.Outcome, text string) {
	if len(t.failures) < maxFailures {
		t.failures = append(t.failures, failure{y.Host, y.Addr, y.Question, outcome, text})
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
	return who + " " + f.text + " for " + f.asked.Name.String() + " " + f.asked.Type.String()
}

// telling orders outcomes by how much they tell of the cause.
func telling(o event.Outcome) int {
	switch o {
	case event.ServFail, event.NotImp, event.FormErr, event.BadVers, event.OtherRcode:
		return 5
	case event.Refused:
		return 4
	case event.Garbage, event.Spoofed:
		return 3
	case event.Lame:
		return 2
	case event.Unreachable:
		return 1
	}
	return 0
}

// cause makes the error that tells a client why there is no answer.
func (t *task) cause() *ede.Error {
	var worst *failure
	for _, list := range [][]failure{t.failures, t.overall} {
		for i := range list {
			if worst == nil || telling(list[i].outcome) > telling(worst.outcome) {
				worst = &list[i]
			}
		}
		if worst != nil {
			break
		}
	}
	if worst == nil {
		return &ede.Error{Code: ede.NoReachableAuthority, ID: "NOAD",
			Text: "no usable address of a server of " + t.place.cut.String()}
	}
	e := &ede.Error{Code: ede.NetworkError, Text: worst.sentence()}
	switch telling(worst.outcome) {
	case 5:
		e.ID = "ERCD"
	case 4:
		e.ID = "RFSD"
	case 3:
		e.ID = "GARB"
	case 2:
		e.Code, e.ID = ede.NoReachableAuthority, "LAMD"
	case 1:
		e.Code, e.ID = ede.NoReachableAuthority, "UNRC"
	default:
		e.Code, e.ID = ede.NoReachableAuthority, "MUTE"
	}
	return e
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

// exhausted is when no try is left: first it looks for further servers of the
// cut, then elsewhere.
func (t *task) exhausted(ctx context.Context) state {
	t.current = nil
	t.stopTimer()
	switch {
	case t.soft != nil && (t.soft.outcome != event.NoData || t.softs >= softEnough):
		return t.believeSoft()
	case t.startLookups(ctx) || t.targets.pending > 0:
		t.setTimer(lookupStagger)
		return wait
	case t.soft != nil:
		return t.believeSoft()
	case t.addSpares():
		return send
	case t.overTCP():
		return send
	case t.minimised && t.relax():
		return send
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
		if f.outcome != event.Timeout || f.asked != t.asked || t.it.infra.Suspect(t.now(), f.addr) {
			continue
		}
		if s, ok := t.it.infra.Server(t.now(), f.addr); ok && s.Heard > 0 {
			added = t.addCandidate(f.addr, f.host, true) || added
		}
	}
	return added
}

// failCut ends the attempt at a cut: where servers were configured by usual
// resolution, if that is wanted; where the delegation may be out of date by
// asking the parent for it, once (RFC 8767 §5, RFC 9520 §3.3).
func (t *task) failCut() state {
	now, cause := t.now(), t.cause()
	t.report(cause)
	if z := t.place.zone; z != nil && z.Fallback && !t.pinned {
		t.noZones = true
		return begin
	}
	refused := t.all(event.Refused)
	if t.place.cached && !t.restarted && !t.pinned && !t.place.cut.IsRoot() && t.it.infra.AskParent(now, t.place.cut) {
		t.restarted, t.avoid = true, t.place.cut
		return begin
	}
	t.giveUp(cause)
	t.result.Refused = refused
	return done
}

// report tells infra how the cut failed: as a whole, or for this name. That
// all its delegated servers refuse is how most domains show that they moved.
func (t *task) report(cause *ede.Error) {
	now, began := t.now(), false
	whole := t.all(event.Timeout, event.Unreachable, event.Lame, event.Spoofed) || len(t.failures) == 0
	if t.place.zone == nil {
		whole = whole || t.all(event.Refused, event.Lame)
	}
	if whole {
		began = t.it.infra.CutFailed(now, t.place.cut, cause)
	} else {
		began = t.it.infra.NameFailed(now, t.place.cut, t.req.Name, cause)
	}
	if began {
		t.it.events.Emit(event.CutHealth{At: now, Cut: t.place.cut, Failing: true, Cause: cause})
	}
}

// outOfBudget ends a resolution whose work budget is used up.
func (t *task) outOfBudget() state {
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
	return t.giveUp(t.cause())
}
