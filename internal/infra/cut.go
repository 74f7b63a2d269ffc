package infra

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

const (
	backoffFirst = time.Second      // RFC 9520 §3.2: at least 1 s
	backoffLast  = 5 * time.Minute  // and at most 5 min
	lameFirst    = 10 * time.Second // lameness is rarely mended within a second
	parentEvery  = 30 * time.Second
	namesToFail  = 3               // different names that failed make a cut failing
	trialFor     = 2 * time.Second // how long one question may try out an erring server alone
)

// pair is a server in its role for a cut.
type pair struct {
	cut  dnsname.Name
	addr netip.AddrPort
}

// fault is what is held against a pair.
type fault struct {
	until clock.Mono
	gap   time.Duration
	trial bool // one question was allowed through to see whether it is mended
	text  string
}

// fault notes a fault. One that comes while the last is still remembered
// (several questions were under way) does not prolong it.
func (i *Infra) fault(now clock.Mono, key pair, first time.Duration, text string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts.Faults++
	f, ok := i.pairs.get(key)
	if !ok {
		f = &fault{gap: first}
		i.pairs.put(key, f)
	} else if f.until > now && !f.trial {
		f.text = text
		return
	} else {
		f.gap = min(max(2*f.gap, first), backoffLast)
	}
	f.until, f.trial, f.text = now.Add(f.gap), false, text
}

// maxBlamed bounds the addresses of which a cut remembers that they were silent.
const maxBlamed = 16

// cutState is what is known of a cut that gave trouble.
type cutState struct {
	failing bool
	refused bool             // every server said REFUSED
	back    bool             // it came back by itself, which is still to be told
	mute    bool             // it fails because its servers are silent …
	silent  []netip.AddrPort // … these, at most maxBlamed; none known when the cut was restored
	cause   *ede.Error
	since   clock.Mono
	last    clock.Mono // when an attempt failed last
	sought  clock.Mono // when a recheck of it was begun last
	until   clock.Mono
	gap     time.Duration
	parent  clock.Mono // when the parent was asked last, 0 never
	turn    clock.Mono // when Turn was taken last
	names   []dnsname.Name

	failed   clock.Mono // when an attempt failed last, told still when it is back
	failedBy *ede.Error
	// See NameBogus: no reply of the servers changes these.
	bogus   []dnsname.Name // names whose answers do not validate, at most namesToFail
	bogusBy *ede.Error     // why the last of them does not
	unsound bool           // it is failing because of them
}

// CutFailure tells why and since when a cut is failing.
type CutFailure struct {
	Cause   *ede.Error
	Refused bool // every server said REFUSED
	Since   clock.Mono
	// Until is how long this failure answers for the cut (RFC 9520): 1 s,
	// doubling to 5 min with each further failed attempt. The cut stays failing
	// after it, until something useful comes from it.
	Until clock.Mono
}

func (i *Infra) cut(cut dnsname.Name) *cutState {
	if c, ok := i.cuts.get(cut); ok {
		return c
	}
	c := new(cutState)
	i.cuts.put(clone(cut), c)
	return c
}

// clone makes a name that keeps nothing else in memory and that nobody changes:
// names that come with questions may be parts of larger ones, or aliases.
func clone(n dnsname.Name) dnsname.Name { return dnsname.Name(strings.Clone(string(n))) }

// Blame says whom a cut's failure is held against.
type Blame struct {
	Refused bool // every server said REFUSED
	// Silent are the servers, if any, whose silence it is: the failure ends with
	// the first of them to be heard, whoever asked it what. Any other ends with
	// something useful from the cut only.
	Silent []Candidate
}

// CutFailed notes that a whole attempt at a cut ended without a useful answer
// for a cause that is the servers': silence, lameness. It tells whether the cut
// was not failing before.
func (i *Infra) CutFailed(now clock.Mono, cut dnsname.Name, cause *ede.Error, b Blame) (began bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.cut(cut)
	i.revive(c)
	c.note(now, cause)
	if began = c.fail(now, cause, b); began {
		c.since = i.silentSince(now, b.Silent)
	}
	return began
}

// silentSince is since when all of some servers are silent, as far as that is known;
// now without any.
func (i *Infra) silentSince(now clock.Mono, silent []Candidate) (since clock.Mono) {
	for k := range silent {
		if a, ok := i.addrs.peek(unmap(silent[k].Addr)); ok {
			since = max(since, a.silentSince())
		}
	}
	if since == 0 {
		return now
	}
	return since
}

// AttemptFailed notes that an attempt at a cut failed for a cause that may be the
// question's, or chance: it is told of, and nothing else.
func (i *Infra) AttemptFailed(now clock.Mono, cut dnsname.Name, cause *ede.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cut(cut).note(now, cause)
}

func (c *cutState) note(now clock.Mono, cause *ede.Error) { c.failed, c.failedBy = now, cause }

