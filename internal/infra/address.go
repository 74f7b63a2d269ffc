package infra

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

const (
	minTimeout     = 100 * time.Millisecond // floor of max(100 ms, srtt+4·rttvar)
	maxTimeout     = 2 * time.Second        // cap of the penalty: nothing waits longer for a try
	unknownTimeout = 400 * time.Millisecond // for the try of a server never measured
	unknownSilence = 300 * time.Millisecond // when the silence of such a server begins to count
	suspectAfter   = 3                      // unanswered exchanges
	suspectLossy   = 48                     // at most, from a server known to leave many unanswered
	suspectError   = 1e-6                   // chance at which silence of a living one is taken for an outage
	recheckFirst   = time.Second            // until a silent server is asked again
	recheckLast    = 30 * time.Second       // what that doubles to, with every probe in vain
	lossWeight     = 1.0 / 16
	lossAtOnce     = 3                // losses that one reply may prove
	lossOutage     = 5 * time.Second  // a silence so long says nothing of what is usual
	sampleMost     = time.Minute      // nobody waits longer: the machine slept, and that is no measure
	sampleLasts    = 10 * time.Second // a measurement so old yields to one that is much shorter
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
	loss         float64       // share of exchanges lost while the server lived, smoothed; for its cost
	ignores      float64       // the same in short silences too; for what silence means

	// The first exchanges sent since something was heard, oldest first, at most
	// suspectLossy: enough to tell silence. unanswered counts all of them.
	pending    []clock.Mono
	unanswered int
	missed     int // tries that timed out since something was heard

	down      bool // the network said so, and nothing was heard since
	downSince clock.Mono
	downText  string

	probeAt  clock.Mono // when a bad server is asked again; 0: not decided
	probeGap time.Duration

	lastSent  clock.Mono
	revisited clock.Mono   // when it was sent the first question after five minutes without, unheard since
	useful    dnsname.Name // the cut that it last gave a useful answer for, "" for none
	muteCause *ede.Error   // what is told of its silence, made when somebody asks

	cap capability

	sent, answered, timeouts uint64
}

func (a *address) send(now clock.Mono) {
	if now.Sub(max(a.lastSent, a.downSince)) >= backoffLast {
		a.revisited = now // nobody asked for so long
	}
	a.sent++
	a.lastSent = now
	a.unanswered++
	if len(a.pending) < suspectLossy {
		a.pending = append(a.pending, now)
	}
}

// hear takes a reply: it clears every doubt, and its round trip is learnt.
func (a *address) hear(now clock.Mono, rtt time.Duration) {
	a.answered++
	a.learnLoss(now)
	a.heard = now
	a.pending, a.unanswered = a.pending[:0], 0
	a.down, a.downSince, a.downText = false, 0, ""
	a.probeAt, a.probeGap = 0, 0
	a.muteCause, a.revisited = nil, 0
	if rtt > 0 && rtt <= sampleMost {
		a.sample(now, rtt)
	}
}

// sample is RFC 6298 §2.2 and §2.3. The variance has a floor, for a server that
// is always equally fast is not therefore late after a hair's breadth more. One
// that was slow, and then was not asked for a while, has its chance again with
// the first reply that is much faster: it is asked too seldom for small steps.
func (a *address) sample(now clock.Mono, rtt time.Duration) {
	restart := a.srtt == 0 || rtt < a.srtt/2 && now.Sub(a.sampled) > sampleLasts
	a.sampled = now
	if restart {
		a.srtt, a.rttvar = rtt, rtt/2
	} else {
		a.rttvar += ((a.srtt - rtt).Abs() - a.rttvar) / 4
		a.srtt += (rtt - a.srtt) / 8
	}
	a.srtt = max(a.srtt, 1)
	a.rttvar = max(a.rttvar, a.srtt/16, time.Millisecond)
}

// learnLoss counts, when a reply proves that the server lives, the tries that
// timed out since the last one as lost. What a suspect one missed was an outage
// and says nothing of the link; but a server that leaves many questions
// unanswered between others (a link with loss, types that it drops) must not
// for long be taken for silent whenever chance puts a few of those in a row.
func (a *address) learnLoss(now clock.Mono) {
	outage := a.suspect(now) || a.down
	long := len(a.pending) > 0 && now.Sub(a.pending[0]) > lossOutage
	for k := range min(a.missed, suspectLossy) {
		if k < lossAtOnce && !outage {
			a.loss += (1 - a.loss) * lossWeight
		}
		if !outage || !long {
			a.ignores += (1 - a.ignores) * lossWeight
		}
	}
	a.missed = 0
	a.loss -= a.loss * lossWeight
	a.ignores -= a.ignores * lossWeight
}

// withdraw takes back an exchange that was not given time enough.
func (a *address) withdraw(now, sent clock.Mono) {
	if now.Sub(sent) >= a.patience() {
		return
	}
	if k := slices.Index(a.pending, sent); k >= 0 {
		a.pending = slices.Delete(a.pending, k, k+1)
		a.unanswered--
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

// suspicion is how many unanswered exchanges make the address suspect: three,
// and more where so many in a row are nothing unusual.
func (a *address) suspicion() int {
	if a.ignores < 0.01 {
		return suspectAfter
	}
	n := math.Log(suspectError) / math.Log(min(a.ignores, 0.99))
	return min(max(int(math.Ceil(n)), suspectAfter), suspectLossy)
}

// suspect is the architecture's definition. The pending ones are the oldest
// sent since something was heard, so the n-th tells.
func (a *address) suspect(now clock.Mono) bool {
	n := a.suspicion()
	return len(a.pending) >= n && now.Sub(a.pending[n-1]) >= a.patience()
}

func (a *address) health(now clock.Mono) health {
	switch {
	case a.down:
		return refusing
	case a.suspect(now):
		return silent
	case len(a.pending) > 0 && now.Sub(a.pending[0]) >= a.patience():
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
