package infra

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const (
	wantedLately = 5 * time.Second // so long after a question a server is rechecked every second
	wantedLast   = 5 * time.Minute // and so long at all, ever more seldom
	resolveEvery = 5 * time.Second // instead of every second, where it takes more than one packet
	ringSize     = 4               // questions that take turns
)

// Want tells that a client was answered stale, or with a failure from memory,
// because of a cut.
type Want struct {
	Cut      dnsname.Name
	RD       bool           // the servers are resolvers
	Fixed    bool           // the servers are configured: no parent knows better
	Servers  []Candidate    // all that are known; not kept
	Question event.Question // the name is copied if it is kept
}

// Recheck is one question to one server, to find out whether it is back. Whoever
// takes it out of the plan must ask. Server without an address: nobody is known
// to serve the cut, who does is to be found out. Parent: it is the cut's parent
// that is to be asked, whether others serve the cut by now.
type Recheck struct {
	Cut      dnsname.Name
	Server   Candidate
	RD       bool
	Question event.Question
	Parent   bool
}

// targetKey is what one recheck finds out: whether an address answers at all, for
// all cuts together; or, with a cut, whether it answers that one without errors.
type targetKey struct {
	cut  dnsname.Name
	addr netip.AddrPort // none: no address of the cut's servers is known
	tcp  bool
	tls  string // see Candidate.TLS
}

// target is a server that is rechecked.
type target struct {
	key      targetKey
	ring     [ringSize]wanted // the first n are set
	n        int
	turn     int
	fed      int        // questions put into the ring since the last recheck
	asked    uint32     // how often it was wanted since then
	wantedAt clock.Mono // last
	last     clock.Mono // when it was rechecked last, 0 never
	gap      time.Duration
	nth      int

	due   clock.Mono
	order clock.Mono // in the heap that it is in
	at    int        // there
	ready bool       // which
}

// wanted is a question to recheck with.
type wanted struct {
	cut       dnsname.Name
	host      dnsname.Name // the server's name, as this cut knows it
	rd, fixed bool
	question  event.Question
}

func (t *target) every() time.Duration {
	if t.key.addr.IsValid() {
		return recheckFirst
	}
	return resolveEvery
}

// Wanted plans rechecks of the servers that keep a cut in trouble. sooner tells
// that the moment of the next recheck moved forward: whoever sleeps until then is
// to be woken.
func (i *Infra) Wanted(now clock.Mono, w Want) (sooner bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before, planned := i.plan.soonest(now)
	failed, spare := i.failing(w.Cut), i.spares(w.Servers)
	for k := range w.Servers {
		s := &w.Servers[k]
		if key, ok := i.suspected(now, w.Cut, failed, s); ok && !(spare && i.avoided(key.addr)) {
			i.want(now, key, s.Host, &w)
		}
	}
	if len(w.Servers) == 0 && failed != nil {
		i.want(now, targetKey{cut: w.Cut}, "", &w)
	}
	after, any := i.plan.soonest(now)
	return any && (!planned || after < before)
}

// spares tells whether one of some servers is of a family that works: then those
// of one that is dead need not be back for the cut to be. The lock is held.
func (i *Infra) spares(servers []Candidate) bool {
	return slices.ContainsFunc(servers, func(s Candidate) bool {
		return !i.family(s.Addr).off && !i.avoided(s.Addr)
	})
}

// suspected gives what there is to be found out about a server of a cut.
func (i *Infra) suspected(now clock.Mono, cut dnsname.Name, failed *cutState, s *Candidate) (targetKey, bool) {
	key := targetKey{addr: unmap(s.Addr), tcp: s.TCP, tls: s.TLS}
	if i.family(key.addr).off {
		return key, false
	}
	if a, ok := i.addrs.peek(key.addr); ok && a.mum(now) || failed != nil && failed.mute {
		return key, true
	}
	key.cut = cut
	return key, failed != nil
}

func (i *Infra) want(now clock.Mono, key targetKey, host dnsname.Name, w *Want) {
	p := &i.plan
	t, ok := p.targets.get(key)
	if !ok {
		key.cut = clone(key.cut)
		t = &target{key: key, gap: recheckFirst}
		t.due = i.firstRecheck(now, t)
		p.add(t)
	}
	t.wantedAt = now
	t.asked = min(t.asked+1, 1<<20)
	t.feed(w, host, i.rand)
	if soon := max(now, t.last.Add(t.every())); t.last != 0 && t.gap > t.every() && soon < t.due {
		t.gap, t.due = t.every(), soon
	}
	p.fix(t)
}

// firstRecheck is a moment after the last question to a server that tells of it as
// well as a recheck would; at once for one that was not asked lately.
func (i *Infra) firstRecheck(now clock.Mono, t *target) clock.Mono {
	if a, ok := i.addrs.peek(t.key.addr); ok && a.lastSent != 0 {
		return max(now, a.lastSent.Add(jitter(t.every(), i.rand)))
	}
	return now
}

// jitter is a time up to a tenth longer or shorter.
func jitter(d time.Duration, r *rand.Rand) time.Duration {
	return d - d/10 + time.Duration(r.Int64N(int64(d/5)+1))
}

