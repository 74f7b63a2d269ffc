// Package openloop has what benchmarks need to ask questions at a rate, whatever
// becomes of those before: batches of datagrams, the kernel's time stamps, counts of
// how long replies took, a load, and a prober beside it.
package openloop

import (
	"runtime"
	"syscall"
	"unsafe"
)

// Batch is how many datagrams one system call takes.
const Batch = 32

// MaxReply is the largest reply that is read whole, octets.
const MaxReply = 1500

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	hdr syscall.Msghdr
	len uint32
	_   [4]byte
}

// Vector is a batch of datagrams on a connected socket. One that sent is not for
// receiving.
type Vector struct {
	msgs [Batch]mmsghdr
	iovs [Batch]syscall.Iovec
	data [Batch][MaxReply]byte
}

// NewVector is a batch that is ready to receive.
func NewVector() *Vector {
	v := new(Vector)
	for i := range v.msgs {
		v.iovs[i].Base = &v.data[i][0]
		v.iovs[i].SetLen(MaxReply)
		v.msgs[i].hdr.Iov = &v.iovs[i]
		v.msgs[i].hdr.Iovlen = 1
	}
	return v
}

// sendmmsg's number, which package syscall lacks on some architectures.
func sendmmsgNumber() uintptr {
	if runtime.GOARCH == "arm64" {
		return 269
	}
	return 307
}

// Send sends the first n datagrams, and gives how many the kernel took.
func (v *Vector) Send(raw syscall.RawConn, n int) (sent int) {
	raw.Control(func(fd uintptr) { sent = v.sendTo(fd, n) })
	return sent
}

func (v *Vector) sendTo(fd uintptr, n int) (sent int) {
	for sent < n {
		k, _, errno := syscall.Syscall6(sendmmsgNumber(), fd, uintptr(unsafe.Pointer(&v.msgs[sent])), uintptr(n-sent), syscall.MSG_DONTWAIT, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return sent
		}
		sent += int(k)
	}
	return sent
}

// Receive waits for datagrams and gives how many came.
func (v *Vector) Receive(raw syscall.RawConn) (n int, err error) {
	err = raw.Read(func(fd uintptr) bool {
		k, _, errno := syscall.Syscall6(syscall.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&v.msgs)), Batch, syscall.MSG_DONTWAIT, 0, 0)
		if errno == syscall.EAGAIN {
			return false
		}
		if errno == 0 {
			n = int(k)
		}
		return true // errors of ICMP and signals: look again
	})
	return n, err
}

// Set puts a message into place i, with another id.
func (v *Vector) Set(i int, msg []byte, id uint16) {
	n := copy(v.data[i][:], msg)
	v.data[i][0], v.data[i][1] = byte(id>>8), byte(id)
	v.iovs[i].SetLen(n)
}

// Get is the message that came in place i, until the next Receive.
func (v *Vector) Get(i int) []byte { return v.data[i][:v.msgs[i].len] }
