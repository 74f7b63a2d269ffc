package simnet

import (
	"net/netip"
	"slices"
	"time"
)

// Link says how one host's packets reach an address. The zero Link is perfect.
type Link struct {
	// Latency is the time of one way.
	Latency time.Duration
	// Jitter is added to Latency by chance, evenly from [0, Jitter). Datagrams
	// overtake each other by it, streams never do.
	Jitter time.Duration
	// Loss is the chance in [0,1] that a packet is lost. A stream's segment is
	// then late by a retransmission; at 1 the stream is held back.
	Loss float64
	// MTU is the largest IP packet in bytes, headers included: a datagram's
	// payload is 28 bytes smaller over IPv4 and 48 over IPv6. Larger datagrams
	// are dropped, streams are cut into segments. 0 is no limit.
	MTU int
}

type linkKey struct {
	from *Host      // nil: any host that has no link of its own to the address
	to   netip.Addr // zero: every address that has no link
}

// SetDefault sets the link for all hosts and addresses that have none of their
// own. Like every change of a link it governs what is sent from now on, and
// streams that were held back go on if they now can.
func (n *Net) SetDefault(l Link) { n.setLink(linkKey{}, l) }

// SetLink sets the link on which a host's packets travel to an address; with a
// nil host the packets of all hosts that have no link of their own to it. It is
// one direction: replies travel on the link of the host that sends them.
func (n *Net) SetLink(from *Host, to netip.Addr, l Link) {
	n.setLink(linkKey{from, to.Unmap()}, l)
}

// SetLinks sets the links between two hosts, in both directions, for all their
// addresses.
func (n *Net) SetLinks(a, b *Host, l Link) {
	for _, addr := range b.addrs {
		n.SetLink(a, addr, l)
	}
	for _, addr := range a.addrs {
		n.SetLink(b, addr, l)
	}
}

func (n *Net) setLink(k linkKey, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[k] = l
	n.resume()
}

// link returns the link from a host to an address. What a host sends to itself
// never leaves it. The lock is held.
func (n *Net) link(from *Host, to netip.Addr) Link {
	if n.hostAt(from, to) == from {
		return Link{}
	}
	for _, k := range [...]linkKey{{from, to}, {nil, to}} {
		if l, ok := n.links[k]; ok {
			return l
		}
	}
	return n.links[linkKey{}]
}

// delay is the time on the way with a chance drawn for the jitter.
func (l Link) delay(jitter float64) time.Duration {
	return l.Latency + time.Duration(jitter*float64(l.Jitter))
}

// fits reports whether a datagram passes the link.
func (l Link) fits(payload int, to netip.Addr) bool {
	return l.MTU <= 0 || payload+ipHeader(to)+8 <= l.MTU
}

func ipHeader(a netip.Addr) int {
	if a.Is4() {
		return 20
	}
	return 40
}

// Partition cuts two hosts from each other: datagrams sent from now on are
// dropped in silence, streams are held back. What is under way arrives.
func (n *Net) Partition(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.apart[[2]*Host{a, b}] = true
	n.apart[[2]*Host{b, a}] = true
}

// Heal ends a partition.
func (n *Net) Heal(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.apart, [2]*Host{a, b})
	delete(n.apart, [2]*Host{b, a})
	n.resume()
}

// OutageKind says what an outage looks like from elsewhere.
type OutageKind int

const (
	// Blackhole is a dead machine or route: the address sends and receives
	// nothing. Streams are held back and go on when the outage ends.
	Blackhole OutageKind = iota
	// Refuse is a dead process on a machine that lives: every port answers that
	// it is closed, the address's streams are reset when the outage begins, and
	// the datagrams it sends are dropped.
	Refuse
)

type outage struct {
	kind        OutageKind
	from, until time.Duration // [from, until); until 0: no end
}

func (o outage) at(now time.Duration) bool {
	return o.from <= now && (o.until == 0 || now < o.until)
}

func (o outage) over(now time.Duration) bool { return o.until != 0 && o.until <= now }

// Outage plans an outage of an address from one time to another, both counted
// from now; until 0 is for ever. Outages of one address may overlap.
func (n *Net) Outage(addr netip.Addr, kind OutageKind, from, until time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, addr := n.Now(), addr.Unmap()
	o := outage{kind: kind, from: now + from}
	if until > 0 {
		o.until = now + until
		n.schedule(o.until, flow{}, n.resume)
	}
	kept := slices.DeleteFunc(n.outages[addr], func(o outage) bool { return o.over(now) })
	n.outages[addr] = append(kept, o)
	if kind == Refuse {
		n.schedule(o.from, flow{}, func() { n.resetAll(addr) })
	}
}

// suffers reports whether an address has an outage of that kind now. It
// compares times instead of keeping a state that a timer sets, so that a packet
// sent at the instant when an outage begins has one certain fate. The lock is
// held.
func (n *Net) suffers(addr netip.Addr, kind OutageKind) bool {
	list := n.outages[addr]
	if len(list) == 0 {
		return false
	}
	now := n.Now()
	return slices.ContainsFunc(list, func(o outage) bool { return o.kind == kind && o.at(now) })
}

// cut reports whether nothing at all passes from one host to another, loss by
// chance apart. The lock is held.
func (n *Net) cut(from, to *Host, f flow) bool {
	if from == to {
		return false
	}
	return n.apart[[2]*Host{from, to}] ||
		n.suffers(f.from.Addr(), Blackhole) || n.suffers(f.to.Addr(), Blackhole)
}
