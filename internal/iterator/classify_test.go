package iterator

import (
	"fmt"
	"strings"
	"testing"

	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// records makes record sets of lines "name ttl type data".
func records(lines string) []rrset.Set {
	var sets []rrset.Set
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) > 0 {
			addRecord(&sets, f[0], f[1], f[2], strings.Join(f[3:], " "))
		}
	}
	return sets
}

const (
	soaExample = "example.com. 300 SOA ns1.example.com. host.example.com. 60"
	www        = "www.example.com. 300 A 198.51.100.1"
)

// seen shows a verdict: outcome, what the chain ends at, and the flags.
func seen(v *verdict) string {
	var b strings.Builder
	fmt.Fprint(&b, v.outcome)
	if v.outcome.Useful() {
		fmt.Fprintf(&b, " hops=%d end=%s", len(v.chain.hops), v.chain.end)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{v.denied, "denied"}, {v.soft, "soft"}, {v.chain.away, "away"}, {v.chain.loop, "loop"}, {v.chain.tooLong, "toolong"}} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	if v.ns != nil {
		b.WriteString(" to=" + v.ns.Name.String())
	}
	return b.String()
}

// judged puts a reply to a server of example.com. through all that comes
// before belief.
func judged(t testing.TB, r *reply, a asked) *verdict {
	lim := Limits{}.withDefaults()
	it := &Iterator{limits: lim}
	if a.zone == "" {
		a.zone = n("example.com.")
	}
	if a.hops == 0 {
		a.hops = lim.CNAMEHops
	}
	return it.verdict(Reply{View: r.view(t, Query{Name: a.Name, Type: a.Type})}, a, new(judgement))
}

// seenAs is a reply, and what it is taken for.
type seenAs struct {
	what, name, typ   string
	flags             string // aa, ra, lenient, forward
	rcode             wire.Rcode
	answer, authority string
	want              string
}

func classified(t *testing.T, list []seenAs) {
	t.Helper()
	for _, c := range list {
		name, typ := c.name, wire.TypeA
		if name == "" {
			name = "www.example.com."
		}
		if c.typ != "" {
			typ, _ = wire.ParseType(c.typ)
		}
		has := func(f string) bool { return strings.Contains(" "+c.flags+" ", " "+f+" ") }
		v := judged(t, &reply{rcode: c.rcode, aa: has("aa"), ra: has("ra"), answer: records(c.answer), authority: records(c.authority)},
			asked{Question: event.Question{Name: n(name), Type: typ}, forward: has("forward"), lenient: has("lenient")})
		if got := seen(v); got != c.want {
			t.Errorf("%s: got %q, want %q (%s)", c.what, got, c.want, v.text)
		}
		if !v.outcome.Useful() && v.text == "" {
			t.Errorf("%s: no text says why", c.what)
		}
	}
}

