package listener

import (
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/clock"
)

// crowd is a gate, and how much is taken where more than few are left unbegun.
type crowd struct {
	*gate
	now clock.Mono
	n   byte
}

func newCrowd() *crowd {
	c := &crowd{gate: newGate(20_000, 10_000), now: clock.Mono(time.Hour)}
	c.few = 10
	return c
}

// take offers n questions of clients who have none yet, and gives how many are taken.
func (c *crowd) take(n int) (taken int) {
	for range n {
		c.n++
		if _, ok := c.enter(netip.AddrFrom4([4]byte{192, 0, 2, c.n}), c.now); ok {
			taken++
		}
	}
	return taken
}

func (c *crowd) beginAll() {
	for c.unbegun.Load() > 0 {
		c.begun()
	}
}

// TestBurst: what comes at once is taken, as much as may wait, and what goes on to come
// is not.
func TestBurst(t *testing.T) {
	c := newCrowd()
	for range 100 {
		if n := c.take(100); n != 100 {
			t.Fatalf("%d of 100 at once were taken", n)
		}
	}
	c.now = c.now.Add(burst)
	if n := c.take(80); n != 0 {
		t.Errorf("%d more were taken when it was no burst any more", n)
	}
	c.beginAll()
	if n := c.take(5); n != 5 {
		t.Errorf("%d of 5 were taken when all was begun", n)
	}
}

// TestCongestion: where more come again and again than are begun with, few are taken,
// until that was over for a while.
func TestCongestion(t *testing.T) {
	c := newCrowd()
	for range 6 { // 30 every 25 ms
		c.take(30)
		c.now = c.now.Add(25 * time.Millisecond)
		c.beginAll()
	}
	if n := c.take(60); n >= 30 || n < 10 {
		t.Errorf("%d of 60 were taken though there was too much for 150 ms", n)
	}
	c.beginAll()
	c.now = c.now.Add(2 * time.Second)
	if n := c.take(60); n != 60 {
		t.Errorf("%d of 60 were taken when it was over", n)
	}
}

// TestCongestionIsSharedOut: under pressure who has many questions waiting gives way to
// who has none.
func TestCongestionIsSharedOut(t *testing.T) {
	c := newCrowd()
	flooder := netip.MustParseAddr("198.51.100.1")
	for c.unbegun.Load() <= c.few {
		c.enter(flooder, c.now)
	}
	c.alert.Store(int64(c.now.Add(time.Second)))
	if why, ok := c.enter(flooder, c.now); ok || why != DropCongestion {
		t.Errorf("the flood goes on: %v, %v", why, ok)
	}
	if n := c.take(5); n != 5 {
		t.Errorf("of 5 clients %d were let in", n)
	}
	for range 5 {
		c.leave(flooder)
	}
	if n := c.askers.Load(); n != 6 {
		t.Errorf("%d clients have questions waiting", n)
	}
}

// TestWaitingIsNoCongestion: what waits for servers keeps nothing out.
func TestWaitingIsNoCongestion(t *testing.T) {
	c := newCrowd()
	for range 500 {
		if n := c.take(10); n != 10 {
			t.Fatalf("%d of 10 were taken, %d are begun and wait", n, c.waiting.Load())
		}
		c.beginAll()
		c.now = c.now.Add(time.Millisecond)
	}
}
