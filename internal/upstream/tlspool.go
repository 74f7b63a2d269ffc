package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lastgood/internal/clock"
)

const (
	tlsPerServer   = 4                      // connections with a server
	tlsPerHasty    = 32                     // with one that closes each after a few replies: that is all it does at once
	tlsOutstanding = 200                    // questions on one that wait for their replies; with more another is opened
	tlsServers     = 256                    // whose sessions are remembered
	tlsIdle        = 30 * time.Second       // how long one is kept that its server sets no time for
	tlsIdleMost    = 5 * time.Minute        // whatever the server says
	tlsStall       = 2 * time.Second        // without any reply while questions wait: none is added
	tlsConnect     = 800 * time.Millisecond // the same of one that is being opened: less than from one recheck to the next
	tlsDead        = 30 * time.Second       // without any reply while questions wait: it is closed
	tlsDistrust    = 500 * time.Millisecond // how long a connection that failed is not tried again: it costs both sides
	tlsFew         = 10 * time.Second       // how long it is remembered that a server closes after so many replies
	tlsQuiet       = time.Second            // without any reply: one who hangs up on a question hangs up on all
	tlsHangUps     = 3                      // in a row: whatever it is asked
	tlsStrays      = 16                     // replies to nothing that was asked, on one connection
)

var (
	errOutstanding = errors.New("too many questions wait for this server")
	errSuperseded  = errors.New("given up for a new connection")
	errNonsense    = errors.New("replies to nothing that was asked")
	errNoReplies   = errors.New("no replies any more")
	errIdle        = errors.New("not needed any more")
)

// tlsPool has the connections over TLS. Unlike those over TCP they are shared: a
// connection carries many questions at once, whose replies come in any order
// (RFC 7766 §6.2.1.1), for a handshake costs two round trips and more.
//
// Bounds: tlsPerServer (or tlsPerHasty) connections with a server, tlsOutstanding questions on
// each, tlsServers servers that nothing is open to, and the sockets of all
// transports together. Each connection has two goroutines, which end with it.
type tlsPool struct {
	u *Upstream

	mu      sync.Mutex // never held while anything is waited for
	servers map[tlsKey]*tlsServer
	open    int // connections, those that are being opened too
	waiting int // questions on them
	closed  bool
}

// tlsKey is a server: the same address by another name, or on the word of others,
// is another.
type tlsKey struct {
	addr  netip.AddrPort
	name  string
	roots *x509.CertPool // nil: the system's
}

// tlsServer is one of them. Its fields are guarded by the pool's lock.
type tlsServer struct {
	key    tlsKey
	config *tls.Config // remembers the last session
	conns  []*tlsConn  // in the order of their beginning
	used   clock.Mono
	heard  clock.Mono // the last reply over any of them

	bad   error // how the last connection failed, with nothing heard for a while
	until clock.Mono

	hungUp int // connections that it ended with nothing but questions on them, since it was heard

	few      int // replies after which it closed a connection on which more waited
	fewUntil clock.Mono
}

// limit is how many questions are put on one connection, 0 when no bound is known.
// Some servers close after each reply, or after so many (RFC 7766 §6.2.3 lets them):
// what else had been written is lost with it.
func (s *tlsServer) limit(now clock.Mono) int {
	if now >= s.fewUntil {
		return 0
	}
	return s.few
}

// most is how many connections are open with it at once.
func (s *tlsServer) most(now clock.Mono) int {
	if s.limit(now) > 0 {
		return tlsPerHasty
	}
	return tlsPerServer
}

// closed notes that it closed a connection on which questions waited.
func (s *tlsServer) closed(now clock.Mono, replies int) {
	if few := s.limit(now); few > 0 {
		replies = min(replies, few)
	}
	s.few, s.fewUntil = replies, now.Add(tlsFew)
}

// ask puts a question on a connection to its server: one that is open and answers,
// else one that is being opened, else a new one.
func (p *tlsPool) ask(x *exchange) (*tlsQuestion, error) {
	if q, err := p.join(x); q != nil || err != nil {
		return q, err
	}
	if !p.u.acquire() { // without the lock, for it may close connections of ours
		return nil, errSockets
	}
	q, out, err := p.begin(x)
	if out != nil {
		p.hangUp(out, false)
	}
	if err != nil {
		p.u.release()
	}
	return q, err
}

// join adds a question to a connection that there is; nil when there is none.
func (p *tlsPool) join(x *exchange) (*tlsQuestion, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, net.ErrClosed
	}
	now := p.u.opt.Clock.Now()
	s := p.server(now, x)
	if s.bad != nil && now < s.until {
		return nil, s.bad
	}
	c := s.best(now)
	if c == nil {
		return nil, nil
	}
	if c.open {
		p.u.counts.tlsReused.Add(1)
	}
	return p.add(now, c, x), nil
}

// begin opens a connection for a question, unless somebody else just did. The
// socket is paid for by the caller: it becomes the connection's, or is given back
// here when there is one already. out is a connection that made room.
func (p *tlsPool) begin(x *exchange) (q *tlsQuestion, out *tlsConn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, net.ErrClosed
	}
	now := p.u.opt.Clock.Now()
	s := p.server(now, x)
	if c := s.best(now); c != nil {
		p.u.release()
		return p.add(now, c, x), nil, nil
	}
	if len(s.conns) >= s.most(now) {
		if out = s.worst(now); out == nil {
			p.u.counts.tlsFull.Add(1)
			return nil, nil, errOutstanding
		}
		p.drop(now, out, errSuperseded)
	}
	for _, c := range s.conns {
		if c.open && !c.told && c.stalled(now) {
			c.told = true
			p.u.counts.tlsStalled.Add(1)
		}
	}
	c := p.dial(now, s)
	return p.add(now, c, x), out, nil
}

