package simauth_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/lab"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// bench is a network with a client host and servers.
type bench struct {
	*simauth.Sim
	net    *simnet.Net
	client *simnet.Host
}

// inBubble runs a test with a network of its own.
func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 1})
		t.Cleanup(n.Close)
		f(t, &bench{Sim: simauth.New(t, n), net: n, client: n.Host(netip.MustParseAddr("203.0.113.250"), netip.MustParseAddr("2001:db8:ff::1"))})
	})
}

// Every suggestion of the lab keeps its promise, in virtual time, for a client
// that does little more than walk down from the root.
func TestWorldKeepsItsPromises(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		w, err := lab.NewWorld()
		if err != nil {
			t.Fatal(err)
		}
		b.Place(w, b.client)
		walker := simauth.Walker{Network: b.client, Hints: w.RootHints()}
		for _, s := range lab.Suggestions() {
			chain, rcode, err := walker.Resolve(t.Context(), s.Name, uint16(s.Type))
			want := int(s.Rcode)
			switch {
			case s.Rcode == wire.RcodeRefused:
				want = dns.RcodeServerFailure // the walker makes no difference
			case broken(w, s.Name):
				want = dns.RcodeSuccess // it does not validate
			}
			if rcode != want {
				t.Errorf("%s %s: %s, %v", s.Name, s.Type, dns.RcodeToString[rcode], err)
			}
			// One suggestion shows an empty non-terminal; all other good ones have data.
			if s.Rcode == wire.RcodeNoError && len(chain) == 0 && s.Name != "office.example.com." {
				t.Errorf("%s %s: no data", s.Name, s.Type)
			}
		}
	})
}

// broken tells whether a name lies in a zone that is signed wrongly for good.
func broken(w *lab.World, name string) bool {
	return slices.ContainsFunc(w.SignedZones(), func(zone dnsname.Name) bool {
		return len(w.Plan(zone).Breaks) > 0 && dnsname.MustParse(name).Under(zone)
	})
}

// Signing changes no answer to who does not ask for signatures.
func TestSignedWorldAnswersAlike(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		w, err := lab.NewWorld()
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := w.Signed(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b.Place(signed, b.client)
		walker := simauth.Walker{Network: b.client, Hints: signed.RootHints()}
		for name, records := range map[string]int{"www.example.com.": 1, "five.alias.example.com.": 6, "many.big.example.org.": 200, "www.leaf.twig.branch.tree.example.net.": 1} {
			chain, _, err := walker.Resolve(t.Context(), name, dns.TypeA)
			if err != nil || len(chain) != records {
				t.Errorf("%s: %d records, %v", name, len(chain), err)
			}
		}
	})
}

func TestChainLengths(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		w, err := lab.NewWorld()
		if err != nil {
			t.Fatal(err)
		}
		b.Place(w, b.client)
		walker := simauth.Walker{Network: b.client, Hints: w.RootHints()}
		for name, aliases := range map[string]int{"one": 1, "two": 2, "three": 3, "five": 5} {
			chain, _, err := walker.Resolve(t.Context(), name+".alias.example.com.", dns.TypeA)
			if err != nil || len(chain) != aliases+1 {
				t.Errorf("%s: %v, %v", name, chain, err)
			}
		}
	})
}

// The world's latency is what a question costs on the simulated network.
func TestWorldLatency(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		w, err := lab.NewWorld()
		if err != nil {
			t.Fatal(err)
		}
		b.Place(w, b.client)
		began := time.Now()
		if m := b.ask(t, "192.0.2.3:53", "udp", query(".", dns.TypeNS)); m == nil || len(m.Answer) != 3 {
			t.Errorf("root: %v", m)
		}
		if took := time.Since(began); took != 180*time.Millisecond {
			t.Errorf("c.root-servers answered in %v", took)
		}
		if got := b.Server("c.root-servers.example.").Heard(); len(got) != 1 || got[0].Zone != "\x00" {
			t.Errorf("%v", got)
		}
	})
}

func query(name string, qtype uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.Id = 4711
	return q
}

// ask sends a message to a server and gives whatever comes back within three
// seconds; nil is silence.
func (b *bench) ask(t *testing.T, server, network string, q *dns.Msg) *dns.Msg {
	t.Helper()
	to := netip.MustParseAddrPort(server)
	dial := b.client.DialUDP
	if network == "tcp" {
		dial = b.client.DialTCP
	}
	conn, err := dial(t.Context(), to)
	if err != nil {
		return nil
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &dns.Conn{Conn: conn}
	if network == "udp" {
		c.Conn = datagrams{conn}
	}
	if err := c.WriteMsg(q); err != nil {
		t.Fatal(err)
	}
	m, err := c.ReadMsg()
	if err != nil && m == nil {
		return nil
	}
	return m
}

const zone = `
@    3600 SOA ns admin 1 7200 900 1209600 300
@    3600 NS  ns
ns   3600 A   192.0.2.53
www   300 A   203.0.113.1
x.ent 300 A   203.0.113.2
`

func one(t *testing.T, f func(t *testing.T, b *bench, s *simauth.Server)) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.Add("ns.example.com.", "192.0.2.53")
		s.Load("example.com", zone)
		f(t, b, s)
	})
}

