package world

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// judge is the oracle: it holds every reply of a world against what was true.
type judge struct {
	*record
	max      time.Duration // cache.max-ttl
	policy   policy
	found    []violation
	counts   counts
	failures *failures
	spoken   map[int][]time.Duration // by server: when the resolver heard it
	learnt   map[key][]learnt        // what replies told as fresh
	good     map[key]good            // the last good answers
}

// violation is a reply that cannot be, and why.
type violation struct {
	reply reply
	why   string
}

// maxNegative is cache.max-negative-ttl.
const maxNegative = time.Hour

// judged is what a reply is judged with.
type judged struct {
	*judge
	r      *reply
	m      *dns.Msg
	at     dnsname.Name // where the chain has got to
	dnames []*dns.DNAME
	hops   int
	truths []hopTruth
}

// verdicts judges all replies of a world.
func verdicts(r *record) *judge {
	j := &judge{
		record: r, max: maxTTL, policy: r.p.policy(), counts: newCounts(),
		spoken: map[int][]time.Duration{}, learnt: map[key][]learnt{}, good: map[key]good{},
	}
	for _, s := range r.spoken {
		j.spoken[s.server] = append(j.spoken[s.server], s.at)
	}
	for _, list := range j.spoken {
		slices.Sort(list)
	}
	if text, ok := r.p.config["cache.max-ttl"]; ok && text == "1d" {
		j.max = 24 * time.Hour
	}
	j.failures = j.readFailures()
	j.counts.worlds, j.counts.queries = 1, len(r.queries)
	for i := range r.p.faults {
		f := &r.p.faults[i]
		if f.kind == "authority" {
			j.counts.faults[f.words]++
		} else {
			j.counts.faults[f.kind]++
		}
	}
	for i := range r.replies {
		if why := j.reply(&r.replies[i]); why != "" {
			j.found = append(j.found, violation{r.replies[i], why})
		}
	}
	for _, left := range r.leaked {
		j.found = append(j.found, violation{why: "left at the end: " + left})
	}
	j.budgets()
	return j
}

// reply gives what is wrong with a reply, "" when it is right.
func (j *judge) reply(r *reply) string {
	j.counts.questions++
	if r.msg == nil || r.err != nil {
		return fmt.Sprintf("no reply after %v: %v", r.came-r.sent, r.err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(r.msg); err != nil {
		return "a malformed reply: " + err.Error()
	}
	if why := header(r, m); why != "" {
		return why
	}
	if strings.Contains(m.String(), lieNet4) || strings.Contains(m.String(), lieNet6) || strings.Contains(m.String(), "liar") {
		return "a lie: " + flat(m)
	}
	if m.Truncated {
		j.counts.answers["TC"]++
		return ""
	}
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
		x := &judged{judge: j, r: r, m: m, at: r.name}
		if why := x.chain(); why != "" {
			return why
		}
		return x.staleness()
	case dns.RcodeServerFailure, dns.RcodeRefused:
		return j.failure(r, m)
	}
	return "rcode " + dns.RcodeToString[m.Rcode]
}

// header judges what must hold for every reply.
func header(r *reply, m *dns.Msg) string {
	switch {
	case !m.Response || !m.RecursionAvailable || !m.RecursionDesired || m.Authoritative || m.AuthenticatedData:
		return "wrong flags: " + flat(m)
	case len(m.Question) != 1 || !strings.EqualFold(m.Question[0].Name, r.name.String()) || m.Question[0].Qtype != uint16(r.typ):
		return "a reply to another question: " + flat(m)
	case !r.tcp && r.size > min(r.limit, 1232) && r.size > 512:
		return fmt.Sprintf("%d octets for a client that takes %d", r.size, r.limit)
	case r.tcp && m.Truncated:
		return "truncated over TCP"
	}
	for _, rr := range m.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			return "unasked for in the additional section: " + rr.String()
		}
	}
	return ""
}

