package upstream

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
)

// latePerServer is how many exchanges with one server are listened to for late
// replies. A server that says nothing to a flood of questions would have all
// sockets otherwise.
const latePerServer = 256

// errShed ends an exchange that nobody waits for any longer, for newer ones need
// its socket.
var errShed = errors.New("given up for others")

// lates are the exchanges that whoever waited has turned away from: what comes is
// good all the same, but they are the first to be given up when sockets run
// short, the oldest before the others. Bound: latePerServer a server, and the
// sockets there are.
type lates struct {
	mu     sync.Mutex
	all    list.List // of *late, the oldest first
	server map[netip.AddrPort]*list.List
}

// late is one of them.
type late struct {
	server  netip.AddrPort
	end     context.CancelCauseFunc
	at, own *list.Element // in all, and in the server's; nil when it is in neither
	over    bool          // it ended, or is to end: not to be added any more
}

// add puts one among them, and ends the oldest of its server if they are too many,
// which it tells.
func (l *lates) add(x *late) (shed bool) {
	l.mu.Lock()
	if x.over {
		l.mu.Unlock()
		return false
	}
	own := l.server[x.server]
	if own == nil {
		if l.server == nil {
			l.server = map[netip.AddrPort]*list.List{}
		}
		own = new(list.List)
		l.server[x.server] = own
	}
	x.at, x.own = l.all.PushBack(x), own.PushBack(x)
	var most *late
	if own.Len() > latePerServer {
		most = own.Front().Value.(*late)
		l.drop(most)
	}
	l.mu.Unlock()
	if most != nil {
		most.end(errShed)
	}
	return most != nil
}

// remove is for the end of one, which may have been ended by others.
func (l *lates) remove(x *late) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(x)
}

// shed ends the oldest of all and tells whether there was one. Its socket is free
// a moment later.
func (l *lates) shed() bool {
	l.mu.Lock()
	first := l.all.Front()
	if first == nil {
		l.mu.Unlock()
		return false
	}
	x := first.Value.(*late)
	l.drop(x)
	l.mu.Unlock()
	x.end(errShed)
	return true
}

// drop takes one out. The lock is held.
func (l *lates) drop(x *late) {
	x.over = true
	if x.at == nil {
		return
	}
	l.all.Remove(x.at)
	own := l.server[x.server]
	own.Remove(x.own)
	if own.Len() == 0 {
		delete(l.server, x.server)
	}
	x.at, x.own = nil, nil
}

// late makes an exchange that may be ended by others.
func (u *Upstream) late(ctx context.Context, server netip.AddrPort) (context.Context, *late) {
	ctx, end := context.WithCancelCause(ctx)
	return ctx, &late{server: server, end: end}
}

// turnedAway notes that nobody waits for an exchange any longer.
func (u *Upstream) turnedAway(x *late) {
	if u.lates.add(x) {
		u.counts.shed.Add(1)
	}
}

// heardOut is for the end of one.
func (u *Upstream) heardOut(x *late) {
	u.lates.remove(x)
	x.end(nil)
}