func (b *bench) www(t *testing.T) *dns.Msg {
	t.Helper()
	return b.ask(t, "192.0.2.53:53", "udp", query("www.example.com.", dns.TypeA))
}

func TestQueriesAreRecorded(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		q := query("wWw.example.com.", dns.TypeA)
		q.SetEdns0(1400, true)
		q.CheckingDisabled = true
		b.ask(t, "192.0.2.53:53", "udp", q)
		time.Sleep(time.Hour)
		b.ask(t, "192.0.2.53:53", "tcp", query("www.example.net.", dns.TypeMX))
		got := b.Queries()
		if len(got) != 2 || b.Count() != 2 || len(s.Heard()) != 2 {
			t.Fatalf("%v", got)
		}
		first, second := got[0], got[1]
		if first.Asked != "wWw.example.com." || first.Name.String() != "www.example.com." || first.Type != wire.TypeA ||
			!first.EDNS || !first.DO || !first.CD || !first.RD || first.UDPSize != 1400 || first.Transport != event.UDP ||
			first.Zone.String() != "example.com." || first.At != 0 || first.From.Addr() != b.client.Addrs()[0] {
			t.Errorf("%+v", first)
		}
		if second.Transport != event.TCP || second.Zone != "" || second.EDNS || second.At != time.Hour {
			t.Errorf("%+v", second)
		}
		if n := len(b.Asked("www.example.com", wire.TypeA)); n != 1 || len(b.Asked("www.example.com", wire.TypeMX)) != 0 {
			t.Errorf("%d asked for www", n)
		}
		b.Forget()
		if b.Count() != 0 || len(b.Queries()) != 0 {
			t.Error("the record is not empty")
		}
	})
}

func TestFaultsWhileItRuns(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		rcode := func(want int) {
			t.Helper()
			if m := b.www(t); m == nil || m.Rcode != want {
				t.Errorf("%v", m)
			}
		}
		rcode(dns.RcodeSuccess)
		b.Fault("example.com", "refused")
		rcode(dns.RcodeRefused)
		b.Fault("example.com", "off")
		rcode(dns.RcodeSuccess)
		s.Misbehave("blackhole")
		if m := b.www(t); m != nil {
			t.Errorf("blackhole said %v", m)
		}
		s.Misbehave("slow=2s")
		began := time.Now()
		rcode(dns.RcodeSuccess)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("slow took %v", took)
		}
	})
}

// Replies from elsewhere do not reach a connected socket, but they do travel.
func TestForgedSources(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		var seen simnet.Recorder
		b.net.Tap(seen.Add)
		for fault, want := range map[string]string{"wrong-port": "192.0.2.53:1053", "wrong-address": "192.0.2.181:53"} {
			s.Misbehave(fault)
			if m := b.www(t); m != nil {
				t.Errorf("%s reached the client", fault)
			}
			if !slices.ContainsFunc(seen.Packets(), func(p simnet.Packet) bool { return p.From.String() == want }) {
				t.Errorf("%s: nothing from %s", fault, want)
			}
		}
	})
}

func TestTCPFaults(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		tcp := func() *dns.Msg { return b.ask(t, "192.0.2.53:53", "tcp", query("www.example.com.", dns.TypeA)) }
		if m := tcp(); m == nil || len(m.Answer) != 1 {
			t.Errorf("no fault: %v", m)
		}
		for _, fault := range []string{"no-tcp", "stall-tcp", "blackhole"} {
			s.Misbehave(fault)
			if m := tcp(); m != nil {
				t.Errorf("%s: %v", fault, m)
			}
		}
	})
}

func TestScripts(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		s.Once(simauth.Silence())
		if m := b.www(t); m != nil {
			t.Errorf("Silence: %v", m)
		}
		if m := b.www(t); m == nil {
			t.Error("Once lasted")
		}
		s.Once(simauth.Late(time.Second))
		began := time.Now()
		if m := b.www(t); m == nil || time.Since(began) != time.Second {
			t.Errorf("Late: %v after %v", m, time.Since(began))
		}
		s.Once(simauth.Mutate(func(q wire.View, reply []byte) []byte {
			reply[0] ^= 0xff
			return reply
		}))
		if m := b.www(t); m == nil || m.Id == 4711 {
			t.Errorf("Mutate: %v", m)
		}
		s.Once(simauth.Edit(func(m *dns.Msg) { m.Answer[0].Header().Ttl = 1 << 31 }))
		if m := b.www(t); m == nil || m.Answer[0].Header().Ttl != 1<<31 {
			t.Errorf("Edit: %v", m)
		}
		s.On(simauth.For("www.example.com", wire.TypeA), -1, simauth.Say(`
			NXDOMAIN aa
			an www.example.com. 60 CNAME gone.example.com.
			ns example.com. 60 SOA ns. admin. 1 1 1 1 60`))
		for range 2 {
			if m := b.www(t); m == nil || m.Rcode != dns.RcodeNameError || len(m.Answer) != 1 || len(m.Ns) != 1 || m.Id != 4711 {
				t.Errorf("Say: %v", m)
			}
		}
		if m := b.ask(t, "192.0.2.53:53", "udp", query("x.ent.example.com.", dns.TypeA)); m == nil || m.Rcode != dns.RcodeSuccess {
			t.Errorf("a script ran for another name: %v", m)
		}
		s.Unscript()
		if m := b.www(t); m == nil || m.Rcode != dns.RcodeSuccess {
			t.Errorf("Unscript: %v", m)
		}
	})
}

