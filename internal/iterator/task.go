package iterator

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// state is where a resolution stands.
type state uint8

const (
	begin     state = iota // find the closest servers known
	prime                  // learn the root's servers
	gather                 // collect the addresses of the cut's servers
	send                   // choose a server and ask it
	share                  // another task asks the same: wait for what it learns
	wait                   // until a reply, an address or the time to try elsewhere comes
	consider               // act on a useful reply
	exhausted              // no try is left: find more servers, or give up
	done
)

func (s state) String() string {
	return [...]string{"begin", "prime", "gather", "send", "share", "wait", "consider", "exhausted", "done"}[s%9]
}

// maxSteps bounds a resolution whatever else fails to: far beyond what the
// limits and the budget allow.
const maxSteps = 2000

// place is the cut whose servers are being asked.
type place struct {
	cut    dnsname.Name
	zone   *Zone             // the configured zone, nil for a delegation
	deleg  *cache.Delegation // nil for a configured zone
	parent *cache.Delegation // whose referral led here, nil when it came from the cache
	cached bool              // deleg came from the cache: it may be out of date
}

// task is one resolution. It belongs to one goroutine; exchanges and look-ups
// run in others and report through channels, which they give up on when the
// task's context ends.
type task struct {
	it     *Iterator
	req    Request
	life   lifetime
	room   room
	shared bool // with goroutines that may outlast it
	reader *cache.Reader
	result Result

	place     place
	epoch     int // counts places: what comes in for an earlier one is late
	targets   targets
	min       minimiser
	referrals int
	aside     []cache.Entry
	links     []cache.Entry     // at most mostLinks
	undone    []Undone          // at most mostUndone
	restarted bool              // the parent was asked again: once is all
	avoid     dnsname.Name      // the cut whose cached delegation is not to be used
	noZones   bool              // the configured servers failed: resolve as usual
	pinned    bool              // stay at this cut: a referral is a failure
	priming   bool              // the question is the root's NS, the reply a delegation
	lapsed    *cache.Delegation // past its TTL, below where the resolution began: for when who could renew it is out of reach
	via       bool              // what is found is found through something past its TTL
	since     uint32            // cache.Generation before what it goes by was looked up
	stopped   bool              // nothing more is sent here: see Request.Stale

	asked     event.Question // what the cut's servers are asked now
	minimised bool
	tries     []infra.Tries                    // of it
	spent     map[event.Question][]infra.Tries // of what was asked before
	counts    []counting                       // what was sent, by question and address: as many as were tried
	timeouts  int                              // tries of it given up
	current   *try                             // the one that the timer runs for, nil when there is none
	leads     *walk                            // for others who would ask the same
	awaits    *walk                            // of another task
	vain      *walk                            // which was waited for too long
	waits     int                              // for other tasks, with this question
	held      bool                             // who is left to ask is dark and was asked a moment ago
	paused    bool                             // before the next try: many wait for the servers' first reply
	patience  bool                             // the timer runs for late replies, not for a try
	late      []*try                           // given up, and still open
	checks    atomic.Int32                     // sent, of silent servers
	open      int                              // exchanges in goroutines whose result is still to come
	timer     *time.Timer
	results   chan result
	lookups   chan lookup // made with the first

	reply    *verdict // useful: for consider
	soft     *verdict // to be used if nothing better comes
	softs    int
	failures []failure
	overall  []failure // of places left behind

	counted dnsname.Name // the cut of the crowd that the task is counted in, "" for none
}

// verdict is a reply with what was made of it.
type verdict struct {
	*message
	class
	asked     asked
	from      netip.AddrPort
	minimised bool
}

func (it *Iterator) newTask(r Request) *task {
	t := it.tasks.Get().(*task)
	t.it, t.req, t.since = it, r, it.cache.Generation()
	t.min.full = it.mode == Off
	return t
}

// run resolves. The result is the task's.
func (t *task) run(ctx context.Context) *Result { return t.runFrom(ctx, begin) }

