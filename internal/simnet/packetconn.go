package simnet

import (
	"bytes"
	"net"
	"net/netip"
	"syscall"
)

// maxPayload is what fits a UDP datagram over IPv4 (IPv6 would take 20 more).
const maxPayload = 65507

type datagram struct {
	from    netip.AddrPort
	payload []byte
}

// packetConn is a socket for datagrams. Like net.UDPConn it is a net.PacketConn
// and, when connected, a net.Conn.
type packetConn struct {
	endpoint

	// Guarded by n.mu.
	queue   []datagram
	refused bool // an ICMP error is waiting to be told
}

// newPacketConn opens a socket. The lock is held.
func (h *Host) newPacketConn(op string, local, remote netip.AddrPort) (*packetConn, error) {
	if h.n.closed {
		return nil, closedError(op, "udp")
	}
	local, err := h.bind(unmap(local), func(a netip.AddrPort) bool { return h.sockets[a] != nil })
	if err != nil {
		return nil, opError(op, "udp", local, remote, err)
	}
	s := new(packetConn)
	s.init(h, "udp", local, remote)
	h.sockets[local] = s
	return s, nil
}

// accepts reports whether the socket hears what comes from an address.
func (s *packetConn) accepts(from netip.AddrPort) bool {
	return !s.remote.IsValid() || s.remote == from
}

// receive waits for the next datagram.
func (s *packetConn) receive() (datagram, error) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	for {
		if err := s.usable(&s.readBy); err != nil {
			return datagram{}, s.fail("read", err)
		}
		if s.refused { // before data, as the kernel has it
			s.refused = false
			return datagram{}, s.fail("read", syscall.ECONNREFUSED)
		}
		if len(s.queue) > 0 {
			d := s.queue[0]
			s.queue[0] = datagram{}
			s.queue = s.queue[1:]
			return d, nil
		}
		s.changed.Wait()
	}
}

// Read reads one datagram; what does not fit is cut off.
func (s *packetConn) Read(b []byte) (int, error) {
	d, err := s.receive()
	return copy(b, d.payload), err
}

// ReadFrom reads one datagram and tells its sender, a *net.UDPAddr.
func (s *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	d, err := s.receive()
	if err != nil {
		return 0, nil, err
	}
	return copy(b, d.payload), net.UDPAddrFromAddrPort(d.from), nil
}

// Write sends a datagram to the address the socket is connected to.
func (s *packetConn) Write(b []byte) (int, error) {
	if !s.remote.IsValid() {
		return 0, s.fail("write", syscall.EDESTADDRREQ)
	}
	return s.write(b, s.remote)
}

// WriteTo sends a datagram to an address, a *net.UDPAddr.
func (s *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if s.remote.IsValid() {
		return 0, s.fail("write", net.ErrWriteToConnected)
	}
	a, ok := to.(*net.UDPAddr)
	if !ok || a == nil {
		return 0, s.fail("write", syscall.EINVAL)
	}
	return s.write(b, unmap(a.AddrPort()))
}

func (s *packetConn) write(b []byte, to netip.AddrPort) (int, error) {
	from, err := s.prepare(len(b), to)
	if err != nil {
		return 0, s.fail("write", err)
	}
	s.n.send(s.h, Packet{From: from, To: to, Payload: bytes.Clone(b)})
	return len(b), nil
}

// prepare returns the address to send from, or why nothing can be sent.
func (s *packetConn) prepare(size int, to netip.AddrPort) (netip.AddrPort, error) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if err := s.usable(&s.writeBy); err != nil {
		return netip.AddrPort{}, err
	}
	if s.refused {
		s.refused = false
		return netip.AddrPort{}, syscall.ECONNREFUSED
	}
	from := s.local.Addr()
	switch {
	case size > maxPayload:
		return netip.AddrPort{}, syscall.EMSGSIZE
	case !to.Addr().IsValid() || to.Port() == 0:
		return netip.AddrPort{}, syscall.EINVAL
	case from.IsValid() && from.Is4() != to.Addr().Is4():
		return netip.AddrPort{}, syscall.ENETUNREACH
	case from.IsLoopback() && s.n.hostAt(s.h, to.Addr()) != s.h:
		return netip.AddrPort{}, syscall.EINVAL // a loopback address does not leave its host
	}
	if !from.IsValid() || from.IsUnspecified() {
		var err error
		if from, err = s.h.localFor(to.Addr()); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(from, s.local.Port()), nil
}

// Close closes the socket; who waits in it gets net.ErrClosed.
func (s *packetConn) Close() error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.closed {
		return s.fail("close", net.ErrClosed)
	}
	s.shut()
	s.queue = nil
	delete(s.h.sockets, s.local)
	return nil
}
