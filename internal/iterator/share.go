package iterator

import (
	"context"
	"sync"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
)

const (
	// shareLimit is how long tasks wait for another that asks the same before the
	// first of them asks too: that one's server may be the slow one. The others go
	// on to wait for both.
	shareLimit = 1500 * time.Millisecond
	// maxWaits bounds how often a task waits with one question for others, who all
	// learnt nothing.
	maxWaits = 100
)

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
	// Guarded by walks.mu until done is closed, unchanged after it.
	found found
	ended bool
}

// found is what came of a walk: nothing, or one of these.
type found struct {
	deleg  *cache.Delegation // there is a cut at or above the name
	link   *cache.Entry      // and what its referral told of its place in the chain of trust, nil for nothing
	passed bool              // there is none
	relax  bool              // the servers do not cope with the question
}

// walks are those under way: at most one a task, and one open to be waited for
// a question. A task leads one only while its own question is with a server, and
// waits for another's no longer than shareLimit, so no circle of waits can last.
// However many want the same, one asks at first and one more each shareLimit.
type walks struct {
	mu   sync.Mutex
	open map[walkKey]*walk
}

// lead makes the caller the one who asks, or gives the walk that is under way;
// not the one that it waited for in vain, if that is still open.
func (ws *walks) lead(k walkKey, vain *walk) (mine, other *walk) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if other = ws.open[k]; other != nil && other != vain {
		return nil, other
	}
	mine = &walk{key: k, done: make(chan struct{})}
	if ws.open == nil {
		ws.open = map[walkKey]*walk{}
	}
	ws.open[k] = mine
	return mine, nil
}

// learnt notes what a walk found out.
func (ws *walks) learnt(w *walk, f found) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !w.ended {
		w.found = f
	}
}

// end lets those go on who wait for a walk; and those who wait for one that was
// begun in its place, if it learnt something.
func (ws *walks) end(w *walk) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !w.ended {
		ws.close(w)
	}
	if next := ws.open[w.key]; next != nil && w.found != (found{}) {
		next.found = w.found
		ws.close(next)
	}
}

// close ends one walk. The lock is held.
func (ws *walks) close(w *walk) {
	w.ended = true
	close(w.done)
	if ws.open[w.key] == w {
		delete(ws.open, w.key)
	}
}

// mayShare tells whether to wait for another task instead of asking. When that
// brought nothing, one of those who waited asks, and the others wait for it.
func (t *task) mayShare() bool {
	if !t.minimised || t.leads != nil || t.waits >= maxWaits {
		return false
	}
	t.leads, t.awaits = t.it.walks.lead(walkKey{t.place.cut, t.asked.Name, t.place.zone}, t.vain)
	t.vain = nil
	if t.awaits == nil {
		return false
	}
	t.waits++
	return true
}

// share waits for another task's walk and goes on from what it learnt.
func (t *task) share(ctx context.Context) state {
	t.setTimer(shareLimit)
	w := t.awaits
	t.awaits = nil
	select {
	case <-w.done:
	case <-t.timer.C:
		t.timer, t.vain = nil, w
		return send
	case <-ctx.Done():
		return t.outOfTime()
	}
	t.stopTimer()
	switch f := w.found; {
	case f.deleg != nil && t.now() < f.deleg.Expiry:
		t.avoid = "" // as after a referral of our own
		if f.link != nil {
			t.addLink(*f.link)
		}
		t.enter(place{cut: f.deleg.Cut, deleg: f.deleg, parent: t.place.deleg})
		return gather
	case f.passed:
		t.min.passed(t.asked.Name)
	case f.relax:
		t.relax()
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