// runFrom is the state machine. What it started has ended, or ends at once, when
// it returns.
func (t *task) runFrom(under context.Context, s state) *Result {
	t.life.under, t.life.clock, t.life.until = under, t.it.clock, t.req.Until
	ctx := &t.life
	defer ctx.end()
	defer func() {
		t.endWalk()
		t.depart()
	}()
	for steps := 0; s != done; steps++ {
		if steps >= maxSteps {
			t.giveUp(&ede.Error{Code: ede.Other, ID: "STEP", Text: "resolution went on without end at " + t.place.cut.String()})
			break
		}
		s = t.step(ctx, s)
	}
	t.stopTimer()
	t.result.Since, t.result.Aside, t.result.Links, t.result.Undone = t.since, t.aside, t.links, t.undone
	t.result.Ours = t.result.Failure != nil && (t.targets.ours || t.local())
	t.result.Hindered = t.result.Failure != nil && t.targets.hindered
	t.shorten(&t.result)
	return &t.result
}

func (t *task) step(ctx context.Context, s state) state {
	switch s {
	case begin:
		return t.begin()
	case prime:
		return t.prime(ctx)
	case gather:
		return t.gather()
	case send:
		return t.send(ctx)
	case share:
		return t.share(ctx)
	case wait:
		return t.wait(ctx)
	case consider:
		return t.consider()
	case exhausted:
		return t.exhausted(ctx)
	}
	return done
}

func (t *task) now() clock.Mono { return t.it.clock.Now() }

// begin finds where to start: a configured zone, the closest delegation known,
// or the root. A forward zone goes before delegations below it, which its
// servers never taught; a stub zone only before those above.
func (t *task) begin() state {
	anchor := t.req.Name
	if t.req.Type == wire.TypeDS && !anchor.IsRoot() {
		anchor = anchor.Parent() // DS belongs to the parent's side of a cut (RFC 4035 §3.1.4.1)
	}
	if t.avoid != "" {
		anchor = t.avoid.Parent()
	}
	zone := t.it.zoneOf(anchor)
	if t.noZones {
		zone = nil
	}
	t.via, t.since = false, t.it.cache.Generation()
	deleg, ok := t.it.cache.Closest(t.now(), anchor)
	p := place{cut: dnsname.Root}
	switch {
	case zone != nil && (zone.Forward || !ok || len(deleg.Cut) <= len(zone.Name)):
		p = place{cut: zone.Name, zone: zone}
	case ok:
		p = place{cut: deleg.Cut, deleg: deleg, cached: true}
	}
	switch {
	case t.lapses(anchor, p):
	case p.deleg == nil && p.zone == nil:
		return prime
	default:
		t.enter(p)
	}
	return gather
}

// enter moves to a cut.
func (t *task) enter(p place) {
	deeper := p.cut.Below(t.place.cut) && !t.restarted
	t.overall = append(t.overall, t.failures...)
	t.failures = nil
	t.place = p
	t.epoch++
	t.targets = targets{}
	t.min.enter(p.cut)
	t.ask(event.Question{}, false)
	if deeper {
		t.anew()
	}
}

// anew lets servers be asked again that gave an answer of no use, up to three
// times in all: as one of the present zone's what they say may be of use.
func (t *task) anew() {
	for _, tries := range t.spent {
		for i := range tries {
			tries[i].Done = false
		}
	}
}

// ask sets the question that the cut's servers are asked from now on. The tries
// of a question count on when it comes back, after the parent was asked for the
// delegation again: an address has three in all (RFC 9520 §3.1).
func (t *task) ask(q event.Question, minimised bool) {
	if len(t.tries) > 0 {
		if t.spent == nil {
			t.spent = map[event.Question][]infra.Tries{}
		}
		t.spent[t.asked] = t.tries
	}
	t.endWalk()
	t.asked, t.minimised, t.waits, t.vain = q, minimised, 0, nil
	t.tries, t.timeouts, t.current = t.spent[q], 0, nil
	t.soft, t.softs = nil, 0
	t.leaveOut()
}

// giveUp ends the resolution without a useful answer.
func (t *task) giveUp(why *ede.Error) state {
	t.result = Result{Failure: why}
	return done
}

// setTimer makes the timer fire after d, in place of what it was set to.
func (t *task) setTimer(d time.Duration) {
	t.stopTimer()
	t.timer = time.NewTimer(d)
}

// hair is a small part of a time, up to a 2048th, that another resolution hardly
// ever has too: those that waited for one reply go on together, and need not all
// lose patience with the next server at one instant.
func (t *task) hair(d time.Duration) time.Duration {
	h := uint64(t.req.Flight) + uint64(t.req.Type)<<32
	for _, c := range []byte(t.req.Name) {
		h = (h ^ uint64(c)) * 0x100000001b3 // FNV
	}
	return time.Duration((h ^ h>>32) % uint64(max(d>>11, 1)))
}

func (t *task) stopTimer() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}
