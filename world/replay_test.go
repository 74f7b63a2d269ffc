package world

import (
	"fmt"
	"testing"
)

// plays is how often a world is played at most until two plays in a row are alike.
const plays = 4

// TestReplay plays worlds twice: whatever went over the wire must be the same.
// What stays the scheduler's: on a machine that is busy with other things it may
// change the order within one instant, in one play of a hundred or so. A play
// that differs is therefore followed by another, and how many did is told; a world
// that chance decides would hardly ever be the same twice.
func TestReplay(t *testing.T) {
	if slower > 1 {
		t.Skip("the race detector makes the scheduler shuffle goroutines")
	}
	n, odd := uint64(*replayFlag), 0
	for seed := uint64(1); seed <= n; seed++ {
		last := run(t, generate(seed, *sizeFlag))
		alike := false
		for i := 1; i < plays && !alike; i++ {
			next := run(t, generate(seed, *sizeFlag))
			if alike = next.digest() == last.digest(); !alike {
				odd++
				t.Logf("world %d: %s", seed, parting(last, next))
			}
			last = next
		}
		if !alike {
			t.Errorf("world %d: no two of %d plays are alike", seed, plays)
		}
	}
	if odd > int(n)/4 {
		t.Errorf("%d plays of %d worlds differ from the one before", odd, n)
	}
	if run(t, generate(1, 50)).digest() == run(t, generate(2, 50)).digest() {
		t.Error("two worlds have the same digest")
	}
}

// parting tells where two plays go different ways.
func parting(a, b *record) string {
	for i := range min(len(a.queries), len(b.queries)) {
		if a.queries[i] != b.queries[i] {
			return fmt.Sprintf("query %d: %+v, then %+v", i, a.queries[i], b.queries[i])
		}
	}
	return fmt.Sprintf("%d queries, then %d; else it is the replies", len(a.queries), len(b.queries))
}
