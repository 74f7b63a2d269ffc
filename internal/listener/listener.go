package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
)

// maxRetained is the largest buffer that is kept for later replies, octets.
const maxRetained = 1 << 16

// idleGoroutines is how many are kept for further questions that must wait.
const idleGoroutines = 256

// Listener answers questions on its sockets from Start to Shutdown.
type Listener struct {
	opt    Options
	policy *policy
	gate   *gate
	conns  *connTable
	tcp    tcpCounters
	log    *slog.Logger
	clock  *clock.Clock

	// What questions that had to wait, and connections, count.
	late    counters
	workers sync.Pool // *worker, lent to connections
	scratch sync.Pool // *scratch, lent to late replies
	spare   sync.Pool // *pending

	ctx    context.Context // of resolutions; ends when Shutdown loses patience
	cancel context.CancelFunc
	stop   chan struct{}            // closed when nothing new is taken
	wg     sync.WaitGroup           // of readers and connections
	later  sync.WaitGroup           // of datagrams' questions that wait
	crew   *resolver.Crew[*pending] // answers them
	warned limiter

	mu      sync.Mutex // guards what follows
	state   state
	packets []net.PacketConn
	streams []net.Listener
	counts  []*counters // of the UDP workers
}

type state uint8

const (
	idle state = iota
	running
	stopped
)

// scratch is what one late reply is built with.
type scratch struct {
	writer
	buf []byte
}

// New prepares a Listener; it opens nothing.
func New(o Options) *Listener {
	o = o.withDefaults()
	l := &Listener{
		opt: o, policy: newPolicy(&o), log: o.Log, clock: o.Clock,
		gate:  newGate(o.Limits.Waiting, o.Limits.WaitingPerClient),
		conns: newConnTable(o.Limits.Connections, o.Limits.ConnectionsPerClient),
		stop:  make(chan struct{}),
	}
	l.crew = resolver.NewCrew(idleGoroutines, l.answerDatagram)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.workers.New = func() any {
		w := l.newWorker(&l.late)
		w.buf = make([]byte, 0, workerBuffer)
		return w
	}
	l.spare.New = func() any { return new(pending) }
	l.scratch.New = func() any { return &scratch{buf: make([]byte, maxUDPSize)} }
	return l
}

func (l *Listener) newWorker(c *counters) *worker {
	return &worker{policy: l.policy, resolver: l.opt.Resolver, counts: c}
}

// Start opens the sockets and begins to answer. On an error nothing is left
// open; a Listener starts once.
func (l *Listener) Start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != idle {
		return errors.New("listener was started before")
	}
	l.state = stopped // until everything is open
	l.packets, l.streams = l.opt.PacketConns, l.opt.Listeners
	for _, addr := range l.opt.Addresses {
		packets, stream, err := l.open(addr)
		l.packets = append(l.packets, packets...)
		if stream != nil {
			l.streams = append(l.streams, stream)
		}
		if err != nil {
			l.closeSockets()
			return err
		}
	}
	if len(l.packets)+len(l.streams) == 0 {
		return errors.New("no address to listen on")
	}
	if err := l.startInterfaces(); err != nil {
		l.closeSockets()
		return err
	}
	l.state = running
	for _, pc := range l.packets {
		c := new(counters)
		l.counts = append(l.counts, c)
		serve := l.reader(pc, l.newWorker(c))
		l.wg.Go(serve)
	}
	for _, ln := range l.streams {
		l.wg.Go(func() { l.accept(ln) })
	}
	return nil
}

// closeSockets closes everything open; l.mu is held.
func (l *Listener) closeSockets() {
	for _, pc := range l.packets {
		pc.Close()
	}
	for _, ln := range l.streams {
		ln.Close()
	}
}

// Endpoint is where a Listener listens.
type Endpoint struct {
	Transport event.Transport
	Addr      netip.AddrPort
}

func (e Endpoint) String() string { return e.Transport.String() + " " + e.Addr.String() }

// Endpoints lists where it listens, each address once.
func (l *Listener) Endpoints() []Endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Endpoint
	seen := make(map[Endpoint]bool)
	add := func(t event.Transport, a net.Addr) {
		e := Endpoint{t, addrPort(a)}
		if !seen[e] {
			seen[e] = true
			list = append(list, e)
		}
	}
	for _, pc := range l.packets {
		add(event.UDP, pc.LocalAddr())
	}
	for _, ln := range l.streams {
		add(event.TCP, ln.Addr())
	}
	return list
}

