package listener

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// direct gives messages of a client to a worker, without any socket; what has
// to wait is resolved at once.
func direct(l *Listener, client string, tr event.Transport) exchange {
	w := l.newWorker(&l.late)
	return func(t *testing.T, msg []byte) []byte {
		w.req = request{client: netip.MustParseAddr(client), transport: tr, arrival: l.clock.Now()}
		reply, act := w.handle(msg, nil)
		w.settle()
		switch act {
		case replied:
			return reply
		case waiting:
			p := w.detach(new(pending))
			var got []byte
			err := l.composed(p, l.opt.Resolver.Resolve(t.Context(), p.query), func(b []byte) error {
				got = append(got, b[prefixOf(tr):]...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		return nil
	}
}

func TestProtocolWithoutSockets(t *testing.T) {
	l := New(testOptions(newFake()))
	runProtocol(t, direct(l, "192.0.2.7", event.UDP))
	runProtocol(t, direct(l, "2001:db8::7", event.TCP))
	if s := l.Stats(); s.Replies[event.UDP][wire.RcodeNoError] == 0 || s.Replies[event.TCP][wire.RcodeBadVers] != 1 || s.Types[wire.TypeA] == 0 || s.Types[wire.TypeNone] == 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestClientsNotAllowedAreRefused(t *testing.T) {
	f := newFake()
	ex := direct(New(testOptions(f)), "198.51.100.1", event.UDP)
	for name, change := range map[string]func(*dns.Msg){
		"cached": edns(1232), "uncached": both(named("other.example."), edns(1232)), "CH": both(chaosQuery("version.bind.", dns.TypeTXT), edns(1232)),
		"bad cookie": edns(1232, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "01020304050607"}),
	} {
		m := unpack(t, ex(t, query(t, "hit.example.", change)))
		codes, _ := extended(m)
		if m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 || len(codes) != 1 || codes[0] != dns.ExtendedErrorCodeProhibited || len(m.Question) != 1 {
			t.Errorf("%s: %v", name, m)
		}
	}
	if m := unpack(t, ex(t, query(t, "hit.example.", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }))); m.Rcode != dns.RcodeRefused || m.Opcode != dns.OpcodeNotify {
		t.Errorf("NOTIFY: %v", m)
	}
	if reply := ex(t, []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}); len(reply) != 12 || reply[3]&15 != dns.RcodeRefused {
		t.Errorf("malformed: %x", reply)
	}
	if ex(t, query(t, "hit.example.", func(m *dns.Msg) { m.Response = true })) != nil {
		t.Error("a response is answered")
	}
	if n := f.resolved.Load(); n != 0 {
		t.Errorf("%d resolutions for clients that are not allowed", n)
	}
}

func TestQueryReachesTheResolver(t *testing.T) {
	f := newFake()
	ex := direct(New(testOptions(f)), "2001:db8::7", event.UDP)
	ex(t, query(t, "OTHER.example.", func(m *dns.Msg) {
		m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = false, true, true
		m.Question[0].Qtype = dns.TypeMX
		m.SetEdns0(1232, true)
	}))
	q := f.lastQuery()
	if q.Name != "\x05other\x07example\x00" || q.Type != wire.TypeMX || q.RD || !q.CD || !q.AD || !q.DO || q.Client != netip.MustParseAddr("2001:db8::7") || q.Arrival <= 0 {
		t.Errorf("query %+v", q)
	}
	ex(t, query(t, "other.example."))
	if q := f.lastQuery(); !q.RD || q.CD || q.AD || q.DO {
		t.Errorf("query %+v", q)
	}
}

func TestSizes(t *testing.T) {
	l := New(testOptions(newFake()))
	for _, c := range []struct {
		name      string
		transport event.Transport
		change    func(*dns.Msg)
		most      int
		least     int
		truncated bool
	}{
		{"no EDNS", event.UDP, func(*dns.Msg) {}, 512, 300, true},
		{"less than 512 is 512", event.UDP, edns(100), 512, 300, true},
		{"client's size", event.UDP, edns(900), 900, 600, true},
		{"ours at most", event.UDP, edns(65535), 1232, 1000, true},
		{"TCP", event.TCP, edns(512), 65535, 4000, false},
		{"room for options", event.UDP, edns(900, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "2464c4abcf10c957"}), 900, 600, true},
	} {
		reply := direct(l, "192.0.2.7", c.transport)(t, query(t, "big.example.", qtype(dns.TypeTXT), c.change))
		m := unpack(t, reply)
		if len(reply) > c.most || len(reply) < c.least || m.Truncated != c.truncated {
			t.Errorf("%s: %d octets, want %d to %d; TC %v, want %v", c.name, len(reply), c.least, c.most, m.Truncated, c.truncated)
		}
		if asked := strings.Contains(c.name, "options"); asked && len(m.IsEdns0().Option) != 2 {
			t.Errorf("%s: options %v", c.name, m.IsEdns0().Option)
		}
	}
}

// TestExtendedErrorGivesWay: first the text goes, then the option.
func TestExtendedErrorGivesWay(t *testing.T) {
	name := "fail" + strings.Repeat("x", 59) + "." + strings.Repeat(strings.Repeat("y", 59)+".", 3) + strings.Repeat("z", 9) + "." // 255 octets
	o := testOptions(newFake())
	o.ID = strings.Repeat("i", 255) // the NSID is cut to 128
	nsid := &dns.EDNS0_NSID{Code: dns.EDNS0NSID}
	ex := direct(New(o), "192.0.2.7", event.UDP)

	m := unpack(t, ex(t, query(t, name, edns(512))))
	if codes, texts := extended(m); len(codes) != 1 || !strings.HasPrefix(texts[0], "xxx") {
		t.Errorf("with room: %v %q", codes, texts)
	}
	reply := ex(t, query(t, name, edns(512, nsid, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "2464c4abcf10c957"})))
	m = unpack(t, reply)
	if codes, texts := extended(m); len(reply) > 512 || len(codes) != 1 || texts[0] != "" || len(m.IsEdns0().Option) != 3 {
		t.Errorf("without room for the text: %d octets, %v %q", len(reply), codes, texts)
	}
}

