package iterator

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
)

// shareLimit is how long a task waits for another that asks the same before it
// asks itself: that one's server may be the slow one.
const shareLimit = 1500 * time.Millisecond

// walkKey is a minimised question at a cut. What configured servers say of it
// is nothing for those who ask the public's.
type walkKey struct {
	cut, name dnsname.Name
	zone      *Zone
}

// walk is a minimised question that a task is asking. Questions for different
// names or types have their upper labels in common, and clients ask for A, AAAA
// and HTTPS at once: the others wait for what the first learns.
type walk struct {
	key  walkKey
	done chan struct{}
	// Written by the task that leads, before done is closed.
	deleg  *cache.Delegation // there is a cut at or above the name
	passed bool              // there is none
}

// walks are those under way: at most one a task. A task leads one only while
// its own question is with a server, and waits for another's no longer than
// shareLimit, so no circle of waits can last.
type walks struct {
	mu   sync.Mutex
	open map[walkKey]*walk
}

// lead makes the caller the one who asks, or gives the walk that is under way.
func (ws *walks) lead(k walkKey) (mine, other *walk) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if other = ws.open[k]; other != nil {
		return nil, other
	}
	mine = &walk{key: k, done: make(chan struct{})}
	if ws.open == nil {
		ws.open = map[walkKey]*walk{}
	}
	ws.open[k] = mine
	return mine, nil
}

func (ws *walks) end(w *walk) {
	ws.mu.Lock()
	delete(ws.open, w.key)
	ws.mu.Unlock()
	close(w.done)
}

// mayShare tells whether to wait for another task instead of asking. A task
// waits once for a question, and asks itself if that brought nothing.
func (t *task) mayShare() bool {
	if !t.minimised || t.leads != nil || t.waited {
		return false
	}
	t.leads, t.awaits = t.it.walks.lead(walkKey{t.place.cut, t.asked.Name, t.place.zone})
	t.waited = t.awaits != nil
	return t.waited
}

// share waits for another task's walk and goes on from what it learnt.
func (t *task) share(ctx context.Context) state {
	t.setTimer(shareLimit)
	w := t.awaits
	t.awaits = nil
	select {
	case <-w.done:
	case <-t.timer.C:
		t.timer = nil
		return send
	case <-ctx.Done():
		return t.outOfTime()
	}
	t.stopTimer()
	switch {
	case w.deleg != nil && t.now() < w.deleg.Expiry:
		t.avoid = "" // as after a referral of our own
		t.enter(place{cut: w.deleg.Cut, deleg: w.deleg, parent: t.place.deleg})
		return gather
	case w.passed:
		t.min.passed(t.asked.Name)
	}
	return send
}

// endWalk lets the others go on, with what was learnt or without.
func (t *task) endWalk() {
	if t.leads != nil {
		t.it.walks.end(t.leads)
		t.leads = nil
	}
}
