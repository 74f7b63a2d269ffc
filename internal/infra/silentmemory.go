package infra

import (
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
)

// SilentServer is what outlives a restart of an address that does not answer:
// that nobody is to wait for it anew, in each of the zones that it serves.
type SilentServer struct {
	Addr        netip.AddrPort
	Unreachable string     // what the network said, "" when nothing is heard at all
	Since       clock.Mono // zero or less: before this clock began
}

// SilentServers gives the addresses that are suspect or unreachable, the most
// recently used first. Those that nobody asked lately are left out: their silence
// is void.
func (i *Infra) SilentServers(now clock.Mono) []SilentServer {
	i.mu.Lock()
	defer i.mu.Unlock()
	var list []SilentServer
	i.addrs.each(func(addr netip.AddrPort, a *address) bool {
		if a.mum(now) && now.Sub(max(a.lastSent, a.downSince)) < backoffLast {
			list = append(list, SilentServer{Addr: addr, Unreachable: a.downText, Since: a.silentSince()})
		}
		return true
	})
	return list
}

// restoredAge is how long before a restart a silent address counts as asked
// last: so long that it is rechecked as soon as somebody wants it.
const restoredAge = 2 * time.Second

// RestoreSilent takes what SilentServers gave before a restart, but for addresses
// that something is known of already. Whoever has something stale is not made to
// wait for them; whoever has not asks them as ever, for that they are silent to a
// zone beyond doubt is not remembered. The first reply ends it.
func (i *Infra) RestoreSilent(now clock.Mono, list []SilentServer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range slices.Backward(list) { // the most recently used last
		addr := unmap(s.Addr)
		if _, known := i.addrs.peek(addr); known {
			continue
		}
		a := i.address(addr)
		a.lastSent = now.Add(-restoredAge)
		since := min(s.Since, a.lastSent)
		if s.Unreachable != "" {
			a.down, a.downText, a.downSince = true, s.Unreachable, since
			continue
		}
		a.pending = slices.Repeat([]clock.Mono{since}, suspectAfter)
		a.unanswered = len(a.pending)
	}
}
