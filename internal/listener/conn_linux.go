package listener

import (
	"net"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inbox is what a connection of the kernel's is read with. It belongs to a worker,
// and points into itself (Go's heap does not move).
type inbox struct {
	hdr     unix.Msghdr
	vec     unix.Iovec
	control [unix.SizeofCmsghdr/8 + 1]uint64 // one control message, of four octets
	buf     [readSize]byte
}

func newInbox() *inbox {
	in := new(inbox)
	in.hdr.Iov = &in.vec
	in.hdr.SetIovlen(1)
	in.hdr.Control = (*byte)(unsafe.Pointer(&in.control))
	return in
}

// direct makes a connection of the kernel's be read and written by system calls of
// our own, which never block. That is done within one call of RawConn.Read for as
// long as there is no reason to stop: the runtime's poller then tells when there is
// more, and no read is needed to find out that there is nothing, for each tells what
// it left (TCP_INQ, Linux 4.18). Where a client does not take its replies that call
// may block; but nobody in it may close the socket, which waits for its end.
func (c *conn) direct() {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	err = control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_INQ, 1) })
	if err == nil {
		c.raw, c.readable = raw, c.take
	}
}

// take reads what has come, and handles it. False waits for more, after which it is
// called again.
func (c *conn) take(fd uintptr) bool {
	w := c.l.workers.Get().(*worker)
	defer c.l.giveBack(w)
	c.fd = fd
	defer func() { c.fd = 0 }()
	if w.in == nil {
		w.in = newInbox()
	}
	for {
		into := w.in.buf[:]
		if c.have > 0 { // behind the rest of the message
			c.grow()
			into = c.buf[c.have:]
		}
		n, left, errno := w.in.receive(fd, into)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return false
		case errno != 0:
			c.why = broken
			return true
		case n == 0:
			c.why = byPeer
			return true
		}
		data := into[:n]
		if c.have > 0 {
			data = c.buf[:c.have+n]
		}
		c.why = c.came(w, data)
		if c.why != goesOn || c.drains > 0 || !c.reserved {
			return true
		}
		if !left {
			return false
		}
		runtime.Gosched() // others have questions too
	}
}

// receive reads into b, and tells whether there is more, the end of the stream
// included.
func (in *inbox) receive(fd uintptr, b []byte) (n int, left bool, err syscall.Errno) {
	in.vec.Base = unsafe.SliceData(b)
	in.vec.SetLen(len(b))
	in.hdr.SetControllen(len(in.control) * 8) // the kernel overwrites it
	r, _, err := unix.RawSyscall6(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&in.hdr)), unix.MSG_DONTWAIT, 0, 0, 0)
	if err != 0 {
		return 0, false, err
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&in.control))
	if int(in.hdr.Controllen) < unix.CmsgLen(4) || h.Level != unix.SOL_TCP || h.Type != unix.TCP_CM_INQ {
		return int(r), true, 0 // the next read tells
	}
	more := (*int32)(unsafe.Add(unsafe.Pointer(h), unix.CmsgLen(0)))
	return int(r), *more > 0, 0
}

// writeNow writes what the socket takes at once, and gives how much that is. Only the
// reader calls it, with the right to write; an error is put's to find.
func (c *conn) writeNow(b []byte) int {
	if c.fd == 0 {
		return 0
	}
	n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, c.fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if err != 0 {
		return 0
	}
	return int(n)
}
