package upstream

import (
	"context"
	"net"
	"net/netip"
	"time"

	"lastgood/internal/clock"
)

// datagrams is a connected UDP socket with a local port of its own: it hears
// only its server, and fails with what ICMP said. It has one question at a time
// and belongs to one goroutine.
type datagrams interface {
	Write(b []byte) (int, error)
	// ReadUntil reads one datagram, at most the first len(b) octets of it. It
	// fails with os.ErrDeadlineExceeded once ctx has ended or, unless wait is 0,
	// so much time has passed; reading may go on after that.
	ReadUntil(ctx context.Context, b []byte, wait time.Duration) (int, error)
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
func (c conn) ReadUntil(ctx context.Context, b []byte, wait time.Duration) (int, error) {
	var until time.Time
	if wait > 0 {
		until = c.u.opt.Clock.Deadline(wait)
	}
	if err := c.SetReadDeadline(until); err != nil {
		return 0, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.SetReadDeadline(longAgo)
		close(interrupted)
	})
	n, err := c.Read(b)
	if !stop() {
		<-interrupted // or it would interrupt a later Read
	}
	return n, err
}
