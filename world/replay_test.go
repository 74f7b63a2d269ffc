package world

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
)

// plays is how often a world is played at most until two plays are alike.
const plays = 4

// TestReplay plays worlds twice: whatever went over the wire must be the same, in
// whatever order within one instant. Where that order decides what comes after,
// two plays of a world go different ways, and that is the scheduler's to say:
// synctest runs timers of one instant in random order, flights that waited for the
// same one end at one instant, and who of them goes first decides who leads the
// next question, which server chance gives to whom, and which questions rechecks
// take turns with. That happens in one world of twenty, again and again in the same,
// and for a busy machine in any. So a world is played until it was twice the same,
// and of those that never were some are let go: of worlds that chance decides, it
// is all of them.
func TestReplay(t *testing.T) {
	if slower > 1 {
		t.Skip("the race detector makes the scheduler shuffle goroutines")
	}
	n, odd := uint64(*replayFlag), 0
	for seed := uint64(1); seed <= n; seed++ {
		if !alike(t, seed) {
			odd++
		}
	}
	if odd > int(n)/4 {
		t.Errorf("%d of %d worlds were never the same twice in %d plays", odd, n, plays)
	}
	if run(t, generate(1, 50)).digest() == run(t, generate(2, 50)).digest() {
		t.Error("two worlds have the same digest")
	}
}

// alike plays a world until two plays are alike.
func alike(t *testing.T, seed uint64) bool {
	var seen []uint64
	var last *record
	for range plays {
		r := run(t, generate(seed, *sizeFlag))
		r.inOrder()
		d := r.digest()
		if slices.Contains(seen, d) {
			return true
		}
		if last != nil {
			t.Logf("world %d: %s", seed, parting(last, r))
		}
		seen, last = append(seen, d), r
	}
	return false
}

// inOrder puts what went over the wire at one instant into an order of its own.
func (r *record) inOrder() {
	slices.SortFunc(r.queries, func(a, b query) int {
		return cmp.Or(cmp.Compare(a.at, b.at), a.to.Compare(b.to), cmp.Compare(a.name, b.name), cmp.Compare(a.typ, b.typ))
	})
	slices.SortFunc(r.replies, func(a, b reply) int { return cmp.Or(cmp.Compare(a.came, b.came), slices.Compare(a.msg, b.msg)) })
}

// parting tells where two plays go different ways.
func parting(a, b *record) string {
	for i := range min(len(a.queries), len(b.queries)) {
		if a.queries[i] != b.queries[i] {
			return fmt.Sprintf("query %d: %s, then %s", i, &a.queries[i], &b.queries[i])
		}
	}
	return fmt.Sprintf("%d queries, then %d; else it is the replies", len(a.queries), len(b.queries))
}

func (q *query) String() string { return fmt.Sprintf("%v to %v: %v %v", q.at, q.to, q.name, q.typ) }
