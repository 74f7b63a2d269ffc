package listener

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakeInterface has one queue, which the test feeds.
type fakeInterface struct {
	fakeQueue
	broken bool
	closed bool
}

func (f *fakeInterface) Start() ([]Frames, error) {
	if f.broken {
		return nil, errors.New("no such interface")
	}
	return []Frames{&f.fakeQueue}, nil
}

func (f *fakeInterface) Stop()  { close(f.batches) }
func (f *fakeInterface) Close() { f.closed = true }

// fakeQueue gives batches of queries and keeps replies.
type fakeQueue struct {
	batches chan [][]byte
	from    netip.Addr
	size    int // Room

	batch   [][]byte
	out     [maxUDPSize]byte
	mu      sync.Mutex
	replies [][]byte
	paths   []string // of late ones
	flushed chan struct{}
}

func newFakeQueue(size int) *fakeInterface {
	return &fakeInterface{fakeQueue: fakeQueue{batches: make(chan [][]byte, 1), from: netip.MustParseAddr("192.0.2.7"), size: size, flushed: make(chan struct{}, 100)}}
}

func (f *fakeQueue) Receive() (int, error) {
	batch, ok := <-f.batches
	if !ok {
		return 0, net.ErrClosed
	}
	f.batch = batch
	return len(batch), nil
}

// Query takes an empty query for one that cannot be answered.
func (f *fakeQueue) Query(i int) ([]byte, netip.Addr, []byte, bool) {
	return f.batch[i], f.from, f.out[:0:f.size], len(f.batch[i]) > 0
}

func (f *fakeQueue) Reply(_ int, reply []byte) { f.keep(reply) }

func (f *fakeQueue) keep(reply []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replies = append(f.replies, bytes.Clone(reply))
}

func (f *fakeQueue) Path(i int, path []byte) int { return copy(path, []byte{'p', byte('0' + i)}) }
func (f *fakeQueue) Room() int                   { return f.size }
func (f *fakeQueue) Flush()                      { f.flushed <- struct{}{} }

func (f *fakeQueue) Send(path, reply []byte) error {
	f.keep(reply)
	f.mu.Lock()
	f.paths = append(f.paths, string(path))
	f.mu.Unlock()
	f.flushed <- struct{}{}
	return nil
}

func (f *fakeQueue) feed(t *testing.T, queries ...[]byte) {
	t.Helper()
	f.batches <- queries
	<-f.flushed
}

// interfaceListener runs a listener with an interface beside a socket.
func interfaceListener(t *testing.T, f *fakeInterface) *Listener {
	t.Helper()
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	o.Workers, o.Interfaces = 1, []Interface{f}
	l := New(o)
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFramesAreAnswered(t *testing.T) {
	f := newFakeQueue(1400)
	l := interfaceListener(t, f)
	f.feed(t, query(t, "hit.example.", edns(1232)), nil, query(t, "hit2.example."))
	if len(f.replies) != 2 || len(unpack(t, f.replies[0]).Answer) != 1 || len(unpack(t, f.replies[1]).Answer) != 1 {
		t.Fatalf("%d replies", len(f.replies))
	}
	s := l.Stats()
	if s.Queries[0] != 2 || s.Cached != 2 {
		t.Errorf("%d queries, %d cached", s.Queries[0], s.Cached)
	}
	// What has to wait is sent later, along the path of its own query.
	f.feed(t, query(t, "hit.example."), query(t, "other.example."))
	<-f.flushed
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.paths) != 1 || f.paths[0] != "p1" || unpack(t, f.replies[3]).Question[0].Name != "other.example." {
		t.Errorf("late replies went along %q", f.paths)
	}
	if err := l.Shutdown(context.Background()); err != nil || !f.closed {
		t.Errorf("%v, closed %v", err, f.closed)
	}
}

// The access list holds here as well.
func TestFramesOfStrangersAreRefused(t *testing.T) {
	f := newFakeQueue(1400)
	f.from = netip.MustParseAddr("198.51.100.7")
	l := interfaceListener(t, f)
	defer l.Shutdown(context.Background())
	f.feed(t, query(t, "hit.example."))
	if m := unpack(t, f.replies[0]); m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
		t.Errorf("%v", m)
	}
}

// What does not fit into a frame is truncated, whatever the client and the
// configuration would take.
func TestFramesKeepToTheirRoom(t *testing.T) {
	f := newFakeQueue(600)
	l := interfaceListener(t, f)
	defer l.Shutdown(context.Background())
	f.feed(t, query(t, "big.example.", edns(1232)))
	if m := unpack(t, f.replies[0]); !m.Truncated || len(f.replies[0]) > 600 {
		t.Errorf("%d octets, TC %v", len(f.replies[0]), m.Truncated)
	}
	f.size = 1400 // the interface's MTU has grown
	f.feed(t, query(t, "big.example.", edns(1232)))
	if len(f.replies[1]) <= 600 {
		t.Errorf("%d octets", len(f.replies[1]))
	}
}

// A listener whose interface cannot be had does not start, and leaves nothing.
func TestInterfaceThatCannotBeHad(t *testing.T) {
	first, second := newFakeQueue(600), newFakeQueue(600)
	second.broken = true
	o := testOptions(newFake())
	o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	o.Interfaces = []Interface{first, second}
	l := New(o)
	if err := l.Start(); err == nil || !first.closed {
		t.Fatalf("%v, the first closed: %v", err, first.closed)
	}
	if err := l.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// idleQueue takes what it is given and keeps nothing.
type idleQueue struct{ fakeQueue }

func (*idleQueue) Reply(int, []byte) {}
func (*idleQueue) Flush()            {}

func preparedFrames(t testing.TB) *frameReader {
	l := New(testOptions(newFake()))
	q := &idleQueue{fakeQueue{from: netip.MustParseAddr("192.0.2.7"), size: 1400}}
	for range batchOfFrames {
		q.batch = append(q.batch, query(t, "hit.example.", edns(1232)))
	}
	return &frameReader{l: l, queue: q, w: l.newWorker(&l.late)}
}

const batchOfFrames = 64

// TestFramesAllocateNothing is the gate for what is cached, on this way.
func TestFramesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := preparedFrames(t)
	s.turn(1) // the policy for the room
	if n := testing.AllocsPerRun(100, func() { s.turn(batchOfFrames) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFramesCached is a cached question without the frames themselves.
func BenchmarkFramesCached(b *testing.B) {
	s := preparedFrames(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%batchOfFrames == 0 {
			s.turn(batchOfFrames)
		}
	}
}

// A queue that has an error now and then is read on; one that is closed is not.
func TestFramesReadOnAfterAnError(t *testing.T) {
	q := &failingQueue{errs: []error{errors.New("passing"), net.ErrClosed}}
	l := New(testOptions(newFake()))
	s := &frameReader{l: l, queue: q, w: l.newWorker(&l.late)}
	done := make(chan struct{})
	go func() { s.serve(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
	if n := l.Stats().ReceiveErrors; n != 1 {
		t.Errorf("%d errors", n)
	}
}

type failingQueue struct {
	fakeQueue
	errs []error
}

func (f *failingQueue) Receive() (int, error) {
	err := f.errs[0]
	f.errs = f.errs[1:]
	return 0, err
}
