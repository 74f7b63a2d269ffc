package listener

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const (
	readSize        = 16 << 10 // octets that a worker has room for: what one read gets at most
	firstConnBuffer = 1024     // octets; it grows as a longer message arrives
	keptConnBuffer  = 8 << 10  // octets kept between messages

	drainPause = 10 * time.Millisecond // how long a read may take of what has arrived
	lastReads  = 256                   // that are done after the Listener stopped
)

// reader is what the reading goroutine of a connection has.
type reader struct {
	buf      []byte     // what was read and not handled yet: part of a message, or what the full pipeline left
	have     int        // octets in buf
	reserved bool       // a place is taken for the next message
	partial  clock.Mono // when the first octet of an unfinished message came; 0: there is none
	getBy    clock.Mono // until when the read deadline lets reads wait; 0: there is none
	drain    clock.Mono // of a Listener that stops: until when to wait for more that had arrived
	drains   int        // and how often more had
	why      ending     // what readable found

	fd       uintptr               // of the socket, while readable has it
	readable func(fd uintptr) bool // handles what comes; made once, for a closure would allocate at each call
}

// read handles messages until there is a reason to stop.
func (c *conn) read() ending {
	for {
		if !c.reserve() {
			return broken
		}
		why := c.again()
		if why == goesOn {
			why = c.fill()
		}
		if why != goesOn {
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

// again handles what the full pipeline left.
func (c *conn) again() ending {
	if _, ok := c.next(c.buf[:c.have]); !ok {
		return goesOn
	}
	w := c.l.workers.Get().(*worker)
	defer c.l.giveBack(w)
	return c.handle(w, c.buf[:c.have])
}

// fill waits until more has come, or until it is time to look at deadlines, and
// handles it.
func (c *conn) fill() ending {
	if _, ok := c.next(c.buf[:c.have]); ok {
		return goesOn // there are no places
	}
	now := c.l.clock.Now()
	by, stopping := c.readBy(now), c.l.stopping()
	if stopping {
		by = c.drainBy(now)
	}
	switch {
	case by <= now && stopping:
		return byUs
	case by <= now:
		return c.late()
	case stopping || c.getBy <= now: // else it is not later than by, which only moves on
		c.getBy = by
		c.nc.SetReadDeadline(c.l.clock.Deadline(by.Sub(now)))
		if !stopping && c.l.stopping() {
			return goesOn // wake may have come before the deadline
		}
	}
	err := c.receive()
	switch {
	case err == nil:
		return c.why
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.getBy = 0
		return goesOn
	case c.ctx.Err() == nil && errors.Is(err, io.EOF):
		return byPeer
	}
	return broken
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
func (c *conn) readBy(now clock.Mono) clock.Mono {
	idle := c.l.opt.Limits.Idle
	switch {
	case c.partial != 0:
		return c.partial.Add(idle)
	case c.owed.Load() > 0:
		return now.Add(idle)
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

// receive waits for octets and handles them: where they were read if the system
// tells when there are some, so that an idle connection holds no buffer.
func (c *conn) receive() error {
	if c.raw != nil {
		return c.raw.Read(c.readable)
	}
	c.grow()
	n, err := c.nc.Read(c.buf[c.have:])
	if n == 0 {
		return err
	}
	w := c.l.workers.Get().(*worker)
	defer c.l.giveBack(w)
	c.why = c.came(w, c.buf[:c.have+n])
	return nil // an error beside octets comes again
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

// came handles what was read: data, which is in the worker's buffer or c.buf.
func (c *conn) came(w *worker, data []byte) ending {
	if c.l.stopping() {
		c.drain, c.drains = 0, c.drains+1
	}
	return c.handle(w, data)
}

// handle handles the whole messages at the start of data, as far as there are places
// for their questions, writes what could be answered at once, and keeps the rest.
func (c *conn) handle(w *worker, data []byte) ending {
	c.owed.Add(1)
	defer c.owed.Add(-1)
	now := c.l.clock.Now()
	used, answered, why := 0, 0, goesOn
	for why == goesOn && c.tryReserve() {
		msg, ok := c.next(data[used:])
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
	if used > 0 {
		c.active.Store(int64(now))
	}
	if end := c.write(w); end != goesOn {
		return end
	}
	if answered > 0 {
		w.counts.took(c.l.clock.Now().Sub(now), answered)
	}
	c.keep(data[used:], used > 0, now)
	return why
}

// one handles one message, its reply behind w.buf, and counts it when it was
// answered at once.
func (c *conn) one(w *worker, msg []byte, now clock.Mono) (answered int, why ending) {
	w.req = request{client: c.client, transport: event.TCP, arrival: now}
	mark := len(w.buf)
	out, act := w.handle(msg, append(w.buf, 0, 0))
	if act == waiting {
		if _, ok := c.l.gate.enter(c.key, now); ok {
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

// keep keeps what is left of what was read. When messages before it were whole, or
// there was nothing, its first octet came now.
func (c *conn) keep(left []byte, begun bool, now clock.Mono) {
	switch {
	case len(left) == 0:
		c.partial = 0
	case begun || c.partial == 0:
		c.partial = now
	}
	switch {
	case len(left) > len(c.buf):
		c.buf = append(make([]byte, 0, max(firstConnBuffer, len(left))), left...)
	case len(c.buf) > keptConnBuffer && len(left) < firstConnBuffer:
		c.buf = append(make([]byte, 0, firstConnBuffer), left...)
	default:
		copy(c.buf, left)
	}
	c.have = len(left)
	c.buf = c.buf[:cap(c.buf)]
}
