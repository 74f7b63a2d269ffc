package cache

import (
	"bytes"
	"testing"
	"time"

	"lastgood/internal/wire"
)

// Whoever saves or loads may rest after every few entries, with no lock held.
func TestSnapshotRests(t *testing.T) {
	const entries = 2000
	c := New(Options{Size: 1 << 20})
	fill(t, c, at(0), "kept", 3600, entries)
	wall := time.Unix(1_700_000_000, 0)
	var d *Cache
	rested := 0
	use := func(which **Cache) func() {
		return func() {
			rested++
			n := numbered("meanwhile", rested%10)
			(*which).Put(at(1), address(n, 60))
			if _, ok := look(*which, at(1), n, wire.TypeA); !ok {
				t.Errorf("%v is not found", n)
			}
		}
	}
	snapshot := save(t, c, at(1), wall, SnapshotHeader{Rest: use(&c)})
	if least := entries / restEvery; rested < least {
		t.Errorf("rested %d times while %d entries were saved, want %d", rested, entries, least)
	}
	rested = 0
	d = New(Options{Size: 1 << 20})
	r, err := d.ReadSnapshot(bytes.NewReader(snapshot), at(1), wall, SnapshotHeader{Rest: use(&d)})
	if err != nil || r.Fresh < entries {
		t.Fatalf("%+v, %v", r, err)
	}
	if least := entries / restEvery; rested < least {
		t.Errorf("rested %d times while %d entries were loaded, want %d", rested, entries, least)
	}
}
