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

// Outcome is the error in the taxonomy of package event.
func (e *Error) Outcome() event.Outcome { return e.Result }

func (x *exchange) fail(result event.Outcome, text string, err error) *Error {
	return &Error{Result: result, Server: x.q.Server, Transport: x.plan.transport(), Text: text, Err: err}
}

// netFail turns an error of a socket into an Error. A context that ended comes
// first: it is what made the socket fail.
func (x *exchange) netFail(ctx context.Context, doing string, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case ctx.Err() != nil:
		return x.fail(event.Timeout, doing+": no reply", context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return x.fail(event.Timeout, doing+": no progress", err)
	case local(err):
		x.u.counts.localErrors.Add(1)
		return x.fail(event.Budget, doing+": no socket", err)
	}
	if x.condemns(err) {
		x.u.opt.Infra.Unreachable(x.u.opt.Clock.Now(), x.q.Server, doing+": "+root(err).Error(), noRoute(err))
	}
	return x.fail(event.Unreachable, doing, root(err))
}

// condemns tells whether an error speaks of the address as a whole: a server
// that refuses only TCP still answers over UDP, and one that hangs up lives.
func (x *exchange) condemns(err error) bool {
	if noRoute(err) || !x.plan.tcp {
		return true
	}
	return x.q.TCP && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE)
}

// local tells that our own system ran out of something: not the server's fault.
func local(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, errSockets)
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
