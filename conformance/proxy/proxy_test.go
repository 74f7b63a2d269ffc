package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// query is a question for "a." with an OPT record that offers 1232 octets.
var query = []byte{
	7, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 'a', 0, 0, 1, 0, 1,
	0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0,
}

// echo is a server that sends back what it gets, with QR, over UDP and TCP.
func echo(t *testing.T) string {
	t.Helper()
	udp, tcp := sockets(t)
	go func() {
		buf := make([]byte, maxMessage)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			buf[2] |= 0x80
			udp.WriteTo(buf[:n], from)
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); io.Copy(conn, conn) }()
		}
	}()
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	return udp.LocalAddr().String()
}

func sockets(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return udp, tcp
}

func start(t *testing.T) (*Proxy, net.Conn) {
	t.Helper()
	udp, tcp := sockets(t)
	p := New(Config{UDP: udp, TCP: tcp, Server: echo(t), Dial: net.Dial, Seed: 1})
	p.Run()
	t.Cleanup(p.Close)
	conn, err := net.Dial("udp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return p, conn
}

func ask(conn net.Conn, patience time.Duration) []byte {
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(query)
	buf := make([]byte, maxMessage)
	n, err := conn.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func TestDatagrams(t *testing.T) {
	p, conn := start(t)
	if got := ask(conn, 5*time.Second); len(got) != len(query) || got[2] != 0x80 {
		t.Fatalf("got %x", got)
	}
	p.Set(Faults{Delay: 30 * time.Millisecond, Jitter: 10 * time.Millisecond})
	if began := time.Now(); ask(conn, 5*time.Second) == nil || time.Since(began) < 30*time.Millisecond {
		t.Errorf("came after %v", time.Since(began))
	}
	p.Set(Faults{Truncate: true})
	want := append([]byte{7, 9, 0x82, 0, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:19]...)
	if got := ask(conn, 5*time.Second); !bytes.Equal(got, want) {
		t.Errorf("truncated: %x, want %x", got, want)
	}
	p.Set(Faults{DropUDP: true})
	if got := ask(conn, 50*time.Millisecond); got != nil {
		t.Errorf("blackhole gave %x", got)
	}
	s := p.Stats()
	if s.Queries != 4 || s.Replies != 3 || s.Lost != 1 || s.LargestReply != int64(len(query)) || s.LargestBufferSize != 1232 {
		t.Errorf("%+v", s)
	}
}

func TestLoss(t *testing.T) {
	p, conn := start(t)
	p.Set(Faults{Loss: 0.5})
	heard := 0
	for range 40 { // replies take microseconds here; 100 ms without one is a loss
		if ask(conn, 100*time.Millisecond) != nil {
			heard++
		}
	}
	if heard < 2 || heard > 22 { // a quarter of 40, ±4 deviations
		t.Errorf("heard %d of 40", heard)
	}
}

func TestStreams(t *testing.T) {
	p, udp := start(t)
	message := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	message = append(message, query...)
	read := func(f Faults) int {
		p.Set(f)
		conn, err := net.Dial("tcp", udp.RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(message)
		buf := make([]byte, len(message))
		patience := 5 * time.Second
		if f != (Faults{}) {
			patience = 100 * time.Millisecond
		}
		conn.SetDeadline(time.Now().Add(patience))
		n, _ := io.ReadFull(conn, buf)
		return n
	}
	if n := read(Faults{}); n != len(message) {
		t.Errorf("%d of %d octets", n, len(message))
	}
	if n := read(Faults{StallTCP: true}); n != len(message)/2 {
		t.Errorf("stalled after %d of %d octets", n, len(message))
	}
	if n := read(Faults{DropTCP: true}); n != 0 {
		t.Errorf("blackhole gave %d octets", n)
	}
}
