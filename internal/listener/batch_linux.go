package listener

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
	"lastgood/internal/event"
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
	// turnsInRow is how many batches are read at least before others have their turn.
	turnsInRow = 8
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
	l *Listener
	w *worker
	outbox
	late *lateBatch

	in      [batchSize]message
	inVec   [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6 // a sockaddr_in fits
	control [batchSize][pathLen / 8]uint64   // aligned for struct cmsghdr
	buf     [batchSize]slot

	reply [batchSize]slot

	turns    int           // since others had theirs
	away     time.Duration // how long they took
	resumed  clock.Mono    // when that ended
	received int           // messages in in
	errno    syscall.Errno

	receive func(fd uintptr) bool // made once: a closure would allocate at each call
}

func newBatch(l *Listener, conn *net.UDPConn, w *worker) (*batch, error) {
	b := &batch{l: l, w: w}
	err := b.init(l, conn, w.counts)
	if err == nil {
		b.late, err = newLateBatch(l, conn)
	}
	if err != nil {
		return nil, err
	}
	b.receive = b.recvmmsg
	for i := range batchSize {
		b.inVec[i].Base = &b.buf[i][0]
		b.inVec[i].SetLen(queryBuffer)
		b.in[i].hdr.Iov = &b.inVec[i]
		b.in[i].hdr.SetIovlen(1)
		b.in[i].hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		b.in[i].hdr.Control = (*byte)(unsafe.Pointer(&b.control[i]))
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
		if b.turns++; b.turns >= turnsInRow {
			b.share()
		}
	}
}

// share lets others go before when the reader had as long as they had the last time,
// turnsInRow batches at least: what they need must not keep it from reading, or what is
// cached waits in the socket's buffer behind what is not.
func (b *batch) share() {
	b.turns = 0
	if now := b.l.clock.Now(); now.Sub(b.resumed) >= b.away {
		b.yield()
	}
}

// yield lets others go before.
func (b *batch) yield() {
	left := b.l.clock.Now()
	runtime.Gosched()
	b.resumed = b.l.clock.Now()
	b.away, b.turns = b.resumed.Sub(left), 0
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

// recvmmsg reads what is there; false lets the runtime's poller wait for more. While
// there are questions that nobody has begun with, it only lets others go before and
// looks again: the poller is asked when there is nothing else to do.
func (b *batch) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in)), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.received = int(n)
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			if b.l.gate.unbegun.Load() == 0 || b.l.stopping() {
				return false
			}
			b.yield()
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
	h := b.put(reply)
	h.Name, h.Namelen = b.in[i].hdr.Name, b.in[i].hdr.Namelen
	h.Control = nil
	n := b.returnPath(i)
	if n > 0 {
		h.Control = b.in[i].hdr.Control
	}
	h.SetControllen(n)
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
