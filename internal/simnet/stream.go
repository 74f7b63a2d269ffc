package simnet

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

const (
	retransmitAfter = 200 * time.Millisecond // doubled each time
	maxRetransmit   = 6                      // then a segment gets through
	defaultMSS      = 1460
	smallestMSS     = 64
)

// segmentKind tells the pieces of a stream apart.
type segmentKind int

const (
	segData segmentKind = iota
	segSynAck
	segAck // the end of the handshake; data is not acknowledged by segments
	segFin
	segRst
)

type segment struct {
	kind segmentKind
	data []byte
}

// stream is one end of a connection, a net.Conn like net.TCPConn.
type stream struct {
	endpoint

	// Guarded by n.mu.
	peer        *stream   // nil until the SYN arrived
	listener    *listener // of an end that is not yet offered to Accept
	established bool
	broken      error // the connection was refused, reset or timed out

	// Receiving.
	in  []byte // arrived and unread, at most the window
	eof bool   // the peer's FIN arrived

	// Sending.
	unread  int           // bytes that the peer has not read yet, at most the window
	held    []segment     // what a cut holds back
	last    time.Duration // when the last segment arrives: none overtakes
	writing bool          // a Write is under way, others wait
	finSent bool
}

func (h *Host) newStream(local, remote netip.AddrPort) *stream {
	s := new(stream)
	s.init(h, "tcp", local, remote)
	h.streams[flow{local, remote}] = s
	return s
}

func (s *stream) flow() flow { return flow{s.local, s.remote} }

// Read reads what has arrived, waiting for the first byte.
func (s *stream) Read(b []byte) (int, error) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	for {
		err := s.usable(&s.readBy)
		switch {
		case err != nil:
			return 0, s.fail("read", err)
		case len(b) == 0:
			return 0, nil
		case len(s.in) > 0:
			k := copy(b, s.in)
			if s.in = s.in[k:]; len(s.in) == 0 {
				s.in = nil
			}
			s.peer.unread -= k
			s.peer.changed.Broadcast()
			return k, nil
		case s.broken != nil:
			return 0, s.fail("read", s.broken)
		case s.eof:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

// Write sends b, waiting while the window is full. Concurrent Writes do not mix
// their bytes.
func (s *stream) Write(b []byte) (int, error) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	for s.writing && !s.closed {
		s.changed.Wait()
	}
	s.writing = true
	defer func() {
		s.writing = false
		s.changed.Broadcast()
	}()
	for done := 0; ; {
		if err := s.writable(); err != nil {
			return done, s.fail("write", err)
		}
		if done == len(b) {
			return done, nil
		}
		k := min(len(b)-done, s.n.opt.Window-s.unread, s.mss())
		if k <= 0 {
			s.changed.Wait()
			continue
		}
		s.unread += k
		s.transmit(segment{segData, bytes.Clone(b[done : done+k])})
		done += k
	}
}

// writable returns why nothing can be written, or nil. The lock is held.
func (s *stream) writable() error {
	if err := s.usable(&s.writeBy); err != nil {
		return err
	}
	if s.finSent {
		return syscall.EPIPE
	}
	return s.broken
}

// mss is the largest segment that the link takes. The lock is held.
func (s *stream) mss() int {
	to := s.remote.Addr()
	if mtu := s.n.link(s.h, to).MTU; mtu > 0 {
		return max(smallestMSS, mtu-ipHeader(to)-20)
	}
	return defaultMSS
}

// CloseWrite ends the sending direction; the peer reads io.EOF after the rest.
func (s *stream) CloseWrite() error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if err := s.writable(); err != nil {
		return s.fail("close", err)
	}
	s.finish()
	return nil
}

// Close closes the connection. What was written still arrives, unless there
// was something unread, which resets the connection, as with the kernel.
func (s *stream) Close() error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.closed {
		return s.fail("close", net.ErrClosed)
	}
	s.shut()
	delete(s.h.streams, s.flow())
	switch {
	case !s.established || s.broken != nil:
	case len(s.in) > 0:
		s.transmit(segment{kind: segRst})
	default:
		s.finish()
	}
	s.in = nil
	return nil
}

// finish sends the FIN if none was sent. The lock is held.
func (s *stream) finish() {
	if !s.finSent {
		s.finSent = true
		s.transmit(segment{kind: segFin})
	}
}

// reset breaks the connection at both ends. The lock is held.
func (s *stream) reset() {
	if s.broken == nil {
		s.broken = syscall.ECONNRESET
		s.changed.Broadcast()
		s.abandonHandshake()
		if s.peer != nil {
			s.transmit(segment{kind: segRst})
		}
	}
}

// transmit sends a segment, or holds it back behind a cut. The lock is held.
func (s *stream) transmit(g segment) {
	stalled := len(s.held) > 0
	if !stalled && !s.severed() {
		s.depart(g)
		return
	}
	if g.kind == segRst {
		s.held = s.held[:0] // nobody wants the rest
	}
	s.held = append(s.held, g)
	if !stalled {
		s.n.stats.Stalls++
		s.n.stalled = append(s.n.stalled, s)
	}
}

// severed reports whether nothing gets from this end to the other. The lock is
// held.
func (s *stream) severed() bool {
	return s.n.cut(s.h, s.peer.h, s.flow()) || s.n.link(s.h, s.remote.Addr()).Loss >= 1
}

// depart schedules the arrival of a segment. The lock is held.
func (s *stream) depart(g segment) {
	n, to := s.n, s.peer
	link := n.link(s.h, s.remote.Addr())
	loss, jitter := n.draw(s.local.Addr(), s.remote.Addr())
	delay := link.delay(jitter)
	for try := 0; loss < link.Loss && try < maxRetransmit; try++ {
		n.stats.Retransmits++
		delay += retransmitAfter << try
		loss, _ = n.draw(s.local.Addr(), s.remote.Addr())
	}
	n.stats.Segments++
	s.last = max(s.last, n.Now()+delay)
	n.schedule(s.last, s.flow(), func() { to.arrive(g) })
}

// resume sends what was held back by cuts that are over. The lock is held.
func (n *Net) resume() {
	waiting := n.stalled
	n.stalled = nil
	for _, s := range waiting {
		if s.severed() {
			n.stalled = append(n.stalled, s)
			continue
		}
		held := s.held
		s.held = nil
		for _, g := range held {
			s.depart(g)
		}
	}
}

// arrive takes a segment from the peer. The lock is held.
func (s *stream) arrive(g segment) {
	defer s.changed.Broadcast()
	if s.broken != nil {
		return
	}
	if s.closed && (g.kind == segData || g.kind == segSynAck) {
		s.broken = syscall.ECONNRESET
		s.transmit(segment{kind: segRst})
		return
	}
	switch g.kind {
	case segSynAck:
		s.established = true
		s.transmit(segment{kind: segAck})
	case segAck:
		s.listener.offer(s)
	case segData:
		s.in = append(s.in, g.data...)
	case segFin:
		s.eof = true
	case segRst:
		s.broken = syscall.ECONNRESET
		s.abandonHandshake()
	}
}
