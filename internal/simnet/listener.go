package simnet

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

const (
	// The SYN is repeated after 1 s, 3 s, 7 s … (RFC 6298 §2.1), and the dial
	// given up after 127 s, as Linux does.
	synRetry = time.Second
	synTries = 7
)

// listener accepts streams.
type listener struct {
	endpoint

	// Guarded by n.mu; together at most Options.Queue.
	half    int       // connections in their handshake
	backlog []*stream // established ones
}

// newListener opens a listener. The lock is held.
func (h *Host) newListener(at netip.AddrPort) (*listener, error) {
	if h.n.closed {
		return nil, closedError("listen", "tcp")
	}
	local, err := h.bind(unmap(at), func(a netip.AddrPort) bool { return h.listeners[a] != nil })
	if err != nil {
		return nil, opError("listen", "tcp", local, netip.AddrPort{}, err)
	}
	l := new(listener)
	l.init(h, "tcp", local, netip.AddrPort{})
	h.listeners[local] = l
	return l, nil
}

// Addr returns the address the listener is bound to.
func (l *listener) Addr() net.Addr { return l.LocalAddr() }

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	for {
		if err := l.usable(&l.readBy); err != nil {
			return nil, l.fail("accept", err)
		}
		if len(l.backlog) > 0 {
			s := l.backlog[0]
			l.backlog = slices.Delete(l.backlog, 0, 1)
			return s, nil
		}
		l.changed.Wait()
	}
}

// Close closes the listener; connections that nobody accepted are reset.
func (l *listener) Close() error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.closed {
		return l.fail("close", net.ErrClosed)
	}
	l.shut()
	delete(l.h.listeners, l.local)
	for _, s := range l.backlog {
		s.reset()
		delete(s.h.streams, s.flow())
	}
	l.backlog = nil
	return nil
}

// offer puts a connection whose handshake is complete before Accept. The lock
// is held.
func (l *listener) offer(s *stream) {
	if l.closed {
		s.reset()
		return
	}
	s.listener = nil
	l.half--
	s.established = true
	l.backlog = append(l.backlog, s)
	l.changed.Broadcast()
}

// abandonHandshake removes a connection that broke before Accept could have it.
// The lock is held.
func (s *stream) abandonHandshake() {
	if s.listener != nil {
		s.listener.half--
		s.listener = nil
		delete(s.h.streams, s.flow())
	}
}

// DialTCP opens a stream from a random port. It takes a round trip; a closed
// port refuses; silence is waited for until ctx ends, at most 127 s.
func (h *Host) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	to = unmap(to)
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	s, err := h.connect(ctx, to)
	if err != nil {
		return nil, opError("dial", "tcp", netip.AddrPort{}, to, err)
	}
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	for !s.established && s.broken == nil && !s.closed && ctx.Err() == nil {
		s.changed.Wait()
	}
	switch {
	case s.closed:
		err = net.ErrClosed
	case s.broken != nil:
		err = s.broken
	case !s.established:
		err = ctx.Err()
	default:
		return s, nil
	}
	s.shut()
	delete(h.streams, s.flow())
	return nil, opError("dial", "tcp", s.local, to, err)
}

// connect sends the first SYN of a new stream. The lock is held.
func (h *Host) connect(ctx context.Context, to netip.AddrPort) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h.n.closed {
		return nil, net.ErrClosed
	}
	local, err := h.localFor(to.Addr())
	if err != nil {
		return nil, err
	}
	from, err := h.bind(netip.AddrPortFrom(local, 0), func(a netip.AddrPort) bool {
		return h.streams[flow{a, to}] != nil || lookup(h.listeners, a) != nil
	})
	if err != nil {
		return nil, err
	}
	s := h.newStream(from, to)
	h.n.stats.Dials++
	s.syn(0)
	return s, nil
}

// syn sends a SYN and plans the next, which does nothing if there is an answer
// by then. The lock is held.
func (s *stream) syn(try int) {
	n := s.n
	switch {
	case s.closed || s.established || s.broken != nil:
		return
	case try == synTries:
		s.broken = syscall.ETIMEDOUT
		s.changed.Broadcast()
		return
	case try > 0:
		n.stats.Retransmits++
	}
	if dst := n.hostAt(s.h, s.remote.Addr()); dst != nil && !n.suffers(s.local.Addr(), Refuse) {
		if delay, ok := n.pass(s.h, dst, s.flow()); ok {
			n.schedule(n.Now()+delay, s.flow(), func() { dst.welcome(s) })
		}
	}
	n.schedule(n.Now()+synRetry<<try, s.flow(), func() { s.syn(try + 1) })
}

// welcome takes the SYN of a stream from elsewhere. The lock is held.
func (h *Host) welcome(from *stream) {
	n := h.n
	if from.peer != nil || from.broken != nil {
		return // a repetition of one that was answered
	}
	l := lookup(h.listeners, from.remote)
	if l == nil || n.suffers(from.remote.Addr(), Refuse) {
		n.refuse(h, from)
		return
	}
	if l.half+len(l.backlog) >= n.opt.Queue {
		n.stats.Overflow++
		return
	}
	s := h.newStream(from.remote, from.local)
	s.peer, from.peer = from, s
	s.listener = l
	l.half++
	s.transmit(segment{kind: segSynAck})
}

// refuse answers a SYN to a closed port. The lock is held.
func (n *Net) refuse(h *Host, from *stream) {
	back := from.flow().reverse()
	if delay, ok := n.pass(h, from.h, back); ok {
		n.schedule(n.Now()+delay, back, func() {
			if !from.established && from.broken == nil {
				from.broken = syscall.ECONNREFUSED
				from.changed.Broadcast()
			}
		})
	}
}

// resetAll resets all streams at an address. The lock is held.
func (n *Net) resetAll(addr netip.Addr) {
	h := n.hosts[addr]
	if h == nil {
		return
	}
	var flows []flow
	for f := range h.streams {
		if f.from.Addr() == addr {
			flows = append(flows, f)
		}
	}
	slices.SortFunc(flows, flow.compare) // a map has no order of its own
	for _, f := range flows {
		h.streams[f].reset()
	}
}
