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

// What a forger off the path has to guess (RFC 5452 §9.2): the port of one
// question, drawn anew for each from portCount, and its id of 65,536, which is 1
// in 3.2 thousand million; times two for each letter of the name, where its case
// is kept, and for each further server address that may have been asked. Sockets
// are connected: what misses the port or comes from elsewhere is not even heard.
// Of what hits the port SpoofNearMiss tries count at most, so that not even who
// knows the port has more than 10 in 65,536 a question. Sockets are therefore not
// kept for another question: whoever found a port out would know the next one's.
const (
	// Local ports are chosen from here up: below are those that services are
	// commonly started on later.
	firstPort = 16384
	portCount = 1<<16 - firstPort
	bindTries = 5 // then the kernel chooses
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
