package openloop

import (
	"encoding/binary"
	"math"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

func TestBucketsKeepTheirWidth(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 16*time.Second; d += max(d/50, time.Microsecond) {
		b := bucket(d)
		if b < last {
			t.Fatalf("%v is in bucket %d, less than something shorter", d, b)
		}
		last = b
		if lo, hi := least(b), least(b+1); d < lo || d >= hi || hi > lo+lo/12+time.Microsecond {
			t.Fatalf("%v is in bucket %d, from %v to %v", d, b, lo, hi)
		}
	}
}

func TestQuantile(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Note(time.Duration(i) * time.Millisecond)
	}
	for _, q := range []float64{0.5, 0.9, 0.99} {
		got := h.Quantile(q).Seconds()
		if math.Abs(got-q) > 0.07 {
			t.Errorf("quantile %v is %v s", q, got)
		}
	}
}

func TestStamp(t *testing.T) {
	var b []byte
	add := func(level, kind uint32, data ...uint64) {
		b = binary.NativeEndian.AppendUint64(b, uint64(controlHeader+8*len(data)))
		b = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(b, level), kind)
		for _, d := range data {
			b = binary.NativeEndian.AppendUint64(b, d)
		}
	}
	add(0, 8, 7)
	add(syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1_800_000_000, 5)
	if at, ok := StampOf(b); !ok || at != 1_800_000_000_000_000_005 {
		t.Errorf("%d %v", at, ok)
	}
	for _, short := range [][]byte{nil, b[:20], b[:len(b)-1], make([]byte, 40)} {
		if _, ok := StampOf(short); ok {
			t.Errorf("%d octets have a stamp", len(short))
		}
	}
}

// echo answers every datagram at once, but every fourth with SERVFAIL, until the test ends.
func echo(t *testing.T) string {
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for buf, n := make([]byte, 512), 0; ; n++ {
			size, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if buf[2], buf[3] = 0x80, 0; n%4 == 3 {
				buf[3] = 2
			}
			server.WriteTo(buf[:size], from)
		}
	}()
	return server.LocalAddr().String()
}

func TestProbe(t *testing.T) {
	p, err := Probe{Addr: echo(t), Questions: [][]byte{make([]byte, 20)}, Rate: 400}.Run(t.Context(), 100*time.Millisecond)
	if err != nil || p.Sent != 40 || p.Answered != 40 || p.Lost() != 0 || p.Wrong != 10 || p.Waits.Count() != 40 || p.Late.Count() != 40 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestLoad(t *testing.T) {
	question := make([]byte, 20)
	l, err := Load{Addr: netip.MustParseAddrPort(echo(t)), Local: netip.MustParseAddr("127.0.9.1"), Sockets: 300, Rate: 4000, Batch: 4,
		Next: func(b []byte) []byte { return append(b, question...) }}.Run(t.Context(), 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// A slow machine asks fewer, and says so.
	if all := l.Sent + l.Unsent; all < 300 || all > 500 || l.Replies() != l.Sent || l.Answered() < l.Sent*3/4 || l.Rcodes[2] == 0 {
		t.Errorf("%+v", l)
	}
}
