package infra

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
)

const (
	checksAtOnce = 6  // checks in a row when an address falls silent: two questions, three times each (RFC 9520 §3.1)
	darkUnheard  = 24 // exchanges unanswered that need no further check: at 51 % lost, one in ten million
	crowd        = 64 // exchanges unanswered at once, when a reply is overdue
	crowdPause   = 50 * time.Millisecond
	crowdLast    = 2 * time.Second // a silence that is longer is known
	overdueLeast = 20 * time.Millisecond
)

// silence is how many checks of a suspect address went unanswered: something
// else that it was asked, which any server answers. 0: there is doubt whether
// it is the address that is silent or the questions that it does not like.
func (a *address) silence(now clock.Mono) int {
	if a.checks == 0 || !a.suspect(now) || now.Sub(a.firstCheck) < a.patience() {
		return 0
	}
	if now.Sub(a.checkedOut) < a.patience() {
		return max(1, min(a.checks, checksAtOnce)-1)
	}
	return min(a.checks, checksAtOnce)
}

// dark tells that an address is silent beyond doubt. An address that is suspect
// only comes last in the choice. One that is dark is asked by one question a
// second, whoever's it is, and those that have no better server fail at once.
func (a *address) dark(now clock.Mono) bool {
	n := a.silence(now)
	return n >= checksAtOnce || n > 0 && a.unanswered >= darkUnheard
}

// held tells that nothing may be sent to the address now: it was asked less
// than recheckFirst ago, and is dark or, when a whole attempt at the cut failed,
// at least silent. One that the network refuses is not held: that costs a round
// trip, and a firewall may refuse less than it seems.
func (a *address) held(now clock.Mono, failing bool) bool {
	a.expire(now)
	return now.Sub(max(a.granted, a.asked)) < recheckFirst &&
		(a.dark(now) || failing && a.silence(now) > 0)
}

// expire forgets what checks proved of an address that nothing was sent to for as
// long as a failure may be remembered (RFC 9520 §3.2): the first questions after
// that are all asked, and not one of them for all. It stays suspect, since that
// only puts it last.
func (a *address) expire(now clock.Mono) {
	if a.checks == 0 || now.Sub(max(a.granted, a.asked)) < backoffLast {
		return
	}
	a.checks = 0
	a.pending = a.pending[:min(len(a.pending), a.suspicion())]
	a.unanswered = len(a.pending)
}

// crowded tells that enough questions wait for a first reply that is overdue:
// more would tell nothing, and under load they are hundreds until it is certain
// that none will come.
func (a *address) crowded(now clock.Mono) bool {
	if a.unanswered < crowd {
		return false
	}
	overdue := unknownSilence
	if a.srtt > 0 {
		overdue = max(a.srtt+2*a.rttvar, overdueLeast)
	}
	silent := now.Sub(a.pending[0])
	return overdue <= silent && silent < crowdLast
}

// check tells whether the address should be asked something else now, for more
// than one exchange is overdue.
func (a *address) check(now clock.Mono) bool {
	n := len(a.pending)
	if n < suspectAfter-1 || now.Sub(a.pending[0]) < a.patience() {
		return false
	}
	pause := a.patience()
	if a.checks >= checksAtOnce {
		pause = max(pause, recheckFirst)
	}
	if a.checks > 0 && now.Sub(a.lastCheck) < pause {
		return false
	}
	if a.checks == 0 {
		a.firstCheck = now
	}
	a.checks++
	a.lastCheck = now
	if a.checks <= checksAtOnce {
		a.checkedOut = now
	}
	return true
}

// Check tells whether a server that leaves questions unanswered is to be asked
// another one now, one that every server answers: silence to one question while
// others are answered is that question's failure. nth counts from 1 since
// something was heard, for asking not always the same; again is when to come
// back if nothing is. Whoever is told so must ask.
//
// It is due once two exchanges are unanswered, six times in a row, then once
// in a second while anybody asks.
func (i *Infra) Check(now clock.Mono, addr netip.AddrPort) (nth int, again time.Duration, due bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	if !ok || !a.check(now) {
		return 0, 0, false
	}
	i.counts.Checks++
	return a.checks, a.patience(), true
}

// CheckUnsent takes back that a check was made, and those before it: one that
// did not leave proves nothing.
func (i *Infra) CheckUnsent(addr netip.AddrPort) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if a, ok := i.addrs.peek(unmap(addr)); ok {
		a.checks = 0
	}
}

// Silence tells how surely addr is silent: 0 when it is not suspect, or may
// just not like its questions; else how many checks went unanswered, up to 6.
func (i *Infra) Silence(now clock.Mono, addr netip.AddrPort) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	if !ok {
		return 0
	}
	if a.dark(now) {
		return checksAtOnce
	}
	return a.silence(now)
}