// server gives what is known of a question's server, made when there is none. The
// lock is held.
func (p *tlsPool) server(now clock.Mono, x *exchange) *tlsServer {
	addr := netip.AddrPortFrom(x.q.Server.Addr().Unmap(), x.q.Server.Port())
	key := tlsKey{addr, x.q.TLS, p.u.opt.TLSRoots[x.q.Zone]}
	s := p.servers[key]
	if s == nil {
		if len(p.servers) >= tlsServers {
			p.forgetServer()
		}
		s = &tlsServer{key: key, config: &tls.Config{
			ServerName: key.name, RootCAs: key.roots, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"dot"}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
			Time: p.u.opt.Clock.Wall,
		}}
		if p.servers == nil {
			p.servers = map[tlsKey]*tlsServer{}
		}
		p.servers[key] = s
	}
	s.used = now
	return s
}

// forgetServer forgets the one used longest ago that nothing is open to. The lock
// is held.
func (p *tlsPool) forgetServer() {
	var oldest *tlsServer
	for _, s := range p.servers {
		if len(s.conns) == 0 && (oldest == nil || s.used < oldest.used) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(p.servers, oldest.key)
	}
}

// best gives the connection that a question is added to, nil when there is none.
func (s *tlsServer) best(now clock.Mono) (found *tlsConn) {
	limit := s.limit(now)
	for _, c := range s.conns {
		switch {
		case c.leaving || len(c.waiting) >= tlsOutstanding || c.stalled(now):
		case limit > 0:
			if found == nil || c.load() < found.load() {
				found = c
			}
		case c.open:
			return c
		case found == nil:
			found = c
		}
	}
	if limit > 0 && found != nil && found.load() >= limit && len(s.conns) < s.most(now) {
		return nil
	}
	return found
}

// worst gives one that may go for another, nil when all are of use: of those that
// do not get anywhere the oldest that is not even open, else the oldest. What was
// open may bring late replies.
func (s *tlsServer) worst(now clock.Mono) (found *tlsConn) {
	for _, c := range s.conns {
		if c.stalled(now) && (found == nil || found.open && !c.open) {
			found = c
		}
	}
	return found
}

// drop takes a connection out and gives its questions an end. The lock is held;
// hangUp does the rest without it. False when somebody else did.
func (p *tlsPool) drop(now clock.Mono, c *tlsConn, err error) bool {
	if c.ended {
		return false
	}
	c.ended = true
	c.cancel()
	c.timer.Stop()
	s := c.server
	s.conns = slices.DeleteFunc(s.conns, func(o *tlsConn) bool { return o == c })
	p.open--
	p.waiting -= len(c.waiting)
	if c.replies > 0 && len(c.waiting) > 0 && declined(err) {
		s.closed(now, c.replies)
	}
	dead := false
	for _, q := range c.waiting {
		if q.at != 0 {
			p.u.opt.Infra.Abandoned(now, s.key.addr, q.at)
		}
		// Not on a server that takes questions and hangs up on all of them.
		q.passed = q.wire != nil && (err == errSuperseded || c.replies > 0)
		q.again = err == errSuperseded || c.open && (q.kept || c.replies > 0 || q.wire != nil && s.limit(now) > 0)
		q.dead = c.open && !q.again && declined(err) && now.Sub(s.heard) >= tlsQuiet
		dead = dead || q.dead
		q.err = err
		close(q.done)
	}
	if dead {
		// Not after the first: that may be for its question.
		if s.hungUp++; s.hungUp >= tlsHangUps {
			s.bad, s.until = hangsUp{err}, now.Add(tlsDistrust)
		}
	}
	c.waiting, c.queue = nil, nil
	return true
}

// end closes a connection, whoever finds out first that it is over.
func (p *tlsPool) end(c *tlsConn, err error) {
	p.mu.Lock()
	mine := p.drop(p.u.opt.Clock.Now(), c, err)
	p.mu.Unlock()
	if mine {
		p.hangUp(c, false)
	}
}

// hangUp closes the socket of a connection that was dropped and gives it back;
// politely, the server is told that this is the end (RFC 8446 §6.1).
func (p *tlsPool) hangUp(c *tlsConn, politely bool) {
	p.mu.Lock()
	raw, conn := c.raw, c.conn
	p.mu.Unlock()
	switch {
	case raw == nil: // it is being opened: whoever does that sees the end
	case politely:
		_ = conn.Close()
	default:
		_ = raw.Close()
	}
	p.u.release()
}

// shed closes a connection that nothing waits on, for its socket is needed.
func (p *tlsPool) shed() bool {
	p.mu.Lock()
	var found *tlsConn
	for _, s := range p.servers {
		for _, c := range s.conns {
			if c.open && len(c.waiting) == 0 {
				found = c
			}
		}
	}
	mine := found != nil && p.drop(p.u.opt.Clock.Now(), found, errIdle)
	p.mu.Unlock()
	if mine {
		p.hangUp(found, false)
	}
	return mine
}

// close ends all connections; none is opened any more.
func (p *tlsPool) close() {
	p.mu.Lock()
	p.closed = true
	var all []*tlsConn
	for _, s := range p.servers {
		for _, c := range slices.Clone(s.conns) {
			if p.drop(p.u.opt.Clock.Now(), c, net.ErrClosed) {
				all = append(all, c)
			}
		}
	}
	p.mu.Unlock()
	for _, c := range all {
		p.hangUp(c, false)
	}
}

func (p *tlsPool) stats() (open, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.waiting
}
