package infra

import (
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const (
	offlineAfter  = 3 * time.Second  // without a reply of anybody
	offlineLeast  = 3                // different addresses that were asked meanwhile
	offlineSure   = time.Second      // somebody else who was asked then did not answer either
	offlineDoubts = 30 * time.Second // so long after a reply nobody's older silence counts
)

// network is what is known of the way to everybody: whether it is the own
// network that fails and not a server.
type network struct {
	since     clock.Mono       // of the first question since anybody was heard, 0: none
	asked     []netip.AddrPort // since then, different ones, at most offlineLeast
	heard     clock.Mono       // when anybody was heard last, 0 never
	bystander clock.Mono       // when somebody else was asked, for all those are silent; 0: nobody yet
}

func (n *network) hear(now clock.Mono) {
	n.since, n.asked, n.heard, n.bystander = 0, n.asked[:0], now, 0
}

// ask counts an address that is being asked. One that was silent already when
// others were heard is no sign of anything.
func (n *network) ask(now clock.Mono, a *address) {
	if n.heard != 0 && now.Sub(n.heard) < offlineDoubts && n.heard.Sub(a.silentSince()) >= offlineAfter {
		return
	}
	if n.since == 0 {
		n.since = now
	}
	if len(n.asked) < offlineLeast && n.at(a.addr) < 0 {
		n.asked = append(n.asked, a.addr)
	}
}

// spare takes out an address whose host, or a router near it, said that it cannot
// be reached: that came over the network.
func (n *network) spare(addr netip.AddrPort) {
	if k := n.at(unmap(addr)); k >= 0 {
		n.asked = slices.Delete(n.asked, k, k+1)
	}
}

// at is where an address is among those asked, whatever its port; -1: nowhere.
func (n *network) at(addr netip.AddrPort) int {
	return slices.IndexFunc(n.asked, func(o netip.AddrPort) bool { return o.Addr() == addr.Addr() })
}

// suspected tells that nobody answers of those who were asked. They may be the
// servers of one zone only.
func (n *network) suspected(now clock.Mono) bool {
	return len(n.asked) >= offlineLeast && now.Sub(n.since) >= offlineAfter
}

func (n *network) offline(now clock.Mono) bool {
	return n.suspected(now) && n.bystander != 0 && now.Sub(n.bystander) >= offlineSure
}

// next is when there is something to find out, 0: no such moment is known.
func (n *network) next(now clock.Mono) clock.Mono {
	switch {
	case len(n.asked) < offlineLeast || n.offline(now):
		return 0
	case n.bystander != 0:
		return n.bystander.Add(offlineSure)
	}
	return max(n.since.Add(offlineAfter), now.Add(recheckPause))
}

// Offline tells whether it is the own network that is down, and since when:
// nobody was heard for 3 s, though three or more different addresses were asked,
// and then not for a second more, though Rechecks had somebody else asked. Any
// reply ends it.
func (i *Infra) Offline(now clock.Mono) (since clock.Mono, offline bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.network.offline(now) {
		return 0, false
	}
	return i.network.since, true
}

// askBystander gives the question to somebody else that is due before it is said
// that the own network is down: to a server of another zone, best of the root,
// else to the one that was heard last, of those that were not asked since anybody
// was heard. When no such server is known, it is for whoever asks to find one of
// the root's.
func (i *Infra) askBystander(now clock.Mono) (r Recheck, due bool) {
	n := &i.network
	if !n.suspected(now) || n.bystander != 0 || !i.plan.budget.take() {
		return r, false
	}
	n.bystander = now
	var best *address
	rank := 0
	i.addrs.each(func(addr netip.AddrPort, a *address) bool {
		if a.useful == "" || a.lastSent >= n.since || a.health(now) >= silent || i.family(addr).off || i.avoided(addr) {
			return true
		}
		if k := i.standing(a.useful); best == nil || k > rank || k == rank && a.heard > best.heard {
			best, rank = a, k
		}
		return true
	})
	r = Recheck{Cut: dnsname.Root}
	if best != nil {
		r.Cut, r.Server.Addr = best.useful, best.addr
	}
	r.Question = event.Question{Name: r.Cut, Type: wire.TypeNS}
	return r, true
}

// standing is how well a server of a cut can tell whether it is the network.
func (i *Infra) standing(cut dnsname.Name) int {
	for _, addr := range i.network.asked {
		if a, ok := i.addrs.peek(addr); ok && a.useful == cut {
			return 0
		}
	}
	if cut == dnsname.Root {
		return 2
	}
	return 1
}
