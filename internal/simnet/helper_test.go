package simnet_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
)

const ms = time.Millisecond

var ( // constant in effect
	clientAddr = netip.MustParseAddr("192.0.2.1")
	serverAddr = netip.MustParseAddr("198.51.100.1")
	server6    = netip.MustParseAddr("2001:db8::1")
	client6    = netip.MustParseAddr("2001:db8::c")
	nobody     = netip.MustParseAddr("203.0.113.9")
	serverAt   = netip.AddrPortFrom(serverAddr, 53)
	server6At  = netip.AddrPortFrom(server6, 53)
)

// network is what the product declares it needs of a network.
type network interface {
	DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	ListenPacket(netip.AddrPort) (net.PacketConn, error)
	Listen(netip.AddrPort) (net.Listener, error)
}

var _ network = (*simnet.Host)(nil)

// world is a network with a client and a server that both have both families.
type world struct {
	*simnet.Net
	client, server *simnet.Host
}

// bubble runs a test in a world under virtual time and closes it at the end. A
// goroutine that is left then blocked fails the test.
func bubble(t *testing.T, o simnet.Options, f func(*testing.T, world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(o)
		defer n.Close()
		f(t, world{n, n.Host(clientAddr, client6), n.Host(serverAddr, server6)})
	})
}

// links sets the link in both directions.
func (w world) links(l simnet.Link) { w.SetLinks(w.client, w.server, l) }

func (w world) listenPacket(t *testing.T, at netip.AddrPort) net.PacketConn {
	t.Helper()
	s, err := w.server.ListenPacket(at)
	check(t, err)
	return s
}

func (w world) listen(t *testing.T, at netip.AddrPort) net.Listener {
	t.Helper()
	l, err := w.server.Listen(at)
	check(t, err)
	return l
}

func (w world) dialUDP(t *testing.T, to netip.AddrPort) net.Conn {
	t.Helper()
	c, err := w.client.DialUDP(t.Context(), to)
	check(t, err)
	return c
}

// connect returns both ends of a new stream.
func (w world) connect(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := w.listen(t, serverAt)
	defer l.Close()
	client, err := w.client.DialTCP(t.Context(), serverAt)
	check(t, err)
	server, err = l.Accept()
	check(t, err)
	return client, server
}

// echo sends every datagram back until the socket is closed.
func echo(s net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		k, from, err := s.ReadFrom(buf)
		if err != nil {
			return
		}
		if _, err := s.WriteTo(buf[:k], from); err != nil {
			return
		}
	}
}

// drain reads datagrams until there is none for a minute.
func drain(t *testing.T, s net.PacketConn) (got []string) {
	t.Helper()
	buf := make([]byte, 1<<16)
	for {
		check(t, s.SetReadDeadline(time.Now().Add(time.Minute)))
		k, _, err := s.ReadFrom(buf)
		if err != nil {
			return got
		}
		got = append(got, string(buf[:k]))
	}
}

func write(t *testing.T, c io.Writer, text string) {
	t.Helper()
	k, err := c.Write([]byte(text))
	check(t, err)
	equal(t, k, len(text))
}

// read returns what one Read gives, at most 64 KiB.
func read(t *testing.T, c io.Reader) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	k, err := c.Read(buf)
	check(t, err)
	return string(buf[:k])
}

// silent checks that nothing can be read for a minute.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	check(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	k, err := c.Read(make([]byte, 100))
	if e, ok := err.(net.Error); !ok || !e.Timeout() {
		t.Fatalf("read %d bytes, %v; want silence", k, err)
	}
	check(t, c.SetReadDeadline(time.Time{}))
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}
