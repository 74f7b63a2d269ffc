package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/simnet"
)

// shutdownMeanwhile begins a Shutdown and returns once it waits.
func shutdownMeanwhile(ctx context.Context, l *Listener) <-chan error {
	done := make(chan error, 1)
	go func() { done <- l.Shutdown(ctx) }()
	synctest.Wait()
	return done
}

func TestShutdownAnswersWhatIsInFlight(t *testing.T) {
	f := newFake()
	simulated(t, testOptions(f), func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		f.let = make(chan struct{})
		udp, err := client.DialUDP(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		busy, idle := connect(t, client, server), connect(t, client, server)
		defer busy.Close()
		defer idle.Close()
		udp.Write(query(t, "slow.example."))
		busy.Write(frame(query(t, "slow.example.")))
		busy.Write(frame(query(t, "slow2.example.")))
		time.Sleep(time.Second)
		done := shutdownMeanwhile(t.Context(), l)
		if d := closedAfter(t, idle); d > 100*time.Millisecond {
			t.Errorf("idle connection closed after %v", d)
		}
		time.Sleep(time.Second)
		select {
		case err := <-done:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		close(f.let)
		if n, err := udp.Read(make([]byte, 512)); n == 0 || err != nil {
			t.Errorf("over UDP: %d octets, %v", n, err)
		}
		for range 2 {
			if _, err := readFrame(busy); err != nil {
				t.Errorf("over TCP: %v", err)
			}
		}
		closedAfter(t, busy)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := client.DialTCP(t.Context(), server); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect after Shutdown: %v", err)
		}
	})
}

func TestShutdownLosesPatience(t *testing.T) {
	f := newFake()
	simulated(t, testOptions(f), func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		udp, err := client.DialUDP(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		tcp := connect(t, client, server)
		defer tcp.Close()
		udp.Write(query(t, "never.example."))
		tcp.Write(frame(query(t, "never.example.")))
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err = l.Shutdown(ctx)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "2 questions") || took != 3*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		synctest.Wait()
		if n := f.waiting.Load(); n != 0 {
			t.Errorf("%d resolutions go on", n)
		}
	})
}

// TestShutdownOverLoopback does the same with the kernel's sockets.
func TestShutdownOverLoopback(t *testing.T) {
	f := newFake()
	l := startLoopback(t, testOptions(f))
	udp, tcp := dial(t, "udp", endpoint(t, l, event.UDP)), dial(t, "tcp", endpoint(t, l, event.TCP))
	for _, c := range []net.Conn{udp, tcp} {
		c.SetDeadline(time.Now().Add(5 * time.Second))
	}
	udp.Write(query(t, "slow.example."))
	tcp.Write(frame(query(t, "slow.example.")))
	for f.waiting.Load() < 2 {
		askOver(t, tcp, query(t, "hit.example.")) // passes the time
	}
	done := make(chan error, 1)
	go func() { done <- l.Shutdown(t.Context()) }()
	<-l.stop
	close(f.let)
	if n, err := udp.Read(make([]byte, 512)); n == 0 || err != nil {
		t.Errorf("over UDP: %d octets, %v", n, err)
	}
	if _, err := readFrame(tcp); err != nil {
		t.Errorf("over TCP: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Start(); err == nil {
		t.Error("a Listener starts twice")
	}
}

// scarce is a net.Listener whose Accept fails for lack of descriptors while
// more than a number of its connections are open.
type scarce struct {
	net.Listener
	free chan struct{}
}

type scarceConn struct {
	net.Conn
	free func()
}

func (s scarce) Accept() (net.Conn, error) {
	select {
	case <-s.free:
	default:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &scarceConn{c, sync.OnceFunc(func() { s.free <- struct{}{} })}, nil
}

func (c *scarceConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// TestNoDescriptorsLeft: accept does not spin, and idle connections give theirs.
func TestNoDescriptorsLeft(t *testing.T) {
	var logged strings.Builder
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 1})
		defer n.Close()
		server := netip.MustParseAddrPort("192.0.2.53:53")
		ln, err := n.Host(server.Addr()).Listen(server)
		if err != nil {
			t.Fatal(err)
		}
		s := scarce{ln, make(chan struct{}, 3)}
		for range 3 {
			s.free <- struct{}{}
		}
		o := testOptions(newFake())
		o.Listeners, o.Log, o.Limits.Idle = []net.Listener{s}, slog.New(slog.NewTextHandler(&logged, nil)), time.Hour
		l := New(o)
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		client := n.Host(netip.MustParseAddr("192.0.2.7"))
		for i := range 20 {
			conn := connect(t, client, server)
			defer conn.Close()
			if m := askOver(t, conn, query(t, "hit.example.")); len(m.Answer) != 1 {
				t.Fatalf("connection %d: %v", i, m)
			}
			time.Sleep(time.Second)
		}
		st := l.Stats().TCP
		if st.Accepted != 20 || st.Displaced < 17 || st.AcceptErrors > 60 || st.AcceptErrors < 17 {
			t.Errorf("stats %+v", st)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if lines := strings.Count(logged.String(), "\n"); lines < 1 || lines > 4 || !strings.Contains(logged.String(), "too many open files") {
		t.Errorf("logged in 20 s:\n%s", &logged)
	}
}

func TestGivenSocketsAreClosedWithoutAStart(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(newFake())
	o.PacketConns = []net.PacketConn{pc}
	if err := New(o).Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := pc.WriteTo([]byte{0}, pc.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("socket after Shutdown: %v", err)
	}
}

// TestAcceptErrorsDoNotSpin: with nothing to give up, accept is tried ever more
// seldom, up to about once a second.
func TestAcceptErrorsDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: 1})
		defer n.Close()
		server := netip.MustParseAddrPort("192.0.2.53:53")
		ln, err := n.Host(server.Addr()).Listen(server)
		if err != nil {
			t.Fatal(err)
		}
		o := testOptions(newFake())
		o.Listeners = []net.Listener{scarce{ln, nil}}
		l := New(o)
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if st := l.Stats().TCP; st.AcceptErrors < 40 || st.AcceptErrors > 130 {
			t.Errorf("%d attempts in a minute", st.AcceptErrors)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
