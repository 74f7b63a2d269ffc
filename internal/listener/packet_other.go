//go:build !linux

package listener

import (
	"net"
	"net/netip"
)

// listenPackets opens one socket: elsewhere a port is not shared out fairly
// among several.
func listenPackets(addr netip.AddrPort, _ int) ([]net.PacketConn, error) {
	pc, err := listenPacket(net.ListenConfig{}, addr)
	if err != nil {
		return nil, err
	}
	return []net.PacketConn{pc}, nil
}

// origin is of the batched path.
type origin struct{}

// reader is what serves a socket.
func (l *Listener) reader(pc net.PacketConn, w *worker) func() {
	return newPacketReader(l, pc, w).serve
}
