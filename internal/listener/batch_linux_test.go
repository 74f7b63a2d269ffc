package listener

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"lastgood/internal/event"
)

// preparedBatch is a batch that holds n datagrams as recvmmsg leaves them.
func preparedBatch(t testing.TB, l *Listener, n int, msg []byte) *batch {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	b, err := newBatch(l, conn, l.newWorker(new(counters)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		fillSlot(b, i, msg)
	}
	return b
}

// fillSlot puts a datagram from 192.0.2.7 to 192.0.2.53 into a slot.
func fillSlot(b *batch, i int, msg []byte) {
	b.in[i].len = uint32(copy(b.buf[i][:], msg))
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
	*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 0x3412, Addr: [4]byte{192, 0, 2, 7}}
	b.in[i].hdr.Namelen = unix.SizeofSockaddrInet4
	p := unsafe.Pointer(&b.control[i])
	h := (*unix.Cmsghdr)(p)
	h.Level, h.Type = unix.SOL_IP, unix.IP_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	*(*unix.Inet4Pktinfo)(unsafe.Add(p, unix.CmsgLen(0))) = unix.Inet4Pktinfo{Ifindex: 3, Spec_dst: [4]byte{192, 0, 2, 53}}
	b.in[i].hdr.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
}

// TestBatchAllocatesNothing is the gate for the whole batched path but the
// system calls.
func TestBatchAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := New(testOptions(newFake()))
	b := preparedBatch(t, l, batchSize, query(t, "HIT.example.", edns(1232)))
	if n := testing.AllocsPerRun(100, func() {
		b.queued = 0
		now := l.clock.Now()
		for i := range batchSize {
			b.one(i, now)
		}
	}); n != 0 || b.queued != batchSize {
		t.Errorf("%v allocations, %d replies", n, b.queued)
	}
	for i := range batchSize {
		reply := unsafe.Slice(b.outVec[i].Base, b.outVec[i].Len)
		if m := unpack(t, reply); len(m.Answer) != 1 || b.out[i].hdr.Name != b.in[i].hdr.Name || b.out[i].hdr.Namelen != unix.SizeofSockaddrInet4 {
			t.Fatalf("slot %d: %v", i, m)
		}
		info := (*unix.Inet4Pktinfo)(unsafe.Add(unsafe.Pointer(&b.control[i]), unix.CmsgLen(0)))
		if b.out[i].hdr.Controllen == 0 || info.Ifindex != 0 || info.Spec_dst != [4]byte{192, 0, 2, 53} {
			t.Fatalf("slot %d: leaves from %v over interface %d", i, info.Spec_dst, info.Ifindex)
		}
	}
}

func BenchmarkBatchCached(b *testing.B) {
	l := New(testOptions(newFake()))
	s := preparedBatch(b, l, batchSize, query(b, "hit.example.", edns(1232)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%batchSize == 0 {
			s.queued = 0
		}
		s.one(i%batchSize, 1)
	}
}

func TestBatchDropsWhatNobodyAsked(t *testing.T) {
	l := New(testOptions(newFake()))
	b := preparedBatch(t, l, 3, query(t, "hit.example."))
	b.names[0].Port = 0
	b.names[1].Family = unix.AF_UNSPEC
	for i := range 3 {
		b.one(i, 1)
	}
	if n := b.w.counts.dropped[DropSource].Load(); n != 2 || b.queued != 1 {
		t.Errorf("%d dropped, %d answered", n, b.queued)
	}
}

// TestBatchPassesOverWhatTheKernelRefuses: the replies to a port 0 and to an
// address that a loopback socket cannot reach fail, the others arrive.
func TestBatchPassesOverWhatTheKernelRefuses(t *testing.T) {
	l := New(testOptions(newFake()))
	b := preparedBatch(t, l, 4, query(t, "hit.example."))
	client, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	port := addrPort(client.LocalAddr()).Port()
	for i := range 4 {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
		v4.Addr, v4.Port = [4]byte{127, 0, 0, 1}, port>>8|port<<8
		b.in[i].hdr.SetControllen(0)
		b.one(i, 1)
	}
	(*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[0])).Port = 0
	b.names[2].Family = 77
	b.send()
	if b.refused != 2 || b.w.counts.dropped[DropSendError].Load() != 2 {
		t.Errorf("%d refused, %d counted, want 2", b.refused, b.w.counts.dropped[DropSendError].Load())
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Second))
	for i := range 2 {
		if _, err := client.Read(make([]byte, 512)); err != nil {
			t.Errorf("reply %d: %v", i, err)
		}
	}
}

