package xdp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// lookInterval is how often an interface's addresses, MAC and MTU are read. As long may
	// an address that it gained still be served by the kernel alone, and one that it
	// lost still be taken from what reaches its MAC.
	lookInterval = time.Second
	// leastMTU leaves room for the smallest reply that must be possible, 512 octets.
	leastMTU = 576
)

// Interface is a network interface whose questions we take, from Start to Stop.
type Interface struct {
	o     Options
	index int
	prog  *program

	end     context.CancelFunc // of watch
	watched sync.WaitGroup

	mu     sync.Mutex
	queues []*Queue // set by Start

	addresses atomic.Int32
}

// New prepares an Interface; it opens nothing.
func New(o Options) *Interface {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Interface{o: o}
}

// Start takes the interface's questions from now on, and gives its queues, whose
// goroutines are the caller's. On an error nothing is left.
func (i *Interface) Start() (queues []*Queue, err error) {
	ifi, err := find(i.o.Name)
	if err != nil {
		return nil, err
	}
	i.index = ifi.Index
	defer func() {
		if err != nil {
			i.closeAll(queues)
			err = fmt.Errorf("xdp://%s: %w", i.o.Name, explain(err))
		}
	}()
	if i.prog, err = loadProgram(i.o.Port); err != nil {
		return nil, err
	}
	if queues, err = i.open(); err != nil {
		return queues, err
	}
	seen := view{}
	if err = i.look(&seen, ifi, queues); err != nil {
		return queues, err
	}
	if err = i.prog.attach(i.index); err != nil {
		return queues, fmt.Errorf("attaching the program: %w", err)
	}
	var ctx context.Context
	ctx, i.end = context.WithCancel(context.Background())
	i.watched.Go(func() { i.watch(ctx, seen, queues) })
	i.mu.Lock()
	i.queues = queues
	i.mu.Unlock()
	return queues, nil
}

// open opens a socket for each receive queue that there is. How many, only the
// kernel knows: it refuses the first that there is not.
func (i *Interface) open() (queues []*Queue, err error) {
	for n := range maxQueues {
		s, err := openSocket(i.index, n)
		if n > 0 && errors.Is(err, unix.EINVAL) {
			break
		}
		if err != nil {
			return queues, err
		}
		q, err := newQueue(s, i.o.Clock)
		if err != nil {
			return queues, err
		}
		queues = append(queues, q)
		if err := i.prog.sockets.Put(uint32(n), uint32(s.fd)); err != nil {
			return queues, fmt.Errorf("naming a socket to the program: %w", err)
		}
	}
	return queues, nil
}

// Stop takes the program off the interface: from now on the kernel gets everything.
// The queues give what they have received before, and then end.
func (i *Interface) Stop() {
	i.mu.Lock()
	queues := i.queues
	i.mu.Unlock()
	if queues == nil {
		return
	}
	i.end()
	i.watched.Wait()
	i.prog.detach()
	for _, q := range queues {
		q.stop()
	}
}

// Close frees everything. The queues' goroutines must have ended, and no Send be
// under way.
func (i *Interface) Close() {
	i.Stop()
	i.mu.Lock()
	queues := i.queues
	i.queues = nil
	i.mu.Unlock()
	i.closeAll(queues)
}

func (i *Interface) closeAll(queues []*Queue) {
	for _, q := range queues {
		q.close()
	}
	if i.prog != nil {
		i.prog.close()
		i.prog = nil
	}
}

// view is what was last seen of an interface.
type view struct {
	served map[netip.Addr]place
	mtu    int
}

// watch keeps up with the interface until ctx ends, or it is gone.
func (i *Interface) watch(ctx context.Context, seen view, queues []*Queue) {
	timer := time.NewTimer(lookInterval)
	defer timer.Stop()
	ill := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(lookInterval)
		}
		ifi, err := i.present()
		if err == nil && ifi == nil {
			i.o.Log.Error("a network interface is gone: questions are taken from the kernel's sockets alone", "interface", i.o.Name,
				"advice", "restart lastgood when it is back")
			for _, q := range queues { // which would wait for ever
				q.stop()
			}
			i.addresses.Store(0)
			return
		}
		if err == nil {
			err = i.look(&seen, ifi, queues)
		}
		if err != nil && !ill {
			i.o.Log.Error("the addresses of a network interface cannot be followed", "interface", i.o.Name, "err", err)
		}
		ill = err != nil
	}
}

// present gives the interface as it is now, nil when it is gone.
func (i *Interface) present() (*net.Interface, error) {
	all, err := net.Interfaces()
	for k := range all {
		if all[k].Index == i.index {
			return &all[k], err
		}
	}
	return nil, err
}

// look reads what changes of an interface, and acts upon it.
func (i *Interface) look(seen *view, ifi *net.Interface, queues []*Queue) error {
	if ifi.MTU != seen.mtu {
		if ifi.MTU < leastMTU {
			return fmt.Errorf("its MTU is %d, and must be %d at least", ifi.MTU, leastMTU)
		}
		seen.mtu = ifi.MTU
		for _, q := range queues {
			q.room.Store(int64(min(ifi.MTU, frameLen-ethernetLen) - ipv6Len - udpLen))
		}
	}
	now, err := addressesOf(ifi)
	if err != nil {
		return err
	}
	if err := i.prog.serve(seen.served, now); err != nil {
		return err
	}
	seen.served = now
	i.addresses.Store(int32(len(now)))
	return nil
}

// Stats sums what the queues counted.
func (i *Interface) Stats() Stats {
	s := Stats{Name: i.o.Name, Addresses: int(i.addresses.Load())}
	i.mu.Lock() // Close waits
	defer i.mu.Unlock()
	s.Queues = len(i.queues)
	s.Native, s.ZeroCopy = s.Queues > 0 && i.prog.native, s.Queues > 0
	for _, q := range i.queues {
		q.addTo(&s)
	}
	return s
}

func (q *Queue) addTo(s *Stats) {
	c := &q.counts
	s.ZeroCopy = s.ZeroCopy && q.s.zeroCopy
	s.Received += c.received.Load()
	s.Sent += c.sent.Load()
	s.Dropped[DropMalformed] += c.malformed.Load()
	s.Dropped[DropChecksum] += c.checksum.Load()
	s.Dropped[DropSource] += c.source.Load()
	s.Dropped[DropSend] += c.full.Load()
	s.Dropped[DropSendError] += c.failed.Load()
	s.Dropped[DropDescriptor] += c.invalid.Load()
	var kernel unix.XDPStatistics
	if q.s.option(unix.XDP_STATISTICS, unsafe.Pointer(&kernel), unsafe.Sizeof(kernel)) == nil {
		s.Dropped[DropReceive] += kernel.Rx_dropped + kernel.Rx_ring_full
		s.Dropped[DropDescriptor] += kernel.Rx_invalid_descs + kernel.Tx_invalid_descs
	}
}
