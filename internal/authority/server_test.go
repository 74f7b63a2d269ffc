package authority

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

func TestEDNS(t *testing.T) {
	s := testServer(t, Options{NSID: []byte("unit")})
	if m := ask(t, s, "www.example.com. A"); m.IsEdns0() != nil {
		t.Error("OPT to who sent none")
	}
	m := ask(t, s, "www.example.com. A do")
	if o := m.IsEdns0(); o == nil || o.UDPSize() != 1232 || !o.Do() || len(o.Option) != 0 {
		t.Errorf("OPT is %v", m.IsEdns0())
	}
	q := new(dns.Msg)
	q.SetQuestion("www.example.com.", dns.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
	if m := exchange(t, s, q); len(m.IsEdns0().Option) != 1 || m.IsEdns0().Option[0].String() != "756e6974" {
		t.Errorf("NSID: %v", m.IsEdns0())
	}
	q.IsEdns0().SetVersion(1)
	if m := exchange(t, s, q); m.Rcode != dns.RcodeBadVers || m.IsEdns0() == nil || m.IsEdns0().Version() != 0 || len(m.Answer) > 0 {
		t.Errorf("version 1: %v", m)
	}
}

func exchange(t *testing.T, s *Server, q *dns.Msg) *dns.Msg {
	t.Helper()
	packed, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(s.Handle(packed, event.UDP, client, nil).Reply); err != nil {
		t.Fatal(err)
	}
	return m
}

// Sizes: 512 without EDNS, the lesser of both sides' with it, whole sets only.
func TestTruncation(t *testing.T) {
	var text strings.Builder
	text.WriteString("@ SOA ns admin 1 1 1 1 1\n@ NS ns\n")
	for i := range 60 {
		fmt.Fprintf(&text, "big A 192.0.2.%d\n", i)
	}
	fmt.Fprintf(&text, "huge TXT %s\n", strings.Repeat(` "`+strings.Repeat("x", 250)+`"`, 200))
	text.WriteString("short CNAME big\nsub NS ns.sub\n")
	for i := range 40 {
		fmt.Fprintf(&text, "ns.sub A 198.51.100.%d\n", i)
	}
	z, err := ParseZone("example.", "big", strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Minimal: true})
	s.SetZone(z)
	for question, want := range map[string][2]int{ // records in answer and authority; truncated when the first is negative
		"big.example. A":         {-1, 0},
		"big.example. A edns":    {60, 0},
		"big.example. A tcp":     {60, 0},
		"huge.example. TXT edns": {-1, 0},
		"huge.example. TXT tcp":  {1, 0},
		"short.example. A":       {-2, 0}, // the alias fits
		"x.sub.example. A":       {-1, 1}, // glue is missing: RFC 9471
		"x.sub.example. A edns":  {0, 1},
	} {
		m := ask(t, s, question)
		size := 512
		if strings.HasSuffix(question, "edns") {
			size = 1232
		}
		if m.Truncated != (want[0] < 0) || m.Truncated && len(m.Answer) != -want[0]-1 || !m.Truncated && len(m.Answer) != want[0] || len(m.Ns) != want[1] {
			t.Errorf("%s: tc=%v, %d answers, %d authority", question, m.Truncated, len(m.Answer), len(m.Ns))
		}
		if re, _ := react(t, s, question); !strings.HasSuffix(question, "tcp") && len(re.Reply) > size {
			t.Errorf("%s: %d octets", question, len(re.Reply))
		}
	}
}

