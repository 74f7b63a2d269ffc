package infra

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
)

// Stats counts since New; the lower group tells the present state.
type Stats struct {
	Sent, Answered, TimedOut, Unreachable, Abandoned uint64
	Faults                                           uint64                   // lameness and errors noted
	Checks, Held                                     uint64                   // checks of silent servers; questions kept from dark ones
	Chosen                                           [7]uint64                // choices by event.Reason
	Rechecks                                         [event.Budget + 1]uint64 // by outcome
	ParentsAsked                                     uint64                   // for zones in trouble, behind stale answers
	RecheckBudgetHits                                uint64                   // how often rechecks that were due had to wait for others
	RecheckEvictions                                 uint64                   // servers whose recheck was given up for others'

	Addresses, Pairs, Cuts                                     int // entries
	RechecksPlanned                                            int // servers that are being rechecked
	EvictedAddresses, EvictedPairs, EvictedCuts, EvictedSpeeds uint64
	IPv4Dead, IPv6Dead                                         bool
}

// Stats gives the counts.
func (i *Infra) Stats() Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.counts
	s.Addresses, s.Pairs, s.Cuts = i.addrs.len(), i.pairs.len(), i.cuts.len()
	s.EvictedAddresses, s.EvictedPairs, s.EvictedCuts, s.EvictedSpeeds = i.addrs.evicted, i.pairs.evicted, i.cuts.evicted, i.speeds.evicted
	s.RechecksPlanned, s.RecheckEvictions = i.plan.targets.len(), i.plan.targets.evicted
	s.IPv4Dead, s.IPv6Dead = i.families[0].dead, i.families[1].dead
	return s
}

// ServerInfo describes an address, for people.
type ServerInfo struct {
	Addr         netip.AddrPort
	SRTT, RTTVar time.Duration // 0: never measured
	Timeout      time.Duration // of the next try
	Health       string        // good, doubtful, suspect, unreachable
	Heard        clock.Mono    // 0: never
	Unanswered   int           // exchanges since then
	Loss         float64
	NextProbe    clock.Mono // 0: none planned
	Capability   Capability
	HasCookie    bool
	Text         string // why unreachable

	Sent, Answered, TimedOut uint64
}

// Servers hands what is known of each address to yield, the most recently used
// first, until it says false. The lock is not held meanwhile.
func (i *Infra) Servers(now clock.Mono, yield func(ServerInfo) bool) {
	i.mu.Lock()
	list := make([]ServerInfo, 0, i.addrs.len())
	i.addrs.each(func(_ netip.AddrPort, a *address) bool {
		list = append(list, a.info(now))
		return true
	})
	i.mu.Unlock()
	for _, s := range list {
		if !yield(s) {
			return
		}
	}
}

// Server tells what is known of one address, false when nothing is.
func (i *Infra) Server(now clock.Mono, addr netip.AddrPort) (ServerInfo, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	if !ok {
		return ServerInfo{}, false
	}
	return a.info(now), true
}

func (a *address) info(now clock.Mono) ServerInfo {
	return ServerInfo{
		Addr: a.addr, SRTT: a.srtt, RTTVar: a.rttvar, Timeout: a.timeout(),
		Health: a.health(now).String(), Heard: a.heard, Unanswered: a.unanswered, Loss: a.loss,
		NextProbe: a.probeAt, Capability: a.cap.at(now), HasCookie: a.cap.cookie.serverLen > 0,
		Text: a.downText, Sent: a.sent, Answered: a.answered, TimedOut: a.timeouts,
	}
}
