package openloop

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Load asks at a rate from many sockets, whether or not replies come, on one thread
// that does nothing else. It counts; how long clients wait is for a Probe to find out.
type Load struct {
	Addr    netip.AddrPort // of the resolver, IPv4
	Local   netip.Addr     // the first socket's address, each further one's is the next of 200; invalid: any
	Sockets int
	Rate    float64 // a second
	Batch   int     // the most questions that one socket sends at once, up to Batch
	Next    func(b []byte) []byte
}

// Loaded is what became of a load.
type Loaded struct {
	Sent   int
	Unsent int     // were due, but this program was too slow, or the kernel took them not
	Rcodes [16]int // replies by rcode; those to questions before included
	Length time.Duration
}

// Answered is how many replies came with NOERROR or NXDOMAIN.
func (l *Loaded) Answered() int { return l.Rcodes[0] + l.Rcodes[3] }

// Replies is how many came, whatever they said.
func (l *Loaded) Replies() (n int) {
	for _, k := range l.Rcodes {
		n += k
	}
	return n
}

// Bounds of a load.
const (
	loadTick  = 200 * time.Microsecond // between looks whether questions are due
	owing     = 20 * time.Millisecond  // of delay that is made up for: more would become a burst
	readyMost = 256                    // sockets that are read between two looks
	sendsMost = 16                     // batches that are sent between two looks for replies
	loadRest  = 500 * time.Millisecond // for the last replies
	addresses = 200
)

// receiveForce is SO_RCVBUFFORCE, which package syscall lacks; receiveRoom is the room
// for replies of each socket, in octets.
const (
	receiveForce = 33
	receiveRoom  = 1 << 20
)

// loading is a load under way. One thread owns it.
type loading struct {
	Load
	fds     []int
	epoll   int
	out, in *Vector
	msg     []byte
	id      uint16
	turn    int
	events  [readyMost]syscall.EpollEvent
	result  Loaded
}

// Run asks until the time is over, or ctx ends.
func (l Load) Run(ctx context.Context, length time.Duration) (*Loaded, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	Precise(true)
	defer Precise(false)
	run := &loading{Load: l, out: NewVector(), in: NewVector()}
	defer run.close()
	if err := run.open(); err != nil {
		return nil, err
	}
	began := time.Now()
	at, due := began, 0.0
	for time.Since(began) < length {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		now := time.Now()
		due += l.Rate * now.Sub(at).Seconds()
		at = now
		if most := max(l.Rate*owing.Seconds(), 1); due > most {
			run.result.Unsent += int(due - most)
			due = most
		}
		for sent := 0; due >= 1; sent++ {
			n := min(int(due), l.Batch, Batch)
			run.send(n)
			due -= float64(n)
			if sent%sendsMost == sendsMost-1 { // or replies find their buffers full
				run.receive()
			}
		}
		run.receive()
		if wait := loadTick - time.Since(now); wait > 0 {
			t := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&t, nil) // a signal may cut it short
		}
	}
	run.result.Length = time.Since(began)
	for end := time.Now().Add(loadRest); time.Now().Before(end); time.Sleep(loadTick) {
		run.receive()
	}
	return &run.result, nil
}

// open opens the sockets, connected and not blocking.
func (l *loading) open() error {
	var err error
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return err
	}
	local := l.Local
	for i := range l.Sockets {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket %d: %w", i, err)
		}
		l.fds = append(l.fds, fd)
		if syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, receiveForce, receiveRoom) != nil { // for root alone
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveRoom) // as much as the system allows
		}
		if l.Local.IsValid() {
			if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: local.As4()}); err != nil {
				return fmt.Errorf("socket at %s: %w", local, err)
			}
			if local = local.Next(); i%addresses == addresses-1 {
				local = l.Local
			}
		}
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Addr: l.Addr.Addr().As4(), Port: int(l.Addr.Port())}); err != nil {
			return err
		}
		if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
			return err
		}
	}
	return nil
}

func (l *loading) close() {
	for _, fd := range l.fds {
		syscall.Close(fd)
	}
	if l.epoll > 0 {
		syscall.Close(l.epoll)
	}
}

// send sends n questions from the next socket.
func (l *loading) send(n int) {
	for i := range n {
		l.msg = l.Next(l.msg[:0])
		l.out.Set(i, l.msg, l.id)
		l.id++
	}
	sent := l.out.sendTo(uintptr(l.fds[l.turn]), n)
	l.turn = (l.turn + 1) % len(l.fds)
	l.result.Sent += sent
	l.result.Unsent += n - sent
}

// receive reads what came at the sockets that have something.
func (l *loading) receive() {
	n, err := syscall.EpollWait(l.epoll, l.events[:], 0)
	if err != nil {
		return // a signal: it is looked again soon
	}
	for _, e := range l.events[:n] {
		for {
			// The vector's memory is the loading's, and not moved.
			k, _, errno := syscall.Syscall6(syscall.SYS_RECVMMSG, uintptr(e.Fd), uintptr(unsafe.Pointer(&l.in.msgs)), Batch, syscall.MSG_DONTWAIT, 0, 0)
			if errno != 0 {
				break // nothing more, or an error of ICMP, which this has read
			}
			for i := range int(k) {
				if msg := l.in.Get(i); len(msg) >= 12 {
					l.result.Rcodes[msg[3]&15]++
				}
			}
			if k < Batch {
				break
			}
		}
	}
}
