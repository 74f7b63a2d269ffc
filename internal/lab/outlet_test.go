package lab_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/event"
	"lastgood/internal/lab"
	"lastgood/internal/simnet"
)

// echo reacts as it is told, with the query as reply.
type echo func(query []byte) authority.Reaction

func (e echo) Handle(query []byte, _ event.Transport, _ netip.AddrPort, dst []byte) authority.Reaction {
	re := e(query)
	if re.Reply != nil {
		re.Reply = append(dst, re.Reply...)
	}
	return re
}

var serverAt = netip.MustParseAddrPort("192.0.2.53:53")

// inBubble runs f beside an outlet on a simulated network, and gives it a
// function that ends the outlet.
func inBubble(t *testing.T, latency time.Duration, handler echo, f func(t *testing.T, client *simnet.Host, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Queue: 10000})
		defer n.Close()
		server, client := n.Host(serverAt.Addr()), n.Host(netip.MustParseAddr("198.51.100.1"))
		udp, err := server.ListenPacket(serverAt)
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := server.Listen(serverAt)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		outlet := &lab.Outlet{Handler: handler, UDP: udp, TCP: tcp, Latency: latency}
		go func() {
			outlet.Serve(ctx)
			close(done)
		}()
		f(t, client, func() {
			cancel()
			<-done
		})
	})
}

func plain(query []byte) authority.Reaction { return authority.Reaction{Reply: query} }

func dial(t *testing.T, client *simnet.Host, network string) net.Conn {
	t.Helper()
	dial := client.DialUDP
	if network == "tcp" {
		dial = client.DialTCP
	}
	conn, err := dial(t.Context(), serverAt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func write(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

func frame(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}

// What waits is bounded; what is late is not mixed up with what came after.
func TestHeldRepliesAreBounded(t *testing.T) {
	inBubble(t, time.Second, plain, func(t *testing.T, client *simnet.Host, _ func()) {
		conn := dial(t, client, "udp")
		const sent, held = 5000, 4096
		for i := range sent {
			write(t, conn, binary.BigEndian.AppendUint16(nil, uint16(i)))
			synctest.Wait()
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		seen := map[uint16]bool{}
		buf := make([]byte, 10)
		for {
			if _, err := conn.Read(buf); err != nil {
				break
			}
			seen[binary.BigEndian.Uint16(buf)] = true
		}
		if len(seen) != held {
			t.Errorf("%d different replies to %d queries, want %d", len(seen), sent, held)
		}
	})
}

// After its end an outlet sends nothing and keeps nothing.
func TestStopDropsWhatWaits(t *testing.T) {
	inBubble(t, time.Hour, plain, func(t *testing.T, client *simnet.Host, stop func()) {
		conn, stream := dial(t, client, "udp"), dial(t, client, "tcp")
		write(t, conn, []byte("x"))
		write(t, stream, frame("x"))
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("stopping took %v", took)
		}
		if err := conn.SetReadDeadline(time.Now().Add(24 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 10)); n > 0 {
			t.Errorf("%d octets after the end, %v", n, err)
		}
	})
}

func TestIdleConnectionsEnd(t *testing.T) {
	inBubble(t, 0, plain, func(t *testing.T, client *simnet.Host, _ func()) {
		conn := dial(t, client, "tcp")
		began := time.Now()
		time.Sleep(20 * time.Second)
		write(t, conn, frame("x"))
		b, _ := io.ReadAll(conn) // that it ends, with or without a reset, is the point
		if took := time.Since(began); string(b) != string(frame("x")) || took != 50*time.Second {
			t.Errorf("%q after %v", b, took)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	inBubble(t, 0, plain, func(t *testing.T, client *simnet.Host, _ func()) {
		served := 0
		for range 300 {
			conn := dial(t, client, "tcp")
			_, _ = conn.Write(frame("x")) // perhaps closed already
			if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, _ := io.ReadFull(conn, make([]byte, 3)); n == 3 {
				served++
			}
		}
		if served != 256 {
			t.Errorf("%d of 300 connections at once were served", served)
		}
	})
}

// A stalled stream says half of one reply and nothing of the next.
func TestStallLasts(t *testing.T) {
	stall := func(query []byte) authority.Reaction { return authority.Reaction{Reply: query, Stall: 5} }
	inBubble(t, 0, stall, func(t *testing.T, client *simnet.Host, _ func()) {
		conn := dial(t, client, "tcp")
		write(t, conn, frame("abcdef"))
		write(t, conn, frame("ghijkl"))
		b, _ := io.ReadAll(conn)
		if string(b) != "\x00\x06abc" {
			t.Errorf("%q", b)
		}
	})
}

func TestCloseReaction(t *testing.T) {
	inBubble(t, 0, func([]byte) authority.Reaction { return authority.Reaction{Close: true} }, func(t *testing.T, client *simnet.Host, _ func()) {
		conn := dial(t, client, "tcp")
		write(t, conn, frame("abcdef"))
		began := time.Now()
		if b, _ := io.ReadAll(conn); len(b) > 0 || time.Since(began) != 0 {
			t.Errorf("%q after %v", b, time.Since(began))
		}
	})
}
