package stale

import (
	"slices"
	"time"

	"lastgood/internal/clock"
)

// Attempt is what is known of getting something better than what is stored.
type Attempt struct {
	Began   clock.Mono    // of the client's timer: its arrival, or the flight's start if that is earlier
	Timeout time.Duration // of the client, as Policy.Timeout gave it
	Ended   bool          // this attempt ended without a useful answer
	Failed  clock.Mono    // when the question's own last attempt failed; 0: none is remembered
	Counts  clock.Mono    // until when that answers for who has nothing else (RFC 9520 §3.2)
	Refused bool          // that failure, or the cut's, was REFUSED by all servers
	Trouble bool          // the cut is suspect or failing
	Full    bool          // no refresh is admitted now: the cut has just come back
	Bogus   bool          // that failure, or the cut's, is that what is said does not validate
	// Valid is when the signatures of the last good answer expire, or those of its
	// chain of trust; 0: it has none.
	Valid clock.Mono
	// Link: it is a link of a chain of trust, which proves nothing once its signatures
	// have expired.
	Link bool

	limit clock.Mono // from which the chain's last good answer is not served any more; 0: not looked at
}

// Within notes a stale-until of the chain that a client would get without the
// attempt: the earliest ends the wait.
func (a *Attempt) Within(until clock.Mono) {
	if a.limit == 0 || until < a.limit {
		a.limit = until
	}
}

// lastMoment is how long before the limit of its last good answer a client stops
// waiting for a better one: at the limit there is nothing left to give, timers
// are late, and the rest of the chain takes a moment.
const lastMoment = 50 * time.Millisecond

// Action is what a client gets.
type Action uint8

// Actions.
const (
	Serve      Action = iota // what is fresh
	ServeStale               // the last good answer, now
	Wait                     // nothing yet: decide again when the attempt ends, or at Decision.Until
	Fail                     // the attempt's failure
)

func (a Action) String() string {
	return [...]string{"serve", "serve stale", "wait", "fail"}[a&3]
}

// Decision is what a client gets, and what is done besides.
type Decision struct {
	Action  Action
	Until   clock.Mono // of Wait; 0: to the attempt's end
	Refresh bool       // try to get something better, behind the answer
}

// Decide is the policy table (docs/architecture.md): what a client gets for one
// hop of its chain, given what the hop's entry is and what is known of the
// attempt to refresh it. A failure that is remembered of something gone is the
// failure tables' business.
func (p *Policy) Decide(now clock.Mono, s State, a Attempt) Decision {
	switch {
	case s == Fresh:
		return Decision{Action: Serve}
	case s == Gone && a.Ended:
		return Decision{Action: Fail}
	case s == Gone:
		return Decision{Action: Wait}
	}
	return p.decideStale(now, a)
}

func (p *Policy) decideStale(now clock.Mono, a Attempt) Decision {
	until := a.Began.Add(a.Timeout)
	if a.limit != 0 {
		until = min(until, a.limit.Add(-lastMoment))
	}
	switch {
	case p.RefuseRefused && a.Refused:
		return Decision{Action: Fail}
	case now >= p.Served(ever, &a): // as of what is gone
		if a.Ended || now < a.Counts {
			return Decision{Action: Fail}
		}
		return Decision{Action: Wait}
	case a.Ended, a.Trouble: // the recheck is under way
		return Decision{Action: ServeStale}
	case a.Failed != 0:
		return Decision{Action: ServeStale, Refresh: now.Sub(a.Failed) >= p.Recheck && !a.Full}
	case a.Full:
		return Decision{Action: ServeStale}
	case now >= until:
		return Decision{Action: ServeStale, Refresh: true}
	}
	return Decision{Action: Wait, Until: until}
}

// Served is until when a last good answer is served while things are as the attempt
// knows them; until is the stale-until that Policy.Until gave. What would replace it
// may be bogus; and a link of a chain of trust proves nothing once its signatures
// have expired, whatever it fails for.
func (p *Policy) Served(until clock.Mono, a *Attempt) clock.Mono {
	switch {
	case a.Bogus && p.OnBogus == BogusNever:
		return -ever
	case a.Valid == 0:
		return until
	case a.Link, a.Bogus && p.OnBogus == BogusUntilExpiry:
		return min(until, a.Valid)
	}
	return until
}

// ever is after every moment.
const ever = clock.Mono(1<<63 - 1)

// Bounds of what is learnt of how long a client should wait. RFC 8767 §5
// recommends 1.8 s, just under the 2 s of many a stub resolver.
const (
	SamplesKept    = 64
	samplesLeast   = 16
	timeoutLeast   = 100 * time.Millisecond
	timeoutMost    = 1800 * time.Millisecond
	timeoutUnknown = 500 * time.Millisecond
)

// Learned is the client timeout for a zone of which the last useful resolutions
// took so long: twice the 90th percentile. It puts the samples in order.
func Learned(samples []time.Duration) time.Duration {
	if len(samples) < samplesLeast {
		return timeoutUnknown
	}
	slices.Sort(samples)
	p90 := samples[(len(samples)*9+9)/10-1]
	return min(max(2*p90, timeoutLeast), timeoutMost)
}
