package listener

import (
	"container/list"
	"net/netip"
	"sync"

	"lastgood/internal/clock"
)

// connTable bounds the open connections, in all and of one client. When there
// is no room, the connection that was active least recently among those that are
// dispensable makes it, first of clients that hold more than their share: a flood
// of connections from few addresses costs the others none. Lists are in order of filing, oldest first: a connection is filed
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
		victim, _ = oldest(mine, now, 0, func(c *conn) *place { return &c.inClient })
	case t.all.Len() >= t.max:
		held := 0
		if mine != nil {
			held = mine.Len()
		}
		victim = t.leastMissed(now, held)
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

// leastMissed is the connection to be closed for want of room, for a client that
// holds some already; t.mu is held. A client's share is half the mean: many alike
// who besiege are all above it. Who is below it goes before the busy connections
// of those above, and nobody displaces one who holds no more than his share and
// no more than they do.
func (t *connTable) leastMissed(now clock.Mono, held int) *conn {
	share := t.all.Len() / max(2*len(t.clients), 1)
	idle, busy := oldest(&t.all, now, share, func(c *conn) *place { return &c.inAll })
	switch {
	case idle != nil && idle.siblings.Len() > share:
		return idle
	case busy != nil && held < share:
		return busy
	case idle != nil && idle.siblings.Len() <= held:
		return nil
	}
	return idle
}

// shed takes the connection out that was idle longest; nil when none is idle.
func (t *connTable) shed(now clock.Mono) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	victim := t.leastMissed(now, 0)
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
	c.siblings = mine
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

// oldest looks for the dispensable connection that was active least recently, of
// a client with more than share connections if there is such a one; busy is one
// of such a client that is not dispensable. It looks at each at most twice.
func oldest(l *list.List, now clock.Mono, share int, at func(*conn) *place) (idle, busy *conn) {
	e := l.Front()
	for range 2 * l.Len() {
		if e == nil {
			break // all that is left was filed anew and is no older
		}
		c, next := e.Value.(*conn), e.Next()
		p, active, above := at(c), clock.Mono(c.active.Load()), c.siblings.Len() > share
		switch {
		case active > p.filed || !c.dispensable(now):
			if above && busy == nil && !c.dispensable(now) {
				busy = c
			}
			p.filed = active
			l.MoveToBack(e)
			if next == nil {
				next = l.Back()
			}
		case above:
			return c, busy
		case idle == nil:
			idle = c
		}
		e = next
	}
	return idle, busy
}
