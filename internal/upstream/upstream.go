// Package upstream sends questions to name servers and brings their replies:
// it owns the sockets, and everything between a question and a reply that
// belongs to it. It satisfies iterator.Exchanger.
//
// A question over UDP goes out on a connected socket that no other question is
// on, with a port and an id drawn by chance and, where the server keeps it, random
// letter case (0x20). What comes back counts only if address, port, id, question,
// case and cookie are right; everything else is ignored and counted, and many
// wrong replies move the question to TCP, where nobody off the path can forge.
// Truncation, servers that refuse EDNS, cookies and servers that mangle the case
// are dealt with here and remembered in infra.
//
// Over TLS (RFC 7858) a server is authenticated by the name that the question
// came with, on the word of the system's roots or of those given for its zone
// (the strict profile of RFC 8310). Connections are kept and shared, questions
// padded; nothing that is to go over TLS ever goes in the clear.
//
// A cold question's cost is mostly here. On Linux sockets are made of bare system
// calls and kept, for a minute or 500 questions at most, each in one of 4,096
// places among which questions draw lots (see kernel, and places for what that
// leaves a forger to guess): a question costs two system calls, or four when the
// socket was last connected to another server. One goroutine sends, what is
// queued in one go (see sender), and one tells those who wait that there is
// something to read (see poller); ExchangeFor needs no other but its caller's.
//
// Sockets that are connected anew were chosen over two other ways. Sockets that
// stay unconnected, with questions to all servers on each, need no connecting,
// which is 2 µs when the server is another one, and fewer descriptors. But they hear everybody, tell by ICMP which ports are open
// (those that answer nothing to a probe), and need IP_RECVERR, and a table from
// (socket, id, server) to who waits, for what the kernel does for connected ones.
// Sockets of each server's own would have to be 4,096 for each to leave as much
// to guess: who found one out would have a good part of a server's questions.
//
// It must not decide what a reply means for a resolution, when to give up or
// whom to ask instead: that is the iterator's. It tells infra of packets, not
// of verdicts.
package upstream

