package conformance

import (
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// silence is the rcode of who did not answer, or not intelligibly.
const silence = -1

// outcome is what a resolver said to a question, in comparable form.
type outcome struct {
	rcode      int
	answers    []string // records without TTL, names in lower case, sorted
	exact      []string // the same with the case that came
	aa, ra, tc bool     // of the first reply, over UDP
	soa        string   // owner of the authority section's SOA record
	fault      string   // what is wrong with it on its own: order, duplicates
}

// key is what must be equal. What comes with SERVFAIL is not: it says nothing
// about the name, and Unbound sends it by chance. (Ours is empty: see wrong.)
func (o outcome) key() string {
	if o.rcode == dns.RcodeServerFailure {
		return fmt.Sprintf("%d aa=%t ra=%t tc=%t", o.rcode, o.aa, o.ra, o.tc)
	}
	return fmt.Sprintf("%d aa=%t ra=%t tc=%t soa=%s %q", o.rcode, o.aa, o.ra, o.tc, o.soa, o.answers)
}

// String tells it to people, shortened.
func (o outcome) String() string {
	if o.rcode == silence {
		return "silence: " + o.fault
	}
	shown := o.exact
	var more string
	if len(shown) > 4 {
		shown, more = shown[:4], fmt.Sprintf(" …%d in all", len(o.exact))
	}
	text := fmt.Sprintf("%s aa=%t ra=%t tc=%t soa=%q %.600q%s", dns.RcodeToString[o.rcode], o.aa, o.ra, o.tc, o.soa, shown, more)
	return text + " " + o.fault
}

// failed says that the resolver could not, or would not, say.
func (o outcome) failed() bool { return o.rcode == silence || o.rcode == dns.RcodeServerFailure }

// client asks one resolver, one question at a time, and keeps its socket.
type client struct {
	n    *namespace
	addr string
	udp  net.Conn
	rng  *rand.Rand
	wait time.Duration // for one reply over UDP
}

func (n *namespace) client(addr string, seed uint64) (*client, error) {
	conn, err := n.dial("udp", addr)
	if err != nil {
		return nil, err
	}
	return &client{n: n, addr: addr, udp: conn, rng: rand.New(rand.NewPCG(seed, 2)), wait: patience}, nil
}

const (
	patience = 12 * time.Second // one try: whoever asks again gets an answer for his patience, not for the resolver's
	offered  = 1232
)

// ask asks over UDP, and again over TCP if the reply was truncated.
func (c *client) ask(q question) outcome {
	m := new(dns.Msg)
	m.Id = uint16(c.rng.Uint32())
	m.RecursionDesired = true
	m.Question = []dns.Question{{Name: q.name, Qtype: q.typ, Qclass: dns.ClassINET}}
	m.SetEdns0(offered, false)
	r, size, err := c.overUDP(m)
	if err != nil {
		return outcome{rcode: silence, fault: err.Error()}
	}
	o := digest(q, r)
	if size > offered {
		o.fault = fmt.Sprintf("%d octets over UDP", size)
	}
	if !r.Truncated {
		return o
	}
	r, err = c.n.once(c.addr, m, patience)
	if err != nil {
		return outcome{rcode: silence, fault: "over TCP: " + err.Error()}
	}
	whole := digest(q, r)
	whole.tc = true
	if whole.fault == "" {
		whole.fault = o.fault
	}
	return whole
}

func (c *client) overUDP(m *dns.Msg) (*dns.Msg, int, error) {
	wire, err := m.Pack()
	if err != nil {
		return nil, 0, err
	}
	c.udp.SetDeadline(time.Now().Add(c.wait))
	if _, err := c.udp.Write(wire); err != nil {
		return nil, 0, err
	}
	buf := make([]byte, 65535)
	for {
		n, err := c.udp.Read(buf)
		if err != nil {
			return nil, 0, err
		}
		r := new(dns.Msg)
		if n < 2 || buf[0] != wire[0] || buf[1] != wire[1] {
			continue // late, to an earlier question
		}
		return r, n, r.Unpack(buf[:n])
	}
}

// digest reduces a reply to what is compared.
func digest(q question, r *dns.Msg) outcome {
	o := outcome{rcode: r.Rcode, aa: r.Authoritative, ra: r.RecursionAvailable, tc: r.Truncated}
	if len(r.Question) != 1 || r.Question[0].Name != q.name || r.Question[0].Qtype != q.typ {
		o.fault = fmt.Sprintf("the question came back as %v", r.Question)
	}
	for _, rr := range r.Answer {
		o.answers = append(o.answers, canonical(rr))
		rr.Header().Ttl = 0
		o.exact = append(o.exact, rr.String())
	}
	slices.Sort(o.answers)
	if n := len(o.answers); len(slices.Compact(slices.Clone(o.answers))) != n {
		o.fault = "duplicates"
	}
	for _, rr := range r.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			o.soa = strings.ToLower(rr.Header().Name)
		}
	}
	if o.fault == "" && !r.Truncated {
		o.fault = disorder(q, r.Answer)
	}
	return o
}