// Scripts see bare messages over TCP too, and pipelined replies overtake.
func TestPipelinedRepliesOvertake(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		s.On(simauth.For("www.example.com", wire.TypeA), 1, simauth.Late(time.Second))
		s.On(nil, 1, simauth.Edit(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }))
		conn, err := b.client.DialTCP(t.Context(), netip.MustParseAddrPort("192.0.2.53:53"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &dns.Conn{Conn: conn}
		for i, name := range []string{"www.example.com.", "x.ent.example.com."} {
			q := query(name, dns.TypeA)
			q.Id = uint16(i)
			if err := c.WriteMsg(q); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []struct {
			id    uint16
			rcode int
		}{{1, dns.RcodeNameError}, {0, dns.RcodeSuccess}} {
			if m, err := c.ReadMsg(); err != nil || m.Id != want.id || m.Rcode != want.rcode {
				t.Errorf("%v, %v", m, err)
			}
		}
	})
}

func TestSpoofComesFirst(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		s.Once(simauth.Spoof(3))
		conn, err := b.client.DialUDP(t.Context(), netip.MustParseAddrPort("192.0.2.53:53"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &dns.Conn{Conn: datagrams{conn}}
		if err := c.WriteMsg(query("www.example.com.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		var ids []uint16
		for range 4 {
			m, err := c.ReadMsg()
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, m.Id)
		}
		if !slices.Equal(ids, []uint16{4712, 4713, 4714, 4711}) {
			t.Errorf("ids %v", ids)
		}
	})
}

func TestEveryPrefixOfAReply(t *testing.T) {
	one(t, func(t *testing.T, b *bench, s *simauth.Server) {
		for n := range 40 {
			s.Once(simauth.Prefix(n))
			conn, err := b.client.DialUDP(t.Context(), netip.MustParseAddrPort("192.0.2.53:53"))
			if err != nil {
				t.Fatal(err)
			}
			packed, _ := query("www.example.com.", dns.TypeA).Pack()
			if _, err := conn.Write(packed); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			if got, err := conn.Read(buf); err != nil || got != n {
				t.Errorf("%d octets for %d, %v", got, n, err)
			}
			conn.Close()
		}
	})
}

// A world with two servers, from text; data changes while it is asked.
func TestAdHocZones(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		root := b.Add("ns.root.", "192.0.2.1")
		root.Load(".", "@ SOA ns.root. admin. 1 1 1 1 60\n@ NS ns.root.\nns.root. A 192.0.2.1\nexample NS ns.example.\nns.example. A 192.0.2.53\n")
		s := b.Add("ns.example.", "192.0.2.53")
		walker := simauth.Walker{Network: b.client, Hints: []cache.NameServer{{Addrs: []netip.Addr{root.Addr()}}}}
		for _, addr := range []string{"203.0.113.1", "203.0.113.2"} {
			s.Load("example.", strings.ReplaceAll(zone, "203.0.113.1", addr))
			chain, _, err := walker.Resolve(t.Context(), "www.example.", dns.TypeA)
			if err != nil || len(chain) != 1 || chain[0].(*dns.A).A.String() != addr {
				t.Errorf("%v, %v", chain, err)
			}
		}
	})
}

// datagrams tells the library that a connection has no length fields.
type datagrams struct{ net.Conn }

func (datagrams) ReadFrom([]byte) (int, net.Addr, error) { panic("not used") }
func (datagrams) WriteTo([]byte, net.Addr) (int, error)  { panic("not used") }

// A fault for a whole zone comes on top of what a server has for good.
func TestLastingFaultsStay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		w, err := lab.NewWorld()
		if err != nil {
			t.Fatal(err)
		}
		b.Place(w, b.client)
		b.Fault("halflame.example.com", "slow=1s")
		b.Fault("halflame.example.com", "off")
		if m := b.ask(t, "198.51.100.106:53", "udp", query("www.halflame.example.com.", dns.TypeA)); m == nil || m.Authoritative {
			t.Errorf("the lame server said %v", m)
		}
		if m := b.ask(t, "198.51.100.107:53", "udp", query("www.halflame.example.com.", dns.TypeA)); m == nil || !m.Authoritative {
			t.Errorf("the good server said %v", m)
		}
	})
}
