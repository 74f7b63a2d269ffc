package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"lastgood/internal/clock"
)

// tlsConn is a connection with a server. Its fields are guarded by the pool's
// lock, but for those that never change.
type tlsConn struct {
	server *tlsServer
	ctx    context.Context // ends with it
	cancel context.CancelFunc
	wake   chan struct{} // of one: there is something to write

	raw   net.Conn  // nil while it is being opened
	conn  *tls.Conn // over raw
	open  bool      // the server is who it should be
	ended bool
	told  bool // counted as stalled

	began   clock.Mono
	usual   time.Duration // how long opening may take before it counts as silence
	overdue bool          // it took longer
	leaving bool          // the server wants it closed: no further questions

	waiting map[uint16]*tlsQuestion // by id
	queue   []*tlsQuestion          // of those, not yet written
	written int                     // questions so far
	replies int
	strays  int
	heard   clock.Mono // the last reply
	busy    clock.Mono // since when questions wait
	rested  clock.Mono // since when none do
	idle    time.Duration
	timer   *time.Timer // for due; lazily, it may fire early
}

// tlsQuestion is a question on a connection. What stands above done is guarded by
// the pool's lock; what is below is written before done is closed.
type tlsQuestion struct {
	conn *tlsConn
	id   uint16
	wire []byte     // framed, until it is written
	at   clock.Mono // when it was sent, or should have been; 0: not yet
	kept bool       // the connection was there before
	gone bool       // nobody waits any longer: its reply comes late

	done   chan struct{}
	msg    []byte // the reply
	came   clock.Mono
	err    error // or why there is none
	again  bool  // it is worth another connection
	passed bool  // it was not its turn: that connection does not count
	dead   bool  // the server takes questions and answers none
}

// dial begins to open a connection. The lock is held; the socket is paid for.
func (p *tlsPool) dial(now clock.Mono, s *tlsServer) *tlsConn {
	c := &tlsConn{
		server: s, wake: make(chan struct{}, 1), waiting: map[uint16]*tlsQuestion{},
		began: now, usual: tlsConnect, idle: tlsIdle,
	}
	if info, ok := p.u.opt.Infra.Server(now, s.key.addr); ok {
		c.usual = max(c.usual, min(4*info.SRTT, stallTCP))
	}
	c.ctx, c.cancel = context.WithCancel(p.u.lifetime)
	c.timer = time.AfterFunc(c.usual, func() { p.expire(c) })
	s.conns = append(s.conns, c)
	p.open++
	go p.run(c)
	return c
}

// run is the life of a connection.
func (p *tlsPool) run(c *tlsConn) {
	err := p.connect(c)
	if err == nil {
		go p.write(c)
		err = p.read(c)
	}
	p.end(c, err)
}

// connect opens it, up to the proof of who the server is. For infra that is no sign
// of life: a kernel takes connections for a server that is stopped, and a load
// balancer does whole handshakes for one that is gone.
func (p *tlsPool) connect(c *tlsConn) error {
	u, addr := p.u, c.server.key.addr
	ctx, cancel := context.WithTimeout(c.ctx, stallTCP)
	defer cancel()
	raw, err := u.opt.Network.DialTCP(ctx, addr)
	if err == nil {
		conn := tls.Client(raw, c.server.config)
		if !p.opened(c, raw, conn) {
			_ = raw.Close()
			return net.ErrClosed
		}
		err = p.shake(ctx, conn)
	}
	now := u.opt.Clock.Now()
	if err != nil {
		if ctx.Err() == nil {
			p.failed(now, c, err)
		}
		return err
	}
	u.counts.tlsOpened.Add(1)
	if conn := c.conn.ConnectionState(); conn.DidResume {
		u.counts.tlsResumed.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.open, c.heard, c.busy, c.rested = true, now, now, now
	c.server.bad = nil
	c.wakeUp()
	c.rearm(now)
	return nil
}

// opened notes the socket of a connection, false when that is over already.
func (p *tlsPool) opened(c *tlsConn, raw net.Conn, conn *tls.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.ended {
		return false
	}
	c.raw, c.conn = raw, conn
	return true
}

// shake does the handshake. What fails but for the network is distrust.
func (p *tlsPool) shake(ctx context.Context, conn *tls.Conn) error {
	err := conn.HandshakeContext(ctx)
	var n net.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.DeadlineExceeded // netFail asks why
	case declined(err), errors.As(err, &n) && !isAlert(err):
		return err
	}
	p.u.counts.tlsFailed.Add(1)
	return distrusted(err, p.u.opt.Clock.Wall())
}

