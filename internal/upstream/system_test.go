package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// loopback serves real sockets on a port of both transports.
func loopback(t *testing.T, h handler) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	t.Cleanup(func() { pc.Close() })
	l, err := net.Listen("tcp4", pc.LocalAddr().String())
	if err != nil {
		t.Skipf("the port is taken for TCP: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	e := &env{T: t}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if v, err := wire.Read(append([]byte(nil), buf[:n]...)); err == nil {
				for _, msg := range h(seen{view: v, from: from.(*net.UDPAddr).AddrPort()}) {
					_, _ = pc.WriteTo(msg, from)
				}
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go e.converse(c, h)
		}
	}()
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func realUpstream(t *testing.T) *Upstream {
	u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{}), CaseRandomisation: true, Cookies: true})
	t.Cleanup(u.Close)
	return u
}

func askReal(t *testing.T, u *Upstream, to netip.AddrPort, tcp bool) (iterator.Reply, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return u.Exchange(ctx, iterator.Query{Server: to, Name: asked, Type: wire.TypeA, TCP: tcp})
}

func TestRealSockets(t *testing.T) {
	to := loopback(t, answers(reply{}, reply{size: 60000}))
	u := realUpstream(t)
	for range 20 {
		r, err := askReal(t, u, to, false)
		if err != nil || r.Transport != event.UDP || r.RTT <= 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	for range 3 {
		r, err := askReal(t, u, to, true)
		if err != nil || r.Transport != event.TCP || len(r.View.Bytes()) < 60000 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if s := u.Stats(); s.SentUDP != 20 || s.TCPOpened != 1 || s.TCPReused != 2 || s.Sockets != s.Kept+1 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRealTruncation(t *testing.T) {
	to := loopback(t, answers(reply{tc: true, empty: true}, reply{}))
	if r, err := askReal(t, realUpstream(t), to, false); err != nil || r.Transport != event.TCP {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestRealPortUnreachable(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	to := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	pc.Close()
	_, err = askReal(t, realUpstream(t), to, false)
	var e *Error
	if !errors.As(err, &e) || e.Result != event.Unreachable || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// Local ports are spread over the whole range and are not the kernel's choice.
func TestLocalPorts(t *testing.T) {
	u := realUpstream(t)
	to := netip.MustParseAddrPort("127.0.0.1:9")
	ports := map[uint16]bool{}
	low, high := uint16(1<<16-1), uint16(0)
	for range 200 {
		c, err := u.opt.Network.DialUDP(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		p := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		c.Close()
		ports[p], low, high = true, min(low, p), max(high, p)
	}
	if len(ports) < 190 || low < firstPort || low > firstPort+portCount/4 || high < firstPort+portCount*3/4 {
		t.Errorf("%d ports in [%d, %d]", len(ports), low, high)
	}
}

// A port that is taken is not an error: another is drawn.
func TestPortTaken(t *testing.T) {
	taken, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if port < firstPort {
		t.Skipf("the kernel gave port %d, below ours", port)
	}
	n := port - firstPort
	s := System{Random: func(b []byte) { b[0], b[1] = byte(n>>8), byte(n) }}
	c, err := s.DialUDP(t.Context(), netip.MustParseAddrPort("127.0.0.1:9"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Port(); got == port || got == 0 {
		t.Errorf("got port %d", got)
	}
}

// What the hot part of the miss path costs, for orientation.
func BenchmarkCompose(b *testing.B) {
	u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{}), CaseRandomisation: true, Cookies: true})
	defer u.Close()
	q := iterator.Query{Server: serverAddr, Name: dnsname.MustParse("www.example.com"), Type: wire.TypeA}
	x := exchange{u: u, q: q}
	x.begin()
	b.ReportAllocs()
	for b.Loop() {
		x.m.compose(u, 1, q, x.plan)
	}
}
