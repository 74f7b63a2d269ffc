package listener

import (
	"context"
	"net"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/resolver"
)

// origin is where a datagram came from, as the kernel has it.
type origin struct {
	name    unix.RawSockaddrInet6
	nameLen uint32
}

// address notes where the reply to slot i goes.
func (b *batch) address(p *pending, i int) {
	p.sender = b.late
	p.origin = origin{b.names[i], b.in[i].hdr.Namelen}
	p.pathUsed = b.returnPath(i)
	copy(p.path[:p.pathUsed], (*[pathLen]byte)(unsafe.Pointer(&b.control[i]))[:])
}

// lateBatch sends the replies to one socket's questions that had to wait: all that
// are finished in one turn of the scheduler by one system call, since what upstream
// reads at once lets many go on at once. Whoever puts the first reply in starts
// the goroutine that sends, which lets everybody run first who can.
//
// The buffers belong to the lock's holder. When they are full, who comes next
// sends; so whoever wants to send waits while the socket's buffer is full.
type lateBatch struct {
	l *Listener

	mu      sync.Mutex
	box     outbox
	w       writer
	names   [batchSize]unix.RawSockaddrInet6
	control [batchSize][pathLen / 8]uint64
	reply   [batchSize]slot
}

func newLateBatch(l *Listener, conn *net.UDPConn) (*lateBatch, error) {
	b := &lateBatch{l: l}
	if err := b.box.init(l, conn, &l.late); err != nil {
		return nil, err
	}
	for i := range batchSize {
		b.box.out[i].hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
	}
	return b, nil
}

// send queues the reply to p. What becomes of it is counted when it leaves.
func (b *lateBatch) send(_ context.Context, p *pending, a *resolver.Answer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.box.queued == batchSize {
		b.flush()
	}
	i := b.box.queued
	h := b.box.put(b.l.compose(&b.w, p, a, b.reply[i][:0]))
	b.names[i], h.Namelen, h.Control = p.origin.name, p.origin.nameLen, nil
	if p.pathUsed > 0 {
		h.Control = (*byte)(unsafe.Pointer(&b.control[i]))
		copy((*[pathLen]byte)(unsafe.Pointer(&b.control[i]))[:], p.path[:p.pathUsed])
	}
	h.SetControllen(p.pathUsed)
	if i == 0 {
		b.l.later.Add(1)
		go b.sendSoon()
	}
	return nil
}

// sendSoon sends what is queued after everybody else had their turn.
func (b *lateBatch) sendSoon() {
	defer b.l.later.Done()
	runtime.Gosched()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

// flush sends what is queued; the lock is held.
func (b *lateBatch) flush() {
	b.box.send()
	b.box.queued, b.box.sent, b.box.refused = 0, 0, 0
}
