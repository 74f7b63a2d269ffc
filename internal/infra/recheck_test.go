package infra

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

func question(label string, zone dnsname.Name) event.Question {
	name, err := zone.Prepend(label)
	if err != nil {
		panic(err)
	}
	return event.Question{Name: name, Type: wire.TypeA}
}

// loop is who sends rechecks, in virtual time, and whoever wants them meanwhile.
type loop struct {
	i    *Infra
	now  clock.Mono
	next clock.Mono
	sent []sending
	// answers tells whether a server replies to a recheck; nil: none does.
	answers func(Recheck) bool
}

type sending struct {
	at clock.Mono
	Recheck
}

// want asks for rechecks, and wakes the loop if it is told to.
func (l *loop) want(w Want) {
	if l.i.Wanted(l.now, w) {
		l.wake()
	}
}

func (l *loop) wake() {
	due, next := l.i.Rechecks(l.now)
	for _, r := range due {
		l.sent = append(l.sent, sending{l.now, r})
		if r.Parent || !r.Server.Addr.IsValid() {
			continue
		}
		l.i.Sent(l.now, r.Server.Addr)
		if l.answers != nil && l.answers(r) {
			l.i.Answered(l.now, r.Server.Addr, 10*ms)
		}
	}
	l.next = next
}

// run lets time pass; every so often something is done.
func (l *loop) run(d, every time.Duration, do func()) {
	end, at := l.now.Add(d), l.now
	for {
		step := end
		if every > 0 {
			step = min(step, at)
		}
		if l.next != 0 {
			step = min(step, l.next)
		}
		l.now = max(step, l.now)
		if l.now >= end {
			return
		}
		if every > 0 && l.now == at {
			at = at.Add(every)
			do()
		}
		if l.next != 0 && l.now >= l.next {
			l.wake()
		}
	}
}

// count counts what was sent in a span to servers, parents aside.
func (l *loop) count(from, to clock.Mono) (n int) {
	for _, s := range l.sent {
		if s.at >= from && s.at < to && !s.Parent {
			n++
		}
	}
	return n
}

// A suspect server is rechecked every second while the cut is wanted; for lack of
// questions the pause doubles to 30 s; after five minutes it is forgotten. Who
// wants it again is not kept waiting.
func TestRechecksFollowQuestions(t *testing.T) {
	l := &loop{i: fresh(Options{})}
	l.now = suspects(l.i, sec, addr(0))
	w := Want{Cut: zone, Fixed: true, Servers: cands(addr(0)), Question: question("www", zone)}
	start := l.now
	l.run(60*time.Second, 100*ms, func() { l.want(w) })
	if n := l.count(start, l.now); n < 58 || n > 62 {
		t.Errorf("%d rechecks in a minute", n)
	}
	for k := 1; k < len(l.sent); k++ {
		if gap := l.sent[k].at.Sub(l.sent[k-1].at); gap < 900*ms || gap > 1100*ms {
			t.Fatalf("%v between two", gap)
		}
	}
	last := l.now
	l.run(time.Hour, 0, nil)
	var gaps []time.Duration
	for k := 1; k < len(l.sent); k++ {
		if l.sent[k].at > last.Add(4*time.Second) {
			gaps = append(gaps, l.sent[k].at.Sub(l.sent[k-1].at).Round(time.Second))
		}
	}
	if len(gaps) < 12 || len(gaps) > 16 {
		t.Errorf("%v", gaps)
	}
	for _, gap := range gaps[len(gaps)-5:] {
		if gap < 27*time.Second || gap > 33*time.Second {
			t.Errorf("in the end %v", gaps)
		}
	}
	if end := l.sent[len(l.sent)-1].at; end.Sub(last) > wantedLast || end.Sub(last) < wantedLast-33*time.Second || l.next != 0 || l.i.plan.targets.len() != 0 {
		t.Errorf("the last %v after the last question, %d planned", end.Sub(last), l.i.plan.targets.len())
	}
	again := l.now
	if !l.i.Wanted(l.now, w) {
		t.Error("nobody is woken")
	}
	l.wake()
	if l.count(again, again+1) != 1 {
		t.Error("not rechecked at once when it is wanted after an hour")
	}
}

