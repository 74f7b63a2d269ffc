package upstream

import (
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
)

// pollBatch is how many sockets that became readable one system call tells of.
const pollBatch = 128

// poller tells sockets of bare system calls that there is something to read: an epoll
// instance of which the runtime's poller watches only the one descriptor. One
// goroutine, from the first socket to close, wakes those who wait.
type poller struct {
	clock   *clock.Clock
	sender  sender
	buffers buffers
	waiters sync.Pool // of *waiter

	mu     sync.Mutex
	epoll  *os.File // nil before the first socket
	fd     int      // of epoll
	closed bool
	slots  []*datagram // as many as were ever open at once
	free   []int32     // of slots
}

// waiter lends one; it goes back to waiters.
func (p *poller) waiter() *waiter {
	if w, _ := p.waiters.Get().(*waiter); w != nil {
		return w
	}
	return newWaiter(p.clock)
}

// add watches a socket, which was not used yet.
func (p *poller) add(fd int) (*datagram, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, net.ErrClosed
	}
	if p.epoll == nil {
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	d := p.take()
	d.fd, d.hot = fd, false
	d.stray.Store(false)
	// Edge-triggered: an event says that there is more than there was.
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: d.slot, Pad: d.use}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		p.free = append(p.free, d.slot)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return d, nil
}

// take gives a socket's memory. The lock is held.
func (p *poller) take() *datagram {
	if n := len(p.free); n > 0 {
		d := p.slots[p.free[n-1]]
		p.free = p.free[:n-1]
		return d
	}
	d := &datagram{p: p, slot: int32(len(p.slots))}
	p.slots = append(p.slots, d)
	return d
}

// remove forgets a socket that is about to be closed: an event of it that is
// already under way finds another count of uses.
func (p *poller) remove(d *datagram) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.use++
	p.free = append(p.free, d.slot)
}

// start makes the epoll instance. The lock is held.
func (p *poller) start() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime watches it
		unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	p.fd, p.epoll = fd, os.NewFile(uintptr(fd), "epoll")
	raw, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	go p.run(raw)
	p.sender.start()
	return nil
}

// run wakes those whose sockets have something to read until close.
func (p *poller) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, pollBatch)
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, errno := happened(fd, events)
			switch errno {
			case 0:
			case unix.EINTR:
				continue
			default:
				return true
			}
			p.wake(events[:n])
			if n < len(events) {
				return false
			}
		}
	})
}

// happened is epoll_wait without waiting: a raw system call.
func happened(epoll uintptr, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll,
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

// wake tells the sockets that events are about.
func (p *poller) wake(events []unix.EpollEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		d := p.slots[events[i].Fd]
		if d.use == events[i].Pad { // not closed meanwhile
			d.happened()
		}
	}
}

// close ends the goroutine; there are no sockets from now on.
func (p *poller) close() {
	p.mu.Lock()
	epoll, again := p.epoll, p.closed
	p.closed = true
	p.mu.Unlock()
	if epoll != nil && !again {
		p.sender.close()
		_ = epoll.Close() // waits for the goroutine, which may want the lock
	}
}
