package upstream

import (
	"sync/atomic"

	"lastgood/internal/event"
)

const outcomes = event.Budget + 1

// counters are Stats while they change.
type counters struct {
	sentUDP, sentTCP, replies, late                            atomic.Uint64
	wrongShort, wrongID, wrongQuestion, wrongCase, wrongCookie atomic.Uint64
	floods, truncated, ednsFallbacks, badCookie, cookieMissing atomic.Uint64
	tcpOpened, tcpReused, tcpStale, garbage, tooLarge          atomic.Uint64
	budgetRefused, forbidden, socketBound, localErrors, shed   atomic.Uint64
	sentTLS, tlsOpened, tlsResumed, tlsReused, tlsStale        atomic.Uint64
	tlsStalled, tlsFailed, tlsFull                             atomic.Uint64
	failed                                                     [outcomes]atomic.Uint64
}

// count counts a reply that does not fit.
func (c *counters) count(f fit) {
	switch f {
	case wrongShort:
		c.wrongShort.Add(1)
	case wrongID:
		c.wrongID.Add(1)
	case wrongQuestion:
		c.wrongQuestion.Add(1)
	case wrongCase:
		c.wrongCase.Add(1)
	case wrongCookie:
		c.wrongCookie.Add(1)
	}
}

// Stats counts since New; the last group tells the present state. Datagrams
// from a wrong address or to a wrong port are dropped by the kernel, for the
// sockets are connected, and not counted here.
type Stats struct {
	SentUDP, SentTCP, SentTLS uint64 // questions that left
	Replies                   uint64 // that belong to their question, truncated and broken ones too
	Late                      uint64 // of those, after their exchange had ended

	WrongShort    uint64 // no header, no response, or another opcode
	WrongID       uint64
	WrongQuestion uint64
	WrongCase     uint64
	WrongCookie   uint64 // a client cookie that is not ours
	Floods        uint64 // questions moved to TCP for their many wrong replies

	Truncated     uint64 // UDP replies with TC
	EDNSFallbacks uint64 // questions repeated without EDNS
	BadCookie     uint64 // BADCOOKIE replies
	CookieMissing uint64 // UDP replies without the cookie they should have
	TCPOpened     uint64
	TCPReused     uint64
	TCPStale      uint64 // kept connections that turned out to be closed
	Garbage       uint64 // malformed replies
	TooLarge      uint64 // beyond MaxBytes

	TLSOpened  uint64 // handshakes that ended well
	TLSResumed uint64 // of those, with a session from before
	TLSReused  uint64 // questions that went over a connection that was open
	TLSStale   uint64 // questions sent again, their connection having ended
	TLSStalled uint64 // connections given no more questions, for no replies came
	TLSFailed  uint64 // handshakes that failed: wrong certificate, or no TLS
	TLSFull    uint64 // not sent, all connections with the server having as many questions as they may

	BudgetRefused uint64           // not sent, the work budget being used up
	Forbidden     uint64           // not sent, do-not-query
	SocketBound   uint64           // not sent, MaxSockets being open
	Shed          uint64           // exchanges that nobody waited for, ended to have their sockets
	LocalErrors   uint64           // not sent, our system being out of something
	Failed        [outcomes]uint64 // exchanges that ended without a reply, by outcome

	Sockets   int // open now, kept ones, idle connections and late ones included
	Kept      int // of those, over UDP and waiting for a question
	Lingering int // of those, waiting for late replies
	Idle      int // of those, connections kept for the next question
	TLS       int // of those, over TLS, idle or not
	Waiting   int // questions on those over TLS without a reply
}

// Stats gives the counts.
func (u *Upstream) Stats() Stats {
	c := &u.counts
	s := Stats{
		SentUDP: c.sentUDP.Load(), SentTCP: c.sentTCP.Load(), Replies: c.replies.Load(), Late: c.late.Load(),
		WrongShort: c.wrongShort.Load(), WrongID: c.wrongID.Load(), WrongQuestion: c.wrongQuestion.Load(),
		WrongCase: c.wrongCase.Load(), WrongCookie: c.wrongCookie.Load(), Floods: c.floods.Load(),
		Truncated: c.truncated.Load(), EDNSFallbacks: c.ednsFallbacks.Load(), BadCookie: c.badCookie.Load(),
		CookieMissing: c.cookieMissing.Load(), TCPOpened: c.tcpOpened.Load(), TCPReused: c.tcpReused.Load(),
		TCPStale: c.tcpStale.Load(), Garbage: c.garbage.Load(), TooLarge: c.tooLarge.Load(),
		BudgetRefused: c.budgetRefused.Load(), Forbidden: c.forbidden.Load(), SocketBound: c.socketBound.Load(),
		LocalErrors: c.localErrors.Load(), Shed: c.shed.Load(),
		Sockets: int(u.sockets.Load()), Lingering: int(u.lingers.Load()), Idle: u.pool.len(),
		SentTLS: c.sentTLS.Load(), TLSOpened: c.tlsOpened.Load(), TLSResumed: c.tlsResumed.Load(),
		TLSReused: c.tlsReused.Load(), TLSStale: c.tlsStale.Load(), TLSStalled: c.tlsStalled.Load(),
		TLSFailed: c.tlsFailed.Load(), TLSFull: c.tlsFull.Load(),
	}
	s.TLS, s.Waiting = u.tls.stats()
	if u.dialer != nil {
		s.Kept = u.dialer.keeps()
	}
	for k := range s.Failed {
		s.Failed[k] = c.failed[k].Load()
	}
	return s
}