// A question pulls a recheck forward that was put off for lack of them.
func TestQuestionHastensRecheck(t *testing.T) {
	l := &loop{i: fresh(Options{})}
	l.now = suspects(l.i, sec, addr(0))
	w := Want{Cut: zone, Fixed: true, Servers: cands(addr(0)), Question: question("www", zone)}
	l.want(w)
	l.run(2*time.Minute, 0, nil)
	from := l.now
	if l.next.Sub(from) < 2*time.Second {
		l.run(l.next.Sub(from)+ms, 0, nil) // not just before one
		from = l.now
	}
	if !l.i.Wanted(l.now, w) {
		t.Fatal("the next recheck does not move")
	}
	if l.i.Wanted(l.now, w) {
		t.Error("it moves twice")
	}
	l.wake()
	l.run(1100*ms, 0, nil)
	if n := l.count(from, l.now+1); n < 1 || n > 2 {
		t.Errorf("%d rechecks within a second of the question", n)
	}
}

// Each packet asks another name of those wanted.
func TestRechecksTakeTurns(t *testing.T) {
	l := &loop{i: fresh(Options{})}
	l.now = suspects(l.i, sec, addr(0))
	n := 0
	l.run(20*time.Second, 50*ms, func() {
		n++
		l.want(Want{Cut: zone, Fixed: true, Servers: cands(addr(0)), Question: question(fmt.Sprint("n", n%40), zone)})
	})
	names := map[dnsname.Name]bool{}
	for k, s := range l.sent {
		names[s.Question.Name] = true
		if k > 0 && l.sent[k-1].Question == s.Question {
			t.Errorf("%v twice in a row", s.Question)
		}
		if s.Cut != zone || s.Server.Addr != addr(0) {
			t.Errorf("%+v", s)
		}
	}
	if len(names) < 10 {
		t.Errorf("%d names in %d rechecks", len(names), len(l.sent))
	}
}

// A hoster with 100,000 zones on four addresses costs four packets a second, the
// wanting of all of them little, and one reply ends the outage of all.
func TestHosterCostsFourPacketsASecond(t *testing.T) {
	l := &loop{i: fresh(Options{})}
	addrs := []netip.AddrPort{addr(0), addr(1), addr(2), addr(3)}
	servers := cands(addrs...)
	l.now = suspects(l.i, sec, addrs...)
	start := l.now
	zones := make([]dnsname.Name, 100_000)
	for n := range zones {
		zones[n] = dnsname.MustParse(fmt.Sprintf("z%d.example", n))
	}
	r := rand.New(rand.NewPCG(5, 6))
	l.run(20*time.Second, ms, func() {
		for range 10 {
			z := zones[r.IntN(len(zones))]
			if _, bad := l.i.Trouble(l.now, z, servers); !bad {
				t.Fatal("not in trouble")
			}
			l.want(Want{Cut: z, Servers: servers, Question: event.Question{Name: z, Type: wire.TypeA}})
		}
	})
	if n := l.count(start, l.now); n < 4*18 || n > 4*22 {
		t.Errorf("%d rechecks in 20 s", n)
	}
	parents := len(l.sent) - l.count(start, l.now)
	if parents > parentBurst+20*parentRate {
		t.Errorf("%d questions to parents", parents)
	}
	l.i.Answered(l.now, addr(2), 10*ms)
	for _, z := range zones {
		if _, bad := l.i.Trouble(l.now, z, servers); bad {
			t.Fatal("in trouble after a reply")
		}
	}
	l.i.Answered(l.now, addr(0), 10*ms)
	l.i.Answered(l.now, addr(1), 10*ms)
	l.i.Answered(l.now, addr(3), 10*ms)
	end := l.now
	l.run(10*time.Second, 0, nil)
	if n := l.count(end, l.now); n != 0 || l.next != 0 {
		t.Errorf("%d rechecks of servers that are back", n)
	}
}

