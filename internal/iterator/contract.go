package iterator

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// Exchanger sends one query to one server and waits for its reply. It sees to
// the transport: ids, ports, letter case, EDNS and cookies, TCP after
// truncation. It waits until ctx ends, not until some timeout: when to try
// elsewhere is the iterator's decision, and a late reply still counts.
type Exchanger interface {
	Exchange(ctx context.Context, q Query) (Reply, error)
}

// PatientExchanger is an Exchanger that needs no goroutine of its own for what
// is ordinary. ExchangeFor comes back after wait at the latest, or when ctx ends; if
// pending, the exchange goes on behind, and late is told.
type PatientExchanger interface {
	Exchanger
	ExchangeFor(ctx context.Context, q Query, wait time.Duration, late Late) (r Reply, pending bool, err error)
}

// Late is who hears of an exchange that goes on when nobody waits for it alone.
type Late interface {
	// Context is what such an exchange ends with. To ask for it costs something, so
	// ExchangeFor does before it comes back with pending, in its caller's goroutine,
	// and not otherwise.
	Context() context.Context
	// Deliver is called once, with its outcome, and may block until Context ends.
	Deliver(Reply, error)
}

// Query is one question to one server.
type Query struct {
	Server netip.AddrPort
	Zone   dnsname.Name // the cut whose servers are asked
	Name   dnsname.Name
	Type   wire.Type
	RD     bool   // to forwarders
	TCP    bool   // do not try UDP first
	TLS    string // over TLS alone, with a server whose certificate has this name
	Budget *Budget
	Sends  *Sends // nil: not counted
}

// Sends counts how often a question was sent to one address in a resolution, by
// all its tries together. RFC 9520 §3.1 allows three over each transport,
// whatever the reason.
type Sends struct {
	udp, tcp atomic.Int32
	miscased atomic.Bool
}

// Take takes one sending, false when there is none left.
func (s *Sends) Take(tcp bool) bool {
	if s == nil {
		return true
	}
	n := &s.udp
	if tcp {
		n = &s.tcp
	}
	return n.Add(1) <= infra.MaxTries
}

// Miscased tells that a reply had letters in another case than the question: the
// datagrams that are left are for asking without.
func (s *Sends) Miscased() {
	if s != nil {
		s.miscased.Store(true)
	}
}

// WasMiscased tells of it.
func (s *Sends) WasMiscased() bool { return s != nil && s.miscased.Load() }

// Reply is a message that belongs to its Query: server, id, question and case
// were checked. It owns its memory.
type Reply struct {
	View      wire.View
	Transport event.Transport
	RTT       time.Duration
	At        clock.Mono // of arrival
}

// Budget bounds the upstream work of one client question, shared by all
// flights that it starts.
type Budget struct {
	queries int
	left    atomic.Int32
	bytes   atomic.Int64
}

// NewBudget allows so many upstream queries, and so many octets of replies.
func NewBudget(queries int, bytes int64) *Budget {
	b := new(Budget)
	b.Reset(queries, bytes)
	return b
}

// Reset makes a budget whole that nobody uses any more.
func (b *Budget) Reset(queries int, bytes int64) {
	b.queries = queries
	b.left.Store(int32(queries))
	b.bytes.Store(bytes)
}

// Spend takes one query from the budget, false when it is used up. Every
// datagram with a question and every question over TCP costs one.
func (b *Budget) Spend() bool { return !b.outOfBytes() && b.left.Add(-1) >= 0 }

// Refund gives back what was spent for a query that could not even be sent.
func (b *Budget) Refund() { b.left.Add(1) }

// Left is how many queries may still be sent: none once the octets are used up.
func (b *Budget) Left() int {
	if b.outOfBytes() {
		return 0
	}
	return max(0, int(b.left.Load()))
}

// Spent is how many queries were sent.
func (b *Budget) Spent() int { return b.queries - max(0, int(b.left.Load())) }

