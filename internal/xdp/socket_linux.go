package xdp

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Frames of a queue, of frameLen octets each: 6 MiB.
const (
	rxFrames   = 2048 // for queries: as many can wait for us
	txFrames   = 1024 // for replies that the kernel has not sent yet
	allFrames  = rxFrames + txFrames
	sendBudget = 128 // replies that one system call sends, where the kernel can be told

	sendBuffer = 4 << 20 // octets; the kernel gives at most net.core.wmem_max
)

// optionTxBudget is XDP_MAX_TX_SKB_BUDGET (Linux 6.18).
const optionTxBudget = 9

// socket is an AF_XDP socket with its memory and rings.
type socket struct {
	fd         int
	memory     []byte // the UMEM: rxFrames for queries, then txFrames for replies
	rx         ring[unix.XDPDesc]
	tx         ring[unix.XDPDesc]
	fill       ring[uint64]
	completion ring[uint64]
	zeroCopy   bool
}

// openSocket opens a socket for a queue of an interface. What it opened before an
// error is closed again.
func openSocket(index, queue int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening an AF_XDP socket: %w", err)
	}
	s := &socket{fd: fd}
	if err := s.setUp(index, queue); err != nil {
		unix.Close(fd)
		s.unmap()
		return nil, err
	}
	return s, nil
}

func (s *socket) setUp(index, queue int) error {
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer) // else the system's will do
	if err := s.register(); err != nil {
		return err
	}
	unix.SetsockoptInt(s.fd, unix.SOL_XDP, optionTxBudget, sendBudget) // likewise
	if err := s.mapRings(); err != nil {
		return err
	}
	for i := range uint64(rxFrames) {
		s.fill.put(i * frameLen)
	}
	s.fill.publish()
	// Without XDP_COPY and XDP_ZEROCOPY the kernel takes the better that there is.
	at := &unix.SockaddrXDP{Flags: unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(index), QueueID: uint32(queue)}
	if err := unix.Bind(s.fd, at); err != nil {
		return fmt.Errorf("binding an AF_XDP socket: %w", err)
	}
	var options uint32
	if s.option(unix.XDP_OPTIONS, unsafe.Pointer(&options), unsafe.Sizeof(options)) == nil {
		s.zeroCopy = options&unix.XDP_OPTIONS_ZEROCOPY != 0
	}
	return nil
}

// register makes the memory for frames, and tells the kernel of it and of the
// rings' sizes.
func (s *socket) register() (err error) {
	s.memory, err = unix.Mmap(-1, 0, allFrames*frameLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("memory for frames: %w", err)
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(s.memory)))), Len: allFrames * frameLen, Size: frameLen}
	// Kernels before 6.8 know a shorter structure and refuse no longer one whose rest is nought.
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_UMEM_REG, uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0)
	if errno != 0 {
		return fmt.Errorf("registering memory for frames: %w", errno)
	}
	for _, r := range []struct{ option, n int }{
		{unix.XDP_UMEM_FILL_RING, rxFrames}, {unix.XDP_RX_RING, rxFrames},
		{unix.XDP_UMEM_COMPLETION_RING, txFrames}, {unix.XDP_TX_RING, txFrames},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, r.option, r.n); err != nil {
			return fmt.Errorf("making a ring: %w", err)
		}
	}
	return nil
}

func (s *socket) mapRings() (err error) {
	var at unix.XDPMmapOffsets
	if err := s.option(unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&at), unsafe.Sizeof(at)); err != nil {
		return fmt.Errorf("asking where the rings are: %w", err)
	}
	if s.rx, err = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_RX_RING, at.Rx, rxFrames); err != nil {
		return err
	}
	if s.tx, err = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_TX_RING, at.Tx, txFrames); err != nil {
		return err
	}
	if s.fill, err = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_FILL_RING, at.Fr, rxFrames); err != nil {
		return err
	}
	s.completion, err = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, at.Cr, txFrames)
	return err
}

// option reads an option of the socket that is a structure of n octets; shorter
// ones of older kernels are refused.
func (s *socket) option(name int, into unsafe.Pointer, n uintptr) error {
	length := uint32(n)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, uintptr(name), uintptr(into), uintptr(unsafe.Pointer(&length)), 0)
	switch {
	case errno != 0:
		return os.NewSyscallError("getsockopt", errno)
	case uintptr(length) != n:
		return fmt.Errorf("this kernel's AF_XDP is too old (Linux 5.9 or later is wanted)")
	}
	return nil
}

// frame is the memory at an offset of the UMEM; nil when the kernel, or we, named
// what is not within one of its frames.
func (s *socket) frame(at uint64, n uint32) []byte {
	if at >= uint64(len(s.memory)) || at%frameLen+uint64(n) > frameLen {
		return nil
	}
	return s.memory[at : at+uint64(n) : at+uint64(n)]
}

// unmap gives the memory back. The socket must be closed, and nothing of it be in use.
func (s *socket) unmap() {
	s.rx.unmap()
	s.tx.unmap()
	s.fill.unmap()
	s.completion.unmap()
	if s.memory != nil {
		unix.Munmap(s.memory)
		s.memory = nil
	}
}