func flat(m *dns.Msg) string { return strings.Join(strings.Fields(m.String()), " ") }

// chain judges an answer, hop by hop.
func (x *judged) chain() string {
	list := x.m.Answer
	for i := 0; i < len(list); {
		rr := list[i]
		owner, err := dnsname.Parse(rr.Header().Name)
		if err != nil {
			return err.Error()
		}
		switch t := wire.Type(rr.Header().Rrtype); {
		case t == wire.TypeDNAME && x.at.Below(owner) && !(x.r.typ == wire.TypeDNAME && owner == x.at):
			d := rr.(*dns.DNAME)
			if why := x.truth(owner, t, list[i:i+1], dname); why != "" {
				return why
			}
			x.dnames = append(x.dnames, d)
			i++
		case t == wire.TypeCNAME && owner == x.at && (x.r.typ != wire.TypeCNAME || x.made()):
			if why := x.alias(rr.(*dns.CNAME), list[i:i+1]); why != "" {
				return why
			}
			i++
		case t == x.r.typ && owner == x.at:
			n := i
			for n < len(list) && list[n].Header().Rrtype == rr.Header().Rrtype && strings.EqualFold(list[n].Header().Name, rr.Header().Name) {
				n++
			}
			if n != len(list) {
				return fmt.Sprintf("more behind the chain's end: %s", list[n])
			}
			if x.m.Rcode != dns.RcodeSuccess || len(x.m.Ns) > 0 {
				return "data, and yet a denial: " + flat(x.m)
			}
			x.counts.answers[fmt.Sprintf("data after %d", min(x.hops, 3))]++
			why := x.truth(owner, t, list[i:n], data)
			if why == "" {
				x.keepGood()
			}
			return why
		default:
			return fmt.Sprintf("%s does not lead on from %s", rr, x.at)
		}
	}
	if x.r.typ == wire.TypeCNAME && x.hops > 0 && x.m.Rcode == dns.RcodeSuccess && len(x.m.Ns) == 0 {
		x.counts.answers["made alias"]++
		return "" // what a DNAME makes answers the question for a CNAME, which is not followed
	}
	return x.denial()
}

// made tells whether a DNAME of the chain makes an alias of the present name.
func (x *judged) made() bool {
	return slices.ContainsFunc(x.dnames, func(d *dns.DNAME) bool { return x.at.Below(dnsname.MustParse(d.Hdr.Name)) })
}

// alias judges a CNAME, which may be made of a DNAME.
func (x *judged) alias(c *dns.CNAME, rrs []dns.RR) string {
	to := dnsname.MustParse(c.Target)
	if x.hops++; x.hops > 11 {
		return "more aliases than are followed"
	}
	for _, d := range x.dnames {
		owner := dnsname.MustParse(d.Hdr.Name)
		if !x.at.Below(owner) {
			continue
		}
		if made, err := x.at.Rebase(owner, dnsname.MustParse(d.Target)); err != nil || made != to || c.Hdr.Ttl > d.Hdr.Ttl {
			return fmt.Sprintf("%s is not what %s makes", c, d)
		}
		x.at = to
		return ""
	}
	if why := x.truth(x.at, wire.TypeCNAME, rrs, cname); why != "" {
		return why
	}
	x.at = to
	return ""
}

// window is when a record of a life can have been learnt, by what it says is left
// of it: rounded up to seconds when the answer was made.
func (x *judged) window(life time.Duration, left uint32) (from, until time.Duration) {
	until = x.r.came + time.Duration(left)*time.Second - life
	return until - time.Second - (x.r.came - x.r.sent), until
}

