package infra

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
)

const (
	minTimeout      = 100 * time.Millisecond // floor of max(100 ms, srtt+4·rttvar)
	maxTimeout      = 2 * time.Second        // cap of the penalty: nothing waits longer for a try
	unknownTimeout  = 400 * time.Millisecond // for the try of a server never measured
	unknownSilence  = 300 * time.Millisecond // when the silence of such a server begins to count
	suspectAfter    = 3                      // unanswered exchanges
	suspectLossy    = 6                      // the same on a link that is known to lose much
	recheckFirst    = time.Second            // until a silent server is asked again
	recheckLast     = 30 * time.Second       // what that doubles to, with every probe in vain
	lossWeight      = 1.0 / 16
	lossAtOnce      = 3 // losses that one reply may prove
	pendingRecorded = 8
)

// health orders addresses from good to bad.
type health uint8

const (
	good     health = iota
	doubtful        // one exchange or more unanswered for too long, nothing heard since
	silent          // suspect
	refusing        // the network says that it cannot be reached
)

func (h health) String() string {
	return [...]string{"good", "doubtful", "suspect", "unreachable"}[h&3]
}

// address is what is known of an address with its port. Round trips are
// estimated as in RFC 6298 §2.
type address struct {
	addr         netip.AddrPort
	srtt, rttvar time.Duration // srtt 0: never measured
	heard        clock.Mono    // last time anything came
	sampled      clock.Mono    // last time srtt was updated
	loss         float64       // share of exchanges lost while the server lived, smoothed

	// The first exchanges sent since something was heard, oldest first: enough
	// to tell silence. unanswered counts all of them.
	pending    [pendingRecorded]clock.Mono
	pendings   int
	unanswered int

	down      bool // the network said so, and nothing was heard since
	downSince clock.Mono
	downText  string

	probeAt  clock.Mono // when a bad server is asked again; 0: not decided
	probeGap time.Duration

	cap capability

	sent, answered, timeouts uint64
}

func (a *address) send(now clock.Mono) {
	a.sent++
	a.unanswered++
	if a.pendings < len(a.pending) {
		a.pending[a.pendings] = now
		a.pendings++
	}
}

// hear takes a reply: it clears every doubt, and its round trip is learnt.
func (a *address) hear(now clock.Mono, rtt time.Duration) {
	a.answered++
	a.learnLoss(now)
	a.heard = now
	a.pendings, a.unanswered = 0, 0
	a.down, a.downSince, a.downText = false, 0, ""
	a.probeAt, a.probeGap = 0, 0
	if rtt > 0 {
		a.sample(now, rtt)
	}
}

// sample is RFC 6298 §2.2 and §2.3. The variance has a floor, for a server that
// is always equally fast is not therefore late after a hair's breadth more.
func (a *address) sample(now clock.Mono, rtt time.Duration) {
	a.sampled = now
	if a.srtt == 0 {
		a.srtt, a.rttvar = rtt, rtt/2
	} else {
		a.rttvar += ((a.srtt - rtt).Abs() - a.rttvar) / 4
		a.srtt += (rtt - a.srtt) / 8
	}
	a.srtt = max(a.srtt, 1)
	a.rttvar = max(a.rttvar, a.srtt/16, time.Millisecond)
}

// learnLoss counts, when a reply proves that the server lives, the exchanges
// whose replies are overdue as lost. What a suspect one missed was an outage
// and says nothing of the link.
func (a *address) learnLoss(now clock.Mono) {
	if !a.suspect(now) && !a.down {
		overdue := 0
		for _, at := range a.pending[:a.pendings] {
			if now.Sub(at) >= a.patience() && overdue < lossAtOnce {
				overdue++
				a.loss += (1 - a.loss) * lossWeight
			}
		}
	}
	a.loss -= a.loss * lossWeight
}

// withdraw takes back an exchange that was not given time enough.
func (a *address) withdraw(now, sent clock.Mono) {
	if now.Sub(sent) >= a.patience() {
		return
	}
	for k, at := range a.pending[:a.pendings] {
		if at == sent {
			copy(a.pending[k:], a.pending[k+1:a.pendings])
			a.pendings--
			a.unanswered--
			return
		}
	}
}

// patience is how long an exchange must be unanswered to count as silence.
func (a *address) patience() time.Duration {
	if a.srtt == 0 {
		return unknownSilence
	}
	return max(minTimeout, a.srtt+4*a.rttvar)
}

// timeout is when to try elsewhere, before any backoff.
func (a *address) timeout() time.Duration {
	if a.srtt == 0 {
		return unknownTimeout
	}
	return min(a.patience(), maxTimeout)
}

// suspicion is how many unanswered exchanges make the address suspect.
func (a *address) suspicion() int {
	return min(suspectAfter+int(a.loss*12), suspectLossy)
}

// suspect is the architecture's definition. The pending ones are the oldest
// sent since something was heard, so the n-th tells.
func (a *address) suspect(now clock.Mono) bool {
	n := a.suspicion()
	return a.pendings >= n && now.Sub(a.pending[n-1]) >= a.patience()
}

func (a *address) health(now clock.Mono) health {
	switch {
	case a.down:
		return refusing
	case a.suspect(now):
		return silent
	case a.pendings > 0 && now.Sub(a.pending[0]) >= a.patience():
		return doubtful
	}
	return good
}

// unknown tells that nothing was ever measured.
func (a *address) unknown() bool { return a.srtt == 0 }

// cost is what a try is expected to take: the round trip, and for each lost
// packet a timeout on top.
func (a *address) cost() time.Duration {
	if a.unknown() {
		return unknownTimeout
	}
	lost := min(a.loss, 0.9)
	return a.srtt + time.Duration(lost/(1-lost)*float64(a.timeout()))
}

// probeDue tells whether a bad server's next recheck is due. The first one is
// recheckFirst after it became bad.
func (a *address) probeDue(now clock.Mono) bool {
	if a.probeAt == 0 {
		since := a.downSince
		if !a.down {
			since = a.pending[0].Add(a.patience())
		}
		a.probeGap = recheckFirst
		a.probeAt = since.Add(a.probeGap)
	}
	return a.probeAt <= now
}

// probed plans the recheck after this one.
func (a *address) probed(now clock.Mono) {
	a.probeGap = min(2*a.probeGap, recheckLast)
	a.probeAt = now.Add(a.probeGap)
}
