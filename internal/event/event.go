// Package event tells what happened, as typed values. The same stream feeds
// metrics, logs, the trace of a single query, and the tests' expectations.
// Emitting must be cheap and must not block; cache hits are counted, not told.
// Nothing may depend on anybody hearing an event.
package event

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/wire"
)

// Event is one of the struct types of this package.
type Event interface{ event() }

// Sink hears events. It is called from many goroutines at once and must
// neither block nor keep what the event points to. A nil Sink hears nothing.
type Sink func(Event)

// Emit hands e to the sink, if there is one.
func (s Sink) Emit(e Event) {
	if s != nil {
		s(e)
	}
}

// Tee gives every event to each of the sinks.
func Tee(sinks ...Sink) Sink {
	return func(e Event) {
		for _, s := range sinks {
			s.Emit(e)
		}
	}
}

// FlightID numbers a flight within a process, from 1; 0 is none.
type FlightID uint64

// Question is a name and a type, class IN.
type Question struct {
	Name dnsname.Name
	Type wire.Type
}

// FlightStarted tells that a resolution began. Parent is the flight that wants
// it (for a name server's address), 0 when a client does.
type FlightStarted struct {
	At       clock.Mono
	Flight   FlightID
	Parent   FlightID
	Question Question
}

// FlightEnded tells how it ended. Failure is nil after a useful answer.
type FlightEnded struct {
	At       clock.Mono
	Flight   FlightID
	Question Question
	Took     time.Duration
	Queries  int // sent upstream, its name servers' addresses not counted
	Waiters  int // clients and flights that waited for it
	Rcode    wire.Rcode
	Failure  *ede.Error
}

// Transport is how a message travelled.
type Transport uint8

// Transports.
const (
	UDP Transport = iota
	TCP
	TLS   // RFC 7858
	Local // no message: the copy of the root zone (RFC 8806)
)

func (t Transport) String() string {
	switch t {
	case TCP:
		return "tcp"
	case TLS:
		return "tls"
	case Local:
		return "local"
	}
	return "udp"
}

// Reason is why a server was chosen among those of its zone.
type Reason uint8

// Reasons of server choice.
const (
	ReasonOnly     Reason = iota // there is no other
	ReasonBest                   // the best measured
	ReasonUnknown                // never measured: tried early
	ReasonExplore                // another one's turn, to keep measurements current
	ReasonRetry                  // after a failure of another
	ReasonProbe                  // deprioritised, asked whether it is back
	ReasonLastHope               // known bad, but nothing better is left
)

func (r Reason) String() string {
	return [...]string{"only one", "fastest", "not yet measured", "exploring", "after a failure", "is it back?", "last hope"}[r%7]
}

// Outcome is what became of an exchange: the taxonomy of response classes and
// of the failures of servers.
type Outcome uint8

// Outcomes. The first group is useful.
const (
	Answer Outcome = iota
	Alias          // a CNAME or DNAME leads elsewhere
	NoData
	NXDomain
	Referral
	Timeout
	Unreachable // the network said so: ICMP, no route, connection refused
	ServFail
	Refused
	NotImp
	FormErr
	BadVers
	OtherRcode
	Lame    // not authoritative, upward or sideways referral
	Garbage // a reply that makes no sense
	Spoofed // too many forged-looking replies
	Budget  // not sent: the work budget is used up
)

func (o Outcome) String() string {
	return [...]string{"answer", "alias", "nodata", "nxdomain", "referral", "timeout", "unreachable", "servfail",
		"refused", "notimp", "formerr", "badvers", "rcode", "lame", "garbage", "spoofed", "budget"}[o%17]
}

// Useful tells whether the outcome moved the resolution on.
func (o Outcome) Useful() bool { return o <= Referral }

// Exchanged tells of one query to a server and what came of it.
type Exchanged struct {
	At        clock.Mono // when it was decided: reply or timeout
	Flight    FlightID
	Zone      dnsname.Name // the cut whose servers are asked
	Server    netip.AddrPort
	Host      dnsname.Name // the server's name, "" when configured by address
	Why       Reason
	Asked     Question // as sent, perhaps minimised
	Minimised bool
	Transport Transport
	RTT       time.Duration // for a timeout, how long was waited
	Outcome   Outcome
	Rcode     wire.Rcode
	Late      bool         // came after its try was given up
	Next      dnsname.Name // the cut of a referral, the target of an alias
	Answers   int          // records in the answer section that were believed
	Agent     dnsname.Name // wants to hear of errors (RFC 9567), "" for nobody
	Scrubbed  []Scrubbed   // what was not believed, at most 8
	Text      string       // detail of a failure, for people
}

