package infra

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

const (
	darkAfter    = 3 * time.Second // silence of an address before: it may be slow, and the slow ones are heard by then
	checksAtOnce = 6               // checks in a row when an address falls silent: two questions, three times each (RFC 9520 §3.1)
	darkUnheard  = 24              // exchanges unanswered that need no further check: at 51 % lost, one in ten million
	crowd        = 64              // exchanges unanswered at once, when a reply is overdue
	crowdOwn     = 16              // of the zone, since then
	crowdPause   = 100 * time.Millisecond
	crowdLast    = 5 * time.Second // a silence that is longer is known
	overdueLeast = 20 * time.Millisecond
)

// hush is what is known of an address's silence to one zone's questions. What a
// server says nothing to may be the zone: anybody can delegate one to a server
// that drops what is not its own. So the silence is proved for each zone by
// checks of its own, and holds nobody else's questions.
type hush struct {
	heard   uint64     // replies of the address when this was begun: void once there are more
	asked   int        // how often the zone asked since its replies were overdue, checks too
	granted clock.Mono // when the address was chosen for it last

	rechecked clock.Mono // when it was rechecked with a question of the zone last

	checks                            int        // of it, unanswered; the times below mean nothing without
	firstCheck, checkedOut, lastCheck clock.Mono // the first, the last of those in a row, the last of all
}

// hush gives what is known of an address for a zone, nil when there is nothing.
// What nobody of the zone asked for as long as a failure may be remembered (RFC
// 9520 §3.2) is void: the first questions after that are all asked. The lock is
// held.
func (i *Infra) hush(now clock.Mono, cut dnsname.Name, a *address) *hush {
	h, ok := i.hushes.peek(pair{cut, a.addr})
	if !ok || h.heard != a.answered || now.Sub(max(h.granted, h.lastCheck, h.rechecked)) >= backoffLast {
		return nil
	}
	return h
}

// hushed gives the same to be written to, made when there is nothing.
func (i *Infra) hushed(now clock.Mono, cut dnsname.Name, a *address) *hush {
	key := pair{cut, a.addr}
	if h := i.hush(now, cut, a); h != nil {
		i.hushes.touch(key)
		return h
	}
	h, ok := i.hushes.get(key)
	if !ok {
		h = new(hush)
		i.hushes.put(key, h)
	}
	*h = hush{heard: a.answered}
	return h
}

// silence is how many checks of a suspect address went unanswered: something
// else that it was asked, which any server of the zone answers. 0: there is
// doubt whether it is silent or slow, or it is the questions that it does not
// like.
func (a *address) silence(now clock.Mono, h *hush) int {
	if !a.mute(now, h) || now.Sub(a.pending[0]) < darkAfter {
		return 0
	}
	if now.Sub(h.checkedOut) < a.patience() {
		return max(1, min(h.checks, checksAtOnce)-1)
	}
	return min(h.checks, checksAtOnce)
}

// mute tells that a check is unanswered too: the address is silent or slow.
func (a *address) mute(now clock.Mono, h *hush) bool {
	return h != nil && h.checks > 0 && a.suspect(now) && now.Sub(h.firstCheck) >= a.patience()
}

// dark tells that an address is silent to a zone beyond doubt. An address that is
// suspect only comes last in the choice. One that is dark is asked by one of the
// zone's questions a second, and those that have no better server fail at once.
func (a *address) dark(now clock.Mono, h *hush) bool {
	n := a.silence(now, h)
	return n >= checksAtOnce || n > 0 && h.asked >= checksAtOnce && a.unanswered >= darkUnheard
}

// held tells that nothing of the zone may be sent to the address now: it was
// asked less than recheckFirst ago, or the zone, if it is failing, failed so
// lately (RFC 9520 §3.2), and the address is dark or, when a whole attempt at the
// zone failed, at least silent. One that the network refuses is not held: that
// costs a round trip, and a firewall may refuse less than it seems.
func (a *address) held(now clock.Mono, h *hush, failed *cutState) bool {
	if h == nil {
		return false
	}
	last := max(h.granted, h.lastCheck)
	if failed != nil {
		last = max(last, failed.last)
	}
	return now.Sub(last) < recheckFirst && (a.dark(now, h) || failed != nil && a.silence(now, h) > 0)
}

