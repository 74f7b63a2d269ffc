package listener

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

const (
	firstConnBuffer = 1024      // octets; it grows as a longer message arrives
	keptConnBuffer  = 8 << 10   // octets kept between messages
	flushAt         = 16 << 10  // octets of replies that are gathered before they are written
	workerBuffer    = 4 << 10   // octets that a worker's gathered replies begin with
	keptWorkerBuf   = 128 << 10 // octets of gathered replies that are kept for later

	drainPause = 10 * time.Millisecond // how long a read may take of what has arrived
	lastReads  = 256                   // that are done after the Listener stopped
)

// errGone is why a reply could not be sent on a connection that has ended.
var errGone = errors.New("connection is closed")

// conn is one TCP connection: a goroutine that reads, and one for each question
// that waits. Replies leave in the order in which they are ready (RFC 7766
// §6.2.1.1). No more is read while the pipeline is full or while the client
// does not take replies.
type conn struct {
	l      *Listener
	nc     net.Conn
	client netip.Addr
	key    netip.Addr
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	token  chan struct{} // capacity 1: who puts something in may write
	places chan struct{} // capacity Pipeline: one for each waiting question
	owed   atomic.Int32  // replies that are due, and the reader's handling of messages
	active atomic.Int64  // clock.Mono of the last whole message or reply
	stuck  atomic.Int64  // clock.Mono when the present write began; 0: there is none

	// The reader's.
	buf      []byte
	have     int        // octets in buf
	reserved bool       // a place is taken for the next message
	partial  clock.Mono // when the first octet of an unfinished message came; 0: there is none
	drain    clock.Mono // of a Listener that stops: until when to wait for more that had arrived
	drains   int        // and how often more had

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
	return c
}

// close ends the connection at once; harmless when it has ended.
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

// read handles messages until there is a reason to stop.
func (c *conn) read() ending {
	for {
		if !c.reserve() {
			return broken
		}
		if why := c.fill(); why != goesOn {
			return why
		}
		if why := c.process(); why != goesOn {
			return why
		}
	}
}

// reserve waits for a place for the next question.
func (c *conn) reserve() bool {
	if c.tryReserve() {
		return true
	}
	c.l.tcp.pipeline.Add(1)
	select {
	case c.places <- struct{}{}:
		c.reserved = true
	case <-c.ctx.Done():
	}
	return c.reserved
}

// next is the whole message at the start of what was read, if there is one.
func (c *conn) next(data []byte) (msg []byte, ok bool) {
	if len(data) < framePrefix {
		return nil, false
	}
	n := framePrefix + int(binary.BigEndian.Uint16(data))
	if len(data) < n {
		return nil, false
	}
	return data[framePrefix:n], true
}

// fill reads until there is a whole message.
func (c *conn) fill() ending {
	for {
		if _, ok := c.next(c.buf[:c.have]); ok {
			c.partial = 0
			return goesOn
		}
		now := c.l.clock.Now()
		if c.have > 0 && c.partial == 0 {
			c.partial = now
		}
		by, stopping := c.readBy(), c.l.stopping()
		if stopping {
			by = c.drainBy(now)
		}
		switch {
		case by <= now && stopping:
			return byUs
		case by <= now:
			return c.late()
		}
		c.nc.SetReadDeadline(c.l.clock.Deadline(by.Sub(now)))
		if !stopping && c.l.stopping() {
			continue // wake may have come before the deadline
		}
		c.grow()
		n, err := c.nc.Read(c.buf[c.have:])
		c.have += n
		if stopping && n > 0 {
			c.drain, c.drains = 0, c.drains+1
		}
		switch {
		case n > 0 || errors.Is(err, os.ErrDeadlineExceeded): // look again
		case c.ctx.Err() != nil:
			return broken
		case err == nil || errors.Is(err, io.EOF):
			return byPeer
		default:
			return broken
		}
	}
}

// drainBy is until when to look for what the kernel had received before the
// Listener stopped: unread, it would turn the close into a reset that takes the
// replies before it along.
func (c *conn) drainBy(now clock.Mono) clock.Mono {
	if c.drain == 0 && c.drains < lastReads {
		c.drain = now.Add(drainPause)
	}
	return c.drain
}

// readBy is until when to wait: a message must be complete within the idle time
// from its first octet, however slowly it trickles in; a connection that owes
// replies is not idle (RFC 7766 §6.2.3).
func (c *conn) readBy() clock.Mono {
	idle := c.l.opt.Limits.Idle
	switch {
	case c.partial != 0:
		return c.partial.Add(idle)
	case c.owed.Load() > 0:
		return c.l.clock.Now().Add(idle)
	}
	return clock.Mono(c.active.Load()).Add(idle)
}

// late says what a connection ends of whose time is over.
func (c *conn) late() ending {
	if c.partial != 0 {
		return isSlow
	}
	return isIdle
}

