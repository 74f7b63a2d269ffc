package listener

import (
	"context"
	"errors"
	"net"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/resolver"
)

// queryBuffer is the largest query over UDP that is read whole, octets; the
// rest of a longer one is cut off, which makes it malformed.
const queryBuffer = 4096

// receivePause is how long a reader waits after an error that is not the
// socket's end, so that a lasting one does not spin.
const receivePause = 10 * time.Millisecond

// packetReader serves a socket by the portable way: one datagram at a time. On
// a host with several addresses its replies leave from the address asked only
// if the socket is bound to one.
type packetReader struct {
	l    *Listener
	conn net.PacketConn
	w    *worker
	buf  []byte
	out  []byte
}

func newPacketReader(l *Listener, conn net.PacketConn, w *worker) *packetReader {
	return &packetReader{l: l, conn: conn, w: w, buf: make([]byte, queryBuffer), out: make([]byte, 0, maxUDPSize)}
}

// serve reads until the Listener stops or the socket is closed.
func (s *packetReader) serve() {
	for {
		n, from, err := s.conn.ReadFrom(s.buf)
		if err == nil {
			s.one(s.buf[:n], from)
			continue
		}
		if s.l.stopping() || errors.Is(err, net.ErrClosed) {
			return
		}
		s.w.counts.receiveErrors.Add(1)
		if !s.l.pause(receivePause) {
			return
		}
	}
}

// one handles one datagram.
func (s *packetReader) one(msg []byte, from net.Addr) {
	w := s.w
	client := addrPort(from)
	if !client.IsValid() || client.Port() == 0 {
		w.counts.drop(DropSource, 1)
		return
	}
	now := s.l.clock.Now()
	w.req = request{client: client.Addr().WithZone(""), transport: event.UDP, arrival: now}
	reply, act := w.handle(msg, s.out[:0])
	w.settle()
	switch act {
	case replied:
		if _, err := s.conn.WriteTo(reply, from); err != nil {
			w.counts.drop(dropOf(err), 1)
			return
		}
		w.counts.took(s.l.clock.Now().Sub(now), 1)
	case waiting:
		if p := s.l.admit(w); p != nil {
			p.sender, p.addr = s, from
			s.l.answerLater(p)
		}
	}
}

// admit detaches the datagram's question that w left waiting if a bound allows,
// else counts it as dropped.
func (l *Listener) admit(w *worker) *pending {
	if reason, ok := l.gate.enter(clientKey(w.req.client), w.req.arrival); !ok {
		w.counts.drop(reason, 1)
		return nil
	}
	return w.detach(l.spare.Get().(*pending))
}

func (s *packetReader) send(_ context.Context, p *pending, a *resolver.Answer) error {
	return s.l.composed(p, a, func(reply []byte) error {
		_, err := s.conn.WriteTo(reply, p.addr)
		return err
	})
}
