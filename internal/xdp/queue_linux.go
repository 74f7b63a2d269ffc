package xdp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
)

const (
	// batchLen is how many datagrams one Receive gives at most.
	batchLen = 64
	// kicks bounds the system calls that send one batch: a kernel that cannot be
	// told otherwise sends 32 replies a call.
	kicks = 4
	// leftPatience is after how long what the kernel did not take is tried again.
	leftPatience = time.Millisecond
)

// errFull is given when there is no frame to put a reply in.
var errFull = errors.New("the kernel has not sent the replies before")

// Queue is a receive queue of an interface. One goroutine calls Receive, Query,
// Reply, Path and Flush; Send and the counts are for any.
//
// # Who owns a frame
//
// The UMEM's first rxFrames are for queries, the rest for replies; a frame never
// changes sides.
//
// A query's frame is the kernel's from when it stands in the fill ring until it comes
// in the rx ring, then the goroutine's from Receive to Flush, which puts it back.
// held says which those are: a descriptor for another is counted and ignored, so that
// no frame is in the fill ring twice.
//
// A reply's frame is in free, or one of rooms (the goroutine's, from Receive to
// Flush), or lent to the kernel, from the tx ring to the completion ring. lent
// says which those are, with the same end. free, the tx and the completion ring
// are behind mu, for late replies come from other goroutines.
type Queue struct {
	s     *socket
	file  *os.File // of the socket: what makes the runtime wait for it
	raw   syscall.RawConn
	clock *clock.Clock
	room  atomic.Int64 // octets of a reply, see Room
	gone  atomic.Bool  // the interface takes no part any more: see Stop

	// The goroutine's.
	batch    [batchLen]slot
	received int              // slots in batch
	rooms    [batchLen]uint64 // frames for replies
	lengths  [batchLen]uint32 // of those that hold one
	roomed   int              // of those, how many there are
	used     int              // of those, how many hold a reply
	held     [rxFrames]bool
	receive  func(fd uintptr) bool // made once: a closure would allocate at each call

	mu     sync.Mutex
	free   []uint64 // offsets
	lent   [txFrames]bool
	closed bool

	counts counts
}

// slot is one received datagram.
type slot struct {
	datagram
	frame uint64 // offset of its frame; unheld: it is none of ours to give back
	why   fault
}

// unheld is no offset.
const unheld = ^uint64(0)

// counts are written by the queue's goroutine, but for sent, full and failed.
type counts struct {
	received, malformed, checksum, source, invalid atomic.Uint64
	sent, full, failed                             atomic.Uint64
}

// newQueue makes a queue of a socket, which it owns then.
func newQueue(s *socket, c *clock.Clock) (*Queue, error) {
	q := &Queue{s: s, file: os.NewFile(uintptr(s.fd), "AF_XDP"), clock: c, free: make([]uint64, txFrames)}
	raw, err := q.file.SyscallConn()
	if err != nil {
		q.file.Close()
		s.unmap()
		return nil, err
	}
	q.raw, q.receive = raw, q.look
	for i := range q.free {
		q.free[i] = rxFrames*frameLen + uint64(i)*frameLen
	}
	return q, nil
}

// Room is how many octets a reply may have: what fits into the interface's MTU.
// It follows the MTU.
func (q *Queue) Room() int { return int(q.room.Load()) }

// Receive waits for datagrams and tells how many there are. After Stop it gives
// what has come before, and then [net.ErrClosed].
func (q *Queue) Receive() (int, error) {
	q.received = 0
	for {
		if q.take(); q.received > 0 {
			return q.received, nil
		}
		if q.gone.Load() {
			return 0, net.ErrClosed
		}
		q.retry()
		err := q.raw.Read(q.receive)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if q.gone.Load() {
				return 0, net.ErrClosed
			}
			return 0, err
		}
	}
}

