package listener

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
)

const (
	// batchSize is how many datagrams one system call reads or sends at most.
	batchSize = 32
	// sendPatience is how long a full send buffer is waited for before the
	// rest of a batch is dropped: the reader must get back to reading.
	sendPatience = 50 * time.Millisecond
	// lastBatches bounds what is still read when the Listener stops: clients
	// do not stop sending.
	lastBatches = 256
)

// slot is room for one datagram. Two cache lines more than a page lie between
// the beginnings of two, or those of a batch, which are most of what is touched,
// would all have their place in the same few lines of the processor's cache.
type slot [max(queryBuffer, maxUDPSize) + 128]byte

// message is the kernel's struct mmsghdr.
type message struct {
	hdr unix.Msghdr
	len uint32
}

// batch serves a UDP socket: recvmmsg fills its vectors, what is cached is
// answered into its other vectors, sendmmsg empties them. Its one goroutine
// owns all of it but conn; vectors and buffers are made once and point at each
// other (Go's heap does not move).
type batch struct {
	l    *Listener
	conn *net.UDPConn
	raw  syscall.RawConn
	w    *worker

	in      [batchSize]message
	inVec   [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6 // a sockaddr_in fits
	control [batchSize][pathLen / 8]uint64   // aligned for struct cmsghdr
	buf     [batchSize]slot

	out    [batchSize]message
	outVec [batchSize]unix.Iovec
	reply  [batchSize]slot

	received int // messages in in
	queued   int // messages in out
	sent     int // of those, how many the kernel took or refused
	refused  int // of those, how many it refused
	errno    syscall.Errno

	// Made once: a closure would allocate at each call.
	receive func(fd uintptr) bool
	flush   func(fd uintptr)
	drain   func(fd uintptr) bool
}

func newBatch(l *Listener, conn *net.UDPConn, w *worker) (*batch, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := &batch{l: l, conn: conn, raw: raw, w: w}
	b.receive = b.recvmmsg
	b.flush = func(fd uintptr) { b.sendmmsg(fd) }
	b.drain = b.sendmmsg
	for i := range batchSize {
		b.inVec[i].Base = &b.buf[i][0]
		b.inVec[i].SetLen(queryBuffer)
		b.in[i].hdr.Iov = &b.inVec[i]
		b.in[i].hdr.SetIovlen(1)
		b.in[i].hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		b.in[i].hdr.Control = (*byte)(unsafe.Pointer(&b.control[i]))
		b.out[i].hdr.Iov = &b.outVec[i]
		b.out[i].hdr.SetIovlen(1)
		b.rearm(i)
	}
	return b, nil
}

// rearm makes a slot ready to receive: the kernel overwrote the lengths.
func (b *batch) rearm(i int) {
	h := &b.in[i].hdr
	h.Namelen = uint32(unsafe.Sizeof(b.names[i]))
	h.SetControllen(pathLen)
	h.Flags = 0
}

// serve reads until the Listener stops or the socket is closed.
func (b *batch) serve() {
	for {
		b.received, b.errno = 0, 0
		if err := b.raw.Read(b.receive); err != nil {
			if b.l.stopping() {
				b.finish()
				return
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			b.errno = unix.EIO
		}
		if b.errno != 0 {
			b.w.counts.receiveErrors.Add(1)
			if !b.l.pause(receivePause) {
				return
			}
			continue
		}
		b.turn()
	}
}

// turn handles the datagrams that were received.
func (b *batch) turn() {
	now := b.l.clock.Now()
	for i := range b.received {
		b.one(i, now)
		b.rearm(i)
	}
	b.w.settle()
	b.send()
	b.w.counts.took(b.l.clock.Now().Sub(now), b.queued-b.refused)
	b.queued, b.sent, b.refused = 0, 0, 0
}

// finish handles what the kernel had taken in before the Listener stopped:
// their senders would wait for a reply in vain.
func (b *batch) finish() {
	for range lastBatches {
		b.received, b.errno = 0, 0
		if err := b.raw.Control(func(fd uintptr) { b.recvmmsg(fd) }); err != nil || b.received == 0 {
			return
		}
		b.turn()
	}
}

// recvmmsg reads what is there; false lets the runtime's poller wait for more.
func (b *batch) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in)), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.received = int(n)
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			b.errno = errno
			return true
		}
	}
}

