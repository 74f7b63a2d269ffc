package upstream

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is a socket's address as the kernel has it: a sockaddr_in, which
// fits, or a sockaddr_in6. The scope is 0: what has a zone is not for bare
// system calls.
type sockaddr struct {
	raw unix.RawSockaddrInet6
	len uint32
}

// sockaddrOf gives an address without zone the kernel's form.
func sockaddrOf(to netip.AddrPort) (s sockaddr) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&s.raw.Port))[:], to.Port())
	a := to.Addr().Unmap()
	if a.Is4() {
		s.raw.Family, s.len = unix.AF_INET, unix.SizeofSockaddrInet4
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw)).Addr = a.As4()
		return s
	}
	s.raw.Family, s.raw.Addr, s.len = unix.AF_INET6, a.As16(), unix.SizeofSockaddrInet6
	return s
}

// anywhere is the unspecified address of a family.
func anywhere(family uint16, port uint16) sockaddr {
	a := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		a = netip.IPv6Unspecified()
	}
	return sockaddrOf(netip.AddrPortFrom(a, port))
}

// nobody is the address that ends a UDP socket's connection, connect(2).
func nobody() sockaddr {
	return sockaddr{len: unix.SizeofSockaddrInet4} // family AF_UNSPEC
}

// same tells whether two are one address and port.
func (s *sockaddr) same(o *sockaddr) bool {
	if s.raw.Family != o.raw.Family || s.raw.Port != o.raw.Port {
		return false
	}
	if s.raw.Family == unix.AF_INET {
		return (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw)).Addr == (*unix.RawSockaddrInet4)(unsafe.Pointer(&o.raw)).Addr
	}
	return s.raw.Addr == o.raw.Addr
}

// bind and connect are the system calls; neither blocks, for datagrams.
func (s *sockaddr) bind(fd int) error { return s.give(unix.SYS_BIND, "bind", fd) }

func (s *sockaddr) connect(fd int) error { return s.give(unix.SYS_CONNECT, "connect", fd) }

func (s *sockaddr) give(call uintptr, name string, fd int) error {
	for {
		_, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&s.raw)), uintptr(s.len))
		switch errno {
		case 0:
			return nil
		case syscall.EINTR:
		default:
			return os.NewSyscallError(name, errno)
		}
	}
}