// grow makes room in the buffer. It doubles, so that who announces a long
// message has to send it before it costs memory.
func (c *conn) grow() {
	switch {
	case c.have < len(c.buf):
	case len(c.buf) == 0:
		c.buf = make([]byte, firstConnBuffer)
	default:
		more := make([]byte, min(2*len(c.buf), framePrefix+wire.MaxMessage))
		copy(more, c.buf[:c.have])
		c.buf = more
	}
}

// process handles the whole messages that were read, as far as there are places
// for their questions, and writes what could be answered at once.
func (c *conn) process() ending {
	c.owed.Add(1)
	defer c.owed.Add(-1)
	w := c.l.workers.Get().(*worker)
	defer c.l.giveBack(w)
	now := c.l.clock.Now()
	c.active.Store(int64(now))
	used, answered := 0, 0
	why := goesOn
	for why == goesOn && c.tryReserve() {
		msg, ok := c.next(c.buf[used:c.have])
		if !ok {
			break
		}
		used += framePrefix + len(msg)
		var n int
		n, why = c.one(w, msg, now)
		answered += n
		if len(w.buf) >= flushAt {
			if end := c.write(w); end != goesOn {
				return end
			}
		}
	}
	if end := c.write(w); end != goesOn {
		return end
	}
	w.counts.took(c.l.clock.Now().Sub(now), answered)
	c.shift(used)
	return why
}

// tryReserve takes a place for the next question if one is free.
func (c *conn) tryReserve() bool {
	if !c.reserved {
		select {
		case c.places <- struct{}{}:
			c.reserved = true
		default:
		}
	}
	return c.reserved
}

// one handles one message, its reply behind w.buf, and counts it when it was
// answered at once.
func (c *conn) one(w *worker, msg []byte, now clock.Mono) (answered int, why ending) {
	w.req = request{client: c.client, transport: event.TCP, arrival: now}
	mark := len(w.buf)
	out, act := w.handle(msg, append(w.buf, 0, 0))
	if act == waiting {
		if _, ok := c.l.gate.enter(c.key); ok {
			c.detach(w)
			return 0, goesOn
		}
		w.counts.busy.Add(1)
		out, act = w.refuse(append(w.buf, 0, 0))
	}
	if act == nothing {
		if len(msg) < wire.HeaderLen {
			return 0, garbage
		}
		return 0, goesOn
	}
	putFrame(out[mark:])
	w.buf = out
	return 1, goesOn
}

// detach lets the question that w left waiting be resolved, in the place that
// was reserved for it.
func (c *conn) detach(w *worker) {
	p := w.detach(new(pending))
	p.sender = c
	c.reserved = false
	c.owed.Add(1)
	c.l.wg.Go(func() {
		c.l.answer(c.ctx, p)
		c.active.Store(int64(c.l.clock.Now()))
		c.owed.Add(-1)
		<-c.places
	})
}

// shift moves what is left of the buffer to its start.
func (c *conn) shift(used int) {
	c.have = copy(c.buf, c.buf[used:c.have])
	if len(c.buf) > keptConnBuffer && c.have < firstConnBuffer {
		c.buf = append(make([]byte, 0, firstConnBuffer), c.buf[:c.have]...)[:firstConnBuffer]
	}
}

// write writes the gathered replies.
func (c *conn) write(w *worker) ending {
	w.settle()
	if len(w.buf) == 0 {
		return goesOn
	}
	err := c.writeOut(c.ctx, func(put func([]byte) error) error { return put(w.buf) })
	w.buf = w.buf[:0]
	switch {
	case err == nil:
		return goesOn
	case errors.Is(err, os.ErrDeadlineExceeded):
		return isSlow
	}
	return broken
}

// writeOut lets produce write whole replies while nobody else does. A reply is
// composed only when it may be written, so that a client that reads slowly
// holds one buffer and not many. After an error the connection is closed: the
// stream may be amid a message.
func (c *conn) writeOut(ctx context.Context, produce func(put func([]byte) error) error) error {
	select {
	case c.token <- struct{}{}:
	case <-ctx.Done():
		return errGone
	}
	defer func() { <-c.token }()
	err := produce(func(b []byte) error {
		c.stuck.Store(int64(c.l.clock.Now()))
		defer c.stuck.Store(0)
		c.nc.SetWriteDeadline(c.l.clock.Deadline(c.l.opt.Limits.Idle))
		_, err := c.nc.Write(b)
		return err
	})
	if err != nil {
		c.close()
	}
	return err
}

func (c *conn) send(ctx context.Context, p *pending, a *resolver.Answer) error {
	return c.writeOut(ctx, func(put func([]byte) error) error { return c.l.compose(p, a, put) })
}

// giveBack returns a worker that a connection borrowed.
func (l *Listener) giveBack(w *worker) {
	w.settle()
	w.buf = w.buf[:0]
	if cap(w.buf) <= keptWorkerBuf {
		l.workers.Put(w)
	}
}
