package world

import "testing"

// TestReplay plays worlds twice: whatever went over the wire must be the same.
// What stays the scheduler's is told: on a machine that is busy with other things
// it may change the order within one instant, in one world of a hundred or so.
func TestReplay(t *testing.T) {
	if slower > 1 {
		t.Skip("the race detector makes the scheduler shuffle goroutines")
	}
	var differ []uint64
	n := uint64(*replayFlag)
	for seed := uint64(1); seed <= n; seed++ {
		a, b := run(t, generate(seed, *sizeFlag)), run(t, generate(seed, *sizeFlag))
		if a.digest() != b.digest() {
			differ = append(differ, seed)
			i := 0
			for i < len(a.queries) && i < len(b.queries) && a.queries[i] == b.queries[i] {
				i++
			}
			if i < len(a.queries) && i < len(b.queries) {
				t.Logf("world %d: query %d of %d: %+v, then %+v", seed, i, len(a.queries), a.queries[i], b.queries[i])
			}
		}
	}
	if len(differ) > int(n+49)/50 {
		t.Errorf("%d of %d worlds do not play twice alike: %v", len(differ), n, differ)
	}
	if run(t, generate(1, 50)).digest() == run(t, generate(2, 50)).digest() {
		t.Error("two worlds have the same digest")
	}
}
