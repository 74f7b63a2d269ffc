package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Network is how sockets come to be. A connection of DialUDP is connected: it
// hears only its server, and Read fails with what ICMP said. Each comes with an
// unpredictable local port of its own.
type Network interface {
	DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// What a forger off the path has to guess (RFC 5452 §9.2) is the port of one
// question and its id of 65,536. A port is drawn from portCount, and a question's
// socket by drawing one of the places, independently of who is asked, for what
// and for whom. Two cases:
//
//   - Who knows no port has 1 chance in portCount · 65,536 a try, which is 1 in
//     3.2 thousand million (2^31.6): every socket's port is drawn alike, and
//     being kept tells him nothing. A socket is connected while there is a
//     question on it, and afterwards until the next: what comes from elsewhere is
//     not heard, and a closed port answers it no different. What he learns from
//     ICMP is what he would learn of a socket for one question (and sockets that
//     belong to nobody are closed within a minute or 500 questions).
//   - Who knows the ports of all sockets that are kept, say because questions
//     also go to servers of his own, still has to guess which of them the next
//     question takes: 1 chance in places, whatever the number of sockets there
//     are in them, for what draws an empty place (or one whose socket has a
//     question on it already) takes a port that is new. That leaves places ·
//     65,536 = 2^28.
//
// Either way a port that he hits takes SpoofNearMiss tries at most before the
// question goes to TCP, and is not used again after one. The letters' case, where
// it is kept, comes on top (a factor of two each) and is not counted, nor is the
// choice of the server's address.
const (
	// Local ports are chosen from here up: below are those that services are
	// commonly started on later.
	firstPort = 16384
	portCount = 1<<16 - firstPort
	bindTries = 5 // then the kernel chooses

	places = 1 << 12 // of sockets that are kept, IPv4 and IPv6 each
)

// System is the kernel's network. UDP sockets get a local port by Random, and
// neither set DF nor believe in path MTU (RFC 9715 §3.1) where that can be
// asked for.
type System struct {
	Random func([]byte) // unpredictable octets
}

// DialUDP opens a connected UDP socket on a random port.
func (s System) DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	network, any := "udp4", netip.IPv4Unspecified()
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if !to.Addr().Is4() {
		network, any = "udp6", netip.IPv6Unspecified()
	}
	d := net.Dialer{Control: udpControl}
	for range bindTries {
		c, err := d.DialUDP(ctx, network, netip.AddrPortFrom(any, s.port()), to)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return nil, err
		}
	}
	c, err := d.DialUDP(ctx, network, netip.AddrPort{}, to)
	if err != nil {
		return nil, err // not c: a nil pointer is no nil interface
	}
	return c, nil
}

// port draws a port, each with the same chance.
func (s System) port() uint16 {
	var b [2]byte
	for {
		s.Random(b[:])
		if n := binary.BigEndian.Uint16(b[:]); n < portCount { // 3 of 4 times
			return firstPort + n
		}
	}
}

// DialTCP opens a connection.
func (s System) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialTCP(ctx, "tcp", netip.AddrPort{}, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	if err != nil {
		return nil, err
	}
	return c, nil
}
