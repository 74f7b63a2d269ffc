package listener

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"lastgood/internal/wire"
)

func TestGateBounds(t *testing.T) {
	g := newGate(5, 3)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for range 3 {
		if _, ok := g.enter(a, 1); !ok {
			t.Fatal("refused below the bound")
		}
	}
	if why, ok := g.enter(a, 1); ok || why != DropClient {
		t.Errorf("fourth of a client: %v, %v", why, ok)
	}
	g.enter(b, 1)
	g.enter(b, 1)
	if why, ok := g.enter(b, 1); ok || why != DropWaiting {
		t.Errorf("sixth in all: %v, %v", why, ok)
	}
	g.leave(a)
	if _, ok := g.enter(b, 1); !ok {
		t.Error("a place that was given back cannot be had")
	}
	for range 2 {
		g.leave(a)
	}
	for range 3 {
		g.leave(b)
	}
	if n := g.waiting.Load(); n != 0 {
		t.Errorf("%d waiting at the end", n)
	}
	for i := range g.shards {
		if len(g.shards[i].clients) != 0 {
			t.Error("clients are remembered for ever")
		}
	}
}

func TestGateNeverExceedsItsBounds(t *testing.T) {
	g := newGate(10, 4)
	var wg sync.WaitGroup
	for i := range 8 {
		client := netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 4)})
		wg.Go(func() {
			for range 1000 {
				if _, ok := g.enter(client, 1); ok {
					g.leave(client)
				}
			}
		})
	}
	wg.Wait()
	if n := g.waiting.Load(); n != 0 {
		t.Errorf("%d waiting at the end", n)
	}
}

func TestLatencyBuckets(t *testing.T) {
	s := newStats()
	for _, d := range []time.Duration{-1, 0, 1, 16 * time.Microsecond, 16*time.Microsecond + 1, 32 * time.Microsecond, time.Millisecond, 20 * time.Millisecond, 16 * time.Second, time.Hour} {
		i := bucketOf(d)
		if i < len(s.Latency.Bounds) && d > s.Latency.Bounds[i] || i > 0 && d <= s.Latency.Bounds[i-1] {
			t.Errorf("%v is in bucket %d", d, i)
		}
	}
	if len(s.Latency.Counts) != len(s.Latency.Bounds)+1 {
		t.Errorf("%d counts, %d bounds", len(s.Latency.Counts), len(s.Latency.Bounds))
	}
}

func TestCountedTypesMatchTheirIndex(t *testing.T) {
	for i, typ := range countedTypes {
		if got := countedType(typ); got != i {
			t.Errorf("%v: %d, want %d", typ, got, i)
		}
	}
	if countedType(wire.TypeLOC) != 0 {
		t.Error("LOC has no count of its own")
	}
	for d := range Drop(drops) {
		if d.String() == "" {
			t.Errorf("reason %d has no name", d)
		}
	}
}
