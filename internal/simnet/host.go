package simnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

const (
	firstPort = 1024 // ephemeral ports are drawn from here to the last
	portTries = 128
)

// Host is a machine on the network. It reaches itself also by the loopback
// addresses, which are every host's own.
type Host struct {
	n     *Net
	addrs []netip.Addr

	// Guarded by n.mu. A socket for all addresses of a family has the
	// unspecified address, one for all addresses the zero netip.Addr.
	ports     *rand.Rand
	sockets   map[netip.AddrPort]*packetConn
	listeners map[netip.AddrPort]*listener
	streams   map[flow]*stream
}

// Host adds a host with its addresses, IPv4 and IPv6; it sends from the first
// of a family. It panics when there is none or one is taken: a mistake in the
// test.
func (n *Net) Host(addrs ...netip.Addr) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(addrs) == 0 {
		panic("simnet: host without address")
	}
	h := &Host{
		n:         n,
		sockets:   make(map[netip.AddrPort]*packetConn),
		listeners: make(map[netip.AddrPort]*listener),
		streams:   make(map[flow]*stream),
	}
	for _, a := range addrs {
		a = a.Unmap()
		if !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || n.hosts[a] != nil {
			panic(fmt.Sprintf("simnet: address %v is taken or cannot be a host's", a))
		}
		n.hosts[a] = h
		h.addrs = append(h.addrs, a)
	}
	h.ports = n.newRand(h.addrs[0])
	return h
}

// Addrs returns the host's addresses in the order in which it got them.
func (h *Host) Addrs() []netip.Addr { return slices.Clone(h.addrs) }

// Open returns how many sockets, listeners and streams the host has open, those
// that wait for Accept too. A test sees by it what was left open.
func (h *Host) Open() int {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	return len(h.sockets) + len(h.listeners) + len(h.streams)
}

// hostAt returns the host that has an address as seen from a host, nil when
// there is none. The lock is held.
func (n *Net) hostAt(from *Host, a netip.Addr) *Host {
	if a.IsLoopback() {
		return from
	}
	return n.hosts[a]
}

// ListenPacket opens a socket for datagrams. The address is one of the host's,
// or unspecified (all of that family), or zero (all); such a socket sends from
// the host's first address of the family. Port 0 is a random one.
func (h *Host) ListenPacket(at netip.AddrPort) (net.PacketConn, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	s, err := h.newPacketConn("listen", at, netip.AddrPort{})
	if err != nil {
		return nil, err // not s: a nil pointer is no nil interface
	}
	return s, nil
}

// DialUDP opens a socket for datagrams on a random port that sends to one
// address and hears only what comes from there. Nothing is sent by it.
func (h *Host) DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "udp", Addr: net.UDPAddrFromAddrPort(to), Err: err}
	}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	to = unmap(to)
	local, err := h.localFor(to.Addr())
	if err != nil {
		return nil, opError("dial", "udp", netip.AddrPort{}, to, err)
	}
	s, err := h.newPacketConn("dial", netip.AddrPortFrom(local, 0), to)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Listen opens a listener for streams; for the address see ListenPacket. What
// it returns also has SetDeadline, as net.TCPListener has.
func (h *Host) Listen(at netip.AddrPort) (net.Listener, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	l, err := h.newListener(at)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// localFor returns the address from which the host sends to another. The lock
// is held.
func (h *Host) localFor(to netip.Addr) (netip.Addr, error) {
	switch {
	case to == netip.IPv6Loopback():
		return to, nil
	case to.IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	for _, a := range h.addrs {
		if a.Is4() == to.Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, syscall.ENETUNREACH
}

// bind returns the address for a new socket, with a random port where 0 is
// asked for. The lock is held.
func (h *Host) bind(at netip.AddrPort, taken func(netip.AddrPort) bool) (netip.AddrPort, error) {
	a := at.Addr()
	if a.IsValid() && !a.IsUnspecified() && h.n.hostAt(h, a) != h {
		return at, syscall.EADDRNOTAVAIL
	}
	if at.Port() != 0 {
		if taken(at) {
			return at, syscall.EADDRINUSE
		}
		return at, nil
	}
	for range portTries {
		at = netip.AddrPortFrom(a, uint16(firstPort+h.ports.IntN(1<<16-firstPort)))
		if !taken(at) {
			return at, nil
		}
	}
	return at, syscall.EADDRINUSE
}

// lookup returns the most specific of the sockets that are bound to an address.
func lookup[T any](table map[netip.AddrPort]T, to netip.AddrPort) (found T) {
	family := netip.IPv6Unspecified()
	if to.Addr().Is4() {
		family = netip.IPv4Unspecified()
	}
	for _, a := range [...]netip.Addr{to.Addr(), family, {}} {
		if s, ok := table[netip.AddrPortFrom(a, to.Port())]; ok {
			return s
		}
	}
	return found
}

// close closes all sockets. The lock is held.
func (h *Host) close() {
	for _, s := range h.sockets {
		s.shut()
	}
	for _, l := range h.listeners {
		l.shut()
	}
	for _, s := range h.streams {
		s.shut()
	}
	clear(h.sockets)
	clear(h.listeners)
	clear(h.streams)
}

// unmap turns an IPv4 address in IPv6 clothes into the plain one.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