// truth judges a record set: some server that could be believed said it, at a
// moment from which its TTL can have run down to what it is now.
func (x *judged) truth(owner dnsname.Name, t wire.Type, rrs []dns.RR, kind sayKind) string {
	got := &set{ttl: rrs[0].Header().Ttl}
	for _, rr := range rrs {
		if rr.Header().Ttl != got.ttl {
			return "TTLs that differ in a set"
		}
		d, err := rdataOf(rr)
		if err != nil {
			return err.Error()
		}
		got.data = append(got.data, d)
	}
	slices.SortFunc(got.data, slices.Compare)
	name := owner
	if kind == dname {
		name = x.at
	}
	c := &claim{name: name, asked: t, key: key{owner, t}, kind: kind, ttl: got.ttl}
	if kind == dname {
		c.asked = wire.TypeA
	}
	c.says = func(s *saying) (time.Duration, bool) {
		said := s.kind
		if s.kind == data && kind == cname { // asked for the CNAME itself
			said = cname
		}
		if said != kind || !s.set.equal(got) || kind == dname && s.owner != owner {
			return 0, false
		}
		return min(time.Duration(s.set.ttl)*time.Second, x.max), true
	}
	h, why := x.judgeClaim(c)
	if h.fresh || h.stale {
		x.told(h)
		return ""
	}
	if why == "" {
		why = "nobody who could be believed ever said so"
	}
	return fmt.Sprintf("%s is untrue: %s", brief(strings.Join(strings.Fields(rrs[0].String()), " ")), why)
}

// told takes a hop that may be.
func (x *judged) told(h hopTruth) {
	x.truths = append(x.truths, h)
	if from, _ := x.window(0, 0); x.r.came-x.r.sent < 2*clientLatency+2*time.Millisecond && from > 0 {
		x.counts.cached++
	}
}

// lateness is how much later than it was said something may be stored: what a
// question takes at most, or little when nothing is amiss.
func (x *judged) lateness(at time.Duration) time.Duration {
	for i := range x.p.faults {
		if f := &x.p.faults[i]; f.from <= at+slack && at-slack < f.until {
			return slack
		}
	}
	return 4 * time.Second
}

// source is what a server had from a to b, when it could be believed for a cut.
type source struct {
	cut    dnsname.Name
	server int
	a, b   time.Duration
	zones  map[dnsname.Name]*version
	lapsed bool // the delegation to it had expired
}

// sources tells whether f holds for anything that a server which may be believed
// had, in zones at or above a name; expired delegations last.
func (j *judge) sources(name dnsname.Name, f func(*source) bool) (found bool) {
	for _, lapsed := range [...]bool{false, true} {
		beliefs := j.h.beliefs
		if lapsed {
			if beliefs = j.h.lapsed; j.policy.off {
				return false
			}
		}
		for cut := name; !found; cut = cut.Parent() {
			for _, b := range beliefs[cut] {
				j.h.holdings(b.server, b.from, b.until, func(from, until time.Duration, zones map[dnsname.Name]*version) bool {
					found = f(&source{cut, b.server, max(from, b.from), min(until, b.until), zones, lapsed})
					return !found
				})
				if found {
					return true
				}
			}
			if cut.IsRoot() {
				break
			}
		}
	}
	return found
}

// heard is sources for those who want to know what was said when, and no more.
func (j *judge) heard(name dnsname.Name, f func(a, b time.Duration, zones map[dnsname.Name]*version) bool) bool {
	return j.sources(name, func(s *source) bool { return f(s.a, s.b, s.zones) })
}

