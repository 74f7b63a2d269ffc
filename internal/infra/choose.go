package infra

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
)

const (
	// MaxTries is how often one question may be sent to one address over one
	// transport (RFC 9520 §3.1).
	MaxTries = 3

	tryUnknown    = 0.25 // of first tries while an unmeasured server is there and a measured one too
	bandShare     = 8    // servers within best + best/bandShare …
	bandFloor     = 2 * time.Millisecond
	lastHopeLeast = 800 * time.Millisecond // so long at least the very last try is waited for
)

// Candidate is a server of a cut that may be asked.
type Candidate struct {
	Addr netip.AddrPort
	Host dnsname.Name
	TCP  bool // over TCP only
	// TLS is the name that the server authenticates itself with over TLS, "" in the
	// clear; then TCP is set too.
	TLS string
}

// Tries tells how often this question was sent to an address already. N of
// MaxTries or more leaves the address out, and so does Done: an iterator got an
// answer that it cannot use, and the same question would bring the same.
type Tries struct {
	Addr netip.AddrPort
	TCP  bool
	Done bool
	N    int
}

// Choice is the server to ask next. Timeout is when to try elsewhere, not when
// to stop listening.
type Choice struct {
	Candidate
	Why     event.Reason
	Timeout time.Duration

	// Without a choice there may be servers all the same: Held that they are dark
	// and were just asked, Pause that many questions wait for their first reply;
	// so long another had better wait as well.
	Held  bool
	Pause time.Duration
}

// rank orders candidates, best first.
type rank uint8

const (
	rankGood   rank = iota // healthy or unknown, not yet asked this question
	rankAgain              // healthy, asked before
	rankDoubt              // silence to a try or more
	rankBad                // suspect, unreachable, of a dead family
	rankFaulty             // lame or erring for this cut
)

// option is a candidate with what decides.
type option struct {
	Candidate
	a     *address // nil: never heard of
	hush  *hush    // nil: nothing is known of its silence to the cut
	fault *fault
	n     int // tries of this question
	rank  rank
	cost  time.Duration
	probe bool // its recheck is due
}

// Choose picks the server of cut that a question is to be sent to next, given
// how often it was sent where. False when all tries are used up or held.
//
// Of the first tries of questions most go to the best measured server, or to
// one of several that are as good; a quarter to servers not yet measured while
// there are any; Options.Explore to others, to keep measurements current; and
// one per recheck interval (1 s, doubling to 30 s) to a server that does not
// answer or errs, so that nobody pays more than one timeout per interval for
// finding out that it is back. Bad servers are chosen otherwise only when
// nothing better is left, and each of those that are dark by one question a
// second only: the others find the choice Held.
func (i *Infra) Choose(now clock.Mono, cut dnsname.Name, cands []Candidate, tried []Tries) (Choice, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	opts, none := i.options[:0], Choice{}
	failed := i.failing(cut)
	for _, c := range cands {
		if i.family(c.Addr).off {
			continue
		}
		o := i.assess(now, cut, c, tried)
		switch {
		case o.n >= MaxTries:
		case o.a != nil && o.a.held(now, o.hush, failed):
			none.Held = true
		case o.a != nil && o.a.crowded(now, o.hush) && !o.a.dark(now, o.hush):
			none.Pause = crowdPause
		default:
			opts = append(opts, o)
		}
	}
	i.options = opts[:0]
	if len(opts) == 0 {
		if none.Pause > 0 {
			none.Held = false
		} else if none.Held {
			i.counts.Held++
		}
		return none, false
	}
	o, why := i.pick(now, opts, len(tried) == 0)
	if o.a != nil && o.a.overdue(now) {
		h := i.hushed(now, cut, o.a)
		h.granted = now
		h.asked++
	}
	i.counts.Chosen[why]++
	return Choice{Candidate: o.Candidate, Why: why, Timeout: o.patience(now, opts, why)}, true
}

// assess says how good a candidate is now. The lock is held.
func (i *Infra) assess(now clock.Mono, cut dnsname.Name, c Candidate, tried []Tries) option {
	o := option{Candidate: c, cost: unknownTimeout}
	key := unmap(c.Addr)
	for _, t := range tried {
		if unmap(t.Addr) == key && t.TCP == c.TCP {
			o.n += t.N
			if t.Done {
				o.n = MaxTries
			}
		}
	}
	if o.n > 0 {
		o.rank = rankAgain
	}
	if a, ok := i.addrs.get(key); ok {
		o.a, o.cost = a, a.cost()
		if a.overdue(now) {
			o.hush = i.hush(now, cut, a)
		}
		if h := a.health(now); h != good {
			o.rank = rankDoubt
			if h > doubtful {
				o.rank = rankBad
			}
			o.probe = a.probeDue(now)
		}
	}
	if i.avoided(key) {
		o.rank = rankBad
		o.probe = i.family(key).probeAt <= now
	}
	if f, ok := i.pairs.get(pair{cut, key}); ok {
		o.fault = f
		o.rank = rankFaulty
		o.probe = o.probe || f.until <= now && (o.a == nil || o.a.health(now) == good)
	}
	return o
}

// pick chooses among options of which there is at least one. The lock is held.
func (i *Infra) pick(now clock.Mono, opts []option, first bool) (*option, event.Reason) {
	best := opts[0].rank
	for k := range opts {
		best = min(best, opts[k].rank)
	}
	if first {
		if o := i.pickProbe(now, opts, best); o != nil {
			return o, event.ReasonProbe
		}
		if best == rankGood {
			if o := i.pickOther(opts); o != nil {
				return o, event.ReasonExplore
			}
		}
	}
	o := i.pickBest(opts, best, first)
	switch {
	case len(opts) == 1 && best <= rankAgain && first:
		return o, event.ReasonOnly
	case best >= rankBad:
		return o, event.ReasonLastHope
	case !first:
		return o, event.ReasonRetry
	case o.unknown():
		return o, event.ReasonUnknown
	}
	return o, event.ReasonBest
}

