package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/openloop"
)

const (
	clients  = 32               // sockets, each from an address of its own
	patience = 12 * time.Second // a question unanswered for so long is lost: the resolver's own deadline is 10 s
	sweeps   = 2 * time.Second  // how often lost questions are looked for
)

// generator asks at a rate and measures until the answers. Close ends it.
type generator struct {
	start   time.Time
	mix     *mix
	conns   [clients]*conn
	rate    atomic.Uint64 // float64 bits, questions a second
	done    chan struct{}
	running sync.WaitGroup

	asked, answered, lost, misfits atomic.Uint64
	behind                         atomic.Uint64 // questions that the generator was too slow to ask

	mu     sync.Mutex
	losses []loss
}

// loss is a question that nobody answered.
type loss struct {
	name  string
	class class
	asked time.Time
}

// maxLosses bounds how many lost questions are told by name.
const maxLosses = 1000

// conn is one client.
type conn struct {
	udp *net.UDPConn
	raw syscall.RawConn

	mu     sync.Mutex
	open   [1 << 16]open // by id
	nextID uint16
	hist   [classes]openloop.Histogram
}

// open is a question under way; asked is 0 when there is none.
type open struct {
	asked time.Duration // since the generator's start
	q     question
}

func newGenerator(seed uint64) (*generator, error) {
	g := &generator{start: time.Now(), mix: newMix(seed), done: make(chan struct{})}
	for i := range g.conns {
		udp, raw, err := client(i)
		if err != nil {
			g.close()
			return nil, err
		}
		g.conns[i] = &conn{udp: udp, raw: raw}
		g.running.Go(func() { g.receive(g.conns[i]) })
	}
	return g, nil
}

// client opens a socket to the server from an address of its own.
func client(i int) (*net.UDPConn, syscall.RawConn, error) {
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}
	conn, err := net.DialUDP("udp4", from, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: dnsPort})
	if err != nil {
		return nil, nil, err
	}
	conn.SetReadBuffer(4 << 20)
	raw, err := conn.SyscallConn()
	return conn, raw, err
}

func (g *generator) close() {
	close(g.done)
	for _, c := range g.conns {
		if c != nil {
			c.udp.Close()
		}
	}
	g.running.Wait()
}

func (g *generator) setRate(r float64) { g.rate.Store(math.Float64bits(r)) }

// tick is how often the generator looks whether questions are due, owing how
// much of a delay it makes up for: a longer one would become a burst.
const (
	tick  = time.Millisecond
	owing = 20 * time.Millisecond
)

// run asks until close.
func (g *generator) run() {
	v := openloop.NewVector()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due, at, swept, turn := 0.0, g.now(), g.now(), 0
	for {
		select {
		case <-g.done:
			return
		case <-ticker.C:
		}
		now := g.now()
		rate := math.Float64frombits(g.rate.Load())
		due += rate * (now - at).Seconds()
		at = now
		if most := rate * owing.Seconds(); due > most {
			g.behind.Add(uint64(due - most))
			due = most
		}
		for due >= 1 {
			n := min(int(due), openloop.Batch)
			g.ask(g.conns[turn%clients], v, n, g.mix.next)
			turn++
			due -= float64(n)
		}
		if now-swept > sweeps {
			swept = now
			g.sweep(now)
		}
	}
}

func (g *generator) now() time.Duration { return time.Since(g.start) }

// ask sends n questions from one client.
func (g *generator) ask(c *conn, v *openloop.Vector, n int, next func() question) {
	c.mu.Lock()
	now := g.now()
	var ids [openloop.Batch]uint16
	for i := range n {
		for c.open[c.nextID].asked != 0 { // never all 65,536: see patience and the rates that are reached
			c.nextID++
		}
		q := next()
		ids[i] = c.nextID
		c.open[c.nextID] = open{now, q}
		v.Set(i, q.msg, c.nextID)
		c.nextID++
	}
	c.mu.Unlock()
	sent := v.Send(c.raw, n)
	g.asked.Add(uint64(sent))
	if sent < n {
		g.behind.Add(uint64(n - sent))
		c.mu.Lock()
		for _, id := range ids[sent:n] {
			c.open[id].asked = 0
		}
		c.mu.Unlock()
	}
}

