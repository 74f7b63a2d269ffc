package cache

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"unsafe"

	"lastgood/internal/wire"
)

// lender gives memory as the program does, up to a limit, and counts.
type lender struct {
	mu          sync.Mutex
	left, given int
}

func (l *lender) lend(octets int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if octets > l.left {
		return nil
	}
	l.left -= octets
	l.given += octets
	b := make([]byte, octets+lineSize)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (lineSize - 1)
	return b[skip : skip+octets : skip+octets]
}

// A cache that is lent all its memory, some of it or none holds the same, and takes
// no more than its budget: what an index outgrew becomes cells.
func TestMemoryIsLent(t *testing.T) {
	const size = 4 << 20
	for _, limit := range []int{0, 512 << 10, 1 << 30} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			l := lender{left: limit}
			c := New(Options{Size: size, Memory: l.lend})
			n := fill(t, c, at(0), "lent", 3600, 2*size/128)
			checkAll(t, c)
			st := c.Stats()
			if st.EvictRecency == 0 {
				t.Fatalf("not full: %+v", st)
			}
			if got := found(c, at(1), "lent", n); int64(got) != st.Entries {
				t.Errorf("%d of %d entries found", got, st.Entries)
			}
			for c.Bury(at(1), name("example.")); c.Sweep(at(1)); {
			}
			checkAll(t, c)
			if left := c.Stats().Entries; left != 0 {
				t.Errorf("%d entries are left of none", left)
			}
			if l.given > size {
				t.Errorf("%d bytes lent for a cache of %d", l.given, size)
			}
			if limit > size && l.given < size*3/4 {
				t.Errorf("only %d bytes lent", l.given)
			}
		})
	}
}

// Memory that is not where cells may lie is not used.
func TestMemoryIsAligned(t *testing.T) {
	c := New(Options{Size: minSize, Memory: func(octets int) []byte {
		l := lender{left: 1 << 30}
		return l.lend(octets + 8)[8:]
	}})
	c.Put(at(0), address(name("a.example."), 60))
	if _, ok := look(c, at(1), name("a.example."), wire.TypeA); !ok {
		t.Error("not found")
	}
	if got := c.store.arena.take(chunkWords); got != nil {
		t.Error("memory is used that begins in the middle of a line")
	}
}

// Readers go on while the index is copied; none ever misses what is there.
func TestReadersWhileTheIndexGrows(t *testing.T) {
	l := lender{left: 1 << 30}
	c := New(Options{Size: 4 << 20, Memory: l.lend})
	const always = 100
	fill(t, c, at(0), "always", 3600, always)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if n := found(c, at(1), "always", always); n != always {
					t.Errorf("%d of %d found", n, always)
					return
				}
			}
		})
	}
	fill(t, c, at(time.Second), "more", 3600, 20_000)
	close(stop)
	wg.Wait()
	checkAll(t, c)
	if len(c.store.arena.free) == 0 && l.given == 0 {
		t.Error("no index was outgrown")
	}
}

// The cells of a chunk that was part of an index belong to no record.
func TestOutgrownIndexBecomesCells(t *testing.T) {
	l := lender{left: 1 << 20}
	a := arena{memory: l.lend}
	x, lent := a.slots(2*chunkWords + 100)
	if !lent {
		t.Fatal("not lent")
	}
	for i := range x.slots {
		x.slots[i] = 1<<64 - 1
	}
	a.giveBack(x)
	given := l.given
	for range 2 {
		for i, cell := range a.chunk() {
			if cell[wordLink] != 0 {
				t.Fatalf("cell %d has the link %x", i, cell[wordLink])
			}
		}
	}
	if l.given != given {
		t.Error("the slots were not used")
	}
	if a.chunk(); l.given != given+chunkBytes {
		t.Error("more chunks than there were slots for")
	}
}

// Memory is asked for, and an index copied, while readers go on: never within a change,
// for the end of which they would wait.
func TestNobodyWaitsForMemory(t *testing.T) {
	l := lender{left: 1 << 30}
	var c *Cache
	asked := 0
	c = New(Options{Size: 4 << 20, Memory: func(octets int) []byte {
		asked++
		for i := range c.store.shards {
			if c.store.shards[i].seq.Load()&1 != 0 {
				t.Errorf("%d octets are asked for within a change", octets)
			}
		}
		return l.lend(octets)
	}})
	fill(t, c, at(0), "wait", 3600, 60_000)
	if st := c.Stats(); st.EvictRecency == 0 || asked < 100 {
		t.Errorf("too quiet to prove anything: asked %d times, %+v", asked, st)
	}
}