// failed remembers why nothing came of a connection: distrust, or what befell it
// with a server that was not heard for a while. A dead one is not to get a
// connection for each question. What fails here, and not there, is none of it.
func (p *tlsPool) failed(now clock.Mono, c *tlsConn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := c.server
	var d *distrust
	switch {
	case errors.As(err, &d):
		s.bad, s.until = d, now.Add(tlsDistrust)
	case now.Sub(s.heard) >= tlsQuiet && !local(err) && !noRoute(err):
		s.bad, s.until = err, now.Add(tlsDistrust)
	}
}

// add puts a question on a connection, under an id that no other there has. The
// lock is held.
func (p *tlsPool) add(now clock.Mono, c *tlsConn, x *exchange) *tlsQuestion {
	id := x.m.id
	for c.waiting[id] != nil {
		id++
	}
	x.m.number(id)
	q := &tlsQuestion{conn: c, id: id, wire: bytes.Clone(x.m.framed()), kept: c.open, done: make(chan struct{})}
	if len(c.waiting) == 0 {
		c.busy = now
	}
	c.waiting[id] = q
	c.queue = append(c.queue, q)
	p.waiting++
	switch {
	case c.open:
		c.wakeUp()
	case c.overdue:
		p.sent(now, q)
	}
	return q
}

// sent tells infra of a question. The lock is held.
func (p *tlsPool) sent(now clock.Mono, q *tlsQuestion) {
	q.at = now
	p.u.opt.Infra.Sent(now, q.conn.server.key.addr)
}

// forget is for one who does not wait for the reply any longer. What was written
// keeps its id until the reply comes: that is late then, and counts all the same.
func (p *tlsPool) forget(q *tlsQuestion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := q.conn
	if c.waiting[q.id] != q {
		return
	}
	q.gone = true
	if q.wire == nil {
		return
	}
	now := p.u.opt.Clock.Now()
	if q.at != 0 {
		p.u.opt.Infra.Abandoned(now, c.server.key.addr, q.at)
	}
	c.queue = slices.DeleteFunc(c.queue, func(o *tlsQuestion) bool { return o == q })
	p.remove(now, c, q)
}

// remove takes a question off a connection. The lock is held.
func (p *tlsPool) remove(now clock.Mono, c *tlsConn, q *tlsQuestion) {
	delete(c.waiting, q.id)
	p.waiting--
	if len(c.waiting) == 0 && c.open {
		c.rested = now
		c.rearm(now)
	}
}

// wakeUp makes the writer look. The lock is held.
func (c *tlsConn) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what is queued, all that there is at once, until the connection
// ends.
func (p *tlsPool) write(c *tlsConn) {
	var buf []byte
	for {
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			return
		}
		var spent bool
		if buf, spent = p.gather(c, buf[:0]); spent {
			p.end(c, errSuperseded)
			return
		}
		if len(buf) == 0 {
			continue
		}
		if _, err := c.conn.Write(buf); err != nil {
			p.end(c, err)
			return
		}
	}
}

// gather takes what is queued, as much as the server answers on one connection.
// spent tells that it was all that is answered on this one.
func (p *tlsPool) gather(c *tlsConn, buf []byte) (_ []byte, spent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.u.opt.Clock.Now()
	if c.spent(now) && len(c.queue) > 0 {
		return buf, true
	}
	n := len(c.queue)
	if limit := c.server.limit(now); limit > 0 {
		n = min(n, max(limit-c.written, 0))
	}
	for _, q := range c.queue[:n] {
		buf = append(buf, q.wire...)
		q.wire = nil
		p.sent(now, q)
		p.u.counts.sentTLS.Add(1)
	}
	c.written += n
	c.queue = slices.Delete(c.queue, 0, n)
	return buf, false
}