// sameCase compares two lists of records as sets, the case of letters and all.
func sameCase(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// canonical gives a record's wire form without TTL, with all names in lower
// case and uncompressed.
func canonical(rr dns.RR) string {
	rr = dns.Copy(rr)
	rr.Header().Ttl = 0
	rr.Header().Name = strings.ToLower(rr.Header().Name)
	v := reflect.ValueOf(rr).Elem()
	if v.Kind() == reflect.Struct {
		lowerNames(v)
	}
	buf := make([]byte, 70000)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return "unpackable " + rr.String()
	}
	return string(buf[:n])
}

// lowerNames lowers what the library's tags call a name.
func lowerNames(v reflect.Value) {
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag.Get("dns")
		switch {
		case f.Kind() == reflect.String && (tag == "domain-name" || tag == "cdomain-name"):
			f.SetString(strings.ToLower(f.String()))
		case f.Kind() == reflect.Struct && v.Type().Field(i).Anonymous: // HTTPS holds an SVCB
			lowerNames(f)
		}
	}
}

// disorder says what is wrong with the order of an answer: first every alias
// from the question's name on, each DNAME before the CNAME that was made of it,
// then the records at the chain's end (RFC 1034 §4.3.2, RFC 6672 §3.1).
func disorder(q question, answer []dns.RR) string {
	if q.typ == dns.TypeANY {
		return ""
	}
	at := strings.ToLower(q.name)
	var dname *dns.DNAME
	final := false
	for i, rr := range answer {
		owner := strings.ToLower(rr.Header().Name)
		switch r := rr.(type) {
		case *dns.CNAME:
			if q.typ != dns.TypeCNAME {
				if final || owner != at {
					return fmt.Sprintf("record %d: alias of %s, where %s was due", i, owner, at)
				}
				at, dname = strings.ToLower(r.Target), nil
				continue
			}
		case *dns.DNAME:
			if strings.HasSuffix(at, "."+owner) || owner == "." {
				if final || dname != nil {
					return fmt.Sprintf("record %d: DNAME too late", i)
				}
				dname = r
				continue
			}
		}
		if q.typ == dns.TypeCNAME && dname != nil { // the made CNAME is the answer
			dname = nil
		}
		if owner != at || rr.Header().Rrtype != q.typ {
			return fmt.Sprintf("record %d: %s %s, where %s was due", i, owner, dns.Type(rr.Header().Rrtype), at)
		}
		final = true
	}
	return ""
}

// records parses records for tests.
func records(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// TestDigest shows that the comparison sees what it must, and nothing else.
func TestDigest(t *testing.T) {
	q := question{name: "a.example.", typ: dns.TypeA}
	reply := func(lines ...string) *dns.Msg {
		m := new(dns.Msg)
		m.Question = []dns.Question{{Name: q.name, Qtype: q.typ, Qclass: dns.ClassINET}}
		m.Answer = records(t, lines...)
		return m
	}
	chain := []string{"a.example. 9 CNAME b.example.", "b.example. 9 A 192.0.2.1", "b.example. 9 A 192.0.2.2"}
	base := digest(q, reply(chain...))
	if base.fault != "" {
		t.Error(base.fault)
	}
	same := digest(q, reply("A.example. 1 CNAME B.Example.", chain[2], "B.EXAMPLE. 1 A 192.0.2.1"))
	if same.key() != base.key() || same.fault != "" {
		t.Errorf("order in a set, TTL and case make a difference: %s", same)
	}
	less := digest(q, reply(chain[:2]...))
	other := digest(q, reply(chain[0], chain[1], "b.example. 9 A 192.0.2.3"))
	soa, aa, code := reply(chain...), reply(chain...), reply(chain...)
	soa.Ns = records(t, "example. 9 SOA a. b. 1 2 3 4 5")
	aa.Authoritative, code.Rcode = true, dns.RcodeNameError
	for name, o := range map[string]outcome{"a record less": less, "another record": other, "SOA": digest(q, soa), "AA": digest(q, aa), "rcode": digest(q, code)} {
		if o.key() == base.key() {
			t.Errorf("%s: no difference seen", name)
		}
	}
	text := func(s string) string { return digest(q, reply("a.example. 1 TXT "+s)).key() }
	if text("Ab") == text("ab") {
		t.Error("the case of a text makes no difference")
	}
}

func TestDisorder(t *testing.T) {
	for _, c := range []struct {
		lines []string
		good  bool
	}{
		{[]string{"a.x. CNAME b.x.", "b.x. CNAME c.x.", "c.x. A 192.0.2.1"}, true},
		{[]string{"x. DNAME y.", "a.x. CNAME a.y.", "a.y. A 192.0.2.1"}, true},
		{[]string{"a.x. CNAME b.x."}, true},
		{nil, true},
		{[]string{"b.x. CNAME c.x.", "a.x. CNAME b.x.", "c.x. A 192.0.2.1"}, false},
		{[]string{"b.x. A 192.0.2.1", "a.x. CNAME b.x."}, false},
		{[]string{"a.x. CNAME a.y.", "x. DNAME y.", "a.y. A 192.0.2.1"}, false},
		{[]string{"a.x. A 192.0.2.1", "c.x. A 192.0.2.1"}, false},
		{[]string{"a.x. AAAA ::1"}, false},
	} {
		if got := disorder(question{name: "A.x.", typ: dns.TypeA}, records(t, c.lines...)); (got == "") != c.good {
			t.Errorf("%q: %q", c.lines, got)
		}
	}
}
