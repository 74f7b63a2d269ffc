package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// Bounds of one outlet.
const (
	maxHeld     = 4096 // replies that wait for their time; those on top are not sent
	maxConns    = 256  // connections at once; those on top are closed
	idleTimeout = 30 * time.Second
	errorPause  = 50 * time.Millisecond // after an error of a socket, lest it be busy with nothing else
	maxQuery    = 4096                  // octets of a datagram that are read
)

// Handler reacts to queries. [authority.Server] does.
type Handler interface {
	Handle(query []byte, t event.Transport, from netip.AddrPort, dst []byte) authority.Reaction
}

// Outlet lets a Handler answer on sockets, which may be the system's or a
// simulated network's. It sees to what a Reaction wants beyond the reply: that
// it is late, cut short, or comes from elsewhere.
type Outlet struct {
	Handler Handler
	UDP     net.PacketConn // nil: not served, as is TCP
	TCP     net.Listener
	Latency time.Duration // of every reply
	// Forge sends a datagram from somewhere else than the outlet's own address.
	Forge func(from authority.Source, to net.Addr, msg []byte)

	held held
}

// Serve answers until ctx ends, then closes the sockets. When it returns, no
// goroutine and no timer of it is left.
func (o *Outlet) Serve(ctx context.Context) {
	var readers sync.WaitGroup
	stop := context.AfterFunc(ctx, o.close)
	if o.UDP != nil {
		readers.Go(func() { o.serveUDP(ctx) })
	}
	if o.TCP != nil {
		readers.Go(func() { o.serveTCP(ctx) })
	}
	readers.Wait()
	stop()
	o.close()
	o.held.stop()
}

func (o *Outlet) close() {
	if o.UDP != nil {
		o.UDP.Close()
	}
	if o.TCP != nil {
		o.TCP.Close()
	}
}

// pause waits a little after an error, false when there is nothing to wait for.
func pause(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(errorPause):
		return true
	}
}

func (o *Outlet) serveUDP(ctx context.Context) {
	query, reply := make([]byte, maxQuery), make([]byte, 0, maxQuery)
	for {
		n, from, err := o.UDP.ReadFrom(query)
		if err != nil {
			if !pause(ctx, err) {
				return
			}
			continue
		}
		re := o.Handler.Handle(query[:n], event.UDP, addrPort(from), reply[:0])
		if re.Reply == nil {
			continue
		}
		delay := o.Latency + re.Delay
		if delay > 0 {
			re.Reply = bytes.Clone(re.Reply)
		}
		o.held.after(delay, func() {
			if re.Source != authority.Asked && o.Forge != nil {
				o.Forge(re.Source, from, re.Reply)
				return
			}
			_, _ = o.UDP.WriteTo(re.Reply, from) // a lost reply is the client's to notice
		})
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort()
	case *net.TCPAddr:
		return a.AddrPort()
	}
	return netip.AddrPort{}
}

func (o *Outlet) serveTCP(ctx context.Context) {
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := o.TCP.Accept()
		if err != nil {
			if !pause(ctx, err) {
				return
			}
			continue
		}
		select {
		case slots <- struct{}{}:
			conns.Go(func() {
				defer func() { <-slots }()
				o.serveConn(ctx, conn)
			})
		default:
			conn.Close()
		}
	}
}

// stream is one connection.
type stream struct {
	net.Conn
	turn    chan struct{} // held by who writes; a channel, since a Write may wait for long
	stalled bool          // guarded by turn: nothing is sent any more
}

// serveConn answers the queries of a connection, each when its time has come:
// out of order if need be (RFC 7766 §6.2.1.1).
func (o *Outlet) serveConn(ctx context.Context, conn net.Conn) {
	s := &stream{Conn: conn, turn: make(chan struct{}, 1)}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	idle := time.AfterFunc(idleTimeout, func() { conn.Close() })
	defer idle.Stop()
	from := addrPort(conn.RemoteAddr())
	query := make([]byte, wire.MaxMessage)
	for {
		n, err := readFrame(conn, query)
		if err != nil {
			return
		}
		idle.Reset(idleTimeout)
		re := o.Handler.Handle(query[:n], event.TCP, from, []byte{0, 0})
		switch {
		case re.Close:
			reset(conn)
			return
		case re.Reply != nil:
			binary.BigEndian.PutUint16(re.Reply, uint16(len(re.Reply)-2))
			o.held.after(o.Latency+re.Delay, func() { s.send(re) })
		}
	}
}

func readFrame(r io.Reader, buf []byte) (int, error) {
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(buf))
	_, err := io.ReadFull(r, buf[:n])
	return n, err
}

func (s *stream) send(re authority.Reaction) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.stalled {
		return
	}
	b := re.Reply
	if re.Stall > 0 && re.Stall < len(b) {
		s.stalled = true
		b = b[:re.Stall]
	}
	if _, err := s.Write(b); err != nil {
		s.Close()
	}
	for _, m := range re.More {
		if s.stalled {
			return
		}
		if _, err := s.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(m)), uint16(len(m))), m...)); err != nil {
			s.Close()
			return
		}
	}
}

// reset closes a connection as a server does that wants none of it.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // best effort: without it the client sees an orderly end
	}
	conn.Close()
}

// held are functions that wait for their time.
type held struct {
	mu      sync.Mutex
	stopped bool
	waiting map[*reply]struct{}
	running sync.WaitGroup
}

type reply struct{ timer *time.Timer }

// after calls f after d, at once when d is 0, and not at all when too much is
// waiting or stop was called.
func (h *held) after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped || len(h.waiting) >= maxHeld {
		return
	}
	if h.waiting == nil {
		h.waiting = map[*reply]struct{}{}
	}
	r := new(reply)
	r.timer = time.AfterFunc(d, func() {
		if h.claim(r) {
			defer h.running.Done()
			f()
		}
	})
	h.waiting[r] = struct{}{}
}

// claim lets a function run, unless stop was there before.
func (h *held) claim(r *reply) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, r)
	if h.stopped {
		return false
	}
	h.running.Add(1)
	return true
}

// stop drops what waits, and waits for what runs.
func (h *held) stop() {
	h.mu.Lock()
	h.stopped = true
	for r := range h.waiting {
		r.timer.Stop()
	}
	h.waiting = nil
	h.mu.Unlock()
	h.running.Wait()
}
