package listener

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/simnet"
)

// An error of reading is counted, and the socket is read on. The kernel's socket
// is made to fail by a deadline that has passed.
func TestReceiveErrorsAreCountedAndSurvived(t *testing.T) {
	l := startLoopback(t, testOptions(newFake()))
	for _, pc := range l.packets {
		pc.SetReadDeadline(time.Unix(1, 0))
	}
	for deadline := time.Now().Add(5 * time.Second); l.Stats().ReceiveErrors == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no error was counted")
		}
	}
	for _, pc := range l.packets {
		pc.SetReadDeadline(time.Time{})
	}
	udp := dial(t, "udp", endpoint(t, l, event.UDP))
	udp.SetDeadline(time.Now().Add(5 * time.Second))
	udp.Write(query(t, "hit.example."))
	if n, err := udp.Read(make([]byte, 512)); n == 0 || err != nil {
		t.Errorf("after the error: %d octets, %v", n, err)
	}
}

// failing is a socket on which reading fails some times before it works.
type failing struct {
	net.PacketConn
	left atomic.Int32
}

func (f *failing) ReadFrom(b []byte) (int, net.Addr, error) {
	if f.left.Add(-1) >= 0 {
		return 0, nil, syscall.ENOMEM
	}
	return f.PacketConn.ReadFrom(b)
}

// The same on the portable path, which counts and pauses.
func TestReceiveErrorsOnThePortablePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 1})
		defer n.Close()
		server, client := n.Host(netip.MustParseAddr("192.0.2.53")), n.Host(netip.MustParseAddr("192.0.2.1"))
		pc, err := server.ListenPacket(netip.MustParseAddrPort("192.0.2.53:53"))
		if err != nil {
			t.Fatal(err)
		}
		f := &failing{PacketConn: pc}
		f.left.Store(3)
		o := testOptions(newFake())
		o.PacketConns = []net.PacketConn{f}
		l := New(o)
		start := time.Now()
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		c, err := client.DialUDP(t.Context(), netip.MustParseAddrPort("192.0.2.53:53"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(query(t, "hit.example."))
		if n, err := c.Read(make([]byte, 512)); n == 0 || err != nil {
			t.Errorf("after the errors: %d octets, %v", n, err)
		}
		if got := l.Stats().ReceiveErrors; got != 3 {
			t.Errorf("%d errors counted, want 3", got)
		}
		if took := time.Since(start); took < 3*receivePause {
			t.Errorf("three errors took %v: it spins", took)
		}
		l.Shutdown(t.Context())
	})
}

// poorListener has no descriptors for a while.
type poorListener struct {
	net.Listener
	left  atomic.Int32
	tries atomic.Int32
}

func (p *poorListener) Accept() (net.Conn, error) {
	p.tries.Add(1)
	if p.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return p.Listener.Accept()
}

// Without descriptors the listener neither spins nor fills the log, says what to
// do, and takes connections again afterwards.
func TestAcceptWithoutDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 1})
		defer n.Close()
		server, client := n.Host(netip.MustParseAddr("192.0.2.53")), n.Host(netip.MustParseAddr("192.0.2.1"))
		at := netip.MustParseAddrPort("192.0.2.53:53")
		ln, err := server.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		poor := &poorListener{Listener: ln}
		poor.left.Store(30)
		var log bytes.Buffer
		o := testOptions(newFake())
		o.Listeners, o.Log = []net.Listener{poor}, slog.New(slog.NewTextHandler(&log, nil))
		l := New(o)
		start := time.Now()
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := poor.tries.Load(); n > 40 {
			t.Errorf("%d tries in 10 s", n)
		}
		c := connect(t, client, at)
		defer c.Close()
		c.Write(frame(query(t, "hit.example.")))
		if _, err := readFrame(c); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		took := time.Since(start)
		l.Shutdown(t.Context())
		text := log.String()
		if lines := strings.Count(text, "\n"); lines == 0 || lines > 1+int(took/warnEvery) || !strings.Contains(text, "LimitNOFILE") {
			t.Errorf("after %v the log says:\n%s", took, text)
		}
	})
}

// An address that needs its interface says so.
func TestLinkLocalAddressWithoutZone(t *testing.T) {
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("[fe80::1]:0")}
	err := New(o).Start()
	if err == nil || !strings.Contains(err.Error(), "write fe80::1%eth0") {
		t.Errorf("got %v", err)
	}
}
