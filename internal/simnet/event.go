package simnet

import (
	"cmp"
	"container/heap"
	"net/netip"
	"time"
)

// maxEvents bounds what is under way at once; datagrams beyond it are dropped
// and counted as Overflow.
const maxEvents = 1 << 20

// flow is the direction from one socket to another.
type flow struct{ from, to netip.AddrPort }

func (f flow) reverse() flow { return flow{f.to, f.from} }

func (f flow) compare(g flow) int {
	return cmp.Or(f.from.Compare(g.from), f.to.Compare(g.to))
}

// event is something that will happen: an arrival, a repetition, an outage.
type event struct {
	at   time.Duration // on the scale of Net.Now
	flow flow          // orders events of one instant
	seq  uint64        // orders events of one instant and flow
	do   func()        // runs with the lock held; must not wait or call out
}

// eventQueue is a heap; the first to happen is element 0.
type eventQueue []event

func (q eventQueue) Len() int      { return len(q) }
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }

func (q eventQueue) Less(i, j int) bool {
	a, b := &q[i], &q[j]
	return cmp.Or(cmp.Compare(a.at, b.at), a.flow.compare(b.flow), cmp.Compare(a.seq, b.seq)) < 0
}

func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{} // let go of what the function holds
	*q = (*q)[:last]
	return e
}

// schedule lets do happen at a time. The lock is held.
func (n *Net) schedule(at time.Duration, f flow, do func()) {
	if n.closed {
		return
	}
	n.seq++
	heap.Push(&n.events, event{at, f, n.seq, do})
	if n.events[0].seq == n.seq {
		n.arm()
	}
}

// arm sets the timer for the first event. The lock is held.
func (n *Net) arm() {
	if len(n.events) == 0 {
		return
	}
	wait := max(0, n.events[0].at-n.Now())
	if n.timer == nil {
		n.timer = time.AfterFunc(wait, n.run)
	} else {
		n.timer.Reset(wait)
	}
}

// run lets everything happen that is due.
func (n *Net) run() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.Now()
	for len(n.events) > 0 && n.events[0].at <= now {
		heap.Pop(&n.events).(event).do()
	}
	n.arm()
}
