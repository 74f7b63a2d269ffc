package upstream

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/infra"
)

func dialReal(t *testing.T, u *Upstream, to netip.AddrPort) *datagram {
	t.Helper()
	c, err := u.dialDatagrams(t.Context(), u.opt.Clock.Now(), to)
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	return c.(*datagram)
}

// soon is a moment that does not come in a test that goes well.
func (u *Upstream) soon() clock.Mono { return u.opt.Clock.Now().Add(10 * time.Second) }

// comes waits for an event of a socket.
func (d *datagram) comes(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if !d.waiter.Load().wait(ctx, 0) {
		t.Fatal("nothing came")
	}
}

// echo sends everything back to where it came from.
func echo(t *testing.T) netip.AddrPort {
	return loopback(t, func(q seen) [][]byte { return [][]byte{q.view.Bytes()} })
}

// Local ports are spread over the whole range and are not the kernel's choice.
func TestDatagramPorts(t *testing.T) {
	u := realUpstream(t)
	ports := map[uint16]bool{}
	low, high := uint16(1<<16-1), uint16(0)
	for range 200 {
		d := dialReal(t, u, netip.MustParseAddrPort("127.0.0.1:9"))
		p, err := d.LocalPort()
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		ports[p], low, high = true, min(low, p), max(high, p)
	}
	if len(ports) < 190 || low < firstPort || low > firstPort+portCount/4 || high < firstPort+portCount*3/4 {
		t.Errorf("%d ports in [%d, %d]", len(ports), low, high)
	}
}

// Path MTU is not believed, no DF (RFC 9715 §3.1).
func TestDatagramOptions(t *testing.T) {
	d := dialReal(t, realUpstream(t), netip.MustParseAddrPort("127.0.0.1:9"))
	defer d.Close()
	if got, err := syscall.GetsockoptInt(d.fd, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER); err != nil || got != pmtudiscOmit {
		t.Errorf("IP_MTU_DISCOVER is %d, %v", got, err)
	}
}

// A port that is taken is not an error: after some that are, the kernel chooses.
func TestDatagramPortTaken(t *testing.T) {
	u := realUpstream(t)
	to := netip.MustParseAddrPort("127.0.0.1:9")
	first := dialReal(t, u, to)
	defer first.Close()
	taken, err := first.LocalPort()
	if err != nil {
		t.Fatal(err)
	}
	k := u.opt.Network.(*kernel)
	draws := 0
	second, err := k.poller.dialDatagram(to, func() uint16 { draws++; return taken })
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, err := second.LocalPort(); err != nil || got == taken || got == 0 || draws != bindTries {
		t.Errorf("port %d after %d draws, %v", got, draws, err)
	}
}

// A socket's memory is used again, and hears nothing of the socket before it.
func TestDatagramMemoryIsUsedAgain(t *testing.T) {
	u, to := realUpstream(t), echo(t)
	question := make([]byte, 12)
	first := dialReal(t, u, to)
	if _, err := first.Write(question); err != nil {
		t.Fatal(err)
	}
	if n, err := first.ReadUntil(t.Context(), u.soon()); len(n) != 12 || err != nil {
		t.Fatal(n, err)
	}
	first.waiter.Load().wake() // an event that nobody waited for
	first.Close()
	second := dialReal(t, u, to)
	defer second.Close()
	if second != first {
		t.Error("memory is not used again")
	}
	if len(second.waiter.Load().ready) != 0 || second.stray.Load() {
		t.Error("the last socket's event was kept")
	}
	k := u.opt.Network.(*kernel)
	if s := len(k.poller.slots); s != 1 {
		t.Errorf("%d slots for one socket at once", s)
	}
}

// Reading ends with the time, with ctx, with what ICMP says, and goes on after
// the first two.
func TestDatagramReadEnds(t *testing.T) {
	u := realUpstream(t)
	quiet := loopback(t, func(seen) [][]byte { return nil })
	d := dialReal(t, u, quiet)
	defer d.Close()
	if _, err := d.ReadUntil(t.Context(), u.opt.Clock.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.ReadUntil(ctx, 0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("context: %v", err)
	}

	e := dialReal(t, u, echo(t))
	defer e.Close()
	if _, err := e.ReadUntil(t.Context(), u.opt.Clock.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing sent: %v", err)
	}
	for range 2 {
		if _, err := e.Write(make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
		if n, err := e.ReadUntil(t.Context(), u.soon()); len(n) != 12 || err != nil {
			t.Errorf("after it: %x, %v", n, err)
		}
	}
}

// Close ends the poller; what is asked afterwards fails.
func TestKernelIsClosed(t *testing.T) {
	u, to := realUpstream(t), echo(t)
	d := dialReal(t, u, to)
	u.Close()
	if _, err := d.ReadUntil(t.Context(), u.opt.Clock.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	d.Close()
	if _, err := u.dialDatagrams(t.Context(), u.opt.Clock.Now(), to); err == nil {
		t.Error("a socket after Close")
	}
}

// Close does not hold up the poller's goroutine while it waits for its end.
func TestCloseWhilePolling(t *testing.T) {
	quiet := loopback(t, func(seen) [][]byte { return nil })
	for n := range 3000 {
		u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{})})
		d := dialReal(t, u, quiet)
		ended := make(chan struct{})
		go func() { u.Close(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("the %dth Close hangs", n+1)
		}
		d.Close()
	}
}
