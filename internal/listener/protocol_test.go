package listener

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/event"
	"lastgood/internal/simnet"
)

// exchange sends a message and gives the reply, nil when there is none.
type exchange func(t *testing.T, msg []byte) []byte

// protocolCases say what a client gets for a message, whatever the transport.
var protocolCases = []struct {
	name  string
	query func(*dns.Msg)
	bytes []byte // instead of query
	// Expected: nothing at all, or this.
	silence   bool
	rcode     int
	ede       uint16 // 0xffff: none
	empty     bool   // neither question nor OPT
	questions int
	check     func(*testing.T, *dns.Msg)
}{
	{name: "cached", query: edns(1232), ede: 0xffff, questions: 1, check: wantAnswers(1)},
	{name: "without EDNS", query: func(*dns.Msg) {}, ede: 0xffff, questions: 1, check: wantNoOPT},
	{name: "flags", query: func(m *dns.Msg) { m.CheckingDisabled, m.AuthenticatedData = true, true }, ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if !m.Response || !m.RecursionAvailable || !m.RecursionDesired || !m.CheckingDisabled || !m.AuthenticatedData || m.Authoritative {
				t.Errorf("header %+v", m.MsgHdr)
			}
		}},
	{name: "no recursion desired", query: func(m *dns.Msg) { m.RecursionDesired = false }, ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if m.RecursionDesired || !m.RecursionAvailable {
				t.Errorf("header %+v", m.MsgHdr)
			}
		}},
	{name: "letter case", query: func(m *dns.Msg) { m.Question[0].Name = "HiT.ExAmPlE." }, ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if m.Question[0].Name != "HiT.ExAmPlE." || m.Answer[0].Header().Name != "HiT.ExAmPlE." {
				t.Errorf("question %q, owner %q", m.Question[0].Name, m.Answer[0].Header().Name)
			}
		}},
	{name: "DO is echoed", query: func(m *dns.Msg) { m.SetEdns0(4096, true) }, ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if o := m.IsEdns0(); !o.Do() || o.UDPSize() != 1232 || o.Version() != 0 {
				t.Errorf("OPT %v", o)
			}
		}},
	{name: "response", query: func(m *dns.Msg) { m.Response = true }, silence: true},
	{name: "eleven octets", bytes: make([]byte, 11), silence: true},
	{name: "nothing", bytes: []byte{}, silence: true},
	{name: "NOTIFY", query: func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, rcode: dns.RcodeNotImplemented, empty: true},
	{name: "UPDATE", query: func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, rcode: dns.RcodeNotImplemented, empty: true},
	{name: "opcode 15", query: func(m *dns.Msg) { m.Opcode = 15 }, rcode: dns.RcodeNotImplemented, empty: true},
	{name: "no question", query: func(m *dns.Msg) { m.Question = nil }, rcode: dns.RcodeFormatError},
	{name: "two questions", query: func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, rcode: dns.RcodeFormatError},
	{name: "header only", bytes: []byte{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, rcode: dns.RcodeFormatError, empty: true,
		check: func(t *testing.T, m *dns.Msg) {
			if m.Id != 0x102 || !m.RecursionDesired {
				t.Errorf("header %+v", m.MsgHdr)
			}
		}},
	{name: "two OPT", query: func(m *dns.Msg) { m.SetEdns0(1232, false); m.Extra = append(m.Extra, m.Extra[0]) }, rcode: dns.RcodeFormatError, empty: true},
	{name: "octets behind", bytes: append(mustPack("hit.example."), 0), ede: 0xffff, questions: 1, check: wantAnswers(1)},
	{name: "cut off", bytes: mustPack("hit.example.")[:28], rcode: dns.RcodeFormatError, empty: true},
	{name: "EDNS version 1", query: func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, rcode: dns.RcodeBadVers, ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if m.IsEdns0().Version() != 0 {
				t.Errorf("version %d", m.IsEdns0().Version())
			}
		}},
	{name: "class ANY", query: both(class(dns.ClassANY), edns(1232)), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotSupported, questions: 1},
	{name: "class HS", query: both(class(dns.ClassHESIOD), edns(1232)), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotSupported, questions: 1},
	{name: "AXFR", query: both(qtype(dns.TypeAXFR), edns(1232)), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotSupported, questions: 1},
	{name: "IXFR", query: both(qtype(dns.TypeIXFR), edns(1232)), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotSupported, questions: 1},
	{name: "type OPT", query: both(qtype(dns.TypeOPT), edns(1232)), rcode: dns.RcodeFormatError, ede: 30, questions: 1},
	{name: "type TSIG", query: both(qtype(dns.TypeTSIG), edns(1232)), rcode: dns.RcodeFormatError, ede: 30, questions: 1},
	{name: "type MAILA", query: both(qtype(dns.TypeMAILA), edns(1232)), rcode: dns.RcodeFormatError, ede: 30, questions: 1},
	{name: "type NXNAME", query: both(qtype(128), edns(1232)), rcode: dns.RcodeFormatError, ede: 30, questions: 1},
	{name: "type ANY is the resolver's", query: both(qtype(dns.TypeANY), edns(1232)), ede: 0xffff, questions: 1, check: wantAnswers(1)},
	{name: "version.bind", query: chaosQuery("VERSION.bind.", dns.TypeTXT), ede: 0xffff, questions: 1, check: wantText("VERSION.bind.", "lastgood test")},
	{name: "version.server", query: chaosQuery("version.server.", dns.TypeTXT), ede: 0xffff, questions: 1, check: wantText("version.server.", "lastgood test")},
	{name: "id.server", query: chaosQuery("id.server.", dns.TypeANY), ede: 0xffff, questions: 1, check: wantText("id.server.", "ns1.example")},
	{name: "hostname.bind", query: chaosQuery("hostname.bind.", dns.TypeTXT), ede: 0xffff, questions: 1, check: wantText("hostname.bind.", "ns1.example")},
	{name: "other in CH", query: both(chaosQuery("authors.bind.", dns.TypeTXT), edns(1232)), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotSupported, questions: 1},
	{name: "version.bind A", query: both(chaosQuery("version.bind.", dns.TypeA), edns(1232)), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotSupported, questions: 1},
	{name: "NSID", query: edns(1232, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}), ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if o, ok := option[*dns.EDNS0_NSID](m); !ok || o.Nsid != fmt.Sprintf("%x", "ns1.example") {
				t.Errorf("NSID %v", o)
			}
		}},
	{name: "resolved", query: both(named("other.example."), edns(1232)), ede: 0xffff, questions: 1, check: wantAnswers(1)},
	{name: "failed", query: both(named("failSome.example."), edns(1232)), rcode: dns.RcodeServerFailure, ede: 22, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if _, texts := extended(m); texts[0] != "some [TEST]" {
				t.Errorf("texts %q", texts)
			}
		}},
	{name: "failed without EDNS", query: named("fail.example."), rcode: dns.RcodeServerFailure, ede: 0xffff, questions: 1, check: wantNoOPT},
	{name: "cookie of a bad length", query: edns(1232, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708aa"}), rcode: dns.RcodeFormatError, ede: 0xffff, questions: 1},
	{name: "client cookie", query: edns(1232, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "2464c4abcf10c957"}), ede: 0xffff, questions: 1,
		check: func(t *testing.T, m *dns.Msg) {
			if o, ok := option[*dns.EDNS0_COOKIE](m); !ok || len(o.Cookie) != 48 || !strings.HasPrefix(o.Cookie, "2464c4abcf10c95701000000") {
				t.Errorf("cookie %v", o)
			}
		}},
	{name: "cookie alone", query: both(edns(1232, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "2464c4abcf10c957"}), noQuestion), ede: 0xffff,
		check: func(t *testing.T, m *dns.Msg) {
			if _, ok := option[*dns.EDNS0_COOKIE](m); !ok {
				t.Error("no cookie")
			}
		}},
	{name: "foreign cookie alone", query: both(edns(1232, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("01", 24)}), noQuestion), rcode: dns.RcodeBadCookie, ede: 0xffff},
}

