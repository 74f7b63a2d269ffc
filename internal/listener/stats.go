package listener

import (
	"math/bits"
	"sync/atomic"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// Drop is why a message or connection got no answer.
type Drop uint8

// Reasons for giving no answer.
const (
	DropShort      Drop = iota // fewer than 12 octets
	DropResponse               // a response, which is never answered
	DropSource                 // from port 0 or no address: nobody to answer
	DropWaiting                // UDP: too many questions waited in all
	DropClient                 // UDP: too many questions of that client waited
	DropCongestion             // UDP: there was more to resolve than can be done
	DropSendBuffer             // the socket's buffer stayed full
	DropSendError              // the system refused to send
	DropGone                   // the connection was closed before the answer came
	DropUnanswered             // the resolver gave none, at the end of the Listener
	drops          = iota
)

func (d Drop) String() string {
	return [...]string{"short", "response", "source", "waiting", "client", "congestion", "send-buffer", "send-error", "gone", "unanswered"}[d%drops]
}

// Stats is what happened since the Listener was made.
type Stats struct {
	Queries [2]uint64                // messages read, by event.Transport
	Replies [2]map[wire.Rcode]uint64 // by event.Transport
	Types   map[wire.Type]uint64     // questions; the types of no own count are under TypeNone
	Dropped map[Drop]uint64

	Cached    uint64 // answered from the cache alone
	Truncated uint64 // replies with TC
	Waiting   int    // questions that wait for a resolution now
	// BusyReplies are questions over TCP that got SERVFAIL because too many waited.
	BusyReplies uint64

	ReceiveErrors uint64
	Latency       Latency // from reading a query to having sent its reply
	TCP           TCPStats
}

// TCPStats is what happened to connections.
type TCPStats struct {
	Open         int
	Accepted     uint64
	Refused      uint64 // closed at once: no room, none was idle
	Displaced    uint64 // idle ones closed to make room
	Idle         uint64 // closed for idleness
	Slow         uint64 // closed because a message or reply took too long
	Garbage      uint64 // closed because of a message without a header
	AcceptErrors uint64
	PipelineFull uint64 // times that a connection was not read from: Limits.Pipeline of its questions waited
}

// Latency is a histogram. Counts[i] are the values of at most Bounds[i] and
// above the bound before; the last count has no bound.
type Latency struct {
	Bounds []time.Duration
	Counts []uint64
	Sum    time.Duration
}

// latencyBuckets are bounded by 2^4 µs, 2^5 µs … 2^24 µs (16.8 s).
const (
	latencyBuckets = 22
	firstBucket    = 4
)

func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0)+time.Microsecond-1) / uint64(time.Microsecond)
	if us <= 1<<firstBucket {
		return 0
	}
	return min(bits.Len64(us-1)-firstBucket, latencyBuckets-1)
}

// countedTypes have a count of their own.
var countedTypes = [...]wire.Type{
	wire.TypeNone, wire.TypeA, wire.TypeAAAA, wire.TypeHTTPS, wire.TypeSVCB, wire.TypePTR, wire.TypeNS, wire.TypeSOA,
	wire.TypeMX, wire.TypeTXT, wire.TypeSRV, wire.TypeCNAME, wire.TypeDS, wire.TypeDNSKEY, wire.TypeCAA, wire.TypeANY,
}

// countedType is the index in countedTypes. A switch, for the compiler makes it
// a search without memory.
func countedType(t wire.Type) int {
	switch t {
	case wire.TypeA:
		return 1
	case wire.TypeAAAA:
		return 2
	case wire.TypeHTTPS:
		return 3
	case wire.TypeSVCB:
		return 4
	case wire.TypePTR:
		return 5
	case wire.TypeNS:
		return 6
	case wire.TypeSOA:
		return 7
	case wire.TypeMX:
		return 8
	case wire.TypeTXT:
		return 9
	case wire.TypeSRV:
		return 10
	case wire.TypeCNAME:
		return 11
	case wire.TypeDS:
		return 12
	case wire.TypeDNSKEY:
		return 13
	case wire.TypeCAA:
		return 14
	case wire.TypeANY:
		return 15
	}
	return 0
}