// retry sees to replies that the kernel did not take when it was told to: it is told
// again, and not waited for long while there are any.
func (q *Queue) retry() {
	if !q.s.tx.unread() {
		return
	}
	q.kick()
	if q.s.tx.unread() {
		q.file.SetReadDeadline(q.clock.Deadline(leftPatience))
	} else {
		q.file.SetReadDeadline(time.Time{})
	}
	if q.gone.Load() { // Stop's deadline is not to be lost
		q.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// look tells whether there is something to take; false lets the runtime's poller
// wait for it.
func (q *Queue) look(fd uintptr) bool {
	if q.s.rx.filled() > 0 {
		return true
	}
	if q.s.fill.wakeup() { // a driver that stopped for want of frames has some again
		unix.RawSyscall6(unix.SYS_RECVFROM, fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
	}
	return q.s.rx.filled() > 0
}

// take reads descriptors from the rx ring, and finds as many frames for replies.
func (q *Queue) take() {
	n := min(q.s.rx.filled(), batchLen)
	if n == 0 {
		return
	}
	for i := range n {
		q.read(&q.batch[i], q.s.rx.read(i))
	}
	q.s.rx.done(n)
	q.received = int(n)
	q.counts.received.Add(uint64(n))

	q.mu.Lock()
	q.reap()
	q.roomed = min(int(n), len(q.free))
	rest := len(q.free) - q.roomed
	copy(q.rooms[:], q.free[rest:])
	q.free = q.free[:rest]
	q.mu.Unlock()
	q.used = 0
}

// read looks at what a descriptor from the kernel names.
func (q *Queue) read(s *slot, d unix.XDPDesc) {
	s.datagram, s.frame, s.why = datagram{}, unheld, malformed
	frame, n := q.s.frame(d.Addr, d.Len), d.Addr/frameLen
	if frame == nil || n >= rxFrames || q.held[n] {
		q.counts.invalid.Add(1)
		return
	}
	q.held[n] = true
	s.frame = n * frameLen
	s.datagram, s.why = parse(frame)
	switch s.why {
	case malformed:
		q.counts.malformed.Add(1)
	case badChecksum:
		q.counts.checksum.Add(1)
	case noSource:
		q.counts.source.Add(1)
	}
}

// Query gives the i-th datagram that was received: what it says, who sent it, and
// room for the reply, whose length is 0 and whose capacity is Room at least. All of it
// is lent until Flush. ok is false when nothing is to be answered, which is counted.
func (q *Queue) Query(i int) (query []byte, from netip.Addr, room []byte, ok bool) {
	s := &q.batch[i]
	if s.why != fine {
		return nil, netip.Addr{}, nil, false
	}
	if q.used == q.roomed {
		q.counts.full.Add(1)
		return nil, netip.Addr{}, nil, false
	}
	frame := q.s.frame(q.rooms[q.used], frameLen)
	return s.payload, s.from, frame[len(s.headers):len(s.headers)], true
}

// Reply queues the reply to i, which was written into the room that Query last
// gave; what did not stay there is copied.
func (q *Queue) Reply(i int, reply []byte) {
	headers := q.batch[i].headers
	frame := q.s.frame(q.rooms[q.used], frameLen)
	if len(reply) == 0 || len(reply) > len(frame)-len(headers) {
		return
	}
	if at := frame[len(headers):]; &at[0] != &reply[0] {
		copy(at, reply)
	}
	q.lengths[q.used] = uint32(compose(frame, headers, len(reply)))
	q.used++
}

// Path copies what Send needs to reply to i later into path, of PathLen octets,
// and tells how many it took.
func (q *Queue) Path(i int, path []byte) int { return copy(path, q.batch[i].headers) }

// Flush sends the replies and gives the frames of the batch back.
func (q *Queue) Flush() {
	for i := range q.received {
		if at := q.batch[i].frame; at != unheld {
			q.held[at/frameLen] = false
			q.s.fill.put(at)
		}
	}
	q.s.fill.publish()
	q.received = 0

	q.mu.Lock()
	for i, at := range q.rooms[:q.used] {
		q.lend(at, q.lengths[i])
	}
	q.free = append(q.free, q.rooms[q.used:q.roomed]...)
	if q.used > 0 {
		q.s.tx.publish()
	}
	q.mu.Unlock()
	sent := q.used
	q.used, q.roomed = 0, 0
	if sent > 0 {
		q.counts.sent.Add(uint64(sent))
		q.kick()
	}
}

// Send sends a reply to the query whose way back is path, from any goroutine. When
// the Interface is closed it fails.
func (q *Queue) Send(path, reply []byte) error {
	if len(path) != udpV4+udpLen && len(path) != udpV6+udpLen || len(reply) > frameLen-len(path) {
		return unix.EMSGSIZE
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return net.ErrClosed
	}
	if q.reap(); len(q.free) == 0 {
		q.counts.full.Add(1)
		return errFull
	}
	last := len(q.free) - 1
	at := q.free[last]
	q.free = q.free[:last]
	frame := q.s.frame(at, frameLen)
	copy(frame[len(path):], reply)
	q.lend(at, uint32(compose(frame, path, len(reply))))
	q.s.tx.publish()
	q.counts.sent.Add(1)
	q.kick() // under the lock: close must not come between
	return nil
}

// lend puts a reply's frame into the tx ring. q.mu is held.
func (q *Queue) lend(at uint64, length uint32) {
	q.lent[at/frameLen-rxFrames] = true
	q.s.tx.put(unix.XDPDesc{Addr: at, Len: length})
}

// reap takes frames back whose replies are sent. q.mu is held.
func (q *Queue) reap() {
	n := q.s.completion.filled()
	if n == 0 {
		return
	}
	for i := range n {
		frame := q.s.completion.read(i) / frameLen
		if frame < rxFrames || frame >= allFrames || !q.lent[frame-rxFrames] {
			q.counts.invalid.Add(1)
			continue
		}
		q.lent[frame-rxFrames] = false
		q.free = append(q.free, frame*frameLen)
	}
	q.s.completion.done(n)
}

// kick has the kernel send what is in the tx ring. Where it copies, it does so in the
// system call, a bounded number of replies each time; where it does not, its driver
// may have to be woken up. No call waits for anything, so the runtime is not told of
// it: it would think that a batch of replies, a hundred microseconds, is a wait.
func (q *Queue) kick() {
	for range kicks {
		if q.s.zeroCopy && !q.s.tx.wakeup() {
			return
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(q.s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0, unix.EAGAIN, unix.EBUSY, unix.EINTR:
		case unix.ENOBUFS: // one reply is lost
			q.counts.failed.Add(1)
		default: // ENETDOWN: nothing can be sent
			q.counts.failed.Add(1)
			return
		}
		if !q.s.tx.unread() {
			return
		}
	}
}

// stop makes Receive return, see there.
func (q *Queue) stop() {
	q.gone.Store(true)
	q.file.SetReadDeadline(time.Unix(1, 0))
}

// close frees everything. No other method may be under way but Send, nor be called
// after it but Send and Room.
func (q *Queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	q.file.Close()
	q.s.unmap()
}