// feed takes a question into the ring: a few between two rechecks, so that the
// zones that are asked for most are those that are asked about.
func (t *target) feed(w *Want, host dnsname.Name, r *rand.Rand) {
	if t.fed >= ringSize {
		return
	}
	t.fed++
	for k := range t.n {
		if t.ring[k].question == w.Question && t.ring[k].cut == w.Cut {
			return
		}
	}
	at := t.n
	if t.n < ringSize {
		t.n++
	} else {
		at = r.IntN(ringSize)
	}
	t.ring[at] = wanted{cut: clone(w.Cut), host: host, rd: w.RD, fixed: w.Fixed, question: w.Question}
	t.ring[at].question.Name = clone(w.Question.Name)
}

// Rechecks takes from the plan what is to be asked now, and tells when there is
// more: 0 when nothing is planned, until Wanted says so.
//
// A server is asked with one packet about every second (±10 %) while a cut that
// it keeps in trouble was wanted in the last 5 s; when nobody asks for it the
// time doubles to 30 s, and after 5 min it is forgotten. All together are asked
// 200 times a second, 5 when the own network is down: those that are wanted most
// before others, which wait for up to a minute longer. When nobody answers any
// more, one who was not asked yet is asked too; see [Infra.Offline].
func (i *Infra) Rechecks(now clock.Mono) (due []Recheck, next clock.Mono) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := &i.plan
	p.refill(now, i.network.offline(now))
	p.wake(now)
	if r, ok := i.askBystander(now); ok {
		due = append(due, r)
	}
	for len(p.ready) > 0 {
		t := p.ready[0]
		w := i.nextQuestion(now, t)
		if w == nil {
			p.forget(t)
			continue
		}
		if !p.budget.take() {
			i.counts.RecheckBudgetHits++
			break
		}
		due = append(due, i.recheck(now, t, w))
		if c := i.failing(w.cut); c != nil {
			c.sought = now
		}
		if i.parentDue(now, w) {
			i.counts.ParentsAsked++
			due = append(due, Recheck{Cut: w.cut, Question: w.question, Parent: true})
		}
		t.replan(now, i.rand)
		p.fix(t)
	}
	next, _ = p.soonest(now)
	if at := i.network.next(now); at != 0 && (next == 0 || at < next) {
		next = at
	}
	return due, next
}

// nextQuestion gives the question whose turn it is, nil when nobody wants to know
// any more or the server is back.
func (i *Infra) nextQuestion(now clock.Mono, t *target) *wanted {
	if now.Sub(t.wantedAt) >= wantedLast {
		return nil
	}
	a, known := i.addrs.peek(t.key.addr)
	mum := known && a.mum(now)
	for range t.n {
		w := &t.ring[t.turn%t.n]
		t.turn++
		c := i.failing(w.cut)
		switch {
		case t.key.cut == "" && (mum || c != nil && c.mute),
			t.key.cut != "" && c != nil && !c.mute && !mum:
			return w
		}
	}
	return nil
}

// recheck makes the packet of it. Anybody can delegate a zone to a server that
// drops questions for it. So that such a zone, asked for often, does not keep the
// server suspect for others, every second question is of a zone that it is known
// to have answered for.
func (i *Infra) recheck(now clock.Mono, t *target, w *wanted) Recheck {
	t.nth++
	r := Recheck{
		Cut: w.cut, RD: w.rd, Question: w.question,
		Server: Candidate{Addr: t.key.addr, Host: w.host, TCP: t.key.tcp, TLS: t.key.tls},
	}
	if a, ok := i.addrs.peek(t.key.addr); ok && t.key.cut == "" {
		if t.nth%2 == 0 && a.useful != "" && !t.about(a.useful) {
			r.Cut, r.Question = a.useful, event.Question{Name: a.useful, Type: wire.TypeNS}
		}
		i.hushed(now, r.Cut, a).recheck(now)
	}
	return r
}

// about tells whether one of the ring's questions is of a cut.
func (t *target) about(cut dnsname.Name) bool {
	for k := range t.n {
		if t.ring[k].cut == cut {
			return true
		}
	}
	return false
}

// parentDue tells whether the parent of a cut in trouble is to be asked now: once
// when that begins, then at most every 30 s, so that a zone that moved is found.
func (i *Infra) parentDue(now clock.Mono, w *wanted) bool {
	if w.fixed || w.rd || w.cut.IsRoot() || i.network.offline(now) || !i.plan.parents.full() {
		return false
	}
	return i.cut(w.cut).askParent(now) && i.plan.parents.take()
}

func (t *target) replan(now clock.Mono, r *rand.Rand) {
	t.last, t.fed, t.asked = now, 0, 0
	if now.Sub(t.wantedAt) <= wantedLately {
		t.gap = t.every()
	} else {
		t.gap = min(2*t.gap, recheckLast)
	}
	t.due = now.Add(jitter(t.gap, r))
}

// Rechecked notes what came of a recheck.
func (i *Infra) Rechecked(outcome event.Outcome) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts.Rechecks[min(int(outcome), len(i.counts.Rechecks)-1)]++
}
