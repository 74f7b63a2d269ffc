package upstream

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"lastgood/internal/clock"
)

// What cannot be sent is heard of where the reply is waited for, and no other
// question is.
func TestWhatCannotBeSentIsHeardOf(t *testing.T) {
	u := realUpstream(t)
	to := echo(t)
	large, good := dialReal(t, u, to), dialReal(t, u, to)
	defer large.Close()
	defer good.Close()
	_, _ = large.Write(make([]byte, 70_000))
	_, _ = good.Write(make([]byte, 12))
	if _, err := large.ReadUntil(t.Context(), u.soon()); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("got %v", err)
	}
	if b, err := good.ReadUntil(t.Context(), u.soon()); len(b) != 12 || err != nil {
		t.Errorf("the other: %x, %v", b, err)
	}
}

// A question that ended before its turn is not sent, nor is its socket used, and
// those behind it are.
func TestQuestionIsTakenBack(t *testing.T) {
	k := newKernel(new(entropy).Read, clock.New(), func() bool { return true }, func() {})
	defer k.close()
	s := &k.poller.sender
	dial := func() *datagram {
		d, err := k.dialDatagrams(1, netip.MustParseAddrPort("127.0.0.1:9"))
		if err != nil {
			t.Fatal(err)
		}
		return d.(*datagram)
	}
	first, second := dial(), dial()
	s.close()
	s.closed, s.work = false, make(chan struct{}, 1) // the test is the sender from now on
	s.add(first)
	s.add(second)
	if len(s.work) != 1 || len(s.queue) != 2 {
		t.Fatalf("%d tokens, %d queued", len(s.work), len(s.queue))
	}
	first.takeBack()
	fd := first.fd
	first.fd = -1 // sending from it would fail
	s.flush()
	first.fd = fd
	if first.failure != nil || first.state.Load() != unqueued || second.state.Load() != unqueued || len(s.queue) != 0 {
		t.Errorf("%v, states %d and %d, %d queued", first.failure, first.state.Load(), second.state.Load(), len(s.queue))
	}
	_, _ = first.Close(), second.Close()
}

// After close nothing is queued any more.
func TestSenderIsClosed(t *testing.T) {
	var s sender
	s.start()
	s.close()
	s.close()
	s.add(new(datagram))
	if len(s.queue) != 0 {
		t.Error("queued")
	}
}
