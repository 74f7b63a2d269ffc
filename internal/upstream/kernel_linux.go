package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
)

// kernel opens the sockets of an Upstream that was given no Network and keeps
// those over UDP for further questions, each in a place of its own. A question
// draws one of the places: it takes the socket that is there, or opens another,
// which has that place after it. How much that leaves to guess: see places.
//
// All but closing is safe for concurrent use without a lock.
type kernel struct {
	System
	clock   *clock.Clock
	acquire func() bool // room for one more socket, of the Upstream's bound
	release func()      // one that was acquired is closed
	poller  poller

	places [2][places]atomic.Pointer[datagram] // IPv4, IPv6
	kept   atomic.Int64                        // sockets in them, at most room
	room   int64
	next   atomic.Uint32 // where shed looks first
	closed atomic.Bool

	mu    sync.Mutex
	sweep *time.Timer // nil before the first socket is kept
}

const (
	lifetime     = time.Minute      // of a socket, at most; half of it at least
	maxUses      = 500              // questions of a socket
	connectedFor = 5 * time.Second  // then it is connected anew: routes and addresses change
	sweepEvery   = 10 * time.Second // sockets past their life are closed, asked for or not
	near         = 8                // places that are neighbours
	filesShare   = 4                // one of so many descriptors that the process may have is kept at most
)

func newKernel(random func([]byte), c *clock.Clock, acquire func() bool, release func()) *kernel {
	k := &kernel{System: System{Random: random}, clock: c, acquire: acquire, release: release, room: 2 * places}
	k.poller.clock = c
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		k.room = int64(min(files.Cur/filesShare, 2*places))
	}
	return k
}

// draw gives each place the same chance, whoever asks whom for what, and a life
// for a socket that is opened: those opened at once are not to end at once.
func (k *kernel) draw(b *[4]byte) (place uint16, life time.Duration) {
	k.Random(b[:])
	spread := time.Duration(binary.BigEndian.Uint16(b[2:]))
	return binary.BigEndian.Uint16(b[:]) % places, lifetime/2 + lifetime/2*spread>>16
}

// row are the places of a family.
func (k *kernel) row(family uint16) *[places]atomic.Pointer[datagram] {
	if family == unix.AF_INET {
		return &k.places[0]
	}
	return &k.places[1]
}

// dialDatagrams gives a socket connected to a server; see datagramDialer.
func (k *kernel) dialDatagrams(now clock.Mono, to netip.AddrPort) (datagrams, error) {
	w := k.poller.waiter()
	peer := sockaddrOf(to)
	place, life := k.draw(&w.random)
	d := k.row(peer.raw.Family)[place].Swap(nil)
	if d == nil && !k.acquire() {
		k.poller.waiters.Put(w)
		return nil, errSockets
	}
	var err error
	if d != nil {
		k.kept.Add(-1)
		d, err = d.again(now, &peer)
	}
	if d == nil && err == nil {
		if d, err = k.dial(to); err == nil {
			d.place, d.opened, d.connected, d.life = place, now, now, life
		}
	}
	if err != nil {
		k.poller.waiters.Put(w)
		k.release()
		return nil, err // not d: a nil pointer is no nil interface
	}
	d.uses++
	d.waiter.Store(w)
	return d, nil
}

// again makes a kept socket ready for a question. One that is past its life, or
// heard something in its place, is closed instead, and d is nil.
func (d *datagram) again(now clock.Mono, peer *sockaddr) (_ *datagram, err error) {
	retired := now.Sub(d.opened) >= d.life || d.stray.Load()
	if !retired && (!d.peer.same(peer) || now.Sub(d.connected) >= connectedFor) {
		err, d.connected = d.connect(peer), now
	}
	if retired || err != nil {
		_ = d.Close()
		return nil, err
	}
	d.hot = false
	return d, nil
}

// dial opens a socket. When there are no descriptors, one that is kept is given
// up for it.
func (k *kernel) dial(to netip.AddrPort) (*datagram, error) {
	d, err := k.poller.dialDatagram(to, k.port)
	if scarce(err) && k.shed() {
		return k.poller.dialDatagram(to, k.port)
	}
	return d, err
}

// DialTCP opens a connection, if need be for a socket that is kept.
func (k *kernel) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := k.System.DialTCP(ctx, to)
	if scarce(err) && k.shed() {
		return k.System.DialTCP(ctx, to)
	}
	return c, err
}

// scarce tells of an error for the want of descriptors.
func scarce(err error) bool {
	return err != nil && (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE))
}

// keep puts a socket into its place; see datagramDialer.
func (k *kernel) keep(c datagrams) bool {
	d, ok := c.(*datagram)
	if !ok || !d.bound || d.uses >= maxUses {
		return false
	}
	d.deafen()
	n := k.kept.Add(1)
	if n > k.room || !k.put(d) {
		k.kept.Add(-1)
		return false
	}
	if n == 1 {
		k.sweepLater()
	}
	if k.closed.Load() {
		k.clear(func(*datagram) bool { return true })
	}
	return true
}

// put puts a socket into its place or, when another is there, one near by. That
// is as good, for each is drawn alike; so the places fill up, though there is
// always one empty for each question in flight, and few sockets are opened.
func (k *kernel) put(d *datagram) bool {
	row := k.row(d.peer.raw.Family)
	for n := range uint16(near) {
		place := d.place&^(near-1) | (d.place+n)&(near-1)
		if row[place].CompareAndSwap(nil, d) {
			return true
		}
	}
	return false
}

// shed closes a socket that is kept; see datagramDialer.
func (k *kernel) shed() bool {
	for range 2 * places {
		if k.kept.Load() == 0 {
			return false
		}
		n := k.next.Add(1) % (2 * places)
		if d := k.places[n/places][n%places].Swap(nil); d != nil {
			k.drop(d)
			return true
		}
	}
	return false
}

// drop closes a socket that was taken out of its place.
func (k *kernel) drop(d *datagram) {
	k.kept.Add(-1)
	_ = d.Close()
	k.release()
}

// clear closes the sockets that are kept and of which this is true.
func (k *kernel) clear(over func(*datagram) bool) {
	for f := range k.places {
		for n := range k.places[f] {
			place := &k.places[f][n]
			if place.Load() == nil {
				continue
			}
			d := place.Swap(nil) // nobody else may look at it else
			if d != nil && (over(d) || !place.CompareAndSwap(nil, d)) {
				k.drop(d)
			}
		}
	}
}

// sweepLater sees to it that what is kept is looked at again.
func (k *kernel) sweepLater() {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed.Load():
	case k.sweep == nil:
		k.sweep = time.AfterFunc(sweepEvery, k.sweepNow)
	default:
		k.sweep.Reset(sweepEvery)
	}
}

// sweepNow closes what is past its life.
func (k *kernel) sweepNow() {
	now := k.clock.Now()
	k.clear(func(d *datagram) bool { return now.Sub(d.opened) >= d.life })
	if k.kept.Load() > 0 {
		k.sweepLater()
	}
}

// close ends the poller and closes what is kept.
func (k *kernel) close() {
	k.closed.Store(true)
	k.mu.Lock()
	if k.sweep != nil {
		k.sweep.Stop()
	}
	k.mu.Unlock()
	k.clear(func(*datagram) bool { return true })
	k.poller.close()
}

func (k *kernel) keeps() int { return int(k.kept.Load()) }
