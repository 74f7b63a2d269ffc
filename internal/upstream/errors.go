package upstream

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"syscall"

	"lastgood/internal/event"
)

// Error is why an exchange brought no reply.
type Error struct {
	Result    event.Outcome // Timeout, Unreachable, Garbage, Spoofed or Budget
	Server    netip.AddrPort
	Transport event.Transport
	Text      string // short prose for people
	Err       error  // what the network said, or nil
	lives     bool
	untrusted bool
}

// Error gives server, transport and cause.
func (e *Error) Error() string {
	s := e.Server.String() + " over " + e.Transport.String() + ": " + e.Text
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives what the network said.
func (e *Error) Unwrap() error { return e.Err }

// Untrusted tells that who was reached over TLS did not prove to be the server.
func (e *Error) Untrusted() bool { return e.untrusted }

// Outcome is the error in the taxonomy of package event.
func (e *Error) Outcome() event.Outcome { return e.Result }

// Lives tells of an unreachable server that only TCP with it failed, for a
// question whose answer no datagram holds: it still answers others.
func (e *Error) Lives() bool { return e.lives }

func (x *exchange) fail(result event.Outcome, text string, err error) *Error {
	return &Error{Result: result, Server: x.q.Server, Transport: x.plan.transport(), Text: text, Err: err}
}

// netFail turns an error of a socket into an Error. A context that ended comes
// first: it is what made the socket fail.
func (x *exchange) netFail(ctx context.Context, doing string, err error) *Error {
	var e *Error
	var d *distrust
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &d):
		e = x.fail(event.Unreachable, d.text, nil)
		e.untrusted = true
		x.u.opt.Infra.Unreachable(x.u.opt.Clock.Now(), x.q.Server, d.text, false)
		return e
	case ctx.Err() != nil:
		return x.fail(event.Timeout, doing+": no reply", context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return x.fail(event.Timeout, doing+": no progress", err)
	case local(err):
		x.u.counts.localErrors.Add(1)
		return x.fail(event.Budget, doing+": no socket", err)
	}
	e = x.fail(event.Unreachable, doing, root(err))
	if e.lives = !x.condemns(err); !e.lives {
		x.u.opt.Infra.Unreachable(x.u.opt.Clock.Now(), x.q.Server, doing+": "+root(err).Error(), noRoute(err))
	}
	return e
}

// condemns tells whether an error speaks of the address as a whole: a server
// that refuses only TCP still answers over UDP, and one that hangs up lives.
func (x *exchange) condemns(err error) bool {
	if noRoute(err) || !x.plan.tcp {
		return true
	}
	return x.q.TCP && (!declined(err) || errors.Is(err, syscall.ECONNREFUSED))
}

// declined tells that the other side of a connection did not want it, or hung
// up: somebody is there.
func declined(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNREFUSED)
}

// local tells that our own system ran out of something: not the server's fault.
// EAGAIN is connect's for want of a port, ENOSPC epoll_ctl's for want of watches.
func local(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, errSockets)
}

// noRoute tells that a packet did not even leave this machine.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EAFNOSUPPORT)
}

// root is the system's error without the addresses that package net adds.
func root(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

var errSockets = errors.New("too many sockets open")