// Errors and lameness are rechecked for each cut, until that is useful again;
// and when the server falls silent, as silence.
func TestErrorsAreRecheckedByCut(t *testing.T) {
	l := &loop{i: fresh(Options{}), answers: func(Recheck) bool { return true }}
	l.now = 100 * sec
	answered(l.i, l.now, addr(0), 10*ms)
	servers := cands(addr(0))
	one, two := dnsname.MustParse("one.example"), dnsname.MustParse("two.example")
	for _, cut := range []dnsname.Name{one, two} {
		l.i.CutFailed(l.now, cut, nil, Blame{Refused: true})
	}
	wants := func() {
		for _, cut := range []dnsname.Name{one, two, zone} { // zone is fine
			l.want(Want{Cut: cut, Fixed: true, Servers: servers, Question: question("www", cut)})
		}
	}
	l.run(10*time.Second, 100*ms, wants)
	by := map[dnsname.Name]int{}
	for _, s := range l.sent {
		by[s.Cut]++
	}
	if by[one] < 9 || by[one] > 12 || by[two] < 9 || by[two] > 12 || len(by) != 2 {
		t.Errorf("%v", by)
	}
	l.i.Useful(l.now, one, addr(0))
	start := l.now
	l.run(10*time.Second, 100*ms, wants)
	for _, s := range l.sent {
		if s.at >= start && s.Cut != two {
			t.Errorf("%v is rechecked", s.Cut)
		}
	}
	l.answers = nil
	l.now = suspects(l.i, l.now, addr(0))
	start = l.now
	l.run(10*time.Second, 100*ms, wants)
	if n := l.count(start, l.now); n < 9 || n > 12 {
		t.Errorf("%d rechecks of a silent server that two zones have", n)
	}
}

// All together keep to the budget, those wanted most come first, and nobody waits
// for ever; with the own network down it is five a second.
func TestRecheckBudget(t *testing.T) {
	l := &loop{i: fresh(Options{})}
	const targets = 2000
	l.now = sec
	list := make([]netip.AddrPort, targets)
	for n := range list {
		list[n] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}), 53)
	}
	l.now = suspects(l.i, l.now, list...)
	l.i.Answered(l.now, addr(200), 0) // the network is up
	start, round := l.now, 0
	wants := func() {
		round++
		for n, a := range list {
			if n < 100 || round%25 == n%25 { // a hundred are wanted 10 times a second, the others every 2.5 s
				l.want(Want{Cut: zone, Fixed: true, Servers: cands(a), Question: question("www", zone)})
			}
		}
		l.i.Answered(l.now, addr(200), 0)
	}
	l.run(60*time.Second, 100*ms, wants)
	if n := l.count(start, l.now); n > 60*200+20 || n < 59*200 { // as is promised
		t.Errorf("%d rechecks in a minute", n)
	}
	by := map[netip.AddrPort]int{}
	for _, s := range l.sent {
		by[s.Server.Addr]++
	}
	popular, never := 0, 0
	for n, a := range list {
		if n < 100 {
			popular += by[a]
		}
		if by[a] == 0 {
			never++
		}
	}
	if popular < 100*20 || never > 0 {
		t.Errorf("%d rechecks of the hundred, %d servers never", popular, never)
	}
	if l.i.Stats().RecheckBudgetHits == 0 || l.i.Stats().RechecksPlanned != targets {
		t.Errorf("%+v", l.i.Stats())
	}
	// Offline from here.
	l.i.Sent(l.now, addr(1))
	l.i.Sent(l.now, addr(2))
	l.i.Sent(l.now, addr(3))
	l.run(5*time.Second, 0, nil)
	start = l.now
	if _, off := l.i.Offline(l.now); !off {
		t.Fatal("not offline")
	}
	l.run(20*time.Second, 0, nil)
	if n := l.count(start, l.now); n > 20*5+1 || n < 19*5 {
		t.Errorf("%d rechecks in 20 s without a network", n)
	}
}

// The table has a bound, at which the one that nobody wanted for the longest time
// goes.
func TestRechecksAreBounded(t *testing.T) {
	l := &loop{i: fresh(Options{MaxRechecks: 10})}
	var list []netip.AddrPort
	for n := range 50 {
		list = append(list, addr(n))
	}
	l.now = suspects(l.i, sec, list...)
	for _, a := range list {
		l.want(Want{Cut: zone, Fixed: true, Servers: cands(a), Question: question("www", zone)})
	}
	p := &l.i.plan
	if p.targets.len() != 10 || len(p.waiting)+len(p.ready) != 10 || l.i.Stats().RecheckEvictions != 40 {
		t.Errorf("%d targets, %d in heaps", p.targets.len(), len(p.waiting)+len(p.ready))
	}
	l.run(3*time.Second, 0, nil)
	for _, s := range l.sent {
		if s.Server.Addr.IsValid() && s.Server.Addr.Addr().As4()[3] <= 40 {
			t.Errorf("%v is rechecked", s.Server.Addr)
		}
	}
	if len(l.sent) < 10 {
		t.Errorf("%d rechecks", len(l.sent))
	}
}

