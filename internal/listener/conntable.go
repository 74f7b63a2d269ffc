package listener

import (
	"container/list"
	"net/netip"
	"sync"

	"lastgood/internal/clock"
)

// connTable bounds the open connections, in all and of one client. When there
// is no room, the connection that was active least recently among those that are
// dispensable makes it. Lists are in order of filing, oldest first: a connection is filed
// anew only when it comes up as a candidate though it was active since, so that
// a message costs no lock.
type connTable struct {
	max, perClient int

	mu      sync.Mutex
	all     list.List // of *conn
	clients map[netip.Addr]*list.List
}

// place is where a connection stands in a list.
type place struct {
	elem  *list.Element // nil: nowhere
	filed clock.Mono
}

func newConnTable(most, each int) *connTable {
	return &connTable{max: most, perClient: each, clients: make(map[netip.Addr]*list.List)}
}

func (t *connTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.Len()
}

// each calls f for every connection.
func (t *connTable) each(f func(*conn)) {
	t.mu.Lock()
	open := make([]*conn, 0, t.all.Len())
	for e := t.all.Front(); e != nil; e = e.Next() {
		open = append(open, e.Value.(*conn))
	}
	t.mu.Unlock()
	for _, c := range open {
		f(c)
	}
}

// add takes c in, false when there is no room. The victim, if any, made room
// and is the caller's to close. Only the welcome displace others.
func (t *connTable) add(c *conn, welcome bool) (victim *conn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine, now := t.clients[c.key], clock.Mono(c.active.Load())
	switch {
	case mine != nil && mine.Len() >= t.perClient:
		victim = oldest(mine, now, func(c *conn) *place { return &c.inClient })
	case t.all.Len() >= t.max:
		victim = oldest(&t.all, now, func(c *conn) *place { return &c.inAll })
	default:
		t.file(c)
		return nil, true
	}
	if victim == nil || !welcome {
		return nil, false
	}
	t.drop(victim)
	t.file(c)
	return victim, true
}

// shed takes the connection out that was idle longest; nil when none is idle.
func (t *connTable) shed(now clock.Mono) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	victim := oldest(&t.all, now, func(c *conn) *place { return &c.inAll })
	if victim != nil {
		t.drop(victim)
	}
	return victim
}

// remove takes c out if it is in.
func (t *connTable) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(c)
}

// file puts c at the ends of its lists; t.mu is held.
func (t *connTable) file(c *conn) {
	mine := t.clients[c.key]
	if mine == nil {
		mine = list.New()
		t.clients[c.key] = mine
	}
	now := clock.Mono(c.active.Load())
	c.inAll = place{t.all.PushBack(c), now}
	c.inClient = place{mine.PushBack(c), now}
}

// drop takes c out of its lists; t.mu is held.
func (t *connTable) drop(c *conn) {
	if c.inAll.elem == nil {
		return
	}
	mine := t.clients[c.key]
	t.all.Remove(c.inAll.elem)
	mine.Remove(c.inClient.elem)
	if mine.Len() == 0 {
		delete(t.clients, c.key)
	}
	c.inAll, c.inClient = place{}, place{}
}

// oldest looks for the dispensable connection that was active least recently.
// It looks at each at most twice.
func oldest(l *list.List, now clock.Mono, at func(*conn) *place) *conn {
	for range 2 * l.Len() {
		e := l.Front()
		c := e.Value.(*conn)
		p, active := at(c), clock.Mono(c.active.Load())
		if active <= p.filed && c.dispensable(now) {
			return c
		}
		p.filed = active
		l.MoveToBack(e)
	}
	return nil
}