// overdue tells that the first reply since the address was heard last should
// have come.
func (a *address) overdue(now clock.Mono) bool {
	if len(a.pending) == 0 {
		return false
	}
	usual := unknownSilence
	if a.srtt > 0 {
		usual = max(a.srtt+2*a.rttvar, overdueLeast)
	}
	return now.Sub(a.pending[0]) >= usual
}

// crowded tells that enough of the zone's questions wait for a reply that is
// overdue: more would tell nothing, and under load they are hundreds until it is
// certain that none will come.
func (a *address) crowded(now clock.Mono, h *hush) bool {
	return h != nil && a.unanswered >= crowd && h.asked >= crowdOwn && a.overdue(now) &&
		now.Sub(a.pending[0]) < crowdLast
}

// check tells whether the address should be asked something else now, for more
// than one exchange is overdue.
func (a *address) check(now clock.Mono, h *hush) bool {
	pause := a.patience()
	if h.checks >= checksAtOnce {
		pause = max(pause, recheckFirst)
	}
	if h.checks > 0 && now.Sub(h.lastCheck) < pause {
		return false
	}
	if h.checks == 0 {
		h.firstCheck = now
	}
	h.checks++
	h.asked++
	h.lastCheck = now
	if h.checks <= checksAtOnce {
		h.checkedOut = now
	}
	return true
}

// recheck counts a recheck as one of the checks that prove silence: it asks what
// the server answered before. It takes nobody's turn of asking.
func (h *hush) recheck(now clock.Mono) {
	if h.checks == 0 {
		h.firstCheck = now
	}
	h.checks++
	h.asked++
	h.rechecked = now
	if h.checks <= checksAtOnce {
		h.checkedOut = now
	}
}

// Check tells whether a server that leaves questions of a zone unanswered is to
// be asked another one now, one that every server of the zone answers: silence to
// one question while others are answered is that question's failure. nth counts
// from 1 since something was heard, for asking not always the same; again is when
// to come back if nothing is. Whoever is told so must ask.
//
// It is due once two exchanges are unanswered, six times in a row, then once
// in a second while anybody of the zone asks.
func (i *Infra) Check(now clock.Mono, cut dnsname.Name, addr netip.AddrPort) (nth int, again time.Duration, due bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	if !ok || len(a.pending) < suspectAfter-1 || now.Sub(a.pending[0]) < a.patience() {
		return 0, 0, false
	}
	h := i.hushed(now, cut, a)
	if !a.check(now, h) {
		return 0, 0, false
	}
	i.counts.Checks++
	return h.checks, a.patience(), true
}

// CheckUnsent takes back that a check was made, and those before it: one that
// did not leave proves nothing.
func (i *Infra) CheckUnsent(cut dnsname.Name, addr netip.AddrPort) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if h, ok := i.hushes.peek(pair{cut, unmap(addr)}); ok {
		h.checks = 0
	}
}

// Mute tells whether addr is suspect and a check of the zone is unanswered as
// well: it is silent, or slow.
func (i *Infra) Mute(now clock.Mono, cut dnsname.Name, addr netip.AddrPort) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	return ok && a.mute(now, i.hush(now, cut, a))
}

// Silence tells how surely addr is silent to a zone's questions: 0 when it is not
// suspect, may just not like them, or be slow; else how many checks of the zone
// went unanswered, up to 6.
func (i *Infra) Silence(now clock.Mono, cut dnsname.Name, addr netip.AddrPort) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	if !ok {
		return 0
	}
	h := i.hush(now, cut, a)
	if a.dark(now, h) {
		return checksAtOnce
	}
	return a.silence(now, h)
}
