// Package proxy stands between DNS servers and those who ask them and makes
// the path worse: late, lossy, silent, truncating, stalling. It reads no more
// of a message than its identifier, flags and EDNS size, and never invents one.
package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxMessage  = 65535
	maxPending  = 2048             // datagrams under way at once; more are lost
	maxIdle     = 64               // sockets to the server kept for the next datagram
	serverWait  = 5 * time.Second  // how long the server may think
	connectWait = 30 * time.Second // how long a connection may last without a byte
)

// Faults say what befalls messages from now on. The zero value is a perfect
// path.
type Faults struct {
	Delay    time.Duration // before a reply goes out
	Jitter   time.Duration // and up to so much more, evenly spread
	Loss     float64       // probability that a datagram is lost, each way
	DropUDP  bool          // no datagram arrives
	DropTCP  bool          // connections are taken, and nothing is ever said
	Truncate bool          // replies over UDP keep their question only and carry TC
	StallTCP bool          // half of a reply comes over TCP, then nothing
}

// Stats count what went through since the start.
type Stats struct {
	Queries, Lost     int64 // datagrams that came in; of queries and replies, those lost on purpose
	Replies           int64 // datagrams that went out
	Connections       int64
	LargestReply      int64 // octets, over UDP
	LargestBufferSize int64 // that a query offered by EDNS
}

// A Dialer opens a socket to the server; network is udp or tcp.
type Dialer func(network, address string) (net.Conn, error)

// Config names both ends. The proxy owns the sockets and closes them.
type Config struct {
	UDP    net.PacketConn
	TCP    net.Listener
	Server string // host:port of what really answers
	Dial   Dialer
	Seed   uint64
}

// Proxy is one address in front of a server. Its methods may be used by many
// goroutines.
type Proxy struct {
	cfg    Config
	faults atomic.Pointer[Faults]
	idle   chan net.Conn
	tokens chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu  sync.Mutex
	rng *rand.Rand

	queries, lost, replies, connections, largest, offered atomic.Int64
}

// New makes a proxy; Run starts it.
func New(cfg Config) *Proxy {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		cfg: cfg, ctx: ctx, cancel: cancel,
		idle: make(chan net.Conn, maxIdle), tokens: make(chan struct{}, maxPending),
		rng: rand.New(rand.NewPCG(cfg.Seed, 0)),
	}
	p.faults.Store(&Faults{})
	return p
}

// Run serves until Close.
func (p *Proxy) Run() {
	p.wg.Add(2)
	go func() { defer p.wg.Done(); p.datagrams() }()
	go func() { defer p.wg.Done(); p.accept() }()
}

// Set replaces the faults, for messages that come in from now on.
func (p *Proxy) Set(f Faults) { p.faults.Store(&f) }

// Stats gives the counts so far.
func (p *Proxy) Stats() Stats {
	return Stats{p.queries.Load(), p.lost.Load(), p.replies.Load(), p.connections.Load(), p.largest.Load(), p.offered.Load()}
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	p.cancel()
	p.cfg.UDP.Close()
	p.cfg.TCP.Close()
	p.wg.Wait()
	for {
		select {
		case c := <-p.idle:
			c.Close()
		default:
			return
		}
	}
}

// chance rolls the dice for a loss.
func (p *Proxy) chance(f *Faults) bool {
	if f.Loss == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.Float64() >= f.Loss {
		return false
	}
	p.lost.Add(1)
	return true
}

// wait lets the delay pass; false when the proxy ended meanwhile.
func (p *Proxy) wait(f *Faults) bool {
	d := f.Delay
	if f.Jitter > 0 {
		p.mu.Lock()
		d += time.Duration(p.rng.Int64N(int64(f.Jitter)))
		p.mu.Unlock()
	}
	if d <= 0 {
		return p.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *Proxy) datagrams() {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := p.cfg.UDP.ReadFrom(buf)
		if err != nil {
			if p.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.queries.Add(1)
		raise(&p.offered, int64(bufferSize(buf[:n])))
		f := p.faults.Load()
		if f.DropUDP {
			p.lost.Add(1)
			continue
		}
		if p.chance(f) {
			continue
		}
		select {
		case p.tokens <- struct{}{}:
		default:
			p.lost.Add(1)
			continue
		}
		query := append([]byte(nil), buf[:n]...)
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			defer func() { <-p.tokens }()
			p.relay(query, from, f)
		}()
	}
}

