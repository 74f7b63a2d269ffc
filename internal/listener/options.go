package listener

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// Resolver answers questions of class IN.
type Resolver interface {
	// Cached adds the records behind the question that stands in b, false and
	// nothing when the cache alone cannot answer. It must not keep q, whose
	// name is an alias of the caller's buffer.
	Cached(reader *cache.Reader, q *resolver.Query, b *wire.Builder) (resolver.Outcome, bool)
	// Resolve waits for an answer or the end of ctx; nil is no answer.
	Resolve(ctx context.Context, q resolver.Query) *resolver.Answer
}

// Network opens the sockets where the system's are not wanted: a simulated one.
type Network interface {
	ListenPacket(netip.AddrPort) (net.PacketConn, error)
	Listen(netip.AddrPort) (net.Listener, error)
}

// Options is what a Listener needs to know. Resolver and Clock are required.
type Options struct {
	Resolver Resolver
	Clock    *clock.Clock
	Log      *slog.Logger // nil: silent
	Network  Network      // nil: the system's

	// Addresses are listened on over UDP and TCP; with port 0 both get the
	// same port, chosen by the system. "::" is IPv6 only.
	Addresses []netip.AddrPort
	// PacketConns and Listeners are open already (socket activation). The
	// Listener closes them.
	PacketConns []net.PacketConn
	Listeners   []net.Listener
	// Interfaces are served besides.
	Interfaces []Interface

	Workers int            // UDP sockets per address where the system shares a port among them; 0: GOMAXPROCS
	Allow   []netip.Prefix // clients that are answered; others get REFUSED
	UDPSize int            // octets: the largest UDP message sent, and advertised; 0: 1232 (RFC 9715)

	Version string // answers version.bind and version.server, at most 255 octets; "": refused
	ID      string // answers id.server and hostname.bind, and is the NSID; "": neither

	Cookies bool // server cookies (RFC 7873, RFC 9018)
	// CookieSecrets: the first makes cookies, all are accepted; none: a random
	// one for the life of the Listener.
	CookieSecrets [][16]byte

	Limits Limits
}

// Limits bounds what clients can make the Listener hold. Zero is the default.
type Limits struct {
	Waiting              int           // questions that wait for a resolution; 20,000
	WaitingPerClient     int           // of those, one client's; 1,000
	Connections          int           // TCP connections; 1,000
	ConnectionsPerClient int           // of those, one client's; 50
	Pipeline             int           // questions that wait on one connection; no more are read until one is answered; 100
	Idle                 time.Duration // a connection without a question is closed, a message or reply must be through; 10 s
}

const (
	defaultUDPSize = 1232 // RFC 9715 §3.1
	minUDPSize     = 512  // RFC 6891 §6.2.3
	maxUDPSize     = 4096
	maxIDLen       = 255 // one character-string
	maxNSIDLen     = 128 // keeps room in the smallest reply
)

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.UDPSize == 0 {
		o.UDPSize = defaultUDPSize
	}
	o.UDPSize = min(max(o.UDPSize, minUDPSize), maxUDPSize)
	o.Version, o.ID = o.Version[:min(len(o.Version), maxIDLen)], o.ID[:min(len(o.ID), maxIDLen)]
	o.Limits = o.Limits.withDefaults()
	return o
}

func (l Limits) withDefaults() Limits {
	for _, d := range [...]struct {
		field *int
		value int
	}{{&l.Waiting, 20000}, {&l.WaitingPerClient, 1000}, {&l.Connections, 1000}, {&l.ConnectionsPerClient, 50}, {&l.Pipeline, 100}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if l.Idle <= 0 {
		l.Idle = 10 * time.Second
	}
	return l
}
