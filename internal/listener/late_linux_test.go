package listener

import (
	"net"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lastgood/internal/event"
)

// Replies that are finished at once are more than one batch holds, and each gets
// where its question came from; Shutdown waits for all.
func TestLateRepliesLeaveTogether(t *testing.T) {
	const questions = 3*batchSize + 5
	f := newFake()
	l := startLoopback(t, testOptions(f))
	var conns [4]net.Conn
	for i := range conns {
		conns[i] = dial(t, "udp", endpoint(t, l, event.UDP))
		conns[i].SetDeadline(time.Now().Add(10 * time.Second))
	}
	for i := range questions {
		m := query(t, "slow.example.", edns(1232))
		m[0], m[1] = byte(i>>8), byte(i)
		if _, err := conns[i%len(conns)].Write(m); err != nil {
			t.Fatal(err)
		}
	}
	for f.waiting.Load() < questions {
		time.Sleep(time.Millisecond) // no bubble: these are the kernel's sockets
	}
	done := make(chan error, 1)
	close(f.let)
	go func() { done <- l.Shutdown(t.Context()) }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	for c, conn := range conns {
		seen := map[int]bool{}
		for want := (questions - c + len(conns) - 1) / len(conns); len(seen) < want; {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%d of %d replies: %v", len(seen), want, err)
			}
			id := int(buf[0])<<8 | int(buf[1])
			if m := unpack(t, buf[:n]); id%len(conns) != c || seen[id] || len(m.Answer) != 1 {
				t.Errorf("socket %d got %d, before: %v, %v", c, id, seen[id], m)
			}
			seen[id] = true
		}
	}
	if s := l.Stats(); s.Waiting != 0 {
		t.Errorf("%d still wait", s.Waiting)
	}
}

// BenchmarkLate is a question that the cache does not have and whose resolution
// takes no time, from the reader to the system call that sends its reply.
func BenchmarkLate(b *testing.B) {
	l := New(testOptions(newFake()))
	s := preparedBatch(b, l, batchSize, query(b, "miss.example.", edns(1232)))
	client, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close() // it reads nothing
	port := client.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	for i := range batchSize {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.names[i]))
		v4.Addr, v4.Port = [4]byte{127, 0, 0, 1}, port<<8|port>>8
		s.in[i].hdr.SetControllen(0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.one(i%batchSize, 1)
		for i%batchSize == batchSize-1 && l.gate.waiting.Load() > 0 {
			runtime.Gosched()
		}
	}
	l.later.Wait()
}
