//go:build !race

package rootzone

import (
	"runtime"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// TestMemory holds a zone like the root to a quarter of the 8 MiB that it may take.
func TestMemory(t *testing.T) {
	records := withFakes(likeRoot(t))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	d := build(t, records)
	grown := int64(heap()) - int64(before)
	if d.Len() < 20_000 || d.Len() > 40_000 {
		t.Fatalf("%d records: not like the root", d.Len())
	}
	if d.Size() > 3<<20 || grown > 4<<20 {
		t.Errorf("%d records take %d octets, the heap grew by %d", d.Len(), d.Size(), grown)
	}
	t.Logf("%d records of %d names: %d octets, on disk %d", d.Len(), d.count(), d.Size(), len(d.Encode(signedAt)))
	runtime.KeepAlive(records)
}

// TestNoAllocation: neither finding the zone nor answering takes memory.
func TestNoAllocation(t *testing.T) {
	z := verify(t, smallZone(t))
	k := newTestKeeper(1)
	k.Fetched(at(0), Job{}, z, nil)
	buf := make([]byte, 0, wire.MaxMessage)
	now := Moment{clock.Mono(time.Minute), at(0).Wall}
	names := []dnsname.Name{dnsname.MustParse("www.aa."), dnsname.MustParse("bb."), dnsname.MustParse("ee."), dnsname.MustParse("local.")}
	for _, name := range names {
		if n := testing.AllocsPerRun(100, func() {
			buf = k.Zone(now).Answer(buf[:0], Query{Name: name, Type: wire.TypeA, DO: true})
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