// load is how many questions were put on a connection that may still be answered
// there, by a server that answers a few. The lock is held.
func (c *tlsConn) load() int { return c.written + len(c.queue) }

// spent tells that the server closes a connection about now, which had as many
// questions as it answers on one, and waits for none. The lock is held.
func (c *tlsConn) spent(now clock.Mono) bool {
	limit := c.server.limit(now)
	return limit > 0 && c.written >= limit && len(c.waiting) == len(c.queue)
}

// read hands replies out until the connection ends.
func (p *tlsPool) read(c *tlsConn) error {
	var size [2]byte
	for {
		if _, err := io.ReadFull(c.conn, size[:]); err != nil {
			return err
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c.conn, msg); err != nil {
			return err
		}
		if err := p.deliver(c, msg); err != nil {
			return err
		}
	}
}

// deliver gives a reply to the question with its id. An error is why the connection
// is over: too much came that belongs to none, or the server answers no more on it.
func (p *tlsPool) deliver(c *tlsConn, msg []byte) error {
	u := p.u
	now := u.opt.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var q *tlsQuestion
	if len(msg) >= 2 {
		q = c.waiting[binary.BigEndian.Uint16(msg)]
	}
	if q == nil || q.wire != nil {
		u.counts.wrongID.Add(1)
		if c.strays++; c.strays >= tlsStrays {
			return errNonsense
		}
		return nil
	}
	c.heard, c.told, c.server.heard = now, false, now
	c.server.hungUp = 0
	if c.replies++; c.replies > c.server.few {
		c.server.fewUntil = 0 // it answers more
	}
	p.remove(now, c, q)
	u.opt.Infra.Answered(now, c.server.key.addr, max(now.Sub(q.at), 1))
	if q.gone {
		u.counts.replies.Add(1)
		u.counts.late.Add(1)
	} else {
		q.msg, q.came = msg, now
		close(q.done)
	}
	if c.spent(now) {
		return errSuperseded
	}
	return nil
}

// keepFor takes the server's word on how long a connection may be idle (RFC 7828
// §3.2.2): it is closed a little before that, and at once when there is no time.
func (p *tlsPool) keepFor(c *tlsConn, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.ended {
		return
	}
	c.idle = min(d-d/8, tlsIdleMost)
	c.leaving = d == 0
	if len(c.waiting) == 0 {
		c.rearm(p.u.opt.Clock.Now())
	}
}

// stalled tells that nothing comes of a connection. It may yet, so it is not
// closed; but no question is added to it. The lock is held.
func (c *tlsConn) stalled(now clock.Mono) bool {
	if !c.open {
		return now.Sub(c.began) >= c.usual
	}
	return len(c.waiting) > 0 && now.Sub(max(c.heard, c.busy)) >= tlsStall
}

// due is when something is to be done about a connection, if nothing happens until
// then. The lock is held.
func (c *tlsConn) due() clock.Mono {
	switch {
	case !c.open:
		return c.began.Add(c.usual)
	case len(c.waiting) > 0:
		return max(c.heard, c.busy).Add(tlsDead)
	}
	return c.rested.Add(c.idle)
}

// rearm sets the timer. A question may come before it fires, and is not to wait
// longer than for a connection that is dead. The lock is held.
func (c *tlsConn) rearm(now clock.Mono) {
	if !c.ended {
		c.timer.Reset(max(min(c.due().Sub(now), tlsDead), 0))
	}
}

// expire does what is due: it tells infra of the silence of a server that a
// connection is being opened to, or closes a connection.
func (p *tlsPool) expire(c *tlsConn) {
	p.mu.Lock()
	now := p.u.opt.Clock.Now()
	switch {
	case c.ended:
		p.mu.Unlock()
	case now < c.due():
		c.rearm(now)
		p.mu.Unlock()
	case !c.open: // its context ends it
		if !c.overdue {
			c.overdue = true
			for _, q := range c.queue {
				p.sent(now, q)
			}
		}
		p.mu.Unlock()
	default:
		why, idle := errNoReplies, len(c.waiting) == 0
		if idle {
			why = errIdle
		}
		mine := p.drop(now, c, why)
		p.mu.Unlock()
		if mine {
			p.hangUp(c, idle)
		}
	}
}
