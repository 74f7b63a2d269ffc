package simnet

import (
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	defaultQueue  = 4096
	defaultWindow = 64 << 10
)

// Options are a network's properties that never change.
type Options struct {
	// Seed is where all chance comes from: loss, jitter, ephemeral ports.
	Seed uint64
	// Queue bounds what a socket holds: datagrams not yet read, connections not
	// yet accepted. What comes on top is dropped and counted. 0 means 4096.
	Queue int
	// Window bounds the bytes that are on their way or unread in one direction
	// of a stream; beyond it Write waits. 0 means 64 KiB.
	Window int
}

// Net is a network. All methods may be called from any goroutine of the bubble
// in which New was called.
type Net struct {
	opt   Options
	start time.Time

	mu      sync.Mutex // guards everything below and all sockets; held only for moments
	closed  bool
	hosts   map[netip.Addr]*Host
	stats   Stats
	events  eventQueue
	seq     uint64
	timer   *time.Timer // armed for events[0]
	chance  map[pair]*rand.Rand
	links   map[linkKey]Link
	apart   map[[2]*Host]bool
	outages map[netip.Addr][]outage
	stalled []*stream // streams with held segments, in the order they stalled
	taps    []*func(Packet)
	filters []*func(*Packet) bool
}

// pair is the two addresses of everything that one host sends to another.
type pair struct{ from, to netip.Addr }

// New returns a network without hosts, whose links are perfect: no latency, no
// loss, no MTU.
func New(o Options) *Net {
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	return &Net{
		opt:     o,
		start:   time.Now(),
		hosts:   make(map[netip.Addr]*Host),
		chance:  make(map[pair]*rand.Rand),
		links:   make(map[linkKey]Link),
		apart:   make(map[[2]*Host]bool),
		outages: make(map[netip.Addr][]outage),
	}
}

// Now returns the virtual time since New, the scale of [Packet].At.
func (n *Net) Now() time.Duration { return time.Since(n.start) }

// Close ends everything: all sockets are closed, what is under way is lost, and
// no timer is left. It may be called more than once.
func (n *Net) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.events = nil
	n.stalled = nil
	if n.timer != nil {
		n.timer.Stop()
	}
	for _, h := range n.hosts {
		h.close()
	}
}

// closedError is what a new socket gets on a closed network.
func closedError(op, network string) error {
	return &net.OpError{Op: op, Net: network, Err: net.ErrClosed}
}

// newRand returns a generator that depends on the seed and the addresses only.
func (n *Net) newRand(addrs ...netip.Addr) *rand.Rand {
	h := fnv.New64a()
	for _, a := range addrs {
		b := a.As16()
		h.Write(b[:])
	}
	return rand.New(rand.NewPCG(n.opt.Seed, h.Sum64()))
}

// draw returns the next two chances, each in [0,1), of what goes from one
// address to another: whether it is lost and how late it is. Always both, so
// that a changed loss does not change the jitter of what follows.
func (n *Net) draw(from, to netip.Addr) (loss, jitter float64) {
	key := pair{from, to}
	r := n.chance[key]
	if r == nil {
		r = n.newRand(from, to)
		n.chance[key] = r
	}
	return r.Float64(), r.Float64()
}

// Stats counts what happened since New. Of the datagrams, Sent is the sum of
// Lost, TooBig, Cut, NoHost, Filtered, and of what became of the rest, together
// with Injected: Delivered, Refused, Overflow, or still under way.
type Stats struct {
	Sent     uint64 // datagrams given to the network by sockets
	Injected uint64 // datagrams given to it by Inject
	Filtered uint64 // dropped by a filter
	Cut      uint64 // dropped by a partition or an outage
	NoHost   uint64 // sent to an address that nobody has
	TooBig   uint64 // larger than the link's MTU
	Lost     uint64 // dropped by chance

	Delivered uint64 // put into a socket's queue
	Refused   uint64 // arrived where no socket wanted it
	Overflow  uint64 // datagrams and connections dropped at a full queue

	Dials       uint64 // streams begun
	Segments    uint64 // pieces of streams that were sent, those of the handshake after SYN too
	Retransmits uint64 // segments' and SYNs' repetitions
	Stalls      uint64 // times a stream's direction began to be held back by a cut
}

// Stats returns the counts so far.
func (n *Net) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// without returns a new slice that lacks one element: lists of hooks are copied
// on change, so that they can be walked without the lock.
func without[T comparable](list []T, gone T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return x == gone })
}
