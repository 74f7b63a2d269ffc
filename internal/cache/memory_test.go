package cache

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"lastgood/internal/ede"
	"lastgood/internal/wire"
)

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Three times of everything that fits leave the heap within the budget.
func TestSizeBoundsMemory(t *testing.T) {
	const size = 8 << 20
	before := heap()
	c := New(Options{Size: size})
	for i := range 3 * size / 160 {
		n := numbered("www.name", i)
		c.Put(at(time.Duration(i)), address(n, 3600))
		if i%3 == 0 {
			c.Put(at(time.Duration(i)), denial(NXDomain, numbered("x", i), wire.TypeNone, 3600))
		}
		if i%8 == 0 {
			c.PutDelegation(at(0), referral(n))
			c.Fail(at(0), Question{Name: n, Type: wire.TypeA}, &ede.Error{
				Code: ede.NoReachableAuthority, ID: "MEMB", Text: fmt.Sprintf("no answer from 192.0.2.1, 192.0.2.2 and 2001:db8::%x for %s", i, n),
			}, false)
		}
	}
	held := heap() - before
	st := c.Stats()
	if st.EvictRecency == 0 || st.EvictCuts == 0 || st.EvictFailures == 0 {
		t.Fatalf("not full: %+v", st)
	}
	if limit := int64(size*115/100 + 64<<10); held > limit {
		t.Errorf("%d bytes held, %d allowed: %+v", held, limit, st)
	}
	if st.Bytes > size || st.Bytes < size*3/4 || st.Held > size*7/8 {
		t.Errorf("of %d bytes %d are said to be in use, %d held for entries", size, st.Bytes, st.Held)
	}
	t.Logf("size %d, heap %d, in use %d; %d entries, %d delegations, %d failures",
		size, held, st.Bytes, st.Entries, st.Delegations, st.Failures)
	runtime.KeepAlive(c)
}

// The target is 250 bytes for an address, index and all.
func TestBytesOfAnAddress(t *testing.T) {
	before := heap()
	const n = 20_000
	c := New(Options{Size: 32 << 20})
	for i := range n {
		c.Put(at(0), address(numbered("www.some-name", i), 3600))
	}
	per := (heap() - before) / n
	if st := c.Stats(); st.Entries != n {
		t.Fatalf("%d entries", st.Entries)
	}
	t.Logf("%d bytes", per)
	if per > 250 {
		t.Errorf("%d bytes for an address", per)
	}
	runtime.KeepAlive(c)
}