func (g *generator) receive(c *conn) {
	v := openloop.NewVector()
	for {
		n, err := v.Receive(c.raw)
		if err != nil {
			return
		}
		now, fits := g.now(), uint64(0)
		c.mu.Lock()
		for i := range n {
			msg := v.Get(i)
			if len(msg) < 12 {
				continue
			}
			o := &c.open[uint16(msg[0])<<8|uint16(msg[1])]
			if o.asked == 0 {
				continue
			}
			c.hist[o.q.class].Note(now - o.asked)
			o.asked = 0
			fits++
		}
		c.mu.Unlock()
		g.answered.Add(fits)
		g.misfits.Add(uint64(n) - fits)
	}
}

// sweep gives up on what nobody answered.
func (g *generator) sweep(now time.Duration) {
	for _, c := range g.conns {
		c.mu.Lock()
		for id := range c.open {
			if o := &c.open[id]; o.asked != 0 && now-o.asked > patience {
				g.lose(o)
			}
		}
		c.mu.Unlock()
	}
}

func (g *generator) lose(o *open) {
	g.lost.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.losses) < maxLosses {
		g.losses = append(g.losses, loss{o.q.name, o.q.class, g.start.Add(o.asked)})
	}
	o.asked = 0
}

// latencies is what all clients measured so far.
func (g *generator) latencies() (sum [classes]openloop.Histogram) {
	for _, c := range g.conns {
		c.mu.Lock()
		for k := range sum {
			sum[k].Add(&c.hist[k])
		}
		c.mu.Unlock()
	}
	return sum
}

// warm asks every popular and less popular name once.
func (g *generator) warm(ctx context.Context) error {
	v := openloop.NewVector()
	all := append(append(append([]question(nil), g.mix.popular[0]...), g.mix.popular[1]...), g.mix.lesser...)
	for i := 0; i < len(all); i += openloop.Batch {
		n, k := min(openloop.Batch, len(all)-i), i
		g.ask(g.conns[i/openloop.Batch%clients], v, n, func() question { k++; return all[k-1] })
		if err := machine.Wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return machine.Wait(ctx, 2*time.Second)
}

// What a rate must keep to count as within the capacity.
const (
	maxLoss = 0.001
	maxP99  = 10 * time.Millisecond
	probe   = 3 * time.Second
	slowest = 2000.0 // questions a second: where the ramp begins
)

// capacity finds the highest rate at which the cached questions lose at most 0.1 % and have a p99 of at most 10 ms, by a ramp and
// then halving the step.
func (g *generator) capacity(ctx context.Context) (float64, error) {
	rate, step := slowest, 2.0
	good := 0.0
	for range 24 {
		ok, err := g.sustains(ctx, rate)
		if err != nil {
			return 0, err
		}
		if ok {
			good = max(good, rate)
		} else {
			step = math.Sqrt(step)
		}
		if step < 1.04 {
			break
		}
		if rate = good * step; rate == 0 {
			return 0, fmt.Errorf("not even %.0f questions/s", slowest)
		}
	}
	g.setRate(0)
	return good, machine.Wait(ctx, time.Second)
}

func (g *generator) sustains(ctx context.Context, rate float64) (bool, error) {
	g.setRate(rate)
	if err := machine.Wait(ctx, time.Second); err != nil { // the queues settle
		return false, err
	}
	before, behind, asked := g.latencies(), g.behind.Load(), g.asked.Load()
	if err := machine.Wait(ctx, probe); err != nil {
		return false, err
	}
	behind, asked = g.behind.Load()-behind, g.asked.Load()-asked
	g.setRate(0)
	if err := machine.Wait(ctx, 500*time.Millisecond); err != nil {
		return false, err
	}
	after := g.latencies()
	cached := after[steady].Minus(&before[steady])
	p99, open := cached.Quantile(0.99), g.unanswered(steady)
	ok := p99 <= maxP99 && float64(open) <= maxLoss*float64(cached.Count()) && float64(behind) <= 0.02*float64(asked)
	log.Printf("%7.0f questions/s: cached p99 %v, %d unanswered, %d not asked in time: %v", rate, p99, open, behind, ok)
	g.forget()
	return ok, nil
}

// unanswered counts the open questions of a class.
func (g *generator) unanswered(k class) (n int) {
	for _, c := range g.conns {
		c.mu.Lock()
		for i := range c.open {
			if c.open[i].asked != 0 && c.open[i].q.class == k {
				n++
			}
		}
		c.mu.Unlock()
	}
	return n
}

// forget gives up on all open questions without calling them lost.
func (g *generator) forget() {
	for _, c := range g.conns {
		c.mu.Lock()
		for i := range c.open {
			c.open[i].asked = 0
		}
		c.mu.Unlock()
	}
}