// addrPort reads the address types of package net; invalid for others.
func addrPort(a net.Addr) netip.AddrPort {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Shutdown takes nothing new, answers what is in flight, and closes the
// sockets. When ctx ends before, what is left goes unanswered and its error is
// returned; questions of datagrams then end with the resolver, whose Close is the
// next thing to do.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	if l.state != running {
		if l.state == idle { // what was given is ours to close
			l.packets, l.streams = l.opt.PacketConns, l.opt.Listeners
			l.closeSockets()
		}
		l.state = stopped
		l.mu.Unlock()
		return nil
	}
	l.state = stopped
	close(l.stop)
	for _, i := range l.opt.Interfaces {
		i.Stop()
	}
	for _, pc := range l.packets {
		pc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; replies still leave
	}
	for _, ln := range l.streams {
		ln.Close()
	}
	l.mu.Unlock()
	l.conns.each((*conn).wake)

	done := make(chan struct{})
	go func() {
		l.wg.Wait()
		l.later.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("%d questions left unanswered: %w", l.gate.waiting.Load(), ctx.Err())
	}
	l.cancel()
	l.conns.each((*conn).close)
	l.mu.Lock()
	l.closeSockets()
	l.mu.Unlock()
	l.wg.Wait()
	for _, i := range l.opt.Interfaces {
		i.Close()
	}
	l.crew.Close()
	return err
}

// stopping tells whether Shutdown was called.
func (l *Listener) stopping() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// pause waits, false when the Listener stops meanwhile.
func (l *Listener) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.stop:
		return false
	}
}

// answerLater resolves a datagram's question in another goroutine.
func (l *Listener) answerLater(p *pending) {
	l.later.Add(1)
	l.crew.Go(p)
}

// answerDatagram is what that goroutine does. Nothing keeps p.
func (l *Listener) answerDatagram(p *pending) {
	defer l.later.Done()
	l.answer(l.ctx, p)
	*p = pending{}
	l.spare.Put(p)
}

// answer resolves a question that passed the gate and has it sent. ctx ends
// when nobody wants the answer any more.
func (l *Listener) answer(ctx context.Context, p *pending) {
	defer l.gate.leave(p.key)
	l.gate.begun()
	a := l.opt.Resolver.Resolve(ctx, p.query)
	switch {
	case a != nil:
		if err := p.sender.send(ctx, p, a); err != nil {
			l.late.drop(dropOf(err), 1)
			return
		}
		a.Release()
		l.late.took(l.clock.Now().Sub(p.arrival), 1)
	case ctx.Err() != nil && l.ctx.Err() == nil:
		l.late.drop(DropGone, 1)
	default:
		l.late.drop(DropUnanswered, 1)
	}
}

// dropOf says what a failure to send is counted as.
func dropOf(err error) Drop {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, errGone) {
		return DropGone
	}
	return DropSendError
}

// compose writes the reply to p behind dst.
func (l *Listener) compose(w *writer, p *pending, a *resolver.Answer, dst []byte) []byte {
	w.begin(l.policy, &p.request, dst)
	outcome := a.Write(&w.b)
	l.late.replied(p.transport, outcome)
	return w.end(l.policy, &p.request, outcome, a.Errors)
}

// composed writes the reply to p and gives it to write; the buffer is lent.
func (l *Listener) composed(p *pending, a *resolver.Answer, write func([]byte) error) error {
	s := l.scratch.Get().(*scratch)
	defer func() {
		if cap(s.buf) <= maxRetained {
			l.scratch.Put(s)
		}
	}()
	prefix := prefixOf(p.transport)
	reply := l.compose(&s.writer, p, a, s.buf[:prefix])
	s.buf = reply[:0] // it may have grown
	if prefix > 0 {
		putFrame(reply)
	}
	return write(reply)
}

// Stats sums what all workers counted.
func (l *Listener) Stats() Stats {
	s := newStats()
	l.mu.Lock()
	counts := l.counts
	l.mu.Unlock()
	for _, c := range counts {
		c.addTo(&s)
	}
	l.late.addTo(&s)
	s.Waiting = int(l.gate.waiting.Load())
	s.TCP = l.tcp.stats(l.conns.len())
	return s
}

// limiter lets a message through now and then.
type limiter struct {
	mu   sync.Mutex
	next clock.Mono
}

// allow tells whether the last message was at least every ago.
func (l *limiter) allow(now clock.Mono, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now < l.next {
		return false
	}
	l.next = now.Add(every)
	return true
}
