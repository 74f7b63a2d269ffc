package listener

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveBuffer is asked for each UDP socket, octets: room for the datagrams of
// some milliseconds at full load. The kernel gives at most net.core.rmem_max.
const receiveBuffer = 4 << 20

// listenPackets opens n sockets that share one port (SO_REUSEPORT). The first
// is bound without the option, so that a port that another program of ours
// uses already is refused, not shared.
func listenPackets(addr netip.AddrPort, n int) ([]net.PacketConn, error) {
	first, err := listenPacket(net.ListenConfig{}, addr)
	if err != nil {
		return nil, err
	}
	all := []net.PacketConn{first}
	if n == 1 {
		return all, nil
	}
	if err := controlSocket(first.(*net.UDPConn), reusePort); err != nil {
		return all, err
	}
	addr = netip.AddrPortFrom(addr.Addr(), addrPort(first.LocalAddr()).Port())
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, reusePort)
	}}
	for len(all) < n {
		pc, err := listenPacket(share, addr)
		if err != nil {
			return all, err
		}
		all = append(all, pc)
	}
	return all, nil
}

func reusePort(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

func controlSocket(conn *net.UDPConn, set func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, set)
}

func control(c syscall.RawConn, set func(fd int) error) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = set(int(fd)) }); e != nil {
		return e
	}
	return err
}

// tune sets what makes a socket serve better; none of it is indispensable, so
// errors are passed over. Replies have at most size octets.
func tune(fd int, local netip.AddrPort, size int) {
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	level, info, discover, probe, omit := unix.SOL_IP, unix.IP_PKTINFO, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE, unix.IP_PMTUDISC_OMIT
	if !local.Addr().Is4() {
		level, info, discover, probe, omit = unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_OMIT
	}
	// Replies are not fragmented, nor does forged ICMP make us do it (RFC 9715
	// §3.1), but where they may become longer than what every link of IPv6 has to
	// carry. It spares the kernel the making of an identifier, too.
	if size > defaultUDPSize {
		probe = omit
	}
	unix.SetsockoptInt(fd, level, discover, probe)
	if local.Addr().IsUnspecified() {
		unix.SetsockoptInt(fd, level, info, 1)
	}
}

// reader is what serves a socket: in batches if it is the kernel's.
func (l *Listener) reader(pc net.PacketConn, w *worker) func() {
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		return newPacketReader(l, pc, w).serve
	}
	local := addrPort(conn.LocalAddr())
	controlSocket(conn, func(fd int) error {
		tune(fd, local, l.opt.UDPSize)
		return nil
	})
	b, err := newBatch(l, conn, w)
	if err != nil {
		return newPacketReader(l, pc, w).serve
	}
	return b.serve
}