// A zone whose questions a server drops, and that is asked for more than any
// other, does not keep the server suspect for those that it serves.
func TestDroppedZoneHoldsNobody(t *testing.T) {
	l := &loop{i: fresh(Options{}), answers: func(r Recheck) bool { return r.Cut == zone }}
	now := suspects(l.i, sec, addr(0))
	l.i.Useful(now, zone, addr(0))
	l.now = now
	evil := dnsname.MustParse("evil.example")
	n := 0
	wants := func() {
		n++
		l.want(Want{Cut: evil, Fixed: true, Servers: cands(addr(0)), Question: question(fmt.Sprint("x", n), evil)})
	}
	l.run(3*time.Second, ms, wants)
	if _, bad := l.i.Trouble(l.now, zone, cands(addr(0))); bad {
		t.Errorf("still in trouble after %d rechecks", len(l.sent))
	}
}

// The parent of a cut in trouble is asked when that begins, then every 30 s; that
// of a configured zone never.
func TestParentIsAskedBehind(t *testing.T) {
	for _, fixed := range []bool{true, false} {
		l := &loop{i: fresh(Options{})}
		l.now = suspects(l.i, sec, addr(0))
		l.run(100*time.Second, 100*ms, func() {
			l.want(Want{Cut: zone, Fixed: fixed, Servers: cands(addr(0)), Question: question("www", zone)})
			if _, bad := l.i.Trouble(l.now, zone, cands(addr(0))); !bad {
				t.Fatal("not in trouble")
			}
		})
		asked := 0
		for _, s := range l.sent {
			if s.Parent {
				asked++
			}
		}
		if want := map[bool]int{true: 0, false: 4}[fixed]; asked != want || int(l.i.Stats().ParentsAsked) != want {
			t.Errorf("fixed %v: asked %d times in 100 s", fixed, asked)
		}
	}
}

// A failing cut of whose servers no address is known is looked after too, but less
// often: it takes more than a packet.
func TestCutWithoutAddresses(t *testing.T) {
	l := &loop{i: fresh(Options{})}
	l.now = 100 * sec
	l.i.CutFailed(l.now, zone, nil, Blame{})
	start := l.now
	l.run(time.Minute, 100*ms, func() { l.want(Want{Cut: zone, Fixed: true, Question: question("www", zone)}) })
	if n := l.count(start, l.now); n < 11 || n > 14 {
		t.Errorf("%d in a minute", n)
	}
	l.i.Useful(l.now, zone, addr(0))
	l.run(time.Minute, 0, nil)
	if l.next != 0 {
		t.Error("it goes on")
	}
}

// Rechecks that nobody answers prove silence as checks do, without keeping the
// questions of others from being asked.
func TestRechecksProveSilence(t *testing.T) {
	l := &loop{i: fresh(Options{Explore: -1})}
	l.now = suspects(l.i, sec, addr(0))
	n := 0
	l.run(8*time.Second, 100*ms, func() {
		n++
		l.want(Want{Cut: zone, Fixed: true, Servers: cands(addr(0)), Question: question(fmt.Sprint("n", n), zone)})
	})
	if got := l.i.Silence(l.now, zone, addr(0)); got != checksAtOnce {
		t.Errorf("silence %d after %d rechecks", got, len(l.sent))
	}
	if ch, ok := l.i.Choose(l.now, zone, cands(addr(0)), nil); !ok {
		t.Errorf("a question that has no stale answer is held: %+v", ch)
	}
}

// Outcomes are counted.
func TestRechecksAreCounted(t *testing.T) {
	i := fresh(Options{})
	i.Rechecked(event.Timeout)
	i.Rechecked(event.Timeout)
	i.Rechecked(event.Answer)
	i.Rechecked(200) // no such outcome
	if s := i.Stats().Rechecks; s[event.Timeout] != 2 || s[event.Answer] != 1 || s[event.Budget] != 1 {
		t.Errorf("%v", s)
	}
}
