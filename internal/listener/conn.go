package listener

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/resolver"
)

const (
	flushAt       = 16 << 10  // octets of replies that are gathered before they are written
	workerBuffer  = 4 << 10   // octets that a worker's gathered replies begin with
	keptWorkerBuf = 128 << 10 // octets of gathered replies that are kept for later
)

// errGone is why a reply could not be sent on a connection that has ended.
var errGone = errors.New("connection is closed")

// conn is one TCP connection: a goroutine that reads, answers what is cached and
// writes that, and one for each question that waits. Replies leave in the order in
// which they are ready (RFC 7766 §6.2.1.1). No more is read while the pipeline is
// full or while the client does not take replies.
//
// A cached question alone costs a read and a write, many at once cost no more
// (BenchmarkCachedOverTCP): what comes is read into the buffer of a borrowed worker,
// its replies leave as one, and deadlines are set when they are over, not for each
// message.
type conn struct {
	l      *Listener
	nc     net.Conn
	raw    syscall.RawConn // of nc if it is the kernel's: it is read where it is; else nil
	client netip.Addr
	key    netip.Addr
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	token  chan struct{} // capacity 1: who puts something in may write, and has putBy
	putBy  clock.Mono    // until when nc's write deadline lets writes wait; 0: there is none yet
	places chan struct{} // capacity Pipeline: one for each waiting question
	owed   atomic.Int32  // replies that are due, and the reader's handling of messages
	active atomic.Int64  // clock.Mono of the last whole message or reply
	stuck  atomic.Int64  // clock.Mono when the present write began; 0: there is none

	reader // the reading goroutine's

	inAll, inClient place      // connTable.mu
	siblings        *list.List // all of the client's, itself among them; connTable.mu
}

func newConn(l *Listener, nc net.Conn, client netip.Addr) *conn {
	c := &conn{
		l: l, nc: nc, client: client, key: clientKey(client),
		token:  make(chan struct{}, 1),
		places: make(chan struct{}, l.opt.Limits.Pipeline),
	}
	c.ctx, c.cancel = context.WithCancel(l.ctx)
	c.active.Store(int64(l.clock.Now()))
	c.direct()
	return c
}

// close ends the connection at once; harmless when it has ended. The reader itself
// calls it only when it reads no more: the socket is closed when nobody is at it.
func (c *conn) close() {
	c.cancel()
	c.nc.Close()
}

// writePatience is for how long a client that does not take its replies counts
// as one that is owed them.
const writePatience = time.Second

// dispensable tells whether c may be closed to make room for another.
func (c *conn) dispensable(now clock.Mono) bool {
	stuck := clock.Mono(c.stuck.Load())
	return c.owed.Load() == 0 || stuck != 0 && now.Sub(stuck) > writePatience
}

// wake makes the reader look whether the Listener stops.
func (c *conn) wake() { c.nc.SetReadDeadline(time.Unix(1, 0)) }

// ending is why a connection is read no further.
type ending uint8

const (
	goesOn  ending = iota
	byPeer         // end of stream
	broken         // an error, or closed by us elsewhere
	isIdle         // nothing asked and nothing owed
	isSlow         // a message or a reply took too long
	garbage        // a message without a header
	byUs           // the Listener stops
)

func (c *conn) serve() {
	defer c.l.conns.remove(c)
	defer c.close()
	why := c.read()
	switch why {
	case isIdle:
		c.l.tcp.idle.Add(1)
	case isSlow:
		c.l.tcp.slow.Add(1)
	case garbage:
		c.l.tcp.garbage.Add(1)
	}
	if why == byPeer || why == byUs || why == garbage {
		c.settle()
	}
}

// settle waits until every question that was read has been answered, by taking
// all their places.
func (c *conn) settle() {
	taken := 0
	if c.reserved {
		taken = 1
	}
	for ; taken < cap(c.places); taken++ {
		select {
		case c.places <- struct{}{}:
		case <-c.ctx.Done():
			return
		}
	}
}

// write writes the gathered replies of the reader.
func (c *conn) write(w *worker) ending {
	w.settle()
	if len(w.buf) == 0 {
		return goesOn
	}
	err := c.enter(c.ctx)
	if err == nil {
		if n := c.writeNow(w.buf); n < len(w.buf) {
			err = c.put(w.buf[n:])
		}
		c.leave()
	}
	w.buf = w.buf[:0]
	switch {
	case err == nil:
		return goesOn
	case errors.Is(err, os.ErrDeadlineExceeded):
		return isSlow
	}
	return broken
}

// enter waits until nobody else writes.
func (c *conn) enter(ctx context.Context) error {
	select {
	case c.token <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errGone
	}
}

func (c *conn) leave() { <-c.token }

// put writes b whole, in the idle time at most. The deadline of an earlier write
// stands until it is over.
func (c *conn) put(b []byte) error {
	now := c.l.clock.Now()
	c.stuck.Store(int64(now))
	defer c.stuck.Store(0)
	for by := now.Add(c.l.opt.Limits.Idle); ; now = c.l.clock.Now() {
		if c.putBy <= now {
			c.putBy = by
			c.nc.SetWriteDeadline(c.l.clock.Deadline(by.Sub(now)))
		}
		n, err := c.nc.Write(b)
		b = b[n:]
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if c.putBy == by {
			return err
		}
		c.putBy = 0
	}
}

// send writes the reply to a question that waited. It is composed only when it may
// be written, so that a client that reads slowly holds one buffer and not many.
// After an error the connection is closed: the stream may be amid a message.
func (c *conn) send(ctx context.Context, p *pending, a *resolver.Answer) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave()
	err := c.l.composed(p, a, c.put)
	if err != nil {
		c.close()
	}
	return err
}

// giveBack returns a worker that a connection borrowed.
func (l *Listener) giveBack(w *worker) {
	w.settle()
	w.buf = w.buf[:0]
	if cap(w.buf) <= keptWorkerBuf {
		l.workers.Put(w)
	}
}