// TestRepliesLeaveFromTheAddressAsked asks a wildcard socket on another
// loopback address: what is cached, and what has to wait.
func TestRepliesLeaveFromTheAddressAsked(t *testing.T) {
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0")}
	l := startLoopback(t, o)
	port := endpoint(t, l, event.UDP).Port()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	for _, at := range []string{"127.0.0.1", "127.0.0.2", "127.3.2.1"} {
		for _, name := range []string{"hit.example.", "other.example."} {
			to := netip.AddrPortFrom(netip.MustParseAddr(at), port)
			if _, err := conn.WriteToUDPAddrPort(query(t, name), to); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 512)
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatal(err)
			}
			if from != to || len(unpack(t, buf[:n]).Answer) != 1 {
				t.Errorf("asked %v, answered from %v", to, from)
			}
		}
	}
}

// TestManyClientsManySockets asks over many sockets, so that all readers get
// some, more than a batch at a time.
func TestManyClientsManySockets(t *testing.T) {
	o := testOptions(newFake())
	o.Workers = 4
	l := startLoopback(t, o)
	const clients, each = 20, 50
	to := endpoint(t, l, event.UDP)
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = dial(t, "udp", to)
		for id := range each {
			name := []string{"hit.example.", "other.example."}[id%2]
			conns[i].Write(query(t, name, func(m *dns.Msg) { m.Id = uint16(id) }))
		}
	}
	for i, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		seen := make(map[uint16]bool)
		buf := make([]byte, 512)
		for len(seen) < each {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("client %d after %d replies: %v", i, len(seen), err)
			}
			m := unpack(t, buf[:n])
			if seen[m.Id] || len(m.Answer) != 1 {
				t.Fatalf("reply %v", m)
			}
			seen[m.Id] = true
		}
	}
	busy := 0
	for _, c := range l.counts {
		if c.cells[event.UDP][cellQueries].Load() > 0 {
			busy++
		}
	}
	if s := l.Stats(); busy < 2 || s.Queries[event.UDP] != clients*each || s.Cached != clients*each/2 {
		t.Errorf("%d readers had work; stats %+v", busy, s)
	}
}

func TestAddressInUseIsRefusedAndNamed(t *testing.T) {
	first := startLoopback(t, testOptions(newFake())) // with SO_REUSEPORT among its own
	taken := endpoint(t, first, event.UDP)
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{taken}
	err := New(o).Start()
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{taken.String(), "over UDP", "address already in use", "another program", "ss -"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestListenErrorsGiveAdvice(t *testing.T) {
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:0")}
	if err := New(o).Start(); err == nil || !strings.Contains(err.Error(), "does not have that address") {
		t.Errorf("foreign address: %v", err)
	}
	err := listenError("TCP", netip.MustParseAddrPort("127.0.0.1:53"), &net.OpError{Op: "listen", Err: syscall.EACCES})
	for _, want := range []string{"127.0.0.1:53", "over TCP", "permission denied", "setcap", "systemd", "5300"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	o.Addresses = nil
	if err := New(o).Start(); err == nil {
		t.Error("a Listener without an address starts")
	}
}

// TestFullSendBufferIsWaitedFor: a socket that takes no more says so, and takes
// the rest later. A pair of Unix sockets, for UDP over loopback is never full.
func TestFullSendBufferIsWaitedFor(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	l := New(testOptions(newFake()))
	b := preparedBatch(t, l, batchSize, query(t, "hit.example."))
	full := false
	for range 100 {
		b.queued, b.sent = 0, 0
		for i := range batchSize {
			b.in[i].hdr.SetControllen(0)
			b.one(i, 1)
			b.out[i].hdr.Name, b.out[i].hdr.Namelen = nil, 0
		}
		if full = !b.sendmmsg(uintptr(fds[0])); full {
			break
		}
	}
	if !full || b.sent == batchSize {
		t.Fatalf("full %v, %d sent", full, b.sent)
	}
	before := b.sent
	for range batchSize {
		if _, err := unix.Read(fds[1], make([]byte, 512)); err != nil {
			t.Fatal(err)
		}
	}
	b.sendmmsg(uintptr(fds[0]))
	if b.sent <= before || b.refused != 0 {
		t.Errorf("%d sent before, %d after there was room; %d refused", before, b.sent, b.refused)
	}
}

// TestStopAnswersWhatTheKernelHolds: datagrams that came before the stop but
// were not read yet are answered.
func TestStopAnswersWhatTheKernelHolds(t *testing.T) {
	l := New(testOptions(newFake()))
	b := preparedBatch(t, l, 0, nil)
	client := dial(t, "udp", b.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	const n = 3 * batchSize / 2
	for range n {
		if _, err := client.Write(query(t, "hit.example.")); err != nil {
			t.Fatal(err)
		}
	}
	close(l.stop)
	b.conn.SetReadDeadline(time.Unix(1, 0))
	b.serve()
	client.SetDeadline(time.Now().Add(5 * time.Second))
	for i := range n {
		if _, err := client.Read(make([]byte, 512)); err != nil {
			t.Fatalf("%d of %d replies, then %v", i, n, err)
		}
	}
}