// one handles the datagram in slot i.
func (b *batch) one(i int, now clock.Mono) {
	w := b.w
	client, ok := b.source(i)
	if !ok {
		w.counts.drop(DropSource, 1)
		return
	}
	w.req = request{client: client, transport: event.UDP, arrival: now}
	reply, act := w.handle(b.buf[i][:b.in[i].len], b.reply[b.queued][:0:maxUDPSize])
	switch act {
	case replied:
		b.queue(i, reply)
	case waiting:
		if p := b.l.admit(w); p != nil {
			b.address(p, i)
			b.l.answerLater(p)
		}
	}
}

// source is the client's address, false when nobody can be answered there.
func (b *batch) source(i int) (netip.Addr, bool) {
	name := &b.names[i]
	switch name.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrFrom4(v4.Addr), v4.Port != 0
	case unix.AF_INET6:
		return netip.AddrFrom16(name.Addr).Unmap(), name.Port != 0
	}
	return netip.Addr{}, false
}

// queue puts the reply to slot i into the next slot to send.
func (b *batch) queue(i int, reply []byte) {
	o := &b.out[b.queued]
	b.outVec[b.queued].Base = unsafe.SliceData(reply)
	b.outVec[b.queued].SetLen(len(reply))
	o.hdr.Name, o.hdr.Namelen = b.in[i].hdr.Name, b.in[i].hdr.Namelen
	o.hdr.Control = nil
	n := b.returnPath(i)
	if n > 0 {
		o.hdr.Control = b.in[i].hdr.Control
	}
	o.hdr.SetControllen(n)
	b.queued++
}

// returnPath turns the control message that told which address slot i was sent
// to into one that makes the reply leave from there, and gives its length; 0
// leaves the choice to the kernel.
func (b *batch) returnPath(i int) int {
	n := int(b.in[i].hdr.Controllen)
	if n < unix.SizeofCmsghdr {
		return 0
	}
	p := unsafe.Pointer(&b.control[i])
	data := unsafe.Add(p, unix.CmsgLen(0))
	switch h := (*unix.Cmsghdr)(p); {
	case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && n >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
		// The interface is the routing table's to choose: the way back need not
		// be the way here.
		(*unix.Inet4Pktinfo)(data).Ifindex = 0
	case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && n >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		info := (*unix.Inet6Pktinfo)(data)
		to := netip.AddrFrom16(info.Addr)
		if to.IsMulticast() {
			return 0
		}
		if !to.IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
	default:
		return 0
	}
	return n
}

// send hands what is queued to the kernel.
func (b *batch) send() {
	if b.queued == 0 {
		return
	}
	// Not RawConn.Write, whose lock the late replies on this socket hold.
	if err := b.raw.Control(b.flush); err != nil {
		b.w.counts.drop(DropSendError, b.queued)
		b.refused = b.queued
		return
	}
	if b.sent < b.queued {
		b.conn.SetWriteDeadline(b.l.clock.Deadline(sendPatience))
		b.raw.Write(b.drain)
		b.conn.SetWriteDeadline(time.Time{})
	}
	if left := b.queued - b.sent; left > 0 {
		b.w.counts.drop(DropSendBuffer, left)
		b.refused += left
	}
}

// sendmmsg sends what is queued, false when the send buffer is full. A message
// that the kernel refuses (ENOBUFS, EPERM from a packet filter, EINVAL …) is
// counted and passed over: it is one client's loss.
func (b *batch) sendmmsg(fd uintptr) bool {
	for b.sent < b.queued {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[b.sent])),
			uintptr(b.queued-b.sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			b.w.counts.drop(DropSendError, 1)
			b.refused++
			b.sent++
		}
	}
	return true
}

// address notes where the reply to slot i goes once it is there.
func (b *batch) address(p *pending, i int) {
	name := &b.names[i]
	addr, port := p.client, name.Port
	if name.Family == unix.AF_INET6 {
		addr = netip.AddrFrom16(name.Addr)
		if name.Scope_id != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
		}
	}
	octets := (*[2]byte)(unsafe.Pointer(&port)) // in network order
	p.to = netip.AddrPortFrom(addr, uint16(octets[0])<<8|uint16(octets[1]))
	p.sender = (*batchSender)(b)
	p.pathUsed = b.returnPath(i)
	copy(p.path[:p.pathUsed], (*[pathLen]byte)(unsafe.Pointer(&b.control[i]))[:])
}

// batchSender sends late replies; of its batch it touches only the socket.
type batchSender batch

func (b *batchSender) send(_ context.Context, p *pending, a *resolver.Answer) error {
	return b.l.compose(p, a, func(reply []byte) error {
		_, _, err := b.conn.WriteMsgUDPAddrPort(reply, p.path[:p.pathUsed], p.to)
		return err
	})
}