// Scrubbed is a record set that was dropped from a reply, and why.
type Scrubbed struct {
	Question
	Section wire.Section
	Why     string
}

// Downgraded tells that a server is spoken to differently from now on.
type Downgraded struct {
	At     clock.Mono
	Server netip.AddrPort
	What   string // "edns off", "case randomisation off", "tcp"
	Why    string
}

// Priming tells that the root's servers were learnt or confirmed (RFC 8109).
type Priming struct {
	At      clock.Mono
	Servers int
	Failure *ede.Error
}

// BudgetHit tells that a work bound ended or narrowed a resolution.
type BudgetHit struct {
	At     clock.Mono
	Flight FlightID
	Bound  string // the limit's name in the configuration
}

// CutHealth tells that a zone cut began to fail or came back.
type CutHealth struct {
	At      clock.Mono
	Cut     dnsname.Name
	Failing bool
	Cause   *ede.Error
}

// StaleServed tells that a client got the last good answer after its TTL (RFC
// 8767): a whole chain, of which the oldest hop's age is told.
type StaleServed struct {
	At       clock.Mono
	Question Question
	Negative bool          // it says that the name or the type does not exist
	Age      time.Duration // since the expiry, of the hop that expired first
	Waited   time.Duration // by the client, for something better
	Until    clock.Mono    // from then on it is not served any more, as far as that is known
	Why      StaleReason
	Cause    *ede.Error // nil when nothing failed yet
}

// Judged tells what validation made of what a flight brought, or in vain: once for
// each flight, whichever servers it asked.
type Judged struct {
	At       clock.Mono
	Flight   FlightID
	Question Question
	Zone     dnsname.Name // whose keys, or the want of them, decided; "" when no zone did
	Secure   bool         // all of what is believed is
	Bogus    bool         // it does not validate; otherwise a failure is the want of a link
	Failure  *ede.Error   // nil: it is believed
	Links    []Link       // of the chain of trust, in the order in which they were looked at
}

// Link is a step of building a chain of trust.
type Link struct {
	Zone  dnsname.Name
	State string // secure, insecure, bogus, indeterminate
	Text  string // for people
}

// Failed tells that a client got no answer because of what does not validate.
type Failed struct {
	At       clock.Mono
	Question Question
	Cause    *ede.Error
}

// StaleReason is why something stale was served.
type StaleReason uint8

// Reasons for serving stale.
const (
	StaleTimeout  StaleReason = iota // the client had waited long enough
	StaleFailed                      // the attempt that the client waited for failed
	StaleRemember                    // the last attempt at this question failed a short while ago
	StaleTrouble                     // the servers are known not to answer, or to fail
	StaleCrowd                       // the servers just came back: refreshes wait for their turn
)

func (r StaleReason) String() string {
	return [...]string{"client timeout", "failed", "failed before", "zone in trouble", "slow start"}[r%5]
}

// Rechecked tells of one packet that was to find out whether a server is back.
type Rechecked struct {
	At        clock.Mono
	Cut       dnsname.Name
	Server    netip.AddrPort
	Question  Question
	Outcome   Outcome
	RTT       time.Duration
	Recovered bool // the cut did by this
}

// Prefetched tells that an answer is being refreshed before it expires.
type Prefetched struct {
	At       clock.Mono
	Question Question
}

// NetworkHealth tells that no name server answers any more, whoever is asked, so
// that it must be the way there; or that one did again.
type NetworkHealth struct {
	At      clock.Mono
	Offline bool
}

func (FlightStarted) event() {}
func (FlightEnded) event()   {}
func (Exchanged) event()     {}
func (Downgraded) event()    {}
func (Priming) event()       {}
func (BudgetHit) event()     {}
func (CutHealth) event()     {}
func (Judged) event()        {}
func (Failed) event()        {}
func (StaleServed) event()   {}
func (Rechecked) event()     {}
func (Prefetched) event()    {}
func (NetworkHealth) event() {}
