package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"lastgood/internal/clock"
)

// datagrams is a connected UDP socket with a local port of its own: it hears
// only its server, and fails with what ICMP said. It has one question at a time
// and belongs to one goroutine.
type datagrams interface {
	// Write sends a datagram. It may do so a moment later, from b, which is not to
	// be changed before the socket is closed or kept; ReadUntil fails then with what
	// Write would have.
	Write(b []byte) (int, error)
	// ReadUntil reads one datagram, into memory of its size that is the caller's;
	// what is longer than maxUDPSize is cut off and gets TC. It fails with
	// os.ErrDeadlineExceeded once ctx has ended or, unless until is 0, at until;
	// reading may go on after that.
	ReadUntil(ctx context.Context, until clock.Mono) ([]byte, error)
	Close() error
}

// datagramDialer is what a Network may be that has sockets cheaper than those
// of package net, and keeps them. Kept ones count among the open ones.
type datagramDialer interface {
	// dialDatagrams gives a socket that is connected to a server: one that was
	// kept, if chance points to one, or a new one. A server's address has no zone.
	dialDatagrams(now clock.Mono, to netip.AddrPort) (datagrams, error)
	// keep takes back a socket that no question is on any longer; false: it is
	// for the caller to close.
	keep(datagrams) bool
	// shed closes one of those kept and tells whether there was one.
	shed() bool
	// keeps tells how many are kept.
	keeps() int
	// close closes those kept, and keeps none any more.
	close()
}

// dialDatagrams gives a UDP socket to a server, within the bound of sockets.
func (u *Upstream) dialDatagrams(ctx context.Context, now clock.Mono, to netip.AddrPort) (datagrams, error) {
	if u.dialer != nil && to.Addr().Zone() == "" {
		return u.dialer.dialDatagrams(now, to)
	}
	if !u.acquire() {
		return nil, errSockets
	}
	c, err := u.opt.Network.DialUDP(ctx, to)
	if err != nil {
		u.release()
		return nil, err
	}
	return conn{c, u}, nil
}

// longAgo is a deadline that has passed on every clock, simulated ones too.
var longAgo = time.Unix(1, 0)

// conn makes datagrams of a connection of package net.
type conn struct {
	net.Conn
	u *Upstream
}

// ReadUntil reads one datagram; see datagrams.
func (c conn) ReadUntil(ctx context.Context, until clock.Mono) ([]byte, error) {
	var deadline time.Time
	if until != 0 {
		clock := c.u.opt.Clock
		deadline = clock.Deadline(max(until.Sub(clock.Now()), 1))
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.SetReadDeadline(longAgo)
		close(interrupted)
	})
	buf := c.u.buffers.get()
	defer c.u.buffers.put(buf)
	n, err := c.Read(buf[:])
	if !stop() {
		<-interrupted // or it would interrupt a later Read
	}
	if err != nil {
		return nil, err
	}
	return buf.message(n), nil
}

// buffer is what datagrams are read into: one octet more than a reply may have.
type buffer [maxUDPSize + 1]byte

// message is a copy of the first n octets, which is the caller's.
func (b *buffer) message(n int) []byte {
	msg := append(make([]byte, 0, n), b[:n]...)
	if n == len(b) {
		msg[2] |= bitTC // longer than we asked for, and cut off by the socket
	}
	return msg
}

// buffers are lent for reading.
type buffers struct{ sync.Pool }

func (p *buffers) get() *buffer {
	if b, _ := p.Get().(*buffer); b != nil {
		return b
	}
	return new(buffer)
}

func (p *buffers) put(b *buffer) { p.Put(b) }
