package openloop

import (
	"encoding/binary"
	"net"
	"syscall"
)

// Stamp makes the kernel note when each datagram came, so that it does not
// matter when this program gets to read it.
func Stamp(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return err
	}
	return failed
}

// Sizes of the kernel's structures on 64-bit systems.
const (
	controlHeader = 16 // length 8, level 4, type 4
	timespecSize  = 16
)

// StampOf is the time, in nanoseconds of the wall clock, of control messages
// that came with a datagram.
func StampOf(b []byte) (at int64, ok bool) {
	order := binary.NativeEndian
	for len(b) >= controlHeader {
		size := order.Uint64(b)
		if size < controlHeader || size > uint64(len(b)) {
			return 0, false
		}
		level, kind := order.Uint32(b[8:]), order.Uint32(b[12:])
		if level == syscall.SOL_SOCKET && kind == syscall.SO_TIMESTAMPNS && size >= controlHeader+timespecSize {
			seconds, nanos := order.Uint64(b[controlHeader:]), order.Uint64(b[controlHeader+8:])
			return int64(seconds)*1e9 + int64(nanos), true
		}
		b = b[min(uint64(len(b)), (size+7)&^7):]
	}
	return 0, false
}

// Precise asks the kernel to wake this thread on time: it may otherwise be late
// by 50 µs to save wake-ups. Best effort: the lateness is measured.
func Precise(on bool) {
	const setTimerSlack = 29
	slack := uintptr(0) // as it was
	if on {
		slack = 1
	}
	syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, slack, 0)
}
