package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// tlsRounds bounds the connections that one sending of a question is put on: those
// that turn out to be closed are no fault of the question's (RFC 7766 §6.2.4). Those
// that closed before its turn came, when others had been answered, are not counted:
// they bring the others' ends nearer, and ctx bounds them.
const tlsRounds = 3

// tls asks over TLS (RFC 7858): over a connection that there is, or a new one.
// Whoever stops waiting leaves the question on it.
func (x *exchange) tls(ctx context.Context) (arrival, *Error) {
	ctx, cancel := context.WithTimeout(ctx, stallTCP)
	defer cancel()
	pool := &x.u.tls
	for round := 1; ; {
		q, err := pool.ask(x)
		if h := (hangsUp{}); errors.As(err, &h) {
			return arrival{}, x.hungUp(root(h.error))
		}
		if err != nil {
			return arrival{}, x.tlsFail(ctx, err)
		}
		select {
		case <-q.done:
		case <-ctx.Done():
			pool.forget(q)
			return arrival{}, x.netFail(ctx, "wait", ctx.Err())
		}
		switch {
		case q.err == nil:
			return x.overTLS(q)
		case q.dead:
			return arrival{}, x.hungUp(root(q.err))
		case !q.again || round == tlsRounds:
			return arrival{}, x.tlsFail(ctx, q.err)
		case q.wire == nil: // it had been sent
			round++
			x.u.counts.tlsStale.Add(1)
			if !x.spend() {
				return arrival{}, x.overBudget()
			}
		case !q.passed:
			round++
		}
	}
}

// hangsUp is an error of a server that takes questions and answers none.
type hangsUp struct{ error }

// hungUp is for a server that takes questions and answers none: what is reached is
// a load balancer perhaps, and the server is gone.
func (x *exchange) hungUp(err error) *Error {
	const text = "it takes questions and hangs up"
	x.u.opt.Infra.Unreachable(x.u.opt.Clock.Now(), x.q.Server, text, false)
	return x.fail(event.Unreachable, text, err)
}

// tlsFail is netFail for what may befall a connection besides.
func (x *exchange) tlsFail(ctx context.Context, err error) *Error {
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errSockets), errors.Is(err, errOutstanding):
		return x.fail(event.Budget, "not sent", err)
	case errors.Is(err, errSuperseded), errors.Is(err, errNoReplies), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return x.fail(event.Timeout, "no reply", err)
	case errors.Is(err, errNonsense):
		return x.fail(event.Garbage, "malformed reply", err)
	}
	return x.netFail(ctx, "connect", err)
}

// overTLS takes a reply over TLS, and what it says of the connection.
func (x *exchange) overTLS(q *tlsQuestion) (arrival, *Error) {
	if len(q.msg) > x.u.opt.MaxBytes {
		x.u.counts.tooLarge.Add(1)
		return arrival{}, x.fail(event.Garbage, "malformed reply", errTooLarge)
	}
	got, err := x.take(q.msg, q.at, q.came)
	if err != nil {
		x.u.tls.end(q.conn, err) // what else it says is worth no more
		return got, err
	}
	if got.fit == fits {
		e, _ := got.reply.View.EDNS()
		if o, ok := e.Option(wire.OptionKeepalive); ok && len(o) == 2 {
			x.u.tls.keepFor(q.conn, time.Duration(binary.BigEndian.Uint16(o))*100*time.Millisecond)
		}
	}
	return got, nil
}
