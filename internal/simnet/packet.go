package simnet

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Fate is what the network decided about a datagram when it was sent.
type Fate int

const (
	// Passed datagrams are on their way. They may still find no socket, or a
	// full one: see Stats.
	Passed Fate = iota
	// Lost datagrams were dropped by chance.
	Lost
	// TooBig ones did not fit the link's MTU.
	TooBig
	// Cut ones were dropped by a partition or an outage.
	Cut
	// NoHost ones went to an address that nobody has.
	NoHost
	// Filtered ones were dropped by a filter.
	Filtered
	// Flooded ones came when too much was under way.
	Flooded
	// Injected ones were not sent by a socket but by Inject.
	Injected
)

// String returns the name of the fate.
func (f Fate) String() string {
	names := [...]string{"passed", "lost", "too big", "cut", "no host", "filtered", "flooded", "injected"}
	if f < 0 || int(f) >= len(names) {
		return "unknown"
	}
	return names[f]
}

// Packet is a datagram as taps and filters see it.
type Packet struct {
	At       time.Duration // when it was sent, on the scale of Net.Now
	From, To netip.AddrPort
	// Payload belongs to the network. A filter may change or replace it; a tap
	// must not, but may keep it.
	Payload []byte
	// Delay is for a tap the time that a passed packet is on its way. A filter
	// may set it to delay the packet by so much more.
	Delay time.Duration
	// Fate is decided after the filters.
	Fate Fate
}

// Tap lets f see every datagram when it is sent, with its fate. It runs in the
// goroutine that sends, perhaps at the same time in several, and may use the
// network, Inject included. The function returned ends the tap.
func (n *Net) Tap(f func(Packet)) (remove func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taps = append(slices.Clone(n.taps), &f)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.taps = without(n.taps, &f)
	}
}

// Filter lets f decide whether a datagram goes on, before anything else happens
// to it, and alter its Payload and Delay. Filters run in the order in which they
// were set, like a tap does; not for injected datagrams. The function returned
// removes the filter.
func (n *Net) Filter(f func(*Packet) bool) (remove func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filters = append(slices.Clone(n.filters), &f)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.filters = without(n.filters, &f)
	}
}

// Inject delivers a datagram with any source address, a forged one for example,
// at once: no link, partition, outage or filter touches it.
func (n *Net) Inject(from, to netip.AddrPort, payload []byte) {
	p := Packet{From: unmap(from), To: unmap(to), Payload: bytes.Clone(payload), Fate: Injected}
	n.mu.Lock()
	p.At = n.Now()
	n.stats.Injected++
	if h := n.hosts[p.To.Addr()]; h != nil {
		n.deliver(h, p)
	} else {
		n.stats.Refused++
	}
	taps := n.taps
	n.mu.Unlock()
	for _, f := range taps {
		(*f)(p)
	}
}

// send takes a datagram from a socket of a host through the filters to its fate
// and the taps. The lock is not held, for these may use the network.
func (n *Net) send(h *Host, p Packet) {
	n.mu.Lock()
	p.At = n.Now()
	n.stats.Sent++
	filters, taps := n.filters, n.taps
	n.mu.Unlock()

	seen, pass := p, true
	for _, f := range filters {
		if pass = (*f)(&seen); !pass {
			break
		}
	}
	p.Payload, p.Delay = seen.Payload, max(0, seen.Delay) // the rest is not a filter's to change

	n.mu.Lock()
	if pass {
		n.launch(h, &p)
	} else {
		p.Fate = Filtered
		n.stats.Filtered++
	}
	n.mu.Unlock()
	for _, f := range taps {
		(*f)(p)
	}
}

// launch decides the fate of a datagram and schedules its arrival. The lock is
// held.
func (n *Net) launch(h *Host, p *Packet) {
	f := flow{p.From, p.To}
	from, to := p.From.Addr(), p.To.Addr()
	dst := n.hostAt(h, to)
	link := n.link(h, to)
	drop := func(fate Fate, count *uint64) {
		p.Fate = fate
		*count++
	}
	if dst == nil { // before drawing: the generators are bounded by the hosts
		drop(NoHost, &n.stats.NoHost)
		return
	}
	loss, jitter := n.draw(from, to)
	switch {
	case n.cut(h, dst, f) || n.suffers(from, Refuse):
		drop(Cut, &n.stats.Cut)
	case !link.fits(len(p.Payload), to):
		drop(TooBig, &n.stats.TooBig)
	case loss < link.Loss:
		drop(Lost, &n.stats.Lost)
	case len(n.events) >= maxEvents:
		drop(Flooded, &n.stats.Overflow)
	default:
		p.Delay += link.delay(jitter)
		arrived := *p
		n.schedule(n.Now()+p.Delay, f, func() { n.deliver(dst, arrived) })
	}
}

// deliver puts a datagram into the socket that it is for. The lock is held.
func (n *Net) deliver(h *Host, p Packet) {
	s := lookup(h.sockets, p.To)
	switch {
	case s == nil || !s.accepts(p.From) || n.suffers(p.To.Addr(), Refuse):
		n.stats.Refused++
		n.unreachable(h, flow{p.From, p.To})
	case len(s.queue) >= n.opt.Queue:
		n.stats.Overflow++
	default:
		n.stats.Delivered++
		s.queue = append(s.queue, datagram{p.From, p.Payload})
		s.changed.Broadcast()
	}
}

// unreachable tells the sender of a datagram that its port is closed (ICMP port
// unreachable), if that way is open. The lock is held.
func (n *Net) unreachable(h *Host, f flow) {
	back := f.reverse()
	sender := n.hostAt(h, f.from.Addr())
	if sender == nil {
		return
	}
	delay, ok := n.pass(h, sender, back)
	if !ok {
		return
	}
	n.schedule(n.Now()+delay, back, func() {
		// Only a connected socket hears of it, as with the kernel.
		if s := lookup(sender.sockets, f.from); s != nil && s.remote == f.to {
			s.refused = true
			s.changed.Broadcast()
		}
	})
}

// pass draws whether a packet without a payload passes, and its time on the
// way. The lock is held.
func (n *Net) pass(from, to *Host, f flow) (time.Duration, bool) {
	link := n.link(from, f.to.Addr())
	loss, jitter := n.draw(f.from.Addr(), f.to.Addr())
	return link.delay(jitter), !n.cut(from, to, f) && loss >= link.Loss
}

// maxRecorded bounds a Recorder.
const maxRecorded = 1 << 20

// Recorder keeps what it is given, the first million packets. Its zero value is
// ready: n.Tap(r.Add).
type Recorder struct {
	mu      sync.Mutex
	packets []Packet
}

// Add is a tap.
func (r *Recorder) Add(p Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.packets) < maxRecorded {
		r.packets = append(r.packets, p)
	}
}

// Packets returns what was added so far.
func (r *Recorder) Packets() []Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.packets)
}
