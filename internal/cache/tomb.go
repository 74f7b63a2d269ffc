package cache

import (
	"maps"
	"sync"
	"sync/atomic"

	"lastgood/internal/dnsname"
)

// maxTombs bounds the tombstones that wait for a sweep; at the bound a sweep
// of the whole cache is made at once.
const maxTombs = 1024

// tombs are the subtrees that were removed, each with the generation it began.
// What was stored in an earlier generation at or below one of them is gone.
type tombs struct {
	gen  atomic.Uint32
	list atomic.Pointer[map[dnsname.Name]uint32] // nil when there are none; never changed in place
	mu   sync.Mutex                              // of those who write
}

// add makes a tombstone and tells how many there are.
func (t *tombs) add(zone dnsname.Name) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[dnsname.Name]uint32{}
	if old := t.list.Load(); old != nil {
		next = maps.Clone(*old)
	}
	// Published before the generation moves: whoever still reads the old one
	// stores an entry that the tombstone already covers.
	next[cloneName(zone)] = t.gen.Load() + 1
	t.list.Store(&next)
	t.gen.Add(1)
	return len(next)
}

// covers tells whether what was stored under name in generation gen is buried.
func (t *tombs) covers(name dnsname.Name, gen uint32) bool {
	return covered(t.list.Load(), name, gen)
}

// covered is covers as of the tombstones there were at a moment.
func covered(list *map[dnsname.Name]uint32, name dnsname.Name, gen uint32) bool {
	if list == nil {
		return false
	}
	for {
		if at, ok := (*list)[name]; ok && gen < at {
			return true
		}
		if len(name) <= 1 {
			return false
		}
		name = name.Parent()
	}
}

// retire drops the tombstones up to a generation: all they cover was swept.
func (t *tombs) retire(gen uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.list.Load()
	if old == nil {
		return
	}
	next := maps.Clone(*old)
	maps.DeleteFunc(next, func(_ dnsname.Name, at uint32) bool { return at <= gen })
	if len(next) == 0 {
		t.list.Store(nil)
		return
	}
	t.list.Store(&next)
}

func (t *tombs) count() int {
	if list := t.list.Load(); list != nil {
		return len(*list)
	}
	return 0
}