func TestOddMessages(t *testing.T) {
	s := testServer(t, Options{})
	good := new(dns.Msg)
	good.SetQuestion("www.example.com.", dns.TypeA)
	packed, _ := good.Pack()
	edit := func(f func(m []byte) []byte) []byte { return f(bytes.Clone(packed)) }
	for name, c := range map[string]struct {
		msg   []byte
		rcode int // -1: silence
	}{
		"empty":       {nil, -1},
		"half header": {packed[:11], -1},
		"a response":  {edit(func(m []byte) []byte { m[2] |= 0x80; return m }), -1},
		"header only": {packed[:12], dns.RcodeFormatError},
		"cut off":     {packed[:20], dns.RcodeFormatError},
		"no question": {edit(func(m []byte) []byte { m[5] = 0; return m[:12] }), dns.RcodeFormatError},
		"notify":      {edit(func(m []byte) []byte { m[2] |= 4 << 3; return m }), dns.RcodeNotImplemented},
		"class CH":    {edit(func(m []byte) []byte { m[len(m)-1] = 3; return m }), dns.RcodeRefused},
	} {
		re := s.Handle(c.msg, event.UDP, client, nil)
		if (re.Reply == nil) != (c.rcode < 0) {
			t.Errorf("%s: reply % x", name, re.Reply)
			continue
		}
		m := new(dns.Msg)
		if re.Reply != nil && (m.Unpack(re.Reply) != nil || m.Rcode != c.rcode || !m.Response || m.Id != good.Id) {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// The question comes back in the sender's case, and owners with it.
func TestCaseIsKept(t *testing.T) {
	m := ask(t, testServer(t, Options{}), "wWw.ExAmPlE.cOm. A")
	if m.Question[0].Name != "wWw.ExAmPlE.cOm." || m.Answer[0].Header().Name != "wWw.ExAmPlE.cOm." {
		t.Errorf("%v", m)
	}
}

func TestReplyBehindBuffer(t *testing.T) {
	s := testServer(t, Options{})
	re, _ := react(t, s, "www.example.com. A")
	q := new(dns.Msg)
	q.SetQuestion("www.example.com.", dns.TypeA)
	q.Id, q.RecursionDesired = 4711, false
	packed, _ := q.Pack()
	if got := s.Handle(packed, event.UDP, client, []byte("ab")).Reply; string(got) != "ab"+string(re.Reply) {
		t.Errorf("% x", got)
	}
}

func TestFaultText(t *testing.T) {
	for _, w := range FaultWords() {
		f, err := ParseFault(w.Word)
		if err != nil || f.String() != w.Word {
			t.Errorf("%q reads as %v, %v", w.Word, f, err)
		}
	}
	f, err := ParseFault("slow=800ms, loss=12.5%, servfail")
	if err != nil || f != (Fault{Delay: 800 * time.Millisecond, Loss: .125, Flaws: ServFail}) {
		t.Errorf("%v, %v", f, err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		f := Fault{Delay: time.Duration(r.IntN(60000)) * time.Millisecond, Loss: float64(r.IntN(100)) / 100, Flaws: Flaw(r.Uint32()) & (noSOA<<1 - 1)}
		if g, err := ParseFault(f.String()); err != nil || g != f {
			t.Fatalf("%+v became %q became %+v, %v", f, f, g, err)
		}
	}
	for _, bad := range []string{"", "slow", "slow=x", "slow=2h", "slow=-1s", "loss=30", "loss=101%", "loss=NaN%", "of", "servfail,off"} {
		if f, err := ParseFault(bad); err == nil {
			t.Errorf("%q reads as %v", bad, f)
		}
	}
}

// Each flaw shows in the way that its help says.
func TestFlaws(t *testing.T) {
	zone := dnsname.MustParse("example.com")
	silence := func(re Reaction, _ *dns.Msg) bool { return re.Reply == nil && !re.Close }
	rcode := func(want int) func(Reaction, *dns.Msg) bool {
		return func(_ Reaction, m *dns.Msg) bool {
			return m != nil && m.Rcode == want && len(m.Answer)+len(m.Ns) == 0
		}
	}
	good := func(_ Reaction, m *dns.Msg) bool { return m != nil && m.Authoritative && len(m.Answer) == 2 }
	for _, c := range []struct {
		fault, question string
		ok              func(Reaction, *dns.Msg) bool
	}{
		{"off", "www.example.com. A edns", good},
		{"blackhole", "www.example.com. A", silence},
		{"blackhole", "www.example.com. A tcp", silence},
		{"slow=800ms", "www.example.com. A", func(re Reaction, m *dns.Msg) bool { return re.Delay == 800*time.Millisecond && good(re, m) }},
		{"servfail", "www.example.com. A", rcode(dns.RcodeServerFailure)},
		{"refused", "www.example.com. A edns", rcode(dns.RcodeRefused)},
		{"notimp", "www.example.com. A", rcode(dns.RcodeNotImplemented)},
		{"formerr", "www.example.com. A", rcode(dns.RcodeFormatError)},
		{"loss=100%", "www.example.com. A", silence},
		{"loss=100%", "www.example.com. A tcp", func(re Reaction, m *dns.Msg) bool { return re.Delay > 0 && good(re, m) }},
		{"lame", "www.example.com. A", func(_ Reaction, m *dns.Msg) bool {
			return !m.Authoritative && len(m.Answer) == 0 && m.Ns[0].Header().Name == "."
		}},
		{"self-referral", "www.example.com. A", func(_ Reaction, m *dns.Msg) bool {
			return !m.Authoritative && m.Ns[0].Header().Name == "example.com."
		}},
		{"side-referral", "www.example.com. A", func(_ Reaction, m *dns.Msg) bool {
			return !m.Authoritative && m.Ns[0].Header().Name == "beside.com."
		}},
		{"not-aa", "www.example.com. A", func(_ Reaction, m *dns.Msg) bool { return !m.Authoritative && len(m.Answer) == 2 }},
		{"no-edns", "www.example.com. A", good},
		{"no-edns", "www.example.com. A edns", func(re Reaction, m *dns.Msg) bool {
			return rcode(dns.RcodeFormatError)(re, m) && m.IsEdns0() == nil
		}},
		{"notimp-edns", "www.example.com. A edns", rcode(dns.RcodeNotImplemented)},
		{"drop-edns", "www.example.com. A edns", silence},
		{"drop-edns", "www.example.com. A", good},
		{"ignore-edns", "www.example.com. A edns", func(re Reaction, m *dns.Msg) bool { return good(re, m) && m.IsEdns0() == nil }},
		{"badvers", "www.example.com. A edns", rcode(dns.RcodeBadVers)},
		{"badvers", "www.example.com. A", good},
		{"drop-new-types", "www.example.com. AAAA", silence},
		{"drop-new-types", "www.example.com. HTTPS", silence},
		{"drop-new-types", "www.example.com. A", good},
		{"truncate", "www.example.com. A edns", func(_ Reaction, m *dns.Msg) bool { return m.Truncated && len(m.Answer) == 0 }},
		{"truncate", "www.example.com. A tcp", good},
		{"no-tcp", "www.example.com. A tcp", func(re Reaction, _ *dns.Msg) bool { return re.Close }},
		{"no-tcp", "www.example.com. A", good},
		{"stall-tcp", "www.example.com. A tcp", func(re Reaction, m *dns.Msg) bool { return re.Stall > 2 && re.Stall < len(re.Reply) }},
		{"mangle-case", "WWW.example.com. A", func(re Reaction, m *dns.Msg) bool {
			return good(re, m) && m.Question[0].Name == "www.example.com."
		}},
		{"wrong-id", "www.example.com. A", func(_ Reaction, m *dns.Msg) bool { return m.Id != 4711 }},
		{"wrong-question", "www.example.com. A", func(_ Reaction, m *dns.Msg) bool { return m.Question[0].Name == "vww.example.com." }},
		{"wrong-port", "www.example.com. A", func(re Reaction, _ *dns.Msg) bool { return re.Source == OtherPort }},
		{"wrong-address", "www.example.com. A", func(re Reaction, _ *dns.Msg) bool { return re.Source == OtherAddress }},
		{"garbage", "www.example.com. A", func(re Reaction, m *dns.Msg) bool { return m == nil && len(re.Reply) > 12 }},
		{"nxdomain-ent", "empty.example.com. A", func(_ Reaction, m *dns.Msg) bool { return m.Rcode == dns.RcodeNameError }},
		{"nxdomain-ent", "www.example.com. MX", func(_ Reaction, m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess }},
		{"no-soa", "www.example.com. MX", func(_ Reaction, m *dns.Msg) bool { return m.Authoritative && len(m.Ns) == 0 }},
		{"no-soa", "x.sub.example.com. MX", func(_ Reaction, m *dns.Msg) bool { return len(m.Ns) == 3 }},
	} {
		s := testServer(t, Options{Minimal: true})
		f, err := ParseFault(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		s.SetFault(zone, f)
		re, _ := react(t, s, c.question)
		m := new(dns.Msg)
		if re.Reply == nil || m.Unpack(re.Reply) != nil {
			m = nil
		}
		if !c.ok(re, m) {
			t.Errorf("%s, %s: %+v\n%v", c.fault, c.question, re, m)
		}
	}
}

// A fault is its zone's; the server's is everybody's; a lame server has no zone.
func TestFaultScope(t *testing.T) {
	s := testServer(t, Options{Minimal: true})
	sub := dnsname.MustParse("lame.example.com")
	s.SetFault(sub, Fault{Flaws: refuseAll})
	if m := ask(t, s, "www.lame.example.com. A"); m.Rcode != dns.RcodeRefused {
		t.Error("the deeper name's fault does not apply")
	}
	if m := ask(t, s, "www.example.com. A"); m.Rcode != dns.RcodeSuccess {
		t.Error("the deeper name's fault applies above")
	}
	s.SetServerFault(Fault{Flaws: ServFail})
	if m := ask(t, s, "www.example.com. A"); m.Rcode != dns.RcodeServerFailure {
		t.Error("the server's fault does not apply")
	}
	if f := s.Fault(sub); f.Flaws != refuseAll|ServFail {
		t.Error(f)
	}
	s.SetServerFault(Fault{})
	s.SetFault(sub, Fault{})
	if m := ask(t, s, "www.lame.example.com. A"); m.Rcode != dns.RcodeNameError {
		t.Error("the fault outlived its end")
	}
}

func TestLossIsASharesAndSeeded(t *testing.T) {
	count := func() (lost int) {
		s := testServer(t, Options{Rand: rand.New(rand.NewPCG(7, 7))})
		s.SetServerFault(Fault{Loss: .3})
		for range 1000 {
			if re, _ := react(t, s, "www.example.com. A"); re.Reply == nil {
				lost++
			}
		}
		return lost
	}
	if a, b := count(), count(); a != b || a < 240 || a > 360 {
		t.Errorf("%d and %d of 1000 lost", a, b)
	}
}

// Whatever comes, a reply is a well-formed response to it or there is none.
func FuzzHandle(f *testing.F) {
	s := testServer(f, Options{NSID: []byte("x")})
	for _, q := range []string{"www.example.com. A", "www.old.example.com. A do", "x.sub.example.com. DS edns", "a.wild.example.com. ANY"} {
		_, m := react(f, s, q)
		packed, _ := m.Pack()
		f.Add(packed, uint32(0))
	}
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00"), uint32(lame|wrongQuestion))
	zone := dnsname.MustParse("example.com")
	f.Fuzz(func(t *testing.T, query []byte, flaws uint32) {
		s.SetFault(zone, Fault{Flaws: Flaw(flaws)})
		s.SetServerFault(Fault{Flaws: Flaw(flaws) & (sideReferral | selfReferral)})
		for _, transport := range []event.Transport{event.UDP, event.TCP} {
			re := s.Handle(query, transport, client, nil)
			if re.Reply == nil || Flaw(flaws)&garbage != 0 {
				continue
			}
			v, err := wire.Read(re.Reply)
			if err != nil || !v.IsResponse() || new(dns.Msg).Unpack(re.Reply) != nil {
				t.Fatalf("% x is answered with % x: %v", query, re.Reply, err)
			}
			if transport == event.UDP && len(re.Reply) > 1232 {
				t.Fatalf("%d octets over UDP", len(re.Reply))
			}
		}
	})
}

// A datagram is never larger than both sides want, OPT and NSID included,
// however the sets fall.
func TestDatagramSizes(t *testing.T) {
	var text strings.Builder
	text.WriteString("@ SOA ns admin 1 1 1 1 1\n@ NS ns\n")
	for n := range 90 {
		for i := range n {
			fmt.Fprintf(&text, "n%d A 192.0.2.%d\n", n, i)
			fmt.Fprintf(&text, "cut%d NS ns%d.example.net.\n", n, i)
		}
	}
	z, err := ParseZone("example.", "sizes", strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Minimal: true, NSID: []byte("a name of some length")})
	s.SetZone(z)
	for _, c := range []struct {
		offer uint16
		limit int
	}{{0, 512}, {100, 512}, {512, 512}, {700, 700}, {1232, 1232}, {65535, 1232}} {
		largest := 0
		for n := 1; n < 90; n++ {
			for _, name := range []string{"n", "www.cut"} {
				q := new(dns.Msg)
				q.SetQuestion(fmt.Sprintf("%s%d.example.", name, n), dns.TypeA)
				if c.offer > 0 {
					q.SetEdns0(c.offer, false)
					q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
				}
				packed, _ := q.Pack()
				reply := s.Handle(packed, event.UDP, client, nil).Reply
				m := new(dns.Msg)
				if err := m.Unpack(reply); err != nil {
					t.Fatal(err)
				}
				if got := len(m.Answer) + len(m.Ns); !m.Truncated && got != n || m.Truncated && got != 0 {
					t.Errorf("%s%d: tc=%v with %d records", name, n, m.Truncated, got)
				}
				largest = max(largest, len(reply))
			}
		}
		if largest > c.limit || largest < c.limit-40 {
			t.Errorf("offered %d: up to %d octets, want nearly %d", c.offer, largest, c.limit)
		}
	}
}