// denial judges an answer that ends with what does not exist.
func (x *judged) denial() string {
	kind := nodata
	switch x.m.Rcode {
	case dns.RcodeNameError:
		kind = nxdomain
	case dns.RcodeYXDomain:
		return x.tooLong()
	}
	x.counts.answers[fmt.Sprintf("%s after %d", kind, min(x.hops, 3))]++
	switch len(x.m.Ns) {
	case 0:
		return x.bare(kind)
	case 1:
	default:
		return "more than a SOA record in the authority section: " + flat(x.m)
	}
	soa, ok := x.m.Ns[0].(*dns.SOA)
	if !ok {
		return "no SOA record in the authority section: " + flat(x.m)
	}
	rdata, err := rdataOf(soa)
	if err != nil {
		return err.Error()
	}
	c := &claim{name: x.at, asked: x.r.typ, key: key{x.at, x.r.typ}, kind: kind, ttl: soa.Hdr.Ttl}
	if kind == nxdomain {
		c.key.typ = wire.TypeNone
	}
	c.says = func(s *saying) (time.Duration, bool) { return x.denies(s, soa, rdata, kind) }
	h, why := x.judgeClaim(c)
	if !h.fresh && !h.stale {
		return fmt.Sprintf("%s %s: that there is %v is untrue by serial %d: %s", x.at, x.r.typ, kind, soa.Serial, why)
	}
	x.told(h)
	x.keepGood()
	return ""
}

// denies tells whether what a server says is the denial that was told, and how long
// it lives.
func (x *judged) denies(s *saying, soa *dns.SOA, rdata []byte, kind sayKind) (time.Duration, bool) {
	if s.zone == nil || s.zone.origin.String() != soa.Hdr.Name || !slices.Equal(s.zone.soa.data[0], rdata) {
		return 0, false
	}
	if s.kind != kind && !(kind == nxdomain && s.kind == nodata && s.empty && x.lied("nxdomain-ent")) {
		return 0, false
	}
	return min(time.Duration(s.zone.negativeTTL())*time.Second, maxNegative), true
}

// bare judges a denial without SOA record, which nobody may remember: it was
// said while the question was under way. Either the server left the record out,
// or it was that of a zone above the one that the server was asked as, which is
// not its to tell but shows that the zones were joined.
func (x *judged) bare(kind sayKind) string {
	omitted := x.lied("no-soa")
	if x.sources(x.at, func(from *source) bool {
		s := answer(from.zones, x.at, x.r.typ)
		right := s.kind == kind || kind == nxdomain && s.kind == nodata && s.empty && x.lied("nxdomain-ent")
		return right && (omitted || from.cut.Below(s.zone.origin)) && from.a <= x.r.came && x.r.sent-slack <= from.b
	}) {
		x.counts.answers["denied without SOA"]++
		return ""
	}
	return fmt.Sprintf("%s %s: that there is %v, without a SOA record, is untrue", x.at, x.r.typ, kind)
}

// tooLong judges YXDOMAIN.
func (x *judged) tooLong() string {
	for _, d := range x.dnames {
		owner := dnsname.MustParse(d.Hdr.Name)
		if !x.at.Below(owner) {
			continue
		}
		if _, err := x.at.Rebase(owner, dnsname.MustParse(d.Target)); err != nil {
			x.counts.answers["too long"]++
			return ""
		}
	}
	return "YXDOMAIN without a DNAME that makes it so"
}

// lied tells whether some server had a fault of an authority while what is being
// judged may have been learnt. Lies of its own zones are a server's right.
func (x *judged) lied(words string) bool {
	for i := range x.p.faults {
		f := &x.p.faults[i]
		if strings.Contains(f.words, words) && f.from <= x.r.came && x.r.sent-maxNegative-x.policy.negative-slack <= f.until {
			return true
		}
	}
	return false
}

// rdataOf gives a record's data in wire form, names as they are in lower case.
func rdataOf(rr dns.RR) ([]byte, error) {
	buf := make([]byte, 66000)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	owner := dnsname.WireLen(buf[:end])
	return canonical(wire.Type(rr.Header().Rrtype), slices.Clone(buf[owner+10:end])), nil
}

// canonical lowers the case of names in data. Servers compress them against the
// question, whose case the resolver makes up.
func canonical(t wire.Type, data []byte) []byte {
	from := 0
	switch t {
	case wire.TypeMX:
		from = 2
	case wire.TypeCNAME, wire.TypeDNAME, wire.TypeNS:
	default:
		return data
	}
	dnsname.Lower(data[from:], slices.Clone(data[from:]))
	return data
}
