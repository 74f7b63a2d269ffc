package cache

import "sync/atomic"

// index finds the first cells of the records whose name has a hash tag: open
// addressing with linear probing, so that all types of a name lie in one walk.
//
// A slot is the tag (32 bits), a code for kind and type (8) and the ref (24);
// 0 is empty. Removal shifts what follows back, there are no deleted marks.
type index struct {
	slots []uint64 // atomic access
}

// The load that the index is grown or entries are evicted at, and the slots
// that a shard's index may have for a cell of its slab.
const (
	loadNum, loadDen = 4, 5
	slotNum, slotDen = 5, 8
	firstSlots       = 64
)

// full is how many entries the index takes.
func (x *index) full() int { return len(x.slots) * loadNum / loadDen }

// home is where the walk for a tag begins.
func (x *index) home(tag uint32) int { return int(uint64(tag) * uint64(len(x.slots)) >> 32) }

func (x *index) at(i int) uint64 { return atomic.LoadUint64(&x.slots[i]) }

func (x *index) next(i int) int {
	if i++; i == len(x.slots) {
		return 0
	}
	return i
}

func makeSlot(tag uint32, code byte, r ref) uint64 {
	return uint64(tag)<<32 | uint64(code)<<refBits | uint64(r)
}

func slotTag(v uint64) uint32 { return uint32(v >> 32) }
func slotCode(v uint64) byte  { return byte(v >> refBits) }
func slotRef(v uint64) ref    { return ref(v & (1<<refBits - 1)) }

// insert adds a slot; the index must not be full.
func (x *index) insert(v uint64) {
	i := x.home(slotTag(v))
	for x.at(i) != 0 {
		i = x.next(i)
	}
	atomic.StoreUint64(&x.slots[i], v)
}

// remove takes out the slot of a record.
func (x *index) remove(tag uint32, r ref) {
	i := x.home(tag)
	for v := x.at(i); slotTag(v) != tag || slotRef(v) != r; v = x.at(i) {
		if v == 0 {
			return
		}
		i = x.next(i)
	}
	for j := x.next(i); ; j = x.next(j) {
		v := x.at(j)
		if v == 0 {
			break
		}
		if x.between(x.home(slotTag(v)), i, j) {
			atomic.StoreUint64(&x.slots[i], v)
			i = j
		}
	}
	atomic.StoreUint64(&x.slots[i], 0)
}

// between tells whether a slot at j whose walk begins at home may move back to
// i: unless home lies behind i, on the way round to j.
func (x *index) between(home, i, j int) bool {
	if i <= j {
		return home <= i || home > j
	}
	return home <= i && home > j
}

// copyTo puts all slots into another index, which is empty and larger and which
// nobody else has yet. Places in both have the same order: it goes through each once.
func (x *index) copyTo(n *index) {
	for i := range x.slots {
		if v := x.at(i); v != 0 {
			j := n.home(slotTag(v))
			for n.slots[j] != 0 {
				j = n.next(j)
			}
			n.slots[j] = v
		}
	}
}