func TestKeepalive(t *testing.T) {
	l := New(testOptions(newFake()))
	ask := func(tr event.Transport, data string) (*dns.Msg, uint16) {
		m := unpack(t, direct(l, "192.0.2.7", tr)(t, query(t, "hit.example.", edns(1232, &dns.EDNS0_LOCAL{Code: dns.EDNS0TCPKEEPALIVE, Data: []byte(data)}))))
		if o, ok := option[*dns.EDNS0_TCP_KEEPALIVE](m); ok {
			return m, o.Timeout
		}
		return m, 0
	}
	if m, timeout := ask(event.TCP, ""); m.Rcode != dns.RcodeSuccess || timeout != 100 {
		t.Errorf("over TCP: %d, want 100 of 100 ms; %v", timeout, m)
	}
	if m, timeout := ask(event.UDP, ""); m.Rcode != dns.RcodeSuccess || timeout != 0 || len(m.Answer) != 1 {
		t.Errorf("over UDP: %d, want none; %v", timeout, m)
	}
	if m, timeout := ask(event.UDP, "\x00\x01"); m.Rcode != dns.RcodeSuccess || timeout != 0 {
		t.Errorf("with a timeout over UDP: %v", m)
	}
	if m, _ := ask(event.TCP, "\x00\x01"); m.Rcode != dns.RcodeFormatError {
		t.Errorf("with a timeout over TCP: %v", m)
	}
}

func TestNothingConfiguredNothingTold(t *testing.T) {
	o := testOptions(newFake())
	o.Version, o.ID, o.Cookies = "", "", false
	ex := direct(New(o), "192.0.2.7", event.UDP)
	for _, name := range []string{"version.bind.", "version.server.", "id.server.", "hostname.bind."} {
		if m := unpack(t, ex(t, query(t, "hit.example.", chaosQuery(name, dns.TypeTXT)))); m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
			t.Errorf("%s: %v", name, m)
		}
	}
	m := unpack(t, ex(t, query(t, "hit.example.", edns(1232, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "2464c4abcf10c957"}))))
	if m.Rcode != dns.RcodeSuccess || len(m.IsEdns0().Option) != 0 {
		t.Errorf("options %v", m.IsEdns0())
	}
}

// TestCachedAllocatesNothing is the gate for the hot path: nothing is allocated
// for a question that the cache answers, whatever EDNS options it has.
func TestCachedAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := New(testOptions(newFake()))
	w := l.newWorker(&l.late)
	dst := make([]byte, 0, maxUDPSize)
	client := netip.MustParseAddr("192.0.2.7")
	for name, msg := range map[string][]byte{
		"plain": query(t, "HIT.example."), "EDNS": query(t, "hit.example.", edns(1232)), "truncated": query(t, "big.example.", edns(512)),
		"options": query(t, "hit.example.", edns(1232, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "2464c4abcf10c957"})),
		"CH":      query(t, "hit.example.", chaosQuery("version.bind.", dns.TypeTXT)),
	} {
		var act action
		if n := testing.AllocsPerRun(100, func() {
			w.req = request{client: client, arrival: l.clock.Now()}
			_, act = w.handle(msg, dst)
		}); n != 0 || act != replied {
			t.Errorf("%s: %v allocations, action %d", name, n, act)
		}
	}
}

func BenchmarkHandleCached(b *testing.B) {
	l := New(testOptions(newFake()))
	w := l.newWorker(&l.late)
	dst := make([]byte, 0, maxUDPSize)
	msg := query(b, "hit.example.", edns(1232))
	client := netip.MustParseAddr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		w.req = request{client: client, arrival: 1}
		w.handle(msg, dst)
	}
}

// FuzzHandle: no message makes the handler panic, a response is never answered,
// and every reply is a well-formed response to it within its size.
func FuzzHandle(f *testing.F) {
	for _, c := range protocolCases {
		if c.bytes != nil {
			f.Add(c.bytes, false)
			continue
		}
		f.Add(query(f, "hit.example.", c.query), true)
	}
	l := New(testOptions(newFake()))
	f.Fuzz(func(t *testing.T, msg []byte, tcp bool) {
		tr := event.UDP
		if tcp {
			tr = event.TCP
		}
		if strings.Contains(strings.ToLower(string(msg)), "slow") || strings.Contains(strings.ToLower(string(msg)), "never") {
			return // these wait for the test
		}
		reply := direct(l, "192.0.2.7", tr)(t, msg)
		if reply == nil {
			return
		}
		if len(msg) < 12 || msg[2]&0x80 != 0 {
			t.Fatalf("answered: %x", msg)
		}
		v, err := wire.Read(reply)
		if err != nil {
			t.Fatalf("reply %x: %v", reply, err)
		}
		if !v.IsResponse() || reply[0] != msg[0] || reply[1] != msg[1] || tr == event.UDP && len(reply) > 1232 {
			t.Errorf("reply %x", reply)
		}
	})
}
