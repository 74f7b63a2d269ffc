package listener

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/event"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func readFrame(conn net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, msg)
	return msg, err
}

// askOver sends a question and reads its reply.
func askOver(t *testing.T, conn net.Conn, msg []byte) *dns.Msg {
	t.Helper()
	if _, err := conn.Write(frame(msg)); err != nil {
		t.Fatal(err)
	}
	reply, err := readFrame(conn)
	if err != nil {
		t.Fatal(err)
	}
	return unpack(t, reply)
}

func connect(t *testing.T, client *simnet.Host, server netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := client.DialTCP(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// closedAfter waits for the end of the stream.
func closedAfter(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("read %d octets, %v; want the end", n, err)
	}
	return time.Since(start)
}

func TestProtocolOverTCP(t *testing.T) {
	l := startLoopback(t, testOptions(newFake()))
	to := endpoint(t, l, event.TCP)
	runProtocol(t, func(t *testing.T, msg []byte) []byte {
		conn := dial(t, "tcp", to)
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		conn.Write(frame(msg))
		conn.(*net.TCPConn).CloseWrite() // what is in flight is still answered
		reply, err := readFrame(conn)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err == nil && closedAfter(t, conn) > time.Second {
			t.Error("not closed after the client was done")
		}
		return reply
	})
	if s := l.Stats(); s.TCP.Accepted != uint64(len(protocolCases)) || s.TCP.Garbage != 2 {
		t.Errorf("stats %+v", s.TCP)
	}
}

// TestPipelineOutOfOrder has RFC 7766 §6.2.1.1: a quick answer overtakes a slow
// one asked before it on the same connection.
func TestPipelineOutOfOrder(t *testing.T) {
	f := newFake()
	simulated(t, testOptions(f), func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		f.let = make(chan struct{}) // of this bubble
		conn := connect(t, client, server)
		defer conn.Close()
		var all []byte
		for id, name := range []string{"slow.example.", "hit.example.", "other.example.", "slow2.example.", "hit2.example."} {
			all = append(all, frame(query(t, name, func(m *dns.Msg) { m.Id = uint16(id) }))...)
		}
		conn.Write(all)
		got := map[uint16]bool{}
		for range 3 {
			reply, err := readFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			got[unpack(t, reply).Id] = true
		}
		if !got[1] || !got[2] || !got[4] {
			t.Errorf("answered first: %v, want 1, 2 and 4", got)
		}
		close(f.let)
		for range 2 {
			reply, err := readFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			got[unpack(t, reply).Id] = true
		}
		if len(got) != 5 {
			t.Errorf("answered: %v", got)
		}
		if s := l.Stats(); s.TCP.Accepted != 1 {
			t.Errorf("stats %+v", s.TCP)
		}
	})
}

