// Package front puts TLS before a DNS server that has none (RFC 7858), as a load
// balancer would, and makes the path as long as is wanted. It reads no message: a
// connection with a client has one of its own to the server, and octets go
// through.
package front

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunk    = 16 << 10
	underWay = 64 // chunks in one direction; more wait
)

// Config names both ends. The front owns the listener and closes it.
type Config struct {
	Listener net.Listener
	TLS      *tls.Config
	Dial     func() (net.Conn, error) // to the server, over TCP
	Latency  time.Duration            // of a round trip
}

// Stats count since the start.
type Stats struct {
	Connections int64 // handshakes that ended well
	Resumed     int64 // of those, with a session from before
	Refused     int64 // closed because the server could not be had
}

// Front is one address before a server.
type Front struct {
	cfg                           Config
	connections, resumed, refused atomic.Int64

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// New makes a front; Run starts it.
func New(cfg Config) *Front { return &Front{cfg: cfg, open: map[net.Conn]bool{}} }

// Run serves until Close.
func (f *Front) Run() {
	f.wg.Go(func() {
		for {
			c, err := f.cfg.Listener.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(c) })
		}
	})
}

// Stats gives the counts so far.
func (f *Front) Stats() Stats {
	return Stats{f.connections.Load(), f.resumed.Load(), f.refused.Load()}
}

// Close ends everything and waits for it.
func (f *Front) Close() {
	f.cfg.Listener.Close()
	f.mu.Lock()
	f.closed = true
	for c := range f.open {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// hold keeps a connection to be closed by Close, false when that has begun.
func (f *Front) hold(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Close()
		return false
	}
	f.open[c] = true
	return true
}

func (f *Front) let(c net.Conn) {
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, c)
}

func (f *Front) serve(raw net.Conn) {
	if !f.hold(raw) {
		return
	}
	defer f.let(raw)
	client := tls.Server(raw, f.cfg.TLS)
	<-time.After(2 * f.cfg.Latency) // TCP's round trip and that of TLS
	if err := client.Handshake(); err != nil {
		return
	}
	f.connections.Add(1)
	if client.ConnectionState().DidResume {
		f.resumed.Add(1)
	}
	server, err := f.cfg.Dial()
	if err != nil {
		f.refused.Add(1)
		return
	}
	if !f.hold(server) {
		return
	}
	defer f.let(server)
	// Whichever side ends first ends both.
	f.wg.Go(func() { defer raw.Close(); defer server.Close(); f.carry(server, client) })
	f.carry(client, server)
	server.Close()
}

// carry copies from one side to the other, each piece half a round trip late.
func (f *Front) carry(to io.Writer, from io.Reader) {
	type piece struct {
		octets []byte
		due    time.Time
	}
	pieces := make(chan piece, underWay)
	done := make(chan struct{})
	f.wg.Go(func() {
		defer close(done)
		for p := range pieces {
			<-time.After(time.Until(p.due))
			if _, err := to.Write(p.octets); err != nil {
				break
			}
		}
		for range pieces { // nobody is to wait for ever
		}
	})
	for {
		buf := make([]byte, chunk)
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{buf[:n], time.Now().Add(f.cfg.Latency / 2)}
		}
		if err != nil {
			close(pieces)
			<-done
			return
		}
	}
}
