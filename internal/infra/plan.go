package infra

import (
	"container/heap"
	"time"

	"lastgood/internal/clock"
)

const (
	recheckRate   = 200 // rechecks a second, of all servers
	recheckBurst  = 20
	offlineRate   = 5 // the same while the own network is down
	offlineBurst  = 1
	parentRate    = 2 // questions to parents a second, besides
	parentBurst   = 5
	recheckPause  = 50 * time.Millisecond // at least, when there are more than may be sent
	recheckSpread = time.Minute           // what the least wanted wait longer than the most wanted
)

// plan is who is rechecked when: targets in one of two heaps, those that wait for
// their time and those that wait for their turn. Bound: the table's; at it the
// one that was not wanted for the longest time is forgotten and counted.
type plan struct {
	targets         *table[targetKey, *target]
	waiting         byOrder // by the time when they are due
	ready           byOrder // by that time, later the less they are wanted
	budget, parents bucket
	rate            float64
}

func newPlan(bound int) plan {
	return plan{
		targets: newTable[targetKey, *target](bound), rate: recheckRate,
		budget: bucket{left: recheckBurst}, parents: bucket{left: parentBurst},
	}
}

// add takes a target in. It waits for its time.
func (p *plan) add(t *target) {
	if p.targets.len() >= p.targets.max {
		p.drop(p.targets.ring.prev.value)
	}
	p.targets.put(t.key, t)
	t.order = t.due
	heap.Push(&p.waiting, t)
}

// forget takes one out.
func (p *plan) forget(t *target) {
	p.drop(t)
	p.targets.remove(t.key)
}

// drop takes one out of its heap.
func (p *plan) drop(t *target) { heap.Remove(p.heap(t), t.at) }

func (p *plan) heap(t *target) *byOrder {
	if t.ready {
		return &p.ready
	}
	return &p.waiting
}

// fix puts a target that changed in its place: one that was asked waits for its
// time again.
func (p *plan) fix(t *target) {
	if t.ready && t.asked == 0 {
		p.drop(t)
		t.ready, t.order = false, t.due
		heap.Push(&p.waiting, t)
		return
	}
	if t.order = t.due; t.ready {
		t.order = t.turnAt()
	}
	heap.Fix(p.heap(t), t.at)
}

// turnAt orders those that are due. Nobody waits for ever.
func (t *target) turnAt() clock.Mono {
	return t.due.Add(recheckSpread / time.Duration(1+t.asked))
}

// wake lets those whose time has come wait for their turn.
func (p *plan) wake(now clock.Mono) {
	for len(p.waiting) > 0 && p.waiting[0].due <= now {
		t := heap.Pop(&p.waiting).(*target)
		t.ready, t.order = true, t.turnAt()
		heap.Push(&p.ready, t)
	}
}

func (p *plan) refill(now clock.Mono, offline bool) {
	p.rate = recheckRate
	burst := float64(recheckBurst)
	if offline {
		p.rate, burst = offlineRate, offlineBurst
	}
	p.budget.refill(now, p.rate, burst)
	p.parents.refill(now, parentRate, parentBurst)
}

// soonest is when there is something to do, false when there never is.
func (p *plan) soonest(now clock.Mono) (clock.Mono, bool) {
	switch {
	case len(p.ready) > 0:
		wait := time.Duration((1 - p.budget.left) / p.rate * float64(time.Second))
		return max(p.budget.at.Add(max(wait, recheckPause)), now), true
	case len(p.waiting) > 0:
		return p.waiting[0].due, true
	}
	return 0, false
}

// bucket is a token bucket.
type bucket struct {
	left float64
	at   clock.Mono // of the last refill
}

func (b *bucket) refill(now clock.Mono, rate, burst float64) {
	b.left = min(b.left+now.Sub(b.at).Seconds()*rate, burst)
	b.at = now
}

func (b *bucket) full() bool { return b.left >= 1 }

func (b *bucket) take() bool {
	if !b.full() {
		return false
	}
	b.left--
	return true
}

// byOrder is a heap of targets.
type byOrder []*target

func (h byOrder) Len() int           { return len(h) }
func (h byOrder) Less(i, j int) bool { return h[i].order < h[j].order }

func (h byOrder) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push is for package heap.
func (h *byOrder) Push(x any) {
	t := x.(*target)
	t.at = len(*h)
	*h = append(*h, t)
}

// Pop is for package heap.
func (h *byOrder) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}