func TestClassifyAnswers(t *testing.T) {
	const nx = wire.RcodeNXDomain
	classified(t, []seenAs{
		{what: "answer", flags: "aa", answer: www, want: "answer hops=1 end=www.example.com."},
		{what: "answer without AA", answer: www, want: "answer hops=1 end=www.example.com."},
		{what: "answer from a cache", flags: "ra", answer: www, want: "answer hops=1 end=www.example.com. soft"},
		{what: "authority that recurses", flags: "aa ra", answer: www, want: "answer hops=1 end=www.example.com."},
		{what: "answer of a stub's server", flags: "ra lenient", answer: www, want: "answer hops=1 end=www.example.com."},
		{what: "answer with NS in authority", flags: "aa", answer: www, authority: "example.com. 300 NS ns1.example.com.", want: "answer hops=1 end=www.example.com."},
		{what: "answer with foreign NS", flags: "aa", answer: www, authority: "com. 300 NS ns1.example.com.", want: "answer hops=1 end=www.example.com."},
		{what: "CNAME beside data", flags: "aa", answer: www + "\nwww.example.com. 300 CNAME b.example.com.", want: "answer hops=1 end=www.example.com."},
		{what: "question for CNAME", typ: "CNAME", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.", want: "answer hops=1 end=www.example.com."},

		{what: "alias", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.", want: "alias hops=1 end=b.example.com."},
		{what: "alias with its data", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.\nb.example.com. 300 A 198.51.100.2", want: "answer hops=2 end=b.example.com."},
		{what: "chain in wrong order", flags: "aa", answer: "b.example.com. 300 A 198.51.100.2\nwww.example.com. 300 CNAME b.example.com.", want: "answer hops=2 end=b.example.com."},
		{what: "alias out of the zone, with data", flags: "aa", answer: "www.example.com. 300 CNAME www.example.net.\nwww.example.net. 300 A 192.0.2.66", want: "alias hops=1 end=www.example.net. away"},
		{what: "alias to itself", flags: "aa", answer: "www.example.com. 300 CNAME www.example.com.", want: "alias hops=1 end=www.example.com. loop"},
		{what: "circle of two", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.\nb.example.com. 300 CNAME www.example.com.", want: "alias hops=2 end=www.example.com. loop"},
		{what: "NXDOMAIN behind an alias (RFC 6604 §3)", flags: "aa", rcode: nx, answer: "www.example.com. 300 CNAME b.example.com.", authority: soaExample, want: "alias hops=1 end=b.example.com. denied"},
		{what: "the same without SOA", flags: "aa", rcode: nx, answer: "www.example.com. 300 CNAME b.example.com.", want: "alias hops=1 end=b.example.com."},
		{what: "NODATA behind an alias", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.", authority: soaExample, want: "alias hops=1 end=b.example.com. denied"},
		{what: "NXDOMAIN behind an alias out of the zone", flags: "aa", rcode: nx, answer: "www.example.com. 300 CNAME b.example.net.", authority: soaExample, want: "alias hops=1 end=b.example.net. away"},

		{what: "DS behind an alias to the top of the zone", typ: "DS", flags: "aa", answer: "www.example.com. 300 CNAME example.com.", authority: soaExample, want: "alias hops=1 end=example.com. away"},
		{what: "DS behind an alias to the top of a zone below, on the same server", typ: "DS", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.", authority: "b.example.com. 300 SOA ns1.example.com. host.example.com. 60", want: "alias hops=1 end=b.example.com."},
		{what: "DS behind an alias to another name", typ: "DS", flags: "aa", answer: "www.example.com. 300 CNAME b.example.com.", authority: soaExample, want: "alias hops=1 end=b.example.com. denied"},

		{what: "DNAME with its CNAME", name: "a.d.example.com.", flags: "aa", answer: "d.example.com. 300 DNAME e.example.com.\na.d.example.com. 300 CNAME a.e.example.com.\na.e.example.com. 300 A 198.51.100.3", want: "answer hops=2 end=a.e.example.com."},
		{what: "DNAME with a false CNAME", name: "a.d.example.com.", flags: "aa", answer: "a.d.example.com. 300 CNAME evil.example.com.\nd.example.com. 300 DNAME e.example.com.\nevil.example.com. 300 A 198.51.100.4", want: "alias hops=1 end=a.e.example.com."},
		{what: "DNAME alone", name: "a.d.example.com.", flags: "aa", answer: "d.example.com. 300 DNAME example.net.", want: "alias hops=1 end=a.example.net. away"},
		{what: "DNAME at the name itself does not apply", name: "d.example.com.", flags: "aa", answer: "d.example.com. 300 DNAME e.example.com.", want: "garbage"},
		{what: "DNAME into itself", name: "a.d.example.com.", flags: "aa", answer: "d.example.com. 300 DNAME x.d.example.com.", want: "alias hops=11 end=a" + strings.Repeat(".x", 11) + ".d.example.com. loop"},
		{what: "DNAME with a result too long (RFC 6672 §2.2)", name: strings.Repeat(strings.Repeat("a", 60)+".", 3) + "d.example.com.", flags: "aa", rcode: wire.RcodeYXDomain, answer: "d.example.com. 300 DNAME " + strings.Repeat("b", 60) + ".example.com.", want: "alias hops=1 end=" + strings.Repeat(strings.Repeat("a", 60)+".", 3) + "d.example.com. toolong"},
		{what: "YXDOMAIN for nothing", flags: "aa", rcode: wire.RcodeYXDomain, want: "rcode"},
	})
}

func TestClassifyDenials(t *testing.T) {
	const nx = wire.RcodeNXDomain
	classified(t, []seenAs{
		{what: "NODATA", flags: "aa", authority: soaExample, want: "nodata hops=0 end=www.example.com. denied"},
		{what: "NODATA without AA", authority: soaExample, want: "nodata hops=0 end=www.example.com. denied"},
		{what: "NODATA without SOA", flags: "aa", want: "nodata hops=0 end=www.example.com. denied soft"},
		{what: "NODATA with signed proof only", flags: "aa", authority: "www.example.com. 60 NSEC z.example.com.", want: "nodata hops=0 end=www.example.com. denied"},
		{what: "NODATA with NS instead of SOA", flags: "aa", authority: "example.com. 60 NS ns1.example.com.", want: "nodata hops=0 end=www.example.com. denied soft"},
		{what: "SOA of a stranger", flags: "aa", authority: "example.net. 60 SOA a.example. b.example. 60", want: "lame"},
		{what: "SOA of the parent", flags: "aa", authority: "com. 60 SOA a.example. b.example. 60", want: "nodata hops=0 end=www.example.com. denied soft"},
		{what: "SOA of the parent without authority", authority: "com. 60 SOA a.example. b.example. 60", want: "lame"},
		{what: "SOA of the root", flags: "aa", authority: ". 60 SOA a.example. b.example. 60", want: "lame"},
		{what: "NXDOMAIN by the parent", flags: "aa", rcode: nx, authority: "com. 60 SOA a.example. b.example. 60", want: "nxdomain hops=0 end=www.example.com. denied soft"},
		{what: "NXDOMAIN by the parent without authority", rcode: nx, authority: "com. 60 SOA a.example. b.example. 60", want: "lame"},
		{what: "NXDOMAIN by the root", flags: "aa", rcode: nx, authority: ". 60 SOA a.example. b.example. 60", want: "lame"},
		{what: "SOA of a zone beside the name", flags: "aa", authority: "b.example.com. 60 SOA a.example. b.example. 60", want: "nodata hops=0 end=www.example.com. denied soft"},
		{what: "answers another question", flags: "aa", answer: "b.example.com. 300 A 198.51.100.2", want: "garbage"},
		{what: "answers another type", flags: "aa", answer: "www.example.com. 300 TXT x", want: "garbage"},

		{what: "NXDOMAIN", flags: "aa", rcode: nx, authority: soaExample, want: "nxdomain hops=0 end=www.example.com. denied"},
		{what: "NXDOMAIN without SOA", flags: "aa", rcode: nx, want: "nxdomain hops=0 end=www.example.com. denied"},
		{what: "NXDOMAIN without SOA and AA", rcode: nx, want: "nxdomain hops=0 end=www.example.com. denied soft"},
		{what: "NXDOMAIN by a stranger", flags: "aa", rcode: nx, authority: "example.net. 60 SOA a.example. b.example. 60", want: "lame"},

		{what: "referral down", name: "a.sub.example.com.", authority: "sub.example.com. 60 NS ns.sub.example.com.", want: "referral hops=0 end=a.sub.example.com. to=sub.example.com."},
		{what: "referral with AA", name: "a.sub.example.com.", flags: "aa", authority: "sub.example.com. 60 NS ns.sub.example.com.", want: "referral hops=0 end=a.sub.example.com. to=sub.example.com."},
		{what: "signed referral without DS", name: "a.sub.example.com.", authority: "sub.example.com. 60 NS ns.sub.example.com.\nsub.example.com. 60 NSEC z.example.com.", want: "referral hops=0 end=a.sub.example.com. to=sub.example.com."},
		{what: "referral to the name itself", name: "sub.example.com.", authority: "sub.example.com. 60 NS ns.sub.example.com.", want: "referral hops=0 end=sub.example.com. to=sub.example.com."},
		{what: "referral to itself", authority: "example.com. 60 NS ns1.example.com.", want: "lame"},
		{what: "referral up", authority: ". 60 NS a.root.", want: "lame"},
		{what: "referral to the parent", authority: "com. 60 NS a.root.", want: "lame"},
		{what: "referral sideways", authority: "b.example.com. 60 NS ns1.example.com.", want: "lame"},
		{what: "referral to another zone", authority: "example.net. 60 NS ns1.example.com.", want: "lame"},
		{what: "DS at a cut, parent knows DS", name: "sub.example.com.", typ: "DS", flags: "aa", answer: "sub.example.com. 60 DS x", want: "answer hops=1 end=sub.example.com."},
		{what: "DS at a cut, parent does not", name: "sub.example.com.", typ: "DS", authority: "sub.example.com. 60 NS ns.sub.example.com.", want: "nodata hops=0 end=sub.example.com. denied soft"},
		{what: "DS below a cut", name: "a.sub.example.com.", typ: "DS", authority: "sub.example.com. 60 NS ns.sub.example.com.", want: "referral hops=0 end=a.sub.example.com. to=sub.example.com."},
	})
}

func TestClassifyForwarders(t *testing.T) {
	const nx = wire.RcodeNXDomain
	classified(t, []seenAs{
		{what: "forwarder answers", flags: "ra forward lenient", answer: www, want: "answer hops=1 end=www.example.com."},
		{what: "forwarder denies with the SOA above", flags: "ra forward lenient", authority: "com. 60 SOA a.example. b.example. 60", want: "nodata hops=0 end=www.example.com. denied"},
		{what: "forwarder denies the name so", flags: "ra forward lenient", rcode: nx, authority: "com. 60 SOA a.example. b.example. 60", want: "nxdomain hops=0 end=www.example.com. denied"},
		{what: "forwarder denies without SOA", flags: "ra forward lenient", want: "nodata hops=0 end=www.example.com. denied"},
		{what: "forwarder denies the name without SOA", flags: "ra forward lenient", rcode: nx, want: "nxdomain hops=0 end=www.example.com. denied"},
		{what: "forwarder that does not recurse, nothing", flags: "forward lenient", want: "nodata hops=0 end=www.example.com. denied soft"},
		{what: "forwarder that refers", flags: "forward lenient", authority: ". 60 NS a.root.", want: "lame"},
		{what: "forwarder speaks of what is above its zone", flags: "ra forward lenient", answer: "com. 60 DNAME evil.example.", want: "nodata hops=0 end=www.example.com. denied"},
		{what: "forwarder follows out of its zone", flags: "ra forward lenient", answer: "www.example.com. 60 CNAME b.example.net.\nb.example.net. 60 A 192.0.2.66", want: "alias hops=1 end=b.example.net. away"},

		{what: "SERVFAIL", rcode: wire.RcodeServFail, want: "servfail"},
		{what: "SERVFAIL with data", flags: "aa", rcode: wire.RcodeServFail, answer: www, want: "servfail"},
		{what: "REFUSED", rcode: wire.RcodeRefused, want: "refused"},
		{what: "NOTIMP", rcode: wire.RcodeNotImp, want: "notimp"},
		{what: "FORMERR", rcode: wire.RcodeFormErr, want: "formerr"},
		{what: "NOTAUTH", rcode: wire.RcodeNotAuth, want: "lame"},
		{what: "an unknown rcode", rcode: 11, want: "rcode"},
	})
}

func TestAliasChainsAreBounded(t *testing.T) {
	for _, c := range []struct {
		aliases int
		data    bool
	}{{1, true}, {11, true}, {12, false}, {20, false}} {
		r := reply{aa: true}
		for i := range c.aliases {
			r.answer = append(r.answer, set(fmt.Sprintf("a%d.example.com.", i), 60, "CNAME", fmt.Sprintf("a%d.example.com.", i+1)))
		}
		r.answer = append(r.answer, set(fmt.Sprintf("a%d.example.com.", c.aliases), 60, "A", "198.51.100.1"))
		v := judged(t, &r, asked{Question: event.Question{Name: n("a0.example.com."), Type: wire.TypeA}})
		if v.chain.data != c.data || v.chain.loop == c.data {
			t.Errorf("%d aliases: data %v loop %v", c.aliases, v.chain.data, v.chain.loop)
		}
		if got := len(v.chain.hops); got > 12 {
			t.Errorf("%d aliases: %d hops", c.aliases, got)
		}
	}
}

func TestBadVers(t *testing.T) {
	if got := outcomeOf(wire.RcodeBadVers); got != event.BadVers {
		t.Errorf("BADVERS is %v", got)
	}
}