import (
	"context"
	"crypto/x509"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

const (
	defaultUDPSize = 1232 // RFC 9715 §3.2
	maxUDPSize     = 4096 // of the read buffers
	maxAttempts    = 6    // packets with one question in one Exchange, whatever the server makes of it
	optionalTCP    = 1500 * time.Millisecond
	stallTCP       = 10 * time.Second // bound of a connect, write or read that makes no progress
	lingerFor      = 2 * time.Second  // how long a late reply is waited for behind its Exchange
)

// Options of an Upstream. Zero values mean the defaults in parentheses.
type Options struct {
	Network  Network // (the kernel's)
	Clock    *clock.Clock
	Infra    *infra.Infra
	UDPSize  int  // largest reply asked for over UDP, octets (1232), at most 4096
	MaxBytes int  // largest reply taken over TCP, octets (65,535)
	DNSSEC   bool // ask with DO=1 and CD=1 (RFC 6840 §5.9)

	CaseRandomisation bool // draft-vixie-dnsext-dns0x20
	Cookies           bool // RFC 7873, RFC 9018
	DoNotQuery        []netip.Prefix
	// Configured are the servers that the configuration itself names: DoNotQuery is
	// for what delegations say, not for them.
	Configured []netip.AddrPort

	// TLSRoots are who may sign the certificates of the servers of a zone, by zone
	// (the system's roots).
	TLSRoots map[dnsname.Name]*x509.CertPool

	MaxSockets    int           // open at once, UDP and TCP (4096); beyond, queries fail and are counted
	SpoofNearMiss int           // wrong replies to one question until it goes to TCP (10)
	TCPIdle       time.Duration // how long a connection is kept for the next question (5 s); negative: not at all

	// Random fills b with unpredictable octets (crypto/rand).
	Random func(b []byte)
	Events event.Sink
}

// Upstream is safe for concurrent use. It starts no goroutine but one that
// watches the sockets and one that sends on them, two for each connection over TLS, those of exchanges that
// outlive the patience of their caller (ExchangeFor), which end with its context,
// and those that wait for late replies, 2 s each and at most a quarter of
// MaxSockets; Close ends the others.
type Upstream struct {
	opt       Options
	dialer    datagramDialer // the Network, nil when it is none
	sockets   atomic.Int64
	lingers   atomic.Int64
	lates     lates
	pool      *pool
	tls       tlsPool
	buffers   buffers         // of sockets of package net
	exchanges sync.Pool       // of *exchange
	lifetime  context.Context // ends with Close
	end       context.CancelFunc
	counts    counters
}

// New makes an Upstream; Clock and Infra must be given.
func New(o Options) *Upstream {
	if o.Random == nil {
		o.Random = new(entropy).Read
	}
	if o.UDPSize <= 0 {
		o.UDPSize = defaultUDPSize
	}
	o.UDPSize = min(max(o.UDPSize, 512), maxUDPSize)
	if o.MaxBytes <= 0 || o.MaxBytes > wire.MaxMessage {
		o.MaxBytes = wire.MaxMessage
	}
	if o.MaxSockets <= 0 {
		o.MaxSockets = 4096
	}
	if o.SpoofNearMiss <= 0 {
		o.SpoofNearMiss = 10
	}
	if o.TCPIdle == 0 {
		o.TCPIdle = 5 * time.Second
	}
	u := &Upstream{opt: o, pool: newPool(o.TCPIdle)}
	if o.Network == nil {
		u.opt.Network = newKernel(o.Random, o.Clock, u.acquire, u.release)
	}
	u.dialer, _ = u.opt.Network.(datagramDialer)
	u.exchanges.New = func() any { return new(exchange) }
	u.lifetime, u.end = context.WithCancel(context.Background())
	u.tls.u = u
	return u
}

// Close closes idle connections, and all over TLS with the questions on them, and
// ends the waiting for late replies. Any other Exchange under way ends with its own
// context.
func (u *Upstream) Close() {
	u.tls.close() // first, so that what waits hears that it is the end of us, not of servers
	u.end()
	for _, c := range u.pool.close() {
		u.hangUp(c)
	}
	if u.dialer != nil {
		u.dialer.close()
	}
}

// Exchange asks one server one question and waits for the reply until ctx
// ends. Every packet or connection with the question is paid from q.Budget. An
// error is an *Error. The reply's memory is the caller's.
func (u *Upstream) Exchange(ctx context.Context, q iterator.Query) (iterator.Reply, error) {
	x, err := u.begin(q)
	if err != nil {
		return iterator.Reply{}, err
	}
	return x.finish(x.run(ctx))
}

// forbidden tells whether a server must not be asked.
func (u *Upstream) forbidden(server netip.AddrPort) bool {
	addr := server.Addr().Unmap().WithZone("")
	if !addr.IsValid() || server.Port() == 0 {
		return true
	}
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	return slices.ContainsFunc(u.opt.DoNotQuery, contains) &&
		!slices.Contains(u.opt.Configured, netip.AddrPortFrom(addr, server.Port()))
}

// shedEarly is the share of the sockets, one in so many, that is kept free of
// exchanges that nobody waits for: those that are ended need a moment.
const shedEarly = 16

// acquire takes a socket from the bound, if need be one that is only kept, that
// of an exchange that nobody waits for, or an idle connection.
func (u *Upstream) acquire() bool {
	n, most := u.sockets.Add(1), int64(u.opt.MaxSockets)
	if n > most-most/shedEarly {
		if u.dialer != nil && u.dialer.shed() {
			n--
		} else if u.lates.shed() {
			u.counts.shed.Add(1)
		}
	}
	if n <= most {
		return true
	}
	u.sockets.Add(-1)
	c := u.pool.shed()
	if c != nil {
		u.hangUp(c)
	}
	if c != nil || u.tls.shed() {
		if u.sockets.Add(1) <= most {
			return true
		}
		u.sockets.Add(-1)
	}
	u.counts.socketBound.Add(1)
	return false
}

func (u *Upstream) release() { u.sockets.Add(-1) }

func (u *Upstream) downgraded(server netip.AddrPort, what, why string) {
	u.opt.Events.Emit(event.Downgraded{At: u.opt.Clock.Now(), Server: server, What: what, Why: why})
}
