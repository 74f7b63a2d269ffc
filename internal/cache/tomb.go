package cache

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// maxTombs bounds the tombstones that wait for a sweep; at the bound a sweep
// of the whole cache is made at once.
const maxTombs = 1024

// tombs are the subtrees that were removed, each with the generation it began.
// What was stored in an earlier generation at or below one of them is gone.
type tombs struct {
	gen  atomic.Uint32
	list atomic.Pointer[map[dnsname.Name]tomb] // nil when there are none; never changed in place
	mu   sync.Mutex                            // of those who write
}

// tombRest is how long a tombstone stays after everything beneath was swept, for
// what is brought by resolutions that began before it: longer than one takes.
const tombRest = 30 * time.Second

type tomb struct {
	gen  uint32     // that begins with it
	rest clock.Mono // when it goes, 0: everything beneath is still to be swept
}

// add makes a tombstone and tells how many there are.
func (t *tombs) add(zone dnsname.Name) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[dnsname.Name]tomb{}
	if old := t.list.Load(); old != nil {
		next = maps.Clone(*old)
	}
	// Published before the generation moves: whoever still reads the old one
	// stores an entry that the tombstone already covers.
	next[cloneName(zone)] = tomb{gen: t.gen.Load() + 1}
	t.list.Store(&next)
	t.gen.Add(1)
	return len(next)
}

// Generation is the present one, for [Cache.PutSince].
func (c *Cache) Generation() uint32 { return c.tombs.gen.Load() }

// covers tells whether what was stored under name in generation gen is buried.
func (t *tombs) covers(name dnsname.Name, gen uint32) bool {
	return covered(t.list.Load(), name, gen)
}

// covered is covers as of the tombstones there were at a moment.
func covered(list *map[dnsname.Name]tomb, name dnsname.Name, gen uint32) bool {
	if list == nil {
		return false
	}
	for {
		if at, ok := (*list)[name]; ok && gen < at.gen {
			return true
		}
		if len(name) <= 1 {
			return false
		}
		name = name.Parent()
	}
}

// settle notes that everything was swept that tombstones up to a generation cover,
// drops those that have rested since, or at once where there are too many, and
// tells how many are still to be swept for.
func (t *tombs) settle(now clock.Mono, gen uint32) (left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.list.Load()
	if old == nil {
		return 0
	}
	next := make(map[dnsname.Name]tomb, len(*old))
	for zone, b := range *old {
		switch {
		case b.rest == 0 && b.gen > gen:
			left++
		case len(*old) >= maxTombs, b.rest != 0 && b.rest <= now:
			continue
		case b.rest == 0:
			b.rest = now.Add(tombRest)
		}
		next[zone] = b
	}
	if len(next) == 0 {
		t.list.Store(nil)
		return 0
	}
	t.list.Store(&next)
	return left
}

func (t *tombs) count() int {
	if list := t.list.Load(); list != nil {
		return len(*list)
	}
	return 0
}