func noQuestion(m *dns.Msg) { m.Question = nil }

func named(name string) func(*dns.Msg) { return func(m *dns.Msg) { m.Question[0].Name = name } }

func chaosQuery(name string, qt uint16) func(*dns.Msg) {
	return both(named(name), both(qtype(qt), class(dns.ClassCHAOS)))
}

func both(f, g func(*dns.Msg)) func(*dns.Msg) { return func(m *dns.Msg) { f(m); g(m) } }

func mustPack(name string) []byte {
	b, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func wantAnswers(n int) func(*testing.T, *dns.Msg) {
	return func(t *testing.T, m *dns.Msg) {
		if len(m.Answer) != n {
			t.Errorf("%d answers, want %d", len(m.Answer), n)
		}
	}
}

func wantNoOPT(t *testing.T, m *dns.Msg) {
	if m.IsEdns0() != nil {
		t.Error("OPT in the reply to a query without")
	}
}

func wantText(name, text string) func(*testing.T, *dns.Msg) {
	return func(t *testing.T, m *dns.Msg) {
		txt, ok := m.Answer[0].(*dns.TXT)
		if !ok || txt.Hdr.Name != name || txt.Hdr.Class != dns.ClassCHAOS || txt.Hdr.Ttl != 0 || len(txt.Txt) != 1 || txt.Txt[0] != text {
			t.Errorf("answer %v", m.Answer)
		}
	}
}

// runProtocol goes through the table.
func runProtocol(t *testing.T, ex exchange) {
	for _, c := range protocolCases {
		msg := c.bytes
		if c.query != nil {
			msg = query(t, "hit.example.", c.query)
		}
		reply := ex(t, msg)
		if c.silence {
			if reply != nil {
				t.Errorf("%s: answered with %x", c.name, reply)
			}
			continue
		}
		if reply == nil {
			t.Errorf("%s: no answer", c.name)
			continue
		}
		m := unpack(t, reply)
		if m.Rcode != c.rcode || !bytes.Equal(reply[:2], msg[:2]) || !m.Response {
			t.Errorf("%s: rcode %s, want %s; header %+v", c.name, dns.RcodeToString[m.Rcode], dns.RcodeToString[c.rcode], m.MsgHdr)
			continue
		}
		if c.empty && len(reply) != 12 {
			t.Errorf("%s: %d octets, want a header", c.name, len(reply))
		}
		if len(m.Question) != c.questions {
			t.Errorf("%s: %d questions, want %d", c.name, len(m.Question), c.questions)
		}
		if codes, _ := extended(m); (len(codes) == 0) != (c.ede == 0xffff || c.ede == 0) || len(codes) > 0 && codes[0] != c.ede {
			t.Errorf("%s: extended errors %v, want %d", c.name, codes, c.ede)
		}
		if c.check != nil {
			t.Run(c.name, func(t *testing.T) { c.check(t, m) })
		}
	}
}

// marker is a question whose reply shows that nothing came before it.
func marker(t *testing.T) []byte {
	return query(t, "hit.example.", func(m *dns.Msg) { m.Id = 0xfffe })
}

// overPacket exchanges over a connected datagram socket. A question sent behind
// the message makes sure that silence is told from slowness.
func overPacket(conn net.Conn) exchange {
	return func(t *testing.T, msg []byte) []byte {
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 65536)
		if len(msg) >= 12 && msg[2]&0x80 == 0 { // not one to be silent about
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			return buf[:n]
		}
		conn.Write(marker(t))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if buf[0] == 0xff && buf[1] == 0xfe {
			return nil
		}
		return buf[:n]
	}
}

