package world

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// policy is what a world's configuration says of stale answers.
type policy struct {
	off       bool
	timeout   time.Duration // of clients; auto: the least that it may be
	max       time.Duration // after the expiry
	negative  time.Duration // of denials
	answerTTL uint32        // that stale records are told with
}

func (p *plan) policy() policy {
	o := policy{timeout: 100 * time.Millisecond, max: 24 * time.Hour, negative: time.Hour, answerTTL: 30}
	for key, value := range p.config {
		d, _ := time.ParseDuration(value)
		switch key {
		case "stale.enabled":
			o.off = value == "false"
		case "stale.client-timeout":
			o.timeout = d
		case "stale.max-stale":
			o.max = d
		case "stale.max-stale-negative":
			o.negative = d
		case "stale.answer-ttl":
			o.answerTTL = uint32(d / time.Second)
		}
	}
	return o
}

// limit is how long after its expiry something may be told.
func (p *policy) limit(kind sayKind) time.Duration {
	if kind == nodata || kind == nxdomain {
		return p.negative
	}
	return p.max
}

// told is the TTL of something stale whose life was so long.
func (p *policy) told(life time.Duration) uint32 {
	return max(1, min(p.answerTTL, uint32(life/time.Second)))
}

// hopTruth is what a hop of a chain may be, by what was true when.
type hopTruth struct {
	name         dnsname.Name
	fresh, stale bool
	age          time.Duration // if fresh, since it was learnt at most
}

// learnt is that something was told as fresh, and so from when on it was known.
type learnt struct {
	came, from time.Duration
	alias      bool
}

// claim is what a reply says of one hop, and what is looked for in the histories.
type claim struct {
	name  dnsname.Name // of the hop
	asked wire.Type    // of a server
	key   key          // what it is in a cache
	kind  sayKind
	ttl   uint32
	says  func(*saying) (life time.Duration, ok bool) // whether a saying is this
}

// judgeClaim tells what a claim may be, and of the best reason that it is neither.
func (x *judged) judgeClaim(c *claim) (h hopTruth, why string) {
	h.name = c.name
	x.sources(c.name, func(s *source) bool {
		x.weigh(c, s, &h, &why)
		return false
	})
	if h.fresh && !h.stale { // for certain
		x.learnt[c.key] = append(x.learnt[c.key], learnt{x.r.came, x.r.sent - time.Second - h.age, c.kind == cname})
	}
	return h, why
}

// weigh holds a claim against what one server had for a while.
func (x *judged) weigh(c *claim, s *source, h *hopTruth, why *string) {
	for _, say := range answers(s.zones, c.name, c.asked) {
		life, ok := c.says(&say)
		if !ok {
			if *why == "" && say.zone != nil {
				*why = fmt.Sprintf("%s says %v of it in serial %d", say.zone.origin, say.kind, say.zone.serial)
			}
			continue
		}
		if s.lapsed {
			life = min(life, time.Duration(x.policy.answerTTL)*time.Second)
		}
		fresh, old := x.freshly(c, s, life), x.lastGood(c, s, life)
		if fresh {
			h.fresh, h.age = true, max(h.age, life-time.Duration(c.ttl)*time.Second)
		}
		if h.stale = h.stale || old; fresh || old {
			continue
		}
		*why = fmt.Sprintf("true from %v to %v with TTL %v, but it is told with %d", s.a, s.b, life, c.ttl)
	}
}

// freshly tells whether what a server said may have been learnt when the TTL
// tells: when the server was heard.
func (x *judged) freshly(c *claim, s *source, life time.Duration) bool {
	if c.ttl > uint32(life/time.Second) {
		return false
	}
	from, until := x.window(life, c.ttl)
	return x.within(s, from, until)
}

// lastGood tells whether what a server said may be the last good answer: it has
// expired, no longer ago than the limit, and nothing was learnt since.
func (x *judged) lastGood(c *claim, s *source, life time.Duration) bool {
	if x.policy.off || life < time.Second || c.ttl != x.policy.told(life) {
		return false
	}
	from := max(x.r.sent-life-x.policy.limit(c.kind)-time.Second, x.since(c))
	return x.within(s, from, x.r.came-life)
}

// within tells whether a server had it, and was heard, at some time of a span.
func (x *judged) within(s *source, from, until time.Duration) bool {
	late := x.lateness(from)
	if s.a > until || from > later(s.b, late) {
		return false
	}
	return x.spoke(s.server, max(from, s.a)-late, min(until+time.Second, later(s.b, late), x.r.came))
}

// spoke tells whether a server's reply reached the resolver in a span.
func (j *judge) spoke(server int, from, until time.Duration) bool {
	list := j.spoken[server]
	i, _ := slices.BinarySearch(list, from)
	return i < len(list) && list[i] <= until
}

