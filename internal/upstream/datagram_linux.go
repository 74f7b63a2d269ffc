package upstream

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// datagram is a connected UDP socket made of bare system calls: what package
// net does beyond them for every socket (its addresses read back, broadcasts
// allowed, its own place in the runtime's poller, deadlines, a finalizer) costs
// a cold question more than sending and receiving do. It belongs to one
// goroutine, and to nobody after Close: the poller uses it again.
type datagram struct {
	p     *poller
	slot  int32
	fd    int
	hot   bool          // there may be more to read before the next event
	ready chan struct{} // of one: the poller saw an event
	timer *time.Timer   // of ReadUntil, stopped outside it

	use int32 // counts the sockets that were this one; guarded by the poller's lock
}

// dialDatagram opens a socket to a server on a local port that draw gives, or,
// after bindTries that were taken, on one of the kernel's choice.
func (p *poller) dialDatagram(to netip.AddrPort, draw func() uint16) (*datagram, error) {
	family, address := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	setUDPOptions(family == unix.AF_INET6, fd)
	if err = bindRandomly(fd, family, draw); err == nil {
		err = os.NewSyscallError("connect", unix.Connect(fd, address))
	}
	var d *datagram
	if err == nil {
		d, err = p.add(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return d, nil
}

// bindRandomly leaves the port to the kernel, at connecting, when those drawn
// are taken.
func bindRandomly(fd, family int, draw func() uint16) error {
	for range bindTries {
		var err error
		if family == unix.AF_INET {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(draw())})
		} else {
			err = unix.Bind(fd, &unix.SockaddrInet6{Port: int(draw())})
		}
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			return os.NewSyscallError("bind", err)
		}
	}
	return nil
}

func sockaddr(to netip.AddrPort) (family int, sa unix.Sockaddr) {
	a := to.Addr().Unmap()
	if a.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: a.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: a.As16()}
}

// Write sends one datagram. A full send buffer is as if the network had lost it.
func (d *datagram) Write(b []byte) (int, error) {
	for {
		n, err := unix.Write(d.fd, b)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			return len(b), nil
		default:
			return n, os.NewSyscallError("send", err)
		}
	}
}

// ReadUntil reads one datagram; see datagrams.
func (d *datagram) ReadUntil(ctx context.Context, b []byte, wait time.Duration) (int, error) {
	for {
		if d.hot {
			n, err := unix.Read(d.fd, b)
			switch err {
			case nil:
				return n, nil
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				d.hot = false
			default:
				return 0, os.NewSyscallError("recv", err)
			}
		}
		if !d.await(ctx, wait) {
			return 0, os.ErrDeadlineExceeded
		}
		d.hot = true
	}
}

// await waits for an event of the socket, false when ctx ends or the time is up
// before.
func (d *datagram) await(ctx context.Context, wait time.Duration) bool {
	var up <-chan time.Time
	if wait > 0 {
		if d.timer == nil {
			d.timer = time.NewTimer(wait)
		} else {
			d.timer.Reset(wait)
		}
		defer d.timer.Stop()
		up = d.timer.C
	}
	select {
	case <-d.ready:
		return true
	case <-ctx.Done():
	case <-up:
	}
	return false
}

// LocalPort is the port that the socket is bound to.
func (d *datagram) LocalPort() (uint16, error) {
	sa, err := unix.Getsockname(d.fd)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port), nil
	case *unix.SockaddrInet6:
		return uint16(sa.Port), nil
	}
	return 0, err
}

// Close ends the socket; the memory is the poller's from now on.
func (d *datagram) Close() error {
	fd := d.fd
	d.p.remove(d) // closing takes it out of the kernel's list
	return os.NewSyscallError("close", syscall.Close(fd))
}
