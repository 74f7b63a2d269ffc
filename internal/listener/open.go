package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// portTries bounds the search for a port that is free for UDP and TCP alike.
const portTries = 10

// open opens the sockets of an address: UDP ones and one for TCP. What it
// opened before an error it returns, too.
func (l *Listener) open(addr netip.AddrPort) ([]net.PacketConn, net.Listener, error) {
	for try := 1; ; try++ {
		packets, err := l.openPackets(addr)
		if err != nil {
			return packets, nil, listenError("UDP", addr, err)
		}
		both := netip.AddrPortFrom(addr.Addr(), addrPort(packets[0].LocalAddr()).Port())
		stream, err := l.openStream(both)
		if err == nil {
			return packets, stream, nil
		}
		if addr.Port() != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return packets, nil, listenError("TCP", both, err)
		}
		for _, pc := range packets {
			pc.Close()
		}
	}
}

func (l *Listener) openPackets(addr netip.AddrPort) ([]net.PacketConn, error) {
	if l.opt.Network != nil {
		pc, err := l.opt.Network.ListenPacket(addr)
		if err != nil {
			return nil, err
		}
		return []net.PacketConn{pc}, nil
	}
	return listenPackets(addr, l.opt.Workers)
}

func (l *Listener) openStream(addr netip.AddrPort) (net.Listener, error) {
	if l.opt.Network != nil {
		return l.opt.Network.Listen(addr)
	}
	config := net.ListenConfig{KeepAlive: -1} // the idle timeout is far shorter
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp"+family(addr), addr.String())
}

// family makes net listen on one address family: "::" would take IPv4, too,
// where the system's default says so, and would then collide with "0.0.0.0".
func family(addr netip.AddrPort) string {
	if addr.Addr().Unmap().Is4() {
		return "4"
	}
	return "6"
}

// listenPacket opens one UDP socket.
func listenPacket(config net.ListenConfig, addr netip.AddrPort) (net.PacketConn, error) {
	return config.ListenPacket(context.Background(), "udp"+family(addr), addr.String())
}

// lowestFreePort is the first port that needs no privilege.
const lowestFreePort = 1024

// listenError says which address could not be had and what to do about it.
func listenError(transport string, addr netip.AddrPort, err error) error {
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = fmt.Sprintf(": another program listens there (find it with: ss -lnptu 'sport = :%d'); stop it, or listen on another address or port", addr.Port())
	case errors.Is(err, os.ErrPermission) && addr.Port() < lowestFreePort:
		advice = fmt.Sprintf(": ports below %d need a privilege: start from a systemd unit with AmbientCapabilities=CAP_NET_BIND_SERVICE or a socket unit, run setcap cap_net_bind_service=+ep on the program, or listen on a higher port such as 5300", lowestFreePort)
	case needsZone(addr.Addr()):
		advice = fmt.Sprintf(": a link-local address needs its interface: write %s%%eth0 (ip -6 address lists them)", addr.Addr())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = ": this machine does not have that address"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		advice = ": " + moreFiles
	case errors.Is(err, syscall.EAFNOSUPPORT):
		advice = ": this machine has no such address family"
	}
	return fmt.Errorf("listen on %s over %s: %w%s", addr, transport, cause(err), advice)
}

// moreFiles is what helps when descriptors are missing.
const moreFiles = "raise the limit on open files (ulimit -n, LimitNOFILE=)"

// needsZone tells whether an address means nothing without an interface.
func needsZone(addr netip.Addr) bool {
	return addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == ""
}

// cause strips what net says of the address, which is said already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}