// startLoopback serves on 127.0.0.1 until the test ends.
func startLoopback(t testing.TB, o Options) *Listener {
	t.Helper()
	if o.Addresses == nil && o.PacketConns == nil {
		o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	}
	l := New(o)
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return l
}

// endpoint is where l listens over a transport.
func endpoint(t testing.TB, l *Listener, tr event.Transport) netip.AddrPort {
	t.Helper()
	for _, e := range l.Endpoints() {
		if e.Transport == tr {
			return e.Addr
		}
	}
	t.Fatalf("no %v endpoint among %v", tr, l.Endpoints())
	return netip.AddrPort{}
}

func dial(t testing.TB, network string, to netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestProtocolOverUDP(t *testing.T) {
	l := startLoopback(t, testOptions(newFake()))
	runProtocol(t, overPacket(dial(t, "udp", endpoint(t, l, event.UDP))))
	s := l.Stats()
	if s.Queries[event.UDP] == 0 || s.Cached == 0 || s.Dropped[DropResponse] != 1 || s.Dropped[DropShort] != 2 {
		t.Errorf("stats %+v", s)
	}
}

// onlyPacketConn hides that a socket is the kernel's, for the portable way.
type onlyPacketConn struct{ net.PacketConn }

func TestProtocolOverPortableUDP(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(newFake())
	o.PacketConns = []net.PacketConn{onlyPacketConn{pc}}
	l := startLoopback(t, o)
	runProtocol(t, overPacket(dial(t, "udp", endpoint(t, l, event.UDP))))
}

func TestProtocolOverIPv6(t *testing.T) {
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("[::]:0")}
	l := New(o)
	if err := l.Start(); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer l.Shutdown(t.Context())
	port := endpoint(t, l, event.UDP).Port()
	conn, err := net.Dial("udp", netip.AddrPortFrom(netip.IPv6Loopback(), port).String())
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer conn.Close()
	runProtocol(t, overPacket(conn))
}

// simulated runs f in a bubble with a Listener at 192.0.2.53 and a client at
// 192.0.2.7.
func simulated(t *testing.T, o Options, f func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort)) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 1})
		defer n.Close()
		n.SetDefault(simnet.Link{Latency: 5 * time.Millisecond})
		server := netip.MustParseAddrPort("192.0.2.53:53")
		host := n.Host(server.Addr())
		o := o
		o.Clock, o.Network, o.Addresses = testOptions(nil).Clock, host, []netip.AddrPort{server}
		l := New(o)
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		f(t, l, n.Host(netip.MustParseAddr("192.0.2.7")), server)
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if open := host.Open(); open != 0 {
			t.Errorf("%d sockets left open", open)
		}
	})
}

func TestProtocolOverSimulatedUDP(t *testing.T) {
	simulated(t, testOptions(newFake()), func(t *testing.T, _ *Listener, client *simnet.Host, server netip.AddrPort) {
		conn, err := client.DialUDP(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ex := overPacket(conn)
		for _, c := range protocolCases { // subtests are not for bubbles
			if c.query != nil && !c.silence {
				if m := unpack(t, ex(t, query(t, "hit.example.", c.query))); m.Rcode != c.rcode {
					t.Errorf("%s: rcode %d, want %d", c.name, m.Rcode, c.rcode)
				}
			}
		}
	})
}
