package cache

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// arena is what shards take their memory from: chunks for cells, one after the
// other as they are needed, and longer runs for indexes. What comes from
// Options.Memory is outside the collector's heap: it neither goes through that nor
// lets garbage grow in proportion to it.
//
// Nothing is ever given back, so that whoever still holds a reference from before a
// change reads something that is there: memory of an index that was outgrown becomes
// chunks. A reader that meets its new contents finds the sequence of its shard
// changed; each word is loaded atomically, and each reference is held against the
// bounds before it is followed.
type arena struct {
	memory func(octets int) []byte // Options.Memory

	mu   sync.Mutex
	free []*chunk // of indexes that were outgrown
}

const (
	chunkWords = chunkCells * cellWords
	lineSize   = cellWords * 8
)

// chunk gives one whose cells belong to no record.
func (a *arena) chunk() *chunk {
	if c := a.used(); c != nil {
		for i := range c {
			atomic.StoreUint64(&c[i][wordLink], 0)
		}
		return c
	}
	if words := a.take(chunkWords); words != nil {
		return chunkOf(words)
	}
	return new(chunk)
}

// used takes a chunk that was part of an index; nil: there is none.
func (a *arena) used() *chunk {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.free)
	if n == 0 {
		return nil
	}
	c := a.free[n-1]
	a.free = a.free[:n-1]
	return c
}

// take gets words that are all zero from outside the heap; nil: there are none. What
// words are made of is octets without pointers that nobody else has, and that begin
// where a cell may.
func (a *arena) take(words int) []uint64 {
	if a.memory == nil {
		return nil
	}
	got := a.memory(words * 8)
	if len(got) < words*8 || uintptr(unsafe.Pointer(&got[0]))%lineSize != 0 {
		return nil
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&got[0])), words)
}

// slots gives an index's slots, all empty, and tells whether they were lent by
// Options.Memory. Those of small ones are the heap's.
func (a *arena) slots(n int) (x index, lent bool) {
	if n >= chunkWords {
		if words := a.take((n + cellWords - 1) &^ (cellWords - 1)); words != nil {
			return index{words[:n]}, true
		}
	}
	return index{make([]uint64, n)}, false
}

// giveBack makes chunks of the slots of an index that was outgrown, as far as they go.
func (a *arena) giveBack(x index) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := x.slots; len(s) >= chunkWords; s = s[chunkWords:] {
		a.free = append(a.free, chunkOf(s))
	}
}

// ghosts gives room for so many, a multiple of 16.
func (a *arena) ghosts(n int) []uint32 {
	if words := a.take(n / 2); words != nil {
		return unsafe.Slice((*uint32)(unsafe.Pointer(&words[0])), n)
	}
	return make([]uint32, n)
}

// chunkOf is the chunk that words are. A chunk is words and nothing else, so that
// whatever they hold is a chunk; the slice has as many, which is checked.
func chunkOf(words []uint64) *chunk {
	return (*chunk)(unsafe.Pointer((*[chunkWords]uint64)(words)))
}
