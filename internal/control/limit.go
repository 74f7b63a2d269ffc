package control

import (
	"net"
	"sync"
	"sync/atomic"
)

// MaxConns is how many connections may be open: a scraper, probes, and some
// people's commands. It holds before anybody has shown a token.
const MaxConns = 64

// limited is a listener that closes connections beyond MaxConns at once.
type limited struct {
	net.Listener
	open    atomic.Int32
	refused atomic.Uint64
}

// Accept gives the next connection that there is room for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= MaxConns {
			return &counted{Conn: conn, gone: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		l.refused.Add(1)
		conn.Close()
	}
}

// counted is a connection that leaves room for another when it is closed.
type counted struct {
	net.Conn
	gone func()
}

// Close closes the connection.
func (c *counted) Close() error {
	defer c.gone()
	return c.Conn.Close()
}