func TestPipelineBound(t *testing.T) {
	f := newFake()
	o := testOptions(f)
	o.Limits.Pipeline = 3
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		f.let = make(chan struct{})
		conn := connect(t, client, server)
		defer conn.Close()
		for id := range 10 {
			conn.Write(frame(query(t, "slow.example.", func(m *dns.Msg) { m.Id = uint16(id) })))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.waiting.Load(); n != 3 {
			t.Errorf("%d questions wait, want 3", n)
		}
		if n := l.Stats().TCP.PipelineFull; n != 1 {
			t.Errorf("the bound was counted %d times", n)
		}
		f.let <- struct{}{}
		if _, err := readFrame(conn); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := f.waiting.Load(); n != 3 {
			t.Errorf("%d questions wait after one was answered, want 3", n)
		}
		close(f.let)
		for range 9 {
			if _, err := readFrame(conn); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestBusyOverTCPAndUDP(t *testing.T) {
	f := newFake()
	o := testOptions(f)
	o.Limits.WaitingPerClient = 2
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		f.let = make(chan struct{})
		udp, err := client.DialUDP(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		for range 5 {
			udp.Write(query(t, "slow.example."))
		}
		time.Sleep(time.Second)
		if s := l.Stats(); s.Waiting != 2 || s.Dropped[DropClient] != 3 {
			t.Errorf("%d wait, %v dropped", s.Waiting, s.Dropped)
		}
		conn := connect(t, client, server)
		defer conn.Close()
		m := askOver(t, conn, query(t, "slow.example.", edns(1232)))
		if codes, _ := extended(m); m.Rcode != dns.RcodeServerFailure || len(codes) != 1 {
			t.Errorf("over TCP: %v", m)
		}
		if m := askOver(t, conn, query(t, "hit.example.")); len(m.Answer) != 1 {
			t.Errorf("cached: %v", m)
		}
		close(f.let)
		time.Sleep(time.Second)
		if s := l.Stats(); s.Waiting != 0 || s.BusyReplies != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	f := newFake()
	o := testOptions(f)
	o.Limits.Idle = 4 * time.Second
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		f.let = make(chan struct{})
		conn := connect(t, client, server)
		defer conn.Close()
		if d := closedAfter(t, conn); d < 3900*time.Millisecond || d > 4100*time.Millisecond {
			t.Errorf("silent connection closed after %v", d)
		}
		conn2 := connect(t, client, server)
		defer conn2.Close()
		for range 5 { // every question prolongs
			time.Sleep(3 * time.Second)
			askOver(t, conn2, query(t, "hit.example."))
		}
		// A connection that owes a reply is not idle; the time counts from it.
		conn2.Write(frame(query(t, "slow.example.")))
		time.Sleep(9 * time.Second)
		close(f.let)
		if _, err := readFrame(conn2); err != nil {
			t.Fatalf("reply after 9 s: %v", err)
		}
		if d := closedAfter(t, conn2); d < 3900*time.Millisecond || d > 4100*time.Millisecond {
			t.Errorf("closed %v after the last reply", d)
		}
		if s := l.Stats().TCP; s.Idle != 2 || s.Open != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestSlowSender: half messages may take their time, but not for ever, and
// octets that trickle in do not prolong it.
func TestSlowSender(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Idle = 4 * time.Second
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		conn := connect(t, client, server)
		defer conn.Close()
		msg := frame(query(t, "hit.example."))
		for _, cut := range []int{1, 2, 3, 10, len(msg) - 1} {
			conn.Write(msg[:cut])
			time.Sleep(2 * time.Second)
			conn.Write(msg[cut:])
			if reply, err := readFrame(conn); err != nil || len(unpack(t, reply).Answer) != 1 {
				t.Fatalf("cut after %d: %v", cut, err)
			}
		}
		time.Sleep(3500 * time.Millisecond) // nearly idle for too long
		conn.Write(msg[:5])
		time.Sleep(3500 * time.Millisecond)
		conn.Write(msg[5:])
		if _, err := readFrame(conn); err != nil {
			t.Fatalf("a message begun late: %v", err)
		}
		conn.Write(frame(query(t, "never.example."))) // who is owed a reply has no longer for a message
		start := time.Now()
		for i := range msg {
			if _, err := conn.Write(msg[i : i+1]); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("a trickling client was cut off after %v, want 4 s and what its next octet takes", took)
		}
		if s := l.Stats().TCP; s.Slow != 1 || s.Idle != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestSlowReader: a client that asks and does not read is cut off, and does not
// keep others from their answers.
func TestSlowReader(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Idle = 4 * time.Second
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		conn := connect(t, client, server)
		defer conn.Close()
		big := frame(query(t, "big.example.", qtype(dns.TypeTXT)))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range 1000 { // 4 MB of replies, far more than the window
				if _, err := conn.Write(big); err != nil {
					return
				}
			}
		}()
		time.Sleep(2 * time.Second)
		other := connect(t, client, server)
		defer other.Close()
		if m := askOver(t, other, query(t, "hit.example.")); len(m.Answer) != 1 {
			t.Errorf("another client got %v", m)
		}
		time.Sleep(20 * time.Second)
		<-ended
		if s := l.Stats().TCP; s.Slow != 1 || s.Open != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestConnectionLimits(t *testing.T) {
	f := newFake()
	o := testOptions(f)
	o.Limits.Connections, o.Limits.ConnectionsPerClient = 4, 3
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		f.let = make(chan struct{})
		var conns []net.Conn
		for i := range 3 {
			conns = append(conns, connect(t, client, server))
			defer conns[i].Close()
			time.Sleep(time.Second)
		}
		askOver(t, conns[0], query(t, "hit.example.")) // so that the second is the oldest
		fourth := connect(t, client, server)
		defer fourth.Close()
		askOver(t, fourth, query(t, "hit.example."))
		if d := closedAfter(t, conns[1]); d > time.Millisecond {
			t.Errorf("the oldest idle connection was closed after %v", d)
		}
		askOver(t, conns[0], query(t, "hit.example."))
		if s := l.Stats().TCP; s.Open != 3 || s.Displaced != 1 || s.Refused != 0 {
			t.Errorf("stats %+v", s)
		}
		// Who owes a reply is not idle: now nobody can make room.
		for _, c := range []net.Conn{conns[0], conns[2], fourth} {
			c.Write(frame(query(t, "slow.example.")))
		}
		time.Sleep(time.Second)
		fifth := connect(t, client, server)
		defer fifth.Close()
		if d := closedAfter(t, fifth); d > 100*time.Millisecond {
			t.Errorf("refused after %v", d)
		}
		if s := l.Stats().TCP; s.Open != 3 || s.Refused != 1 {
			t.Errorf("stats %+v", s)
		}
		close(f.let)
		for _, c := range []net.Conn{conns[0], conns[2], fourth} {
			if _, err := readFrame(c); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestIdleConnectionsMakeRoomForOthers: what the table holds of silent and of
// half-asking clients keeps nobody out, and UDP is not touched by it.
func TestIdleConnectionsMakeRoomForOthers(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Connections = 20
	o.Limits.ConnectionsPerClient = 20
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		for i := range 200 {
			conn := connect(t, client, server)
			defer conn.Close()
			if i%2 == 0 {
				conn.Write([]byte{0xff})
			}
		}
		time.Sleep(100 * time.Millisecond)
		for range 30 {
			conn := connect(t, client, server)
			defer conn.Close()
			if m := askOver(t, conn, query(t, "hit.example.")); len(m.Answer) != 1 {
				t.Fatalf("reply %v", m)
			}
		}
		udp, err := client.DialUDP(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		if reply := overPacket(udp)(t, query(t, "hit.example.")); len(unpack(t, reply).Answer) != 1 {
			t.Errorf("over UDP: %x", reply)
		}
		if s := l.Stats().TCP; s.Open > 20 || s.Refused != 0 || s.Displaced != 210 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestStuckClientsMakeRoom: who does not take replies keeps nobody out.
func TestStuckClientsMakeRoom(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Connections = 2
	simulated(t, o, func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		big := frame(query(t, "big.example.", qtype(dns.TypeTXT)))
		for range 2 {
			conn := connect(t, client, server)
			defer conn.Close()
			go func() {
				for range 100 {
					conn.Write(big)
				}
			}()
		}
		time.Sleep(500 * time.Millisecond)
		early := connect(t, client, server)
		defer early.Close()
		closedAfter(t, early)
		time.Sleep(time.Second)
		late := connect(t, client, server)
		defer late.Close()
		if m := askOver(t, late, query(t, "hit.example.")); len(m.Answer) != 1 {
			t.Errorf("reply %v", m)
		}
		if s := l.Stats().TCP; s.Refused != 1 || s.Displaced != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestStrangersDisplaceNobody: clients that are not served hear so, but no
// connection of another is closed for theirs.
func TestStrangersDisplaceNobody(t *testing.T) {
	o := testOptions(newFake())
	o.Limits.Connections = 2
	o.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	simulated(t, o, func(t *testing.T, l *Listener, stranger *simnet.Host, server netip.AddrPort) {
		first := connect(t, stranger, server)
		defer first.Close()
		if m := askOver(t, first, query(t, "hit.example.")); m.Rcode != dns.RcodeRefused {
			t.Errorf("reply %v", m)
		}
		second, third := connect(t, stranger, server), connect(t, stranger, server)
		defer second.Close()
		defer third.Close()
		if d := closedAfter(t, third); d > 100*time.Millisecond {
			t.Errorf("refused after %v", d)
		}
		if s := l.Stats().TCP; s.Displaced != 0 || s.Refused != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestLongMessages: queries and replies of up to 65,535 octets, several behind
// each other.
func TestLongMessages(t *testing.T) {
	simulated(t, testOptions(newFake()), func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		conn := connect(t, client, server)
		defer conn.Close()
		long := query(t, "hit.example.", edns(1232, &dns.EDNS0_LOCAL{Code: dns.EDNS0LOCALSTART, Data: make([]byte, 65000)}))
		for range 3 {
			if m := askOver(t, conn, long); len(m.Answer) != 1 {
				t.Errorf("reply %v", m)
			}
			if m := askOver(t, conn, query(t, "hit.example.")); len(m.Answer) != 1 {
				t.Errorf("reply %v", m)
			}
		}
		full := append(long, make([]byte, wire.MaxMessage-len(long))...)
		if m := askOver(t, conn, full); len(m.Question) == 0 && m.Rcode != dns.RcodeFormatError {
			t.Errorf("reply %v", m)
		}
	})
}

func TestClientThatLeavesCancelsItsQuestions(t *testing.T) {
	f := newFake()
	simulated(t, testOptions(f), func(t *testing.T, l *Listener, client *simnet.Host, server netip.AddrPort) {
		conn := connect(t, client, server)
		conn.Write(frame(query(t, "never.example.")))
		time.Sleep(time.Second)
		if n := f.waiting.Load(); n != 1 {
			t.Fatalf("%d questions wait", n)
		}
		l.conns.each(closeConn)
		conn.Close()
		time.Sleep(time.Second)
		if s := l.Stats(); f.waiting.Load() != 0 || s.Waiting != 0 || s.Dropped[DropGone] != 1 {
			t.Errorf("%d questions wait; stats %+v", f.waiting.Load(), s)
		}
	})
}

func closeConn(c *conn) { c.close() }
