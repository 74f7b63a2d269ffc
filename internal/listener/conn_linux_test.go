package listener

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/event"
)

// loopbackConn is a connection to a Listener over the kernel's sockets.
func loopbackConn(t testing.TB, l *Listener) net.Conn {
	t.Helper()
	c := dial(t, "tcp", endpoint(t, l, event.TCP))
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// TestManyInOneRead: questions that come at once are all answered, however many fit
// into a read, and what is no whole message yet is kept.
func TestManyInOneRead(t *testing.T) {
	l := startLoopback(t, testOptions(newFake()))
	conn := loopbackConn(t, l)
	const n = 2000
	var all []byte
	for i := range n {
		msg := query(t, "hit.example.")
		binary.BigEndian.PutUint16(msg, uint16(i))
		all = append(all, frame(msg)...)
	}
	go func() {
		for _, size := range []int{1, 1, 1, 30, 3000, 1, len(all)} { // the octets of some messages come one by one
			size = min(size, len(all))
			conn.Write(all[:size])
			all = all[size:]
			time.Sleep(5 * time.Millisecond)
		}
		conn.(*net.TCPConn).CloseWrite()
	}()
	for i := range n {
		reply, err := readFrame(conn)
		if err != nil {
			t.Fatalf("reply %d: %v", i, err)
		}
		if m := unpack(t, reply); int(m.Id) != i || m.Rcode != dns.RcodeSuccess {
			t.Fatalf("reply %d is %d, %s", i, m.Id, dns.RcodeToString[m.Rcode])
		}
	}
	if d := closedAfter(t, conn); d > time.Second {
		t.Errorf("closed %v after the client was done", d)
	}
}

// TestLongMessageOverLoopback: one that takes many reads is put together.
func TestLongMessageOverLoopback(t *testing.T) {
	l := startLoopback(t, testOptions(newFake()))
	conn := loopbackConn(t, l)
	long := query(t, "hit.example.", edns(1232, &dns.EDNS0_PADDING{Padding: make([]byte, 60_000)}))
	both := append(frame(long), frame(query(t, "hit.example."))...)
	go func() {
		for chunk := range bytesIn(both, 7001) {
			conn.Write(chunk)
			time.Sleep(time.Millisecond)
		}
	}()
	for range 2 {
		if reply, err := readFrame(conn); err != nil || unpack(t, reply).Rcode != dns.RcodeSuccess {
			t.Fatal(err)
		}
	}
}

func bytesIn(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// TestFullPipelineOverLoopback: what a full pipeline left is handled when there are
// places again, and nothing was read meanwhile.
func TestFullPipelineOverLoopback(t *testing.T) {
	f := newFake()
	o := testOptions(f)
	o.Limits.Pipeline = 2
	l := startLoopback(t, o)
	conn := loopbackConn(t, l)
	conn.Write(bytes.Join([][]byte{frame(query(t, "slow1.example.")), frame(query(t, "slow2.example.")), frame(query(t, "hit.example.")), frame(query(t, "slow3.example."))}, nil))
	for f.waiting.Load() < 2 || l.tcp.pipeline.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if n := l.Stats().Queries[event.TCP]; n != 2 {
		t.Errorf("%d questions were taken", n)
	}
	close(f.let)
	got := map[string]bool{}
	for range 4 {
		reply, err := readFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		got[unpack(t, reply).Question[0].Name] = true
	}
	if len(got) != 4 {
		t.Errorf("answers to %v", got)
	}
}

// glut makes a client of l's ask and ask without taking replies, until l waits for it.
func glut(t *testing.T, l *Listener) {
	t.Helper()
	client := loopbackConn(t, l)
	client.(*net.TCPConn).SetReadBuffer(4096)
	msg := bytes.Repeat(frame(query(t, "big.example.", edns(4096))), 100)
	go func() {
		for {
			if _, err := client.Write(msg); err != nil {
				return
			}
		}
	}()
	for stuck := false; !stuck; time.Sleep(time.Millisecond) {
		l.conns.each(func(open *conn) { stuck = stuck || open.stuck.Load() != 0 })
	}
}

// TestSlowReaderOverLoopback: a client that does not take its replies is closed when
// the idle time is over, and others are served meanwhile.
func TestSlowReaderOverLoopback(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Idle = 500 * time.Millisecond
	l := startLoopback(t, o)
	start := time.Now()
	glut(t, l)
	askOver(t, loopbackConn(t, l), query(t, "hit.example."))
	for l.Stats().TCP.Slow == 0 {
		if time.Since(start) > 15*time.Second {
			t.Fatal("it is still open")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestShutdownOfStuckClient: who does not take replies does not hold up the end.
func TestShutdownOfStuckClient(t *testing.T) {
	l := startLoopback(t, testOptions(newFake()))
	glut(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := l.Shutdown(ctx); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestIdleOverLoopback: the deadline of a connection moves on with what it asks. The
// kernel's sockets know no virtual time: a busy machine has a second and a half to spare.
func TestIdleOverLoopback(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Idle = 2 * time.Second
	l := startLoopback(t, o)
	conn := loopbackConn(t, l)
	for range 6 {
		askOver(t, conn, query(t, "hit.example."))
		time.Sleep(500 * time.Millisecond)
	}
	if d := closedAfter(t, conn); d < 300*time.Millisecond || d > 10*time.Second {
		t.Errorf("closed after %v more", d)
	}
	if s := l.Stats().TCP; s.Idle != 1 {
		t.Errorf("%+v", s)
	}
	slow := loopbackConn(t, l)
	slow.Write([]byte{0, 40, 1}) // of a message that never ends
	if d := closedAfter(t, slow); d < 300*time.Millisecond || d > 10*time.Second {
		t.Errorf("closed after %v", d)
	}
	if s := l.Stats().TCP; s.Slow != 1 {
		t.Errorf("%+v", s)
	}
}

// TestCachedOverTCPAllocatesNothing is the gate for cached questions over TCP, alone
// and pipelined.
func TestCachedOverTCPAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := startLoopback(t, testOptions(newFake()))
	for _, n := range []int{1, 50} {
		conn := loopbackConn(t, l)
		ask := bytes.Repeat(frame(query(t, "hit.example.", edns(1232))), n)
		replies := make([]byte, n*replyLen(t, conn, ask[:len(ask)/n]))
		if got := testing.AllocsPerRun(200, func() { exchangeAll(t, conn, ask, replies) }); got != 0 {
			t.Errorf("%d at once: %v allocations", n, got)
		}
	}
}

// replyLen is how long the reply to a message is, its prefix included.
func replyLen(t testing.TB, conn net.Conn, msg []byte) int {
	conn.Write(msg)
	reply, err := readFrame(conn)
	if err != nil {
		t.Fatal(err)
	}
	return framePrefix + len(reply)
}

func exchangeAll(t testing.TB, conn net.Conn, ask, replies []byte) {
	conn.Write(ask)
	if _, err := io.ReadFull(conn, replies); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkCachedOverTCP is a question over a connection that stays, with the
// client's part: alone, and fifty at once.
func BenchmarkCachedOverTCP(b *testing.B) {
	l := startLoopback(b, testOptions(newFake()))
	for _, bench := range []struct {
		name string
		n    int
	}{{"alone", 1}, {"fifty", 50}} {
		b.Run(bench.name, func(b *testing.B) {
			conn := dial(b, "tcp", endpoint(b, l, event.TCP))
			ask := bytes.Repeat(frame(query(b, "hit.example.", edns(1232))), bench.n)
			replies := make([]byte, bench.n*replyLen(b, conn, ask[:len(ask)/bench.n]))
			b.ReportAllocs()
			for range (b.N + bench.n - 1) / bench.n {
				exchangeAll(b, conn, ask, replies)
			}
		})
	}
}