// relay asks the server and sends its reply back.
func (p *Proxy) relay(query []byte, from net.Addr, f *Faults) {
	reply := p.askServer(query)
	if reply == nil || p.chance(f) || !p.wait(f) {
		return
	}
	if f.Truncate {
		reply = truncate(query, reply)
	}
	raise(&p.largest, int64(len(reply)))
	if _, err := p.cfg.UDP.WriteTo(reply, from); err == nil {
		p.replies.Add(1)
	}
}

func (p *Proxy) askServer(query []byte) []byte {
	var conn net.Conn
	select {
	case conn = <-p.idle:
	default:
		var err error
		if conn, err = p.cfg.Dial("udp", p.cfg.Server); err != nil {
			return nil
		}
	}
	stop := context.AfterFunc(p.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	reply := exchange(conn, query)
	if !stop() || reply == nil {
		conn.Close() // a late reply would meet the next query
		return reply
	}
	select {
	case p.idle <- conn:
	default:
		conn.Close()
	}
	return reply
}

func exchange(conn net.Conn, query []byte) []byte {
	conn.SetDeadline(time.Now().Add(serverWait))
	if _, err := conn.Write(query); err != nil {
		return nil
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil
		}
		if n >= 2 && len(query) >= 2 && buf[0] == query[0] && buf[1] == query[1] {
			return buf[:n]
		}
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.cfg.TCP.Accept()
		if err != nil {
			if p.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.connections.Add(1)
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			defer conn.Close()
			stop := context.AfterFunc(p.ctx, func() { conn.Close() })
			defer stop()
			p.stream(conn)
		}()
	}
}

// stream carries one connection.
func (p *Proxy) stream(client net.Conn) {
	client.SetDeadline(time.Now().Add(connectWait))
	if p.faults.Load().DropTCP {
		io.Copy(io.Discard, client)
		return
	}
	server, err := p.cfg.Dial("tcp", p.cfg.Server)
	if err != nil {
		return
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(connectWait))
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, client)
		server.Close()
	}()
	p.replyStream(client, server)
	client.Close()
	<-done
}

// replyStream copies the server's messages one by one.
func (p *Proxy) replyStream(client io.Writer, server io.Reader) {
	var length [2]byte
	for {
		if _, err := io.ReadFull(server, length[:]); err != nil {
			return
		}
		msg := make([]byte, 2+int(binary.BigEndian.Uint16(length[:])))
		copy(msg, length[:])
		if _, err := io.ReadFull(server, msg[2:]); err != nil {
			return
		}
		f := p.faults.Load()
		if !p.wait(f) {
			return
		}
		if f.StallTCP {
			client.Write(msg[:len(msg)/2])
			io.Copy(io.Discard, server) // until the client goes away
			return
		}
		if _, err := client.Write(msg); err != nil {
			return
		}
	}
}

func raise(v *atomic.Int64, to int64) {
	for old := v.Load(); to > old; old = v.Load() {
		if v.CompareAndSwap(old, to) {
			return
		}
	}
}

// truncate gives the reply's header and question, with TC.
func truncate(query, reply []byte) []byte {
	end := questionEnd(query)
	if end == 0 || len(reply) < end {
		return reply
	}
	short := append([]byte(nil), reply[:end]...)
	short[2] |= 0x02
	clear(short[6:12])
	return short
}

// questionEnd is where the one question of a message ends; 0 if there is none.
func questionEnd(m []byte) int {
	if len(m) < 12 || binary.BigEndian.Uint16(m[4:]) != 1 {
		return 0
	}
	for at := 12; at < len(m); at += 1 + int(m[at]) {
		if m[at] == 0 && at+5 <= len(m) {
			return at + 5
		}
		if m[at] > 63 {
			return 0
		}
	}
	return 0
}

// bufferSize is what the query's OPT record offers, if that is its only
// additional record; else 0.
func bufferSize(m []byte) int {
	at := questionEnd(m)
	if at == 0 || len(m) < at+11 || m[at] != 0 || binary.BigEndian.Uint16(m[at+1:]) != 41 {
		return 0
	}
	return int(binary.BigEndian.Uint16(m[at+3:]))
}
