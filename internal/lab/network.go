package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"lastgood/internal/authority"
)

const dnsPort = 53

// Network reaches the lab's servers by their documentation addresses. It is
// what a resolver dials with in place of the system.
type Network struct {
	ports map[netip.Addr]ports // not changed after Start
	sink  net.PacketConn       // where datagrams to nobody go; never read
}

// ports are where one address is served on loopback.
type ports struct {
	udp, tcp netip.AddrPort
	server   *authority.Server
	serves   []Serving
}

func newNetwork() (*Network, error) {
	sink, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return &Network{ports: map[netip.Addr]ports{}, sink: sink}, nil
}

// DialUDP opens a socket to a server. What is sent to an address or port that
// nobody serves is lost in silence.
func (n *Network) DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	at := addrPort(n.sink.LocalAddr())
	if p, ok := n.at(to); ok {
		at = p.udp
	}
	var d net.Dialer
	return d.DialContext(ctx, "udp4", at.String())
}

// DialTCP connects to a server. Nobody's address is unreachable, a dead server
// does not answer, and one that does not speak TCP refuses.
func (n *Network) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	p, ok := n.at(to)
	var err error
	switch {
	case !ok:
		err = syscall.EHOSTUNREACH
	case p.all(authority.NoTCP):
		err = syscall.ECONNREFUSED
	case p.all(authority.Blackhole):
		<-ctx.Done()
		err = ctx.Err()
	default:
		var d net.Dialer
		return d.DialContext(ctx, "tcp4", p.tcp.String())
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

func (n *Network) at(to netip.AddrPort) (ports, bool) {
	p, ok := n.ports[to.Addr().Unmap()]
	return p, ok && to.Port() == dnsPort
}

// all tells whether a flaw holds for every zone of the server.
func (p ports) all(flaw authority.Flaw) bool {
	for _, s := range p.serves {
		if !p.server.Fault(s.Zone).Has(flaw) {
			return false
		}
	}
	return true
}
