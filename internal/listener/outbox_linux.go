package listener

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
)

// outbox is vectors of replies that leave by one system call, made once. It
// belongs to one goroutine at a time.
type outbox struct {
	conn   *net.UDPConn
	raw    syscall.RawConn
	clock  *clock.Clock
	counts *counters

	out     [batchSize]message
	outVec  [batchSize]unix.Iovec
	queued  int // messages in out
	sent    int // of those, how many the kernel took or refused
	refused int // of those, how many it refused

	// Made once: a closure would allocate at each call.
	flush func(fd uintptr)
	drain func(fd uintptr) bool
}

func (o *outbox) init(l *Listener, conn *net.UDPConn, c *counters) (err error) {
	o.conn, o.clock, o.counts = conn, l.clock, c
	if o.raw, err = conn.SyscallConn(); err != nil {
		return err
	}
	o.flush = func(fd uintptr) { o.sendmmsg(fd) }
	o.drain = o.sendmmsg
	for i := range batchSize {
		o.out[i].hdr.Iov = &o.outVec[i]
		o.out[i].hdr.SetIovlen(1)
	}
	return nil
}

// put queues a reply in the next slot, which must be free.
func (o *outbox) put(reply []byte) *unix.Msghdr {
	m := &o.out[o.queued].hdr
	o.outVec[o.queued].Base = unsafe.SliceData(reply)
	o.outVec[o.queued].SetLen(len(reply))
	o.queued++
	return m
}

// send hands what is queued to the kernel.
func (o *outbox) send() {
	if o.queued == 0 {
		return
	}
	// Not RawConn.Write, whose lock somebody may hold who waits for room.
	if err := o.raw.Control(o.flush); err != nil {
		o.counts.drop(DropSendError, o.queued)
		o.refused = o.queued
		return
	}
	if o.sent < o.queued {
		o.conn.SetWriteDeadline(o.clock.Deadline(sendPatience))
		o.raw.Write(o.drain)
		o.conn.SetWriteDeadline(time.Time{})
	}
	if left := o.queued - o.sent; left > 0 {
		o.counts.drop(DropSendBuffer, left)
		o.refused += left
	}
}

// sendmmsg sends what is queued, false when the send buffer is full. A message
// that the kernel refuses (ENOBUFS, EPERM from a packet filter, EINVAL …) is
// counted and passed over: it is one client's loss.
func (o *outbox) sendmmsg(fd uintptr) bool {
	for o.sent < o.queued {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.out[o.sent])),
			uintptr(o.queued-o.sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			o.sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			o.counts.drop(DropSendError, 1)
			o.refused++
			o.sent++
		}
	}
	return true
}