// NameFailed notes that all servers of the cut failed to answer for a name
// (SERVFAIL, REFUSED; for bogus answers see NameBogus). When several names did and
// none succeeded since, the cut is failing. It tells whether it began to by this.
func (i *Infra) NameFailed(now clock.Mono, cut, name dnsname.Name, cause *ede.Error, b Blame) (began bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.cut(cut)
	i.revive(c)
	c.note(now, cause)
	if c.unsound {
		c.last = now
		return false // it fails already, and for more than errors
	}
	if len(c.names) < namesToFail && !slices.Contains(c.names, name) {
		c.names = append(c.names, name)
	}
	// One name is enough to tell how a failing cut fails now.
	return (c.failing || len(c.names) >= namesToFail) && c.fail(now, cause, b)
}

func (c *cutState) fail(now clock.Mono, cause *ede.Error, b Blame) (began bool) {
	began, c.last = !c.failing, now
	switch {
	case began:
		c.failing, c.since, c.gap = true, now, backoffFirst
	case c.until <= now:
		c.gap = min(2*c.gap, backoffLast)
	default: // a further flight of the same attempt: the first spoke for all
		return false
	}
	c.cause, c.until, c.refused, c.back, c.unsound = cause, now.Add(c.gap), b.Refused, false, false
	c.blame(b.Silent)
	return began
}

// blame remembers whose silence the failure is.
func (c *cutState) blame(silent []Candidate) {
	c.mute, c.silent = len(silent) > 0, c.silent[:0]
	for _, s := range silent {
		if a := unmap(s.Addr); len(c.silent) < maxBlamed && !slices.Contains(c.silent, a) {
			c.silent = append(c.silent, a)
		}
	}
}

// recall gives a cut that was restored the servers whose silence it fails by.
func (c *cutState) recall(servers []Candidate) {
	if c.failing && c.mute && len(c.silent) == 0 {
		c.blame(servers)
		c.mute = true
	}
}

// revive ends the failure of a cut one of whose silent servers was heard since.
// The lock is held. This is done when somebody asks for the cut: one reply may
// end the failure of all the zones of a hoster.
func (i *Infra) revive(c *cutState) {
	if !c.failing || !c.mute {
		return
	}
	for _, addr := range c.silent {
		if a, ok := i.addrs.peek(addr); ok && a.heard > c.last {
			c.recover()
			c.back = true
			return
		}
	}
}

// recover forgets what was held against a cut, but for bogus answers. One that
// flaps must not ask its parent more often.
func (c *cutState) recover() {
	*c = cutState{parent: c.parent, turn: c.turn, failed: c.failed, failedBy: c.failedBy, bogus: c.bogus, bogusBy: c.bogusBy}
}

// failing gives the state of a cut that is failing, nil of any other. The lock
// is held.
func (i *Infra) failing(cut dnsname.Name) *cutState {
	c, ok := i.cuts.get(cut)
	if !ok {
		return nil
	}
	if i.revive(c); !c.failing {
		return nil
	}
	return c
}

// CutFailing tells whether a cut is failing, and why. What nobody looked after for
// five minutes is no failure, as it is no Trouble.
func (i *Infra) CutFailing(now clock.Mono, cut dnsname.Name) (CutFailure, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.failing(cut)
	if c == nil || i.outdated(now, c) {
		return CutFailure{}, false
	}
	return CutFailure{Cause: c.cause, Refused: c.refused, Since: c.since, Until: c.until}, true
}

// cutUseful notes a useful answer from the cut's servers and tells whether the
// cut was failing, and is not any more: it still is for bogus answers. The lock is
// held.
func (i *Infra) cutUseful(cut dnsname.Name) (recovered bool) {
	c, ok := i.cuts.peek(cut)
	if !ok {
		return false
	}
	if c.unsound {
		return false
	}
	recovered = c.failing || c.back
	c.recover()
	return recovered
}

// AskParent tells whether the parent of a failing cut may be asked for its
// delegation now; true at most once in 30 s. It is false for a cut that is not
// failing.
func (i *Infra) AskParent(now clock.Mono, cut dnsname.Name) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.failing(cut)
	return c != nil && c.askParent(now)
}

// askParent takes the turn of asking the parent, if it is due.
func (c *cutState) askParent(now clock.Mono) bool {
	if c.parent != 0 && now.Sub(c.parent) < parentEvery {
		return false
	}
	c.parent = now
	return true
}

// Turn takes the turn of asking the servers of a cut in trouble, which somebody
// can do without, whether they are back: one a second, and for all cuts together
// out of the budget of the rechecks.
func (i *Infra) Turn(now clock.Mono, cut dnsname.Name) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.cut(cut)
	if c.turn != 0 && now.Sub(c.turn) < recheckFirst {
		return false
	}
	i.plan.refill(now, i.network.offline(now))
	if !i.plan.budget.take() {
		i.counts.RecheckBudgetHits++
		return false
	}
	c.turn = now
	return true
}