// pickProbe gives the bad option whose recheck has been due the longest, and
// plans the next. With nothing good to fall back on every try is a recheck.
func (i *Infra) pickProbe(now clock.Mono, opts []option, best rank) *option {
	var due *option
	for k := range opts {
		o := &opts[k]
		if o.probe && o.rank > best && (due == nil || o.probeAt() < due.probeAt()) {
			due = o
		}
	}
	if due == nil {
		return nil
	}
	if due.fault != nil {
		due.fault.until, due.fault.trial = now.Add(trialFor), true
	}
	if due.a != nil && due.a.probeAt != 0 {
		due.a.probed(now)
	}
	if i.avoided(due.Addr) {
		i.family(due.Addr).probed(now)
	}
	return due
}

func (o *option) probeAt() clock.Mono {
	if o.a != nil {
		return o.a.probeAt
	}
	return 0
}

// pickOther gives, for the share of tries that Options.Explore says, one of
// the good measured options that are not among the best.
func (i *Infra) pickOther(opts []option) *option {
	if i.explore <= 0 || i.rand.Float64() >= i.explore {
		return nil
	}
	limit, ok := band(opts, rankGood)
	if !ok {
		return nil
	}
	return i.draw(opts, func(o *option) bool {
		return o.rank == rankGood && !o.unknown() && o.cost > limit
	})
}

// pickBest gives one of the best options of a rank. Only healthy servers that
// were not asked yet share by speed; of others the least asked is next.
func (i *Infra) pickBest(opts []option, best rank, first bool) *option {
	if best != rankGood {
		return i.leastAsked(opts, best)
	}
	limit, measured := band(opts, best)
	if !measured || first && i.rand.Float64() < tryUnknown {
		if o := i.draw(opts, func(o *option) bool {
			return o.rank == best && o.unknown() && o.waiting() == 0
		}); o != nil {
			return o
		}
	}
	if !measured {
		return i.leastAsked(opts, best)
	}
	return i.draw(opts, func(o *option) bool {
		return o.rank == best && !o.unknown() && o.cost <= limit
	})
}

// leastAsked gives an option of the rank with the fewest tries and, of those,
// the fewest exchanges under way and the least cost.
func (i *Infra) leastAsked(opts []option, best rank) *option {
	better := func(a, b *option) bool {
		switch {
		case a.n != b.n:
			return a.n < b.n
		case a.waiting() != b.waiting() && a.unknown() && b.unknown():
			return a.waiting() < b.waiting()
		}
		return a.cost < b.cost
	}
	var found *option
	for k := range opts {
		if o := &opts[k]; o.rank == best && (found == nil || better(o, found)) {
			found = o
		}
	}
	return i.draw(opts, func(o *option) bool {
		return o.rank == best && !better(found, o)
	})
}

// band gives the cost up to which measured options of a rank count as equally
// good as the best.
func band(opts []option, r rank) (limit time.Duration, ok bool) {
	for k := range opts {
		if o := &opts[k]; o.rank == r && !o.unknown() && (!ok || o.cost < limit) {
			limit, ok = o.cost, true
		}
	}
	return limit + max(limit/bandShare, bandFloor), ok
}

// draw gives one of the options that fit, each with the same chance, or nil.
func (i *Infra) draw(opts []option, fits func(*option) bool) *option {
	count := 0
	for k := range opts {
		if fits(&opts[k]) {
			count++
		}
	}
	if count == 0 {
		return nil
	}
	at := 0
	if count > 1 {
		at = i.rand.IntN(count)
	}
	for k := range opts {
		if fits(&opts[k]) {
			if at == 0 {
				return &opts[k]
			}
			at--
		}
	}
	return nil
}

func (o *option) unknown() bool { return o.a == nil || o.a.unknown() }

// waiting counts the exchanges without an answer since it was heard last.
func (o *option) waiting() int {
	if o.a == nil {
		return 0
	}
	return o.a.unanswered
}

// patience is how long to wait before trying elsewhere: short while there is
// an elsewhere, doubled with each try of the question at the same server,
// longer when this is the last try of all. For a dark one it is what it would
// need if it were back.
func (o *option) patience(now clock.Mono, opts []option, why event.Reason) time.Duration {
	d := unknownTimeout
	if o.a != nil {
		d = o.a.timeout()
		if o.a.silence(now, o.hush) > 0 && why == event.ReasonLastHope {
			return max(d, unknownTimeout)
		}
	}
	d = min(d<<o.n, maxTimeout)
	left := -1 // tries after this one
	for k := range opts {
		left += MaxTries - opts[k].n
	}
	switch {
	case left <= 0:
		return maxTimeout
	case why == event.ReasonLastHope && len(opts) == 1:
		return max(d, lastHopeLeast)
	case why == event.ReasonExplore || why == event.ReasonProbe:
		return min(d, elsewhere(opts))
	}
	return d
}

// elsewhere is how long whoever serves curiosity waits before the best of the
// servers is asked: what is slow is learnt from its late reply too.
func elsewhere(opts []option) time.Duration {
	least := maxTimeout
	for k := range opts {
		if o := &opts[k]; o.rank == rankGood && !o.unknown() {
			least = min(least, o.a.timeout())
		}
	}
	return max(unknownTimeout, least)
}