// receive takes the octets of a reply from the budget. What came is used; once
// nothing is left, no further query is sent.
func (b *Budget) receive(n int) { b.bytes.Add(-int64(n)) }

func (b *Budget) outOfBytes() bool { return b.bytes.Load() <= 0 }

// Request is one question that a flight wants resolved: one hop, aliases are
// not followed beyond what a reply happens to hold.
type Request struct {
	Flight event.FlightID
	Name   dnsname.Name
	Type   wire.Type
	Depth  int // 0 for clients, +1 for every name server's address underneath
	Budget *Budget
	Until  clock.Mono // when it ends whatever has come, 0 for never
	// Stale: there is a last good answer. Once all servers of the cut are suspect
	// or unreachable nothing more is sent, and only late replies are waited for.
	Stale bool
	// Avoid are servers that are not asked the question itself, over whatever
	// transport: what they gave turned out bogus. They are asked for what leads to
	// it. That the others fail then is held against none of their cuts.
	Avoid []netip.AddrPort
	// Lapsed: what the zones above say is known to be bogus. A delegation past its TTL
	// leads on at once.
	Lapsed bool
}

// Result is what a resolution brought. Entries are ready for the cache; the
// first answers the question or aliases it (data of the type, CNAME, the DNAME
// above, NoData or NXDomain), others are further hops that the same reply
// proved. Entries with TTL 0 are for those who wait only (RFC 8767 §4).
type Result struct {
	Since   uint32 // cache.Generation when it began
	Entries []cache.Entry
	Aside   []cache.Entry // learnt on the way, of names above: for the cache only
	// Links are what the referrals on the way say of the cuts' DS records, which
	// nobody validated: the records, or the proof that there are none. At most eight,
	// each of another cut, from the root down, and only if Options.DNSSEC is set.
	Links []cache.Entry
	// Undone are delegations that the answer speaks against, with Options.DNSSEC: for
	// Undo, once the answer was found good.
	Undone  []Undone
	From    netip.AddrPort // whose reply the Entries are of
	Failure *ede.Error     // why there is no useful answer
	Refused bool           // all servers said REFUSED
	Budget  bool           // it ended on the work budget
	// Ours: it failed for a bound or a lack of our own, sockets or room, that says
	// nothing of the question or of whom it was to be put to.
	Ours bool
	// Hindered: name servers' addresses were not looked up, for a circle of
	// look-ups or for their depth. Asked for on its own the question may succeed.
	Hindered bool
	// Silent: no server of the cut answers anything. That is remembered for the
	// cut, whose servers are asked again by one question a second; the question
	// itself is not to be held against anybody later.
	Silent bool
	// Memory: Failure is from there, nothing was sent.
	Memory bool
	// Over: nothing that the resolution began goes on, or knows its Request's Budget.
	Over bool
	// Lapsed: it was found through a delegation, or name servers' addresses, past
	// their TTL, those who could renew them being out of reach. The TTLs of the
	// entries are no longer than Options.AnswerTTL says.
	Lapsed bool
	// Borrowed: a resolver that is forwarded to gave it as its own last good answer.
	// It may answer those who wait, and replaces nothing that is stored.
	Borrowed bool
}

// Flights are the resolver's, for what a resolution needs beside its own questions.
type Flights interface {
	// Addresses finds the addresses of a name server: by flights, so that identical
	// questions are asked once. lapsed tells that the addresses are a last good
	// answer, or were found through something past its TTL. It fails at once with
	// ErrLoop when waiting would close a circle of flights.
	Addresses(ctx context.Context, from Request, host dnsname.Name, t wire.Type) (addrs []netip.Addr, lapsed bool, err error)
	// Behind rechecks a server and takes in what that brings, while nobody waits.
	Behind(r infra.Recheck)
}

// ErrLoop tells that a name server's address depends on what is being resolved.
var ErrLoop = errors.New("name servers depend on each other")
