package infra

import (
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
)

const (
	offlineAfter = 3 * time.Second // without a reply of anybody
	offlineLeast = 3               // different addresses that were asked meanwhile
)

// network is what is known of the way to everybody: whether it is the own
// network that fails and not a server.
type network struct {
	since clock.Mono   // of the first question since anybody was heard, 0: none
	asked []netip.Addr // since then, different ones, at most offlineLeast
}

func (n *network) hear() { n.since, n.asked = 0, n.asked[:0] }

func (n *network) ask(now clock.Mono, addr netip.AddrPort) {
	if n.since == 0 {
		n.since = now
	}
	if a := addr.Addr().Unmap(); len(n.asked) < offlineLeast && !slices.Contains(n.asked, a) {
		n.asked = append(n.asked, a)
	}
}

// spare takes out an address whose host, or a router near it, said that it cannot
// be reached: that came over the network.
func (n *network) spare(addr netip.AddrPort) {
	if k := slices.Index(n.asked, addr.Addr().Unmap()); k >= 0 {
		n.asked = slices.Delete(n.asked, k, k+1)
	}
}

func (n *network) offline(now clock.Mono) bool {
	return len(n.asked) >= offlineLeast && now.Sub(n.since) >= offlineAfter
}

// Offline tells whether it is the own network that is down, and since when:
// nobody was heard for 3 s, though three or more different addresses were asked.
// Any reply ends it.
func (i *Infra) Offline(now clock.Mono) (since clock.Mono, offline bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.network.offline(now) {
		return 0, false
	}
	return i.network.since, true
}
