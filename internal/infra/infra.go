// Package infra remembers what is known of name servers: how fast an address
// answers and whether it does, what it can (EDNS, cookies, letter case), for
// which zones it is lame, which cuts fail and whether a whole address family
// is dead; and it chooses the server to ask next.
//
// It is pure: time comes as argument, chance from the given generator, and it
// sends nothing. upstream reports what packets did (Sent, Answered,
// Unreachable, Abandoned, capabilities); the iterator reports what replies
// meant (TimedOut, Lame, Erred, Useful, CutFailed, …) and asks Choose; who has
// answers validated reports what came of that (NameBogus, CutSound).
//
// Nothing here may forget that silence to one question is that question's
// failure: an address is suspect only when nothing at all is heard from it.
package infra

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// Options of an Infra. Zero values mean the defaults in parentheses.
type Options struct {
	MaxAddresses int     // addresses remembered (20,000), about 300 octets each
	MaxCuts      int     // cuts remembered while they fail, and as many with what was learnt of their speed (10,000)
	MaxRechecks  int     // servers that are rechecked (20,000), about 500 octets each
	Explore      float64 // share of first tries given to servers other than the best (0.03); negative: none
	Rand         *rand.Rand
	IPv4, IPv6   bool // families that may be used; neither set: both
}

// Infra is the knowledge of one resolver. Its methods may be called from many
// goroutines; each holds one lock for a moment, which is fit for the miss path.
//
// Bounds: tables hold what Options say; at the bound the least recently used
// entry is forgotten and counted, which makes an address unknown, not bad.
type Infra struct {
	explore float64

	mu       sync.Mutex // guards everything below
	rand     *rand.Rand
	addrs    *table[netip.AddrPort, *address]
	pairs    *table[pair, *fault]
	hushes   *table[pair, *hush]
	cuts     *table[dnsname.Name, *cutState]
	speeds   *table[dnsname.Name, *speed]
	plan     plan // of rechecks
	network  network
	families [2]family // IPv4, IPv6
	counts   Stats
	options  []option // memory for Choose, nothing that lasts
}

// New makes an Infra that knows nothing.
func New(o Options) *Infra {
	if o.MaxAddresses <= 0 {
		o.MaxAddresses = 20_000
	}
	if o.MaxCuts <= 0 {
		o.MaxCuts = 10_000
	}
	if o.MaxRechecks <= 0 {
		o.MaxRechecks = 20_000
	}
	if o.Explore == 0 {
		o.Explore = 0.03
	}
	if !o.IPv4 && !o.IPv6 {
		o.IPv4, o.IPv6 = true, true
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(1, 2))
	}
	i := &Infra{
		explore: o.Explore,
		rand:    o.Rand,
		addrs:   newTable[netip.AddrPort, *address](o.MaxAddresses),
		pairs:   newTable[pair, *fault](o.MaxAddresses),
		hushes:  newTable[pair, *hush](o.MaxAddresses),
		cuts:    newTable[dnsname.Name, *cutState](o.MaxCuts),
		speeds:  newTable[dnsname.Name, *speed](o.MaxCuts),
		plan:    newPlan(o.MaxRechecks),
	}
	i.addrs.spare = (*address).proven
	i.families[0].off, i.families[1].off = !o.IPv4, !o.IPv6
	return i
}

// provenAfter replies an address is worth more than those of a flood, which are
// asked once or twice.
const provenAfter = 8

func (a *address) proven() bool { return a.answered >= provenAfter }

// address returns the state of an address, made when there is none. The lock
// is held.
func (i *Infra) address(addr netip.AddrPort) *address {
	addr = unmap(addr)
	if a, ok := i.addrs.get(addr); ok {
		return a
	}
	a := &address{addr: addr}
	i.addrs.put(addr, a)
	return a
}

// Sent notes that a question left for addr: every datagram, and over TCP both
// the opening of a connection and the question on it.
func (i *Infra) Sent(now clock.Mono, addr netip.AddrPort) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.address(addr)
	a.send(now)
	i.network.ask(now, a)
	i.counts.Sent++
}

// Answered notes that something came from addr that only it can have sent. rtt
// is a sample of its round trip; zero when there is none (TCP, where the time
// holds a handshake). A late reply counts as well as any.
func (i *Infra) Answered(now clock.Mono, addr netip.AddrPort, rtt time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.address(addr).hear(now, rtt)
	i.family(addr).hear(now)
	i.network.hear(now)
	i.counts.Answered++
}

// Abandoned notes that the question sent at the given time will not be waited
// for any longer, though its reply may still be on the way. A question that
// was not given the time to be answered is no silence of the server's.
func (i *Infra) Abandoned(now clock.Mono, addr netip.AddrPort, sent clock.Mono) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.address(addr).withdraw(now, sent)
	i.counts.Abandoned++
}

// TimedOut notes that a try was given up. It is not the last word: the try may
// stay open, and a later Answered makes the server good again.
func (i *Infra) TimedOut(now clock.Mono, addr netip.AddrPort) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.address(addr)
	a.timeouts++
	a.missed++
	i.counts.TimedOut++
	if a.health(now) >= doubtful {
		i.family(addr).fail(now, a.addr.Addr(), false)
	}
}

// Unreachable notes that the network refused a packet to addr: ICMP, a reset.
// noRoute tells that it did not even leave (no route for the family).
func (i *Infra) Unreachable(now clock.Mono, addr netip.AddrPort, text string, noRoute bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.address(addr)
	a.down, a.downText = true, text
	if a.downSince == 0 {
		a.downSince, a.muteCause = now, nil
	}
	i.counts.Unreachable++
	if noRoute {
		i.network.ask(now, a)
		i.family(addr).fail(now, a.addr.Addr(), true)
	} else {
		i.network.spare(addr)
	}
}

// Suspect tells whether addr is suspect in the sense of the architecture: three
// exchanges unanswered for max(100 ms, srtt+4·rttvar) and nothing at all heard
// from it since the oldest was sent. Of one that is known to leave
// many questions unanswered it takes more, up to 48, so that bad luck on a link
// with loss, or types that it drops, are not mistaken for an outage.
func (i *Infra) Suspect(now clock.Mono, addr netip.AddrPort) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	return ok && a.suspect(now)
}

// Lame notes that addr does not serve cut (RFC 8499 §7, lame delegation).
func (i *Infra) Lame(now clock.Mono, cut dnsname.Name, addr netip.AddrPort, why ede.Error) {
	i.fault(now, pair{cut, unmap(addr)}, lameFirst, why.Error())
}

// Erred notes that addr answered a question of cut with an error. Errors are
// remembered for 1 s, doubled to 5 min while they go on (RFC 9520 §3.2).
func (i *Infra) Erred(now clock.Mono, cut dnsname.Name, addr netip.AddrPort, outcome event.Outcome) {
	i.fault(now, pair{cut, unmap(addr)}, backoffFirst, outcome.String())
}

// Useful notes that addr gave a useful answer for cut: what was held against
// that pair and against the cut is forgotten, but for bogus answers (CutSound). It
// tells whether the cut was failing, and is not any more.
func (i *Infra) Useful(now clock.Mono, cut dnsname.Name, addr netip.AddrPort) (recovered bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pairs.remove(pair{cut, unmap(addr)})
	if a, ok := i.addrs.peek(unmap(addr)); ok && a.useful != cut {
		a.useful = clone(cut)
	}
	return i.cutUseful(cut)
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
