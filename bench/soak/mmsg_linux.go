package main

import (
	"net"
	"runtime"
	"syscall"
	"unsafe"
)

// batchSize is how many datagrams one system call takes.
const batchSize = 32

// maxReply is the largest reply that is read whole, octets.
const maxReply = 1500

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	hdr syscall.Msghdr
	len uint32
	_   [4]byte
}

// vector is a batch of datagrams on a connected socket.
type vector struct {
	msgs [batchSize]mmsghdr
	iovs [batchSize]syscall.Iovec
	data [batchSize][maxReply]byte
}

func newVector() *vector {
	v := new(vector)
	for i := range v.msgs {
		v.iovs[i].Base = &v.data[i][0]
		v.iovs[i].SetLen(maxReply)
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

// send sends the first n datagrams, and gives how many the kernel took.
func (v *vector) send(raw syscall.RawConn, n int) (sent int) {
	raw.Control(func(fd uintptr) {
		for sent < n {
			k, _, errno := syscall.Syscall6(sendmmsgNumber(), fd, uintptr(unsafe.Pointer(&v.msgs[sent])), uintptr(n-sent), syscall.MSG_DONTWAIT, 0, 0)
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 {
				return
			}
			sent += int(k)
		}
	})
	return sent
}

// receive waits for datagrams and gives how many came.
func (v *vector) receive(raw syscall.RawConn) (n int, err error) {
	err = raw.Read(func(fd uintptr) bool {
		k, _, errno := syscall.Syscall6(syscall.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&v.msgs)), batchSize, syscall.MSG_DONTWAIT, 0, 0)
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

// set puts a message into place i.
func (v *vector) set(i int, msg []byte, id uint16) {
	n := copy(v.data[i][:], msg)
	v.data[i][0], v.data[i][1] = byte(id>>8), byte(id)
	v.iovs[i].SetLen(n)
}

// get is the message in place i.
func (v *vector) get(i int) []byte { return v.data[i][:v.msgs[i].len] }

// client opens a socket to the server from an address of its own.
func client(i int) (*net.UDPConn, syscall.RawConn, error) {
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}
	conn, err := net.DialUDP("udp4", from, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: dnsPort})
	if err != nil {
		return nil, nil, err
	}
	conn.SetReadBuffer(4 << 20)
	raw, err := conn.SyscallConn()
	return conn, raw, err
}
