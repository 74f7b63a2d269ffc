package simnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// endpoint is what all sockets have. Its fields are guarded by n.mu.
type endpoint struct {
	n             *Net
	h             *Host
	network       string // "udp" or "tcp"
	local, remote netip.AddrPort
	changed       sync.Cond // whatever somebody may wait for
	closed        bool
	readBy        deadline
	writeBy       deadline
}

// init makes an endpoint usable; it must not be copied afterwards.
func (e *endpoint) init(h *Host, network string, local, remote netip.AddrPort) {
	e.n, e.h, e.network, e.local, e.remote = h.n, h, network, local, remote
	e.changed.L = &h.n.mu
}

// deadline is a time from which on an operation fails.
type deadline struct {
	at    time.Time // zero: never
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// set moves a deadline, and wakes who waits then and now. The lock is held.
func (e *endpoint) set(d *deadline, t time.Time) {
	d.stop()
	d.at = t
	if !t.IsZero() && !d.passed() {
		d.timer = time.AfterFunc(time.Until(t), e.wake)
	}
	e.changed.Broadcast()
}

// wake lets everybody look again who waits at the endpoint.
func (e *endpoint) wake() {
	e.n.mu.Lock()
	defer e.n.mu.Unlock()
	e.changed.Broadcast()
}

// shut marks the endpoint closed and wakes who waits. The lock is held.
func (e *endpoint) shut() {
	e.closed = true
	e.readBy.stop()
	e.writeBy.stop()
	e.changed.Broadcast()
}

// usable returns why the endpoint cannot be used under a deadline, or nil. As
// in package net, a passed deadline counts even if there is something to read.
func (e *endpoint) usable(d *deadline) error {
	switch {
	case e.closed:
		return net.ErrClosed
	case d.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// SetDeadline sets both deadlines.
func (e *endpoint) SetDeadline(t time.Time) error {
	return e.setDeadlines(t, &e.readBy, &e.writeBy)
}

// SetReadDeadline sets the deadline of Read, ReadFrom and Accept.
func (e *endpoint) SetReadDeadline(t time.Time) error { return e.setDeadlines(t, &e.readBy) }

// SetWriteDeadline sets the deadline of Write and WriteTo.
func (e *endpoint) SetWriteDeadline(t time.Time) error { return e.setDeadlines(t, &e.writeBy) }

func (e *endpoint) setDeadlines(t time.Time, which ...*deadline) error {
	e.n.mu.Lock()
	defer e.n.mu.Unlock()
	if e.closed {
		return e.fail("set", net.ErrClosed)
	}
	for _, d := range which {
		e.set(d, t)
	}
	return nil
}

// LocalAddr returns the address the socket is bound to.
func (e *endpoint) LocalAddr() net.Addr { return address(e.network, e.local) }

// RemoteAddr returns the address the socket is connected to, nil when it is not.
func (e *endpoint) RemoteAddr() net.Addr { return address(e.network, e.remote) }

func (e *endpoint) fail(op string, err error) error {
	return opError(op, e.network, e.local, e.remote, err)
}

// opError wraps an error as package net does, so that callers can tell a
// timeout and find the cause.
func opError(op, network string, from, to netip.AddrPort, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{
		Op: op, Net: network, Source: address(network, from), Addr: address(network, to), Err: err,
	}
}

// address is nil, as an interface too, for the zero AddrPort.
func address(network string, a netip.AddrPort) net.Addr {
	switch {
	case a == netip.AddrPort{}:
		return nil
	case network == "udp":
		return net.UDPAddrFromAddrPort(a)
	default:
		return net.TCPAddrFromAddrPort(a)
	}
}
