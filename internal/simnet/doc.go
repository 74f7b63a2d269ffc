// Package simnet is a network for tests: hosts with addresses, links that are
// slow, lossy, narrow or cut, outages that follow a plan, datagrams and streams.
// It runs under testing/synctest, where its latencies are virtual time, so that
// a three-day outage costs milliseconds.
//
// The sockets behave like the kernel's as far as a DNS server can tell: they
// are net.PacketConn, net.Listener and net.Conn with the addresses, deadlines
// and errors (net.ErrClosed, os.ErrDeadlineExceeded, syscall.ECONNREFUSED, …)
// of package net. A Host has the methods by which the product reaches the
// network, so a test hands it a Host where the real program gets the system.
//
// # What it must not do
//
// No package of the product imports simnet. It knows nothing of DNS. It starts
// no goroutine that waits: everything that is under way is an event in one
// queue behind one timer, and a test that calls [Net.Close] leaves nothing.
//
// # Chance and order
//
// Loss and jitter are drawn for each pair of addresses from a generator of its
// own, and what arrives at one instant arrives ordered by its addresses; so the
// goroutines of different hosts cannot change each other's fortune, and the
// same seed gives the same trace. Two things remain the scheduler's: the order
// of packets that goroutines of one host send to one address at the very same
// instant, and, on links without latency, whether something arrives before or
// after what else is done at that instant. Links in a test that compares traces
// should have latency.
//
// # Streams
//
// A stream is a simplified TCP: a handshake of one round trip, segments in
// order, a window of [Options].Window bytes sent and not yet read, FIN and RST.
// Loss costs a segment a retransmission's delay and never corrupts. A cut holds
// segments back until it heals; they then leave at once, where the kernel would
// wait for its retransmission timer. There is no congestion control, window
// updates travel in no time, and a stream that is held back never times out by
// itself.
//
// # Inside a bubble
//
// A goroutine blocked in a mutex stops virtual time for everybody. Simnet holds
// its lock only for moments; its users must not hold a mutex of theirs that
// others want while they wait in Read, Write, Accept or a dial.
package simnet
