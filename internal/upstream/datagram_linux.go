package upstream

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
)

// datagram is a UDP socket made of bare system calls: what package net does
// beyond them for every socket (its addresses read back, broadcasts allowed, its
// own place in the runtime's poller, deadlines, a finalizer) costs a cold
// question more than sending and receiving do. It is a question's from lending
// or dialling it until Close or keeping it, one goroutine's at a time; between
// keeping and lending it is its place's (see kernel), and nobody's after Close:
// the poller uses the memory again.
//
// Sending and receiving never block and are raw system calls: the scheduler
// need not know of them.
type datagram struct {
	p    *poller
	slot int32
	fd   int
	hot  bool // there may be more to read before the next event

	out     []byte        // the question, from Write to its end
	state   atomic.Uint32 // unqueued, queued or sending
	failure error         // of sending; to be read when it is unqueued

	waiter atomic.Pointer[waiter] // who is woken by the next event; nil: nobody, and it is noted
	stray  atomic.Bool            // there was an event that nobody waited for

	peer      sockaddr   // the server it is connected to
	from      sockaddr   // of what was read
	connected clock.Mono // when it was
	opened    clock.Mono
	life      time.Duration // after which it takes no more questions
	uses      int           // questions it had
	place     uint16        // where it is kept, if it is
	bound     bool          // to a port of our choice, which it has for life
	silent    bool          // nothing was sent to this server

	use int32 // counts the sockets that were this one; guarded by the poller's lock
}

// dialDatagram opens a socket to a server on a local port that draw gives, or,
// after bindTries that were taken, on one of the kernel's choice.
func (p *poller) dialDatagram(to netip.AddrPort, draw func() uint16) (*datagram, error) {
	peer := sockaddrOf(to)
	family := peer.raw.Family
	fd, err := unix.Socket(int(family), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	setUDPOptions(family == unix.AF_INET6, fd)
	bound, err := bindRandomly(fd, family, draw)
	if err == nil {
		err = peer.connect(fd)
	}
	var d *datagram
	if err == nil {
		d, err = p.add(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	d.peer, d.bound, d.silent, d.uses = peer, bound, true, 0
	return d, nil
}

// bindRandomly leaves the port to the kernel, at connecting, when those drawn
// are taken.
func bindRandomly(fd int, family uint16, draw func() uint16) (bound bool, _ error) {
	for range bindTries {
		a := anywhere(family, draw())
		err := a.bind(fd)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			return false, err
		}
	}
	return false, nil
}

// connect gives a socket to another server, or to the same by today's route:
// the source address is chosen when it is connected.
func (d *datagram) connect(peer *sockaddr) error {
	none := nobody()
	if err := none.connect(d.fd); err != nil {
		return err
	}
	d.peer, d.silent = *peer, true
	return d.peer.connect(d.fd)
}

// Write has a datagram sent, soon, from memory that must stay as it is until the
// question's end. ReadUntil tells when it could not be.
func (d *datagram) Write(b []byte) (int, error) {
	d.takeBack() // the sender may not know yet that it has sent the last
	d.out, d.failure = b, nil
	d.p.sender.add(d)
	return len(b), nil
}

// send is the sender's. A full send buffer is as if the network had lost it.
func (d *datagram) send(b []byte) error {
	for first := d.silent; ; first = false {
		d.silent = false
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(d.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0, unix.EAGAIN:
			return nil
		case unix.EINTR:
		default:
			if first {
				continue // what ICMP said of the last server: of this one it cannot be
			}
			return os.NewSyscallError("send", errno)
		}
	}
}

// ReadUntil reads one datagram; see datagrams. What did not come from the
// server, having been in the buffer since before it was connected, is passed
// over: strangers cannot add to that.
func (d *datagram) ReadUntil(ctx context.Context, until clock.Mono) ([]byte, error) {
	w := d.waiter.Load()
	for {
		if d.hot {
			if d.state.Load() == unqueued && d.failure != nil {
				return nil, d.failure
			}

			msg, errno := d.read()
			switch {
			case errno == 0 && d.from.same(&d.peer):
				return msg, nil
			case errno == 0, errno == unix.EINTR:
				continue
			case errno != unix.EAGAIN:
				return nil, os.NewSyscallError("recv", errno)
			}
			d.hot = false
			if until != 0 && d.p.clock.Now() >= until {
				return nil, os.ErrDeadlineExceeded
			}
		}
		if !w.wait(ctx, until) {
			return nil, os.ErrDeadlineExceeded
		}
		d.hot = true
	}
}

// read takes one datagram out of the buffer, and from where it came.
func (d *datagram) read() ([]byte, syscall.Errno) {
	buf := d.p.buffers.get()
	defer d.p.buffers.put(buf)
	d.from.len = uint32(unsafe.Sizeof(d.from.raw))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(d.fd),
		uintptr(unsafe.Pointer(buf)), uintptr(len(buf)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&d.from.raw)), uintptr(unsafe.Pointer(&d.from.len)))
	if errno != 0 {
		return nil, errno
	}
	return buf.message(int(n)), 0
}

// happened wakes who waits for the socket.
func (d *datagram) happened() {
	if w := d.waiter.Load(); w != nil {
		w.wake()
	} else {
		d.stray.Store(true)
	}
}

// deafen ends the socket's question and gives up its waiter.
func (d *datagram) deafen() {
	d.takeBack()
	d.out, d.failure = nil, nil
	if w := d.waiter.Swap(nil); w != nil {
		w.clear()
		d.p.waiters.Put(w)
	}
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
	d.deafen()
	d.p.remove(d) // closing takes it out of the kernel's list
	return os.NewSyscallError("close", syscall.Close(fd))
}
