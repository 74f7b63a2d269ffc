package xdp

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is one of the four rings that a socket shares with the kernel: slots, as
// many as a power of two, and two counters that only ever grow (modulo 2^32). One
// side is the producer: it fills slots, then moves its counter; the other reads
// them, then moves its own. Each counter is written by one side only.
//
// Memory: slots and counters lie in a mapping that lasts until [ring.unmap], after
// which the ring is not used again ([Queue].Close sees to that); it is no memory of
// Go's, so the garbage collector neither moves nor frees it. Counters are loaded
// and stored atomically, which orders the slots' contents before them for us (Go's atomics are
// sequentially consistent) as the kernel's barriers do for it. An index is masked
// before it is used, so that nothing that the kernel writes leads outside.
type ring[T any] struct {
	memory   []byte
	producer *atomic.Uint32
	consumer *atomic.Uint32
	flags    *atomic.Uint32
	slots    []T
	mask     uint32

	// What is ours: the counter of the side that we are, and what we last saw of the other's.
	own, seen uint32
}

// mapRing maps a ring of n slots of a socket. place tells at which offset of its
// file it is, offsets where the kernel has its parts in there.
func mapRing[T any](fd int, place int64, offsets unix.XDPRingOffset, n uint32) (r ring[T], err error) {
	var slot T
	length := offsets.Desc + uint64(n)*uint64(unsafe.Sizeof(slot))
	for _, at := range []uint64{offsets.Producer, offsets.Consumer, offsets.Flags} {
		if at%4 != 0 || at+4 > length {
			return r, fmt.Errorf("the kernel's layout of a ring is not understood: %+v", offsets)
		}
	}
	r.memory, err = unix.Mmap(fd, place, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return r, fmt.Errorf("mapping a ring: %w", err)
	}
	base := unsafe.Pointer(unsafe.SliceData(r.memory))
	r.producer = (*atomic.Uint32)(unsafe.Add(base, offsets.Producer))
	r.consumer = (*atomic.Uint32)(unsafe.Add(base, offsets.Consumer))
	r.flags = (*atomic.Uint32)(unsafe.Add(base, offsets.Flags))
	r.slots = unsafe.Slice((*T)(unsafe.Add(base, offsets.Desc)), n)
	r.mask = n - 1
	return r, nil
}

func (r *ring[T]) unmap() {
	if r.memory != nil {
		unix.Munmap(r.memory)
		*r = ring[T]{}
	}
}

// wakeup tells whether the kernel has to be told that there is something new.
func (r *ring[T]) wakeup() bool { return r.flags.Load()&unix.XDP_RING_NEED_WAKEUP != 0 }

// As consumer.

// filled is how many slots there are to read; never more than the ring has, whatever
// the other side wrote.
func (r *ring[T]) filled() uint32 {
	if r.seen == r.own {
		r.seen = r.producer.Load()
	}
	return min(r.seen-r.own, uint32(len(r.slots)))
}

// read gives the i-th slot to read, i < filled.
func (r *ring[T]) read(i uint32) T { return r.slots[(r.own+i)&r.mask] }

// done gives n slots back that were read.
func (r *ring[T]) done(n uint32) {
	r.own += n
	r.consumer.Store(r.own)
}

// As producer. Nobody asks whether there is room: each ring has as many slots as
// there are frames that could be in it.

// put fills the next slot. The other side sees it after publish.
func (r *ring[T]) put(v T) {
	r.slots[r.own&r.mask] = v
	r.own++
}

func (r *ring[T]) publish() { r.producer.Store(r.own) }

// unread tells whether the other side has not read everything that was published.
// Anybody may ask.
func (r *ring[T]) unread() bool { return r.consumer.Load() != r.producer.Load() }
