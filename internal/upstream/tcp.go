package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// errTooLarge is a reply beyond Options.MaxBytes.
var errTooLarge = errors.New("reply larger than allowed")

// tcp sends the question over a connection: one kept from before if there is,
// else, or if that one turns out to be closed, a new one.
func (x *exchange) tcp(ctx context.Context) (arrival, *Error) {
	ctx, cancel := context.WithTimeout(ctx, stallTCP)
	defer cancel()
	if c := x.u.pool.get(x.q.Server); c != nil {
		got, err := x.converse(ctx, c)
		if err == nil {
			x.u.counts.tcpReused.Add(1)
			return got, nil
		}
		x.u.counts.tcpStale.Add(1)
		if ctx.Err() != nil {
			return arrival{}, x.netFail(ctx, "wait", err)
		}
		if !x.spend() {
			return arrival{}, x.overBudget()
		}
	}
	if !x.u.acquire() {
		return arrival{}, x.fail(event.Budget, "not sent", errSockets)
	}
	at := x.sent()
	c, err := x.u.opt.Network.DialTCP(ctx, x.q.Server)
	if err != nil {
		x.u.release()
		x.gaveUp(ctx, at, err)
		return arrival{}, x.netFail(ctx, "connect", err)
	}
	x.u.counts.tcpOpened.Add(1)
	// No silence, but no sign of life either: whoever opens connections may do that
	// for a server that is dead. The question has to be answered.
	x.u.opt.Infra.Abandoned(x.u.opt.Clock.Now(), x.q.Server, at)
	got, err := x.converse(ctx, c)
	if err != nil {
		return arrival{}, x.netFail(ctx, "over the connection", err)
	}
	return got, nil
}

// gaveUp withdraws what was sent when the caller stopped waiting for it, or when
// the server would not have it: that is no silence.
func (x *exchange) gaveUp(ctx context.Context, at clock.Mono, err error) {
	if ctx.Err() != nil || declined(err) {
		x.u.opt.Infra.Abandoned(x.u.opt.Clock.Now(), x.q.Server, at)
	}
}

// converse asks and reads over an open connection, which it keeps for the next
// question or closes.
func (x *exchange) converse(ctx context.Context, c net.Conn) (arrival, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	at := x.sent()
	x.u.counts.sentTCP.Add(1)
	got, err := x.talk(c, at)
	if !stop() || err != nil || got.fit != fits {
		x.u.hangUp(c)
	} else if !x.u.pool.put(x.q.Server, c, x.u.hangUp) {
		x.u.hangUp(c)
	}
	if err != nil {
		x.gaveUp(ctx, at, err)
		return arrival{}, err
	}
	return got, nil
}

// talk writes the question and reads one message. There is nothing else on the
// connection, so a message that does not belong to it is the server's fault.
func (x *exchange) talk(c net.Conn, at clock.Mono) (arrival, error) {
	if _, err := c.Write(x.m.framed()); err != nil {
		return arrival{}, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return arrival{}, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n > x.u.opt.MaxBytes {
		x.u.counts.tooLarge.Add(1)
		return arrival{}, x.fail(event.Garbage, "malformed reply", errTooLarge)
	}
	msg := make([]byte, n)
	if _, err := io.ReadFull(c, msg); err != nil {
		return arrival{}, err
	}
	now := x.u.opt.Clock.Now()
	x.u.opt.Infra.Answered(now, x.q.Server, 0)
	got, failure := x.take(msg, at, now)
	if failure != nil {
		return arrival{}, failure
	}
	return got, nil
}

// take makes what it is of a message that came over a connection to a question
// sent at the given time.
func (x *exchange) take(msg []byte, at, now clock.Mono) (arrival, *Error) {
	v, f := x.m.match(msg)
	x.u.counts.count(f)
	if f == wrongCase { // over TCP it may be handed out, if it is whole
		if _, err := wire.Read(msg); err != nil {
			f = malformed
		}
	}
	switch f {
	case wrongShort, wrongID, wrongQuestion:
		return arrival{}, x.fail(event.Garbage, "reply to another question", nil)
	}
	x.u.counts.replies.Add(1)
	return arrival{
		reply: iterator.Reply{View: v, Transport: x.plan.transport(), RTT: max(now.Sub(at), 1), At: now},
		fit:   f,
	}, nil
}

// hangUp closes a connection and gives its socket back.
func (u *Upstream) hangUp(c net.Conn) {
	_ = c.Close()
	u.release()
}

const (
	idlePerServer = 2
	idleInAll     = 128
)

// pool keeps connections between questions. A connection in it is nobody's; it
// is closed when its time is up, when the pool is full or by shed.
type pool struct {
	keep time.Duration

	mu     sync.Mutex
	idle   map[netip.AddrPort][]*idle
	count  int
	closed bool
}

type idle struct {
	conn  net.Conn
	timer *time.Timer
}

func newPool(keep time.Duration) *pool {
	return &pool{keep: keep, idle: make(map[netip.AddrPort][]*idle)}
}

// get takes the connection that was used last, nil when there is none.
func (p *pool) get(server netip.AddrPort) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[server]
	if len(list) == 0 {
		return nil
	}
	return p.take(server, list[len(list)-1])
}

// take removes one. The lock is held.
func (p *pool) take(server netip.AddrPort, e *idle) net.Conn {
	list := p.idle[server]
	at := slices.Index(list, e)
	if at < 0 {
		return nil
	}
	e.timer.Stop()
	p.count--
	if list = slices.Delete(list, at, at+1); len(list) == 0 {
		delete(p.idle, server)
	} else {
		p.idle[server] = list
	}
	return e.conn
}

// put keeps a connection; false, and it stays the caller's, when there is no
// room. drop gets it when its time is up.
func (p *pool) put(server netip.AddrPort, c net.Conn, drop func(net.Conn)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.keep < 0 || p.count >= idleInAll || len(p.idle[server]) >= idlePerServer {
		return false
	}
	e := &idle{conn: c}
	e.timer = time.AfterFunc(p.keep, func() {
		p.mu.Lock()
		gone := p.take(server, e)
		p.mu.Unlock()
		if gone != nil {
			drop(gone)
		}
	})
	p.idle[server] = append(p.idle[server], e)
	p.count++
	return true
}

// shed takes some connection out, nil when there is none.
func (p *pool) shed() net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for server, list := range p.idle {
		return p.take(server, list[0])
	}
	return nil
}

// close takes all out and keeps none from now on.
func (p *pool) close() (all []net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for server, list := range p.idle {
		for _, e := range slices.Clone(list) {
			all = append(all, p.take(server, e))
		}
	}
	return all
}

func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