// since is from when on a claim must have been learnt, by what was told before the
// question about the same name: whatever was replaced is not brought back. An
// alias and NXDOMAIN leave room for nothing else at a name, data and its absence
// for other types.
func (x *judged) since(c *claim) (from time.Duration) {
	alone := c.kind == cname || c.kind == nxdomain
	for k, list := range x.learnt {
		if k.name != c.key.name {
			continue
		}
		same := alone || k.typ == c.key.typ || k.typ == wire.TypeNone
		for _, l := range list {
			if (same || l.alias) && l.came < x.r.sent {
				from = max(from, l.from)
			}
		}
	}
	return from
}

// staleness judges what a reply says of being stale, and whether it may be.
func (x *judged) staleness() string {
	code := uint16(dns.ExtendedErrorCodeStaleAnswer)
	if x.m.Rcode == dns.RcodeNameError {
		code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	said, says := x.saysStale()
	if says && said != code {
		return fmt.Sprintf("EDE %d with %s", said, dns.RcodeToString[x.m.Rcode])
	}
	var hops []hopTruth // that are stale: for certain, else perhaps
	for _, h := range x.truths {
		if !h.fresh {
			hops = append(hops, h)
		}
	}
	switch {
	case x.r.withoutEDNS() && !says && len(hops) > 0: // without EDNS nothing can be said
	case !says && len(hops) > 0:
		return fmt.Sprintf("%s is stale, and nothing says so", hops[0].name)
	case !says:
		return ""
	case len(hops) == 0:
		if hops = slices.DeleteFunc(slices.Clone(x.truths), func(h hopTruth) bool { return !h.stale }); len(hops) == 0 {
			return "it says that it is stale, and nothing of it is: " + flat(x.m)
		}
	}
	e, why := none, ""
	for _, h := range hops { // what is stale for the time that the others took is excused with them
		if e, why = x.staleExcuse(h.name); e != none {
			break
		}
	}
	x.counts.stale[string(e)]++
	if e == none {
		return "stale, though " + why
	}
	x.counts.answers[fmt.Sprintf("stale %v", dns.RcodeToString[x.m.Rcode])]++
	return ""
}

// saysStale tells whether a reply says that it is stale, and with which code.
func (x *judged) saysStale() (code uint16, says bool) {
	opt := x.m.IsEdns0()
	if opt == nil {
		return 0, false
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok && (e.InfoCode == dns.ExtendedErrorCodeStaleAnswer || e.InfoCode == dns.ExtendedErrorCodeStaleNXDOMAINAnswer) {
			return e.InfoCode, true
		}
	}
	return 0, false
}

// withoutEDNS tells that a client asked without EDNS.
func (r *reply) withoutEDNS() bool { return r.ask.size == 0 }

// What excuses something stale beside what excuses a failure.
const (
	ownFailure  excuse = "own failure"  // the question's last attempt failed, and that is remembered
	zoneFailure excuse = "zone failure" // so did one at the zone, and nobody asked since
	timedOut    excuse = "timeout"      // the client waited as long as it should
)

const (
	// noticed is how long after its end an outage may still be taken to go on:
	// rechecks may be half a minute apart, when nobody asks, and refreshes are
	// admitted slowly, for three seconds.
	noticed = 40 * time.Second
	// longest is how long a failure may be remembered (RFC 9520 §3.2).
	longest = 5 * time.Minute
	instant = 3 * time.Millisecond // what is decided and what is told are apart so far
)

// staleExcuse tells why one hop of a chain may be stale: there was no useful answer
// to be had, or the client waited as long as it should.
func (x *judged) staleExcuse(hop dnsname.Name) (excuse, string) {
	var last, found *flight
	for _, f := range x.failures.of[event.Question{Name: hop, Type: x.r.typ}] {
		switch {
		case f.from > x.r.came:
		case f.until <= x.r.came-instant:
			if last = f; !f.failed && f.until > x.r.sent+instant && found == nil {
				found = f
			}
		case x.bound(f):
			return bounded, ""
		}
	}
	began := x.timer()
	switch e, why := x.hopeless([]dnsname.Name{hop}, x.r.typ, x.r.sent-noticed, x.r.came); {
	case e != none:
		return e, ""
	case last != nil && last.failed && last.until+longest > x.r.sent-slack:
		return ownFailure, ""
	case x.forgotten(hop):
		return zoneFailure, ""
	case x.sluggish(x.r.sent-noticed, x.r.came):
		return slow, ""
	case found != nil && found.until < began+x.policy.timeout-instant:
		return none, fmt.Sprintf("%s was found after %v", hop, found.until-x.r.sent)
	case x.r.came-began >= x.policy.timeout-instant:
		return timedOut, ""
	default:
		return none, fmt.Sprintf("every server on the way to %s is well, no failure can be remembered and the client waited for %v only: %s", hop, x.r.came-began, why)
	}
}

// forgotten tells whether a zone on the way to a name was seen to fail no longer ago
// than failures are remembered, and nothing was told as stale for it since: then
// nobody looks whether it is back. Whoever is told so has it looked after.
func (x *judged) forgotten(name dnsname.Name) bool {
	return x.seenToFail(x.r, name, func(s event.StaleServed, at time.Duration) bool {
		return s.Why == event.StaleTrouble && at < x.r.sent-noticed
	})
}

// seenToFail tells whether a zone on the way to a name was seen to fail no longer
// before a question than failures are remembered, and no stale answer since that
// counts.
func (j *judge) seenToFail(r *reply, name dnsname.Name, counts func(event.StaleServed, time.Duration) bool) bool {
	failing := map[dnsname.Name]bool{}
	last := map[dnsname.Name]time.Duration{}
	for _, e := range j.events {
		if e.at >= r.came {
			break
		}
		switch y := e.Event.(type) {
		case event.CutHealth:
			delete(last, y.Cut)
			if failing[y.Cut] = y.Failing; y.Failing {
				last[y.Cut] = e.at
			}
		case event.Rechecked:
			if failing[y.Cut] {
				last[y.Cut] = e.at
			}
		case event.FlightEnded:
			for cut, bad := range failing {
				if bad && y.Failure != nil && y.Question.Name.Under(cut) {
					last[cut] = e.at
				}
			}
		case event.StaleServed:
			for cut := range last {
				if y.Question.Name.Under(cut) && counts(y, e.at) {
					delete(last, cut)
				}
			}
		}
	}
	for cut, at := range last {
		if name.Under(cut) && at > r.sent-longest-slack {
			return true
		}
	}
	return false
}

// timer is when the client's timer began: with the question, or the attempt that it
// joined, for whichever hop. The timer is the question's.
func (x *judged) timer() time.Duration {
	began := x.r.sent
	for _, n := range x.truths {
		for _, f := range x.failures.of[event.Question{Name: n.name, Type: x.r.typ}] {
			if f.from <= x.r.came && f.until >= x.r.sent {
				began = min(began, f.from)
			}
		}
	}
	return began
}

// sluggish tells whether some server was slow in a span: it may be suspect for a
// moment, again and again.
func (j *judge) sluggish(from, until time.Duration) bool {
	return slices.ContainsFunc(j.p.faults, func(f fault) bool {
		return strings.Contains(f.words, "slow=") && f.from <= until && from < f.until
	})
}

// good is a whole answer that was told as fresh: what a cache has until its limit.
type good struct {
	came  time.Duration
	until time.Duration // a moment before the first hop is gone
	names []dnsname.Name
}

// keepGood writes an answer down that is the last good one from now on.
func (x *judged) keepGood() {
	k := key{x.r.name, x.r.typ}
	delete(x.good, k)
	g := good{came: x.r.came, until: forever}
	_, says := x.saysStale()
	for _, h := range x.truths {
		if !h.fresh || says || h.stale && x.r.withoutEDNS() {
			return
		}
		g.names = append(g.names, h.name)
	}
	for _, rr := range slices.Concat(x.m.Answer, x.m.Ns) {
		if rr.Header().Ttl == 0 {
			return
		}
		limit := x.policy.max
		if len(x.m.Ns) > 0 {
			limit = min(limit, x.policy.negative)
		}
		g.until = min(g.until, x.r.came+time.Duration(rr.Header().Ttl-1)*time.Second+limit)
	}
	if len(x.m.Answer)+len(x.m.Ns) > 0 {
		x.good[k] = g
	}
}

// withheld tells of a failure why it should have been an answer: the last good
// one was there, nothing changed since, and no bound keeps it out of the cache.
func (j *judge) withheld(r *reply) string {
	g, ok := j.good[key{r.name, r.typ}]
	if !ok || j.policy.off || g.came > r.sent || r.came >= g.until || j.p.config["cache.size"] != "" {
		return ""
	}
	for _, n := range g.names {
		if !j.constant(n, r.typ, g.came-j.max-slack, r.came) {
			return ""
		}
	}
	return fmt.Sprintf("the answer of %v could have been served until %v at least", g.came, g.until)
}

// constant tells whether all that could be learnt of a name in a span is one and
// the same.
func (j *judge) constant(name dnsname.Name, t wire.Type, from, until time.Duration) bool {
	var first *saying
	changed := j.sources(name, func(s *source) bool {
		if s.a > until || later(s.b, slack) < from {
			return false
		}
		for _, say := range answers(s.zones, name, t) {
			if say.kind == refused || say.kind == referral {
				continue
			}
			if first == nil {
				first = &say
			}
			if say.zone.origin != first.zone.origin { // whoever denies a cut ends all that was below
				return true
			}
			if say.kind != first.kind || (say.set == nil) != (first.set == nil) || say.set != nil && !say.set.equal(first.set) || say.owner != first.owner {
				return true
			}
		}
		return false
	})
	return !changed && !j.everLied("nxdomain-ent", until)
}

// everLied tells whether some server had a fault before a time.
func (j *judge) everLied(words string, before time.Duration) bool {
	return slices.ContainsFunc(j.p.faults, func(f fault) bool { return strings.Contains(f.words, words) && f.from <= before })
}