// rcodeSlots has room for the assigned codes (RFC 6895 §2.3); others share the last.
const rcodeSlots = 25

// counters is one worker's, so that cores do not share cache lines; questions
// that wait and connections have theirs. Read while it is written.
type counters struct {
	cells         [2][cells]atomic.Uint64 // by event.Transport
	dropped       [drops]atomic.Uint64
	busy          atomic.Uint64
	receiveErrors atomic.Uint64
	latency       [latencyBuckets]atomic.Uint64
	latencySum    atomic.Int64
	_             [64]byte // the next one's line
}

// replied counts a reply that had to wait.
func (c *counters) replied(t event.Transport, o resolver.Outcome) {
	of := &c.cells[t&1]
	of[cellOf(o.Rcode)].Add(1)
	if o.Truncated {
		of[cellTruncated].Add(1)
	}
}

func (c *counters) drop(d Drop, n int) { c.dropped[d].Add(uint64(n)) }

// took counts n replies that each took d.
func (c *counters) took(d time.Duration, n int) {
	if n > 0 {
		c.latency[bucketOf(d)].Add(uint64(n))
		c.latencySum.Add(int64(d) * int64(n))
	}
}

func newStats() Stats {
	s := Stats{Types: map[wire.Type]uint64{}, Dropped: map[Drop]uint64{}}
	for d := range Drop(drops) {
		s.Dropped[d] = 0 // there from the start, so that the first is seen as a change
	}
	s.Replies[0], s.Replies[1] = map[wire.Rcode]uint64{}, map[wire.Rcode]uint64{}
	s.Latency.Counts = make([]uint64, latencyBuckets)
	for i := range latencyBuckets - 1 {
		s.Latency.Bounds = append(s.Latency.Bounds, time.Microsecond<<(firstBucket+i))
	}
	return s
}

// addTo adds the counts to a sum; rcodes and types never seen are left out.
func (c *counters) addTo(s *Stats) {
	for t := range c.cells {
		of := &c.cells[t]
		s.Queries[t] += of[cellQueries].Load()
		s.Cached += of[cellCached].Load()
		s.Truncated += of[cellTruncated].Load()
		for i, typ := range countedTypes {
			addCount(s.Types, typ, &of[cellTypes+i])
		}
		for rcode := range wire.Rcode(rcodeSlots) {
			addCount(s.Replies[t], rcode, &of[cellOf(rcode)])
		}
	}
	for d := range c.dropped {
		addCount(s.Dropped, Drop(d), &c.dropped[d])
	}
	for i := range c.latency {
		s.Latency.Counts[i] += c.latency[i].Load()
	}
	s.Latency.Sum += time.Duration(c.latencySum.Load())
	s.BusyReplies += c.busy.Load()
	s.ReceiveErrors += c.receiveErrors.Load()
}

func addCount[K comparable](m map[K]uint64, k K, n *atomic.Uint64) {
	if v := n.Load(); v > 0 {
		m[k] += v
	}
}

// tcpCounters is what happens to connections, too seldom to be kept apart.
type tcpCounters struct {
	accepted, refused, displaced, idle, slow, garbage, acceptErrors, pipeline atomic.Uint64
}

func (c *tcpCounters) stats(open int) TCPStats {
	return TCPStats{
		Open: open, Accepted: c.accepted.Load(), Refused: c.refused.Load(), Displaced: c.displaced.Load(),
		Idle: c.idle.Load(), Slow: c.slow.Load(), Garbage: c.garbage.Load(), AcceptErrors: c.acceptErrors.Load(), PipelineFull: c.pipeline.Load(),
	}
}
