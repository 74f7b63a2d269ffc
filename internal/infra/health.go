package infra

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// Trouble tells why nothing better than what is stored can be had of a cut now.
type Trouble struct {
	// Cut is whose servers they are, as the iterator tells: the one that was asked
	// about, or the closest above it.
	Cut     dnsname.Name
	Failing bool // as a whole; otherwise all its servers are suspect
	Refused bool // every server said REFUSED
	Silent  bool // it is its servers' silence, which is to all that they serve; with Recovered: was
	// Servers is the same for cuts that have all their servers in common, when the
	// iterator told of it and it is Silent; else "".
	Servers string
	Cause   *ede.Error
	// Recovered comes without trouble: the cut was failing, and one of its silent
	// servers was heard since. It is told once.
	Recovered bool
}

// Trouble tells whether a cut is failing, or all its servers are suspect or
// unreachable, families aside that are dead or not used. servers are all that
// are known to serve the cut; without any only a failing cut is in trouble. It
// is asked for every question that finds something stale: it allocates nothing.
func (i *Infra) Trouble(now clock.Mono, cut dnsname.Name, servers []Candidate) (Trouble, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var t Trouble
	if c, ok := i.cuts.get(cut); ok {
		c.recall(servers)
		if i.revive(c); c.failing && !i.outdated(now, c) {
			t = Trouble{Failing: true, Refused: c.refused, Silent: c.mute, Cause: c.cause}
			if last, host, quiet := i.quiet(now, servers); quiet && !c.mute { // it erred first, and fell silent then
				t.Refused, t.Cause = false, last.blamed(host)
			}
			return t, true
		}
		t.Recovered, t.Silent, c.back = c.back, c.back, false
	}
	last, lastHost, quiet := i.quiet(now, servers)
	if quiet {
		t.Silent, t.Cause = true, last.blamed(lastHost)
	}
	return t, quiet
}

// Troubled is Trouble without the reasons, and leaves it to be told that a cut
// recovered.
func (i *Infra) Troubled(now clock.Mono, cut dnsname.Name, servers []Candidate) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c, ok := i.cuts.get(cut); ok {
		c.recall(servers)
		if i.revive(c); c.failing && !i.outdated(now, c) {
			return true
		}
	}
	_, _, quiet := i.quiet(now, servers)
	return quiet
}

// outdated tells that nobody tried a failing cut, and no recheck did, for as long
// as a failure may be remembered (RFC 9520 §3.2): then it is tried again before
// anything is told of it. The lock is held.
func (i *Infra) outdated(now clock.Mono, c *cutState) bool {
	latest := max(c.last, c.sought)
	if c.mute { // who asks a silent server for another cut looks after this one too
		for _, addr := range c.silent {
			if a, ok := i.addrs.peek(addr); ok && !a.revisiting(now) {
				latest = max(latest, a.lastSent)
			}
		}
	}
	return now.Sub(latest) >= backoffLast
}

// asked tells whether one of some servers was asked anything lately. The lock is
// held.
func (i *Infra) asked(now clock.Mono, servers []Candidate) bool {
	for k := range servers {
		a, ok := i.addrs.peek(unmap(servers[k].Addr))
		if ok && now.Sub(max(a.lastSent, a.downSince)) < backoffLast {
			return true
		}
	}
	return false
}

// Quiet tells whether all of some servers are suspect or unreachable; false when
// there are none.
func (i *Infra) Quiet(now clock.Mono, servers []Candidate) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, _, quiet := i.quiet(now, servers)
	return quiet
}

// quiet gives with it the server that fell silent last. Silence that nobody looked
// after for long is void, as trouble is. The lock is held.
func (i *Infra) quiet(now clock.Mono, servers []Candidate) (last *address, host dnsname.Name, quiet bool) {
	for k := range servers {
		s := &servers[k]
		key := unmap(s.Addr)
		if i.family(key).off || i.avoided(key) {
			continue
		}
		a, ok := i.addrs.peek(key)
		if !ok || !a.mum(now) {
			return nil, "", false
		}
		if last == nil || a.silentSince() > last.silentSince() {
			last, host = a, s.Host
		}
	}
	return last, host, last != nil && i.asked(now, servers)
}

// mum tells that an address is suspect or unreachable. One that nobody asked for
// long has time to answer the first question.
func (a *address) mum(now clock.Mono) bool {
	return a.health(now) >= silent && !a.revisiting(now)
}

// revisiting tells that it may yet answer the first question after long.
func (a *address) revisiting(now clock.Mono) bool {
	return a.revisited != 0 && now.Sub(a.revisited) < a.patience()
}

// silentSince is when what an address did not answer first was sent, or when it
// was said to be unreachable.
func (a *address) silentSince() clock.Mono {
	if a.down || len(a.pending) == 0 {
		return a.downSince
	}
	return a.pending[0]
}

// blamed is what clients are told of the silence of an address, under the name of
// the server that it was first asked for as: others may have it too.
func (a *address) blamed(host dnsname.Name) *ede.Error {
	if a.muteCause == nil {
		who := a.addr.Addr().String()
		if a.addr.Port() != 53 {
			who = a.addr.String()
		}
		if host != "" {
			who = host.String() + " " + who
		}
		a.muteCause = &ede.Error{Code: ede.NoReachableAuthority, ID: "SUSP", Text: who + " does not answer"}
		if a.down {
			a.muteCause = &ede.Error{Code: ede.NetworkError, ID: "DOWN", Text: who + " cannot be reached: " + a.downText}
		}
	}
	return a.muteCause
}
