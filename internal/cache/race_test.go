package cache

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// sealed is an entry whose data tells whether it is whole: every record and
// signature ends in the checksum of its name, a serial number and its content.
func sealed(r *rand.Rand, n dnsname.Name, serial uint32) *Entry {
	seal := func() []byte {
		b := binary.BigEndian.AppendUint32(nil, serial)
		b = append(b, randomBytes(r, 1<<r.IntN(12))...)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(append([]byte(n), b...)))
	}
	e := &Entry{Kind: Data, Name: n, Type: wire.TypeTXT, Rank: RankAnswer, TTL: 300, Cut: n.Parent()}
	e.Set = rrset.Set{Name: n, Type: e.Type, Data: rrset.Packed(nil).Append(seal()), Sigs: rrset.Packed(nil).Append(seal())}
	e.Proof = []rrset.Set{{Name: n.Parent(), Type: wire.TypeNSEC, Data: rrset.Packed(nil).Append(seal())}}
	return e
}

// whole checks the seals of a hit, and that they are of one serial.
func whole(h *Hit, n dnsname.Name) bool {
	p := h.ProofAt(0)
	var serial []byte
	for _, part := range []rrset.Packed{h.Data(), h.Sigs(), p.Data} {
		rd := part.First()
		if len(rd) < 8 {
			return false
		}
		body, sum := rd[:len(rd)-4], binary.BigEndian.Uint32(rd[len(rd)-4:])
		if crc32.ChecksumIEEE(append([]byte(n), body...)) != sum || serial != nil && string(serial) != string(body[:4]) {
			return false
		}
		serial = body[:4]
	}
	return h.Name() == n && h.Cut() == n.Parent() && p.Name == n.Parent()
}

// Readers and writers of few shards, always full: no reader ever sees an entry
// that is not whole, nor misses one that is only being replaced.
func TestReadersSeeWholeEntries(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onPolicy})
	names := make([]dnsname.Name, 400)
	for i := range names {
		names[i] = numbered("n", i)
	}
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	var hits, torn, lost atomic.Int64
	const work = 700
	c.Put(at(0), sealed(rand.New(rand.NewPCG(0, 0)), names[0], 0))
	for w := range uint64(3) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(w, 3))
			for i := range work {
				now := at(time.Duration(i) * 100 * time.Millisecond)
				c.Put(now, sealed(r, names[0], r.Uint32()))
				c.Put(now, sealed(r, names[1+r.IntN(len(names)-1)], r.Uint32()))
				if i%64 == 0 {
					c.Bury(now, names[1+r.IntN(len(names)-1)])
					c.Sweep(now)
				}
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			var r Reader
			for i := 0; !stop.Load(); i++ {
				n := names[i%7*i%len(names)]
				h, ok := c.Lookup(&r, at(0), n, wire.TypeTXT)
				switch {
				case !ok && n == names[0]:
					lost.Add(1)
				case ok && !whole(&h, n):
					torn.Add(1)
				case ok:
					hits.Add(1)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	checkAll(t, c)
	if torn.Load() > 0 || lost.Load() > 0 || hits.Load() == 0 {
		t.Errorf("%d torn, %d lost, %d whole", torn.Load(), lost.Load(), hits.Load())
	}
	if st := c.Stats(); st.EvictRecency == 0 || st.Replaced == 0 || st.EvictBuried == 0 {
		t.Errorf("too quiet to prove anything: %+v", st)
	}
}

// Everything at once, for the race detector.
func TestTablesConcurrently(t *testing.T) {
	c := New(Options{Size: minSize})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 400 {
				n := numbered("z", i%20)
				now := at(time.Duration(i) * time.Second)
				q := Question{Name: n, Type: wire.TypeA, CD: i%2 == 0}
				c.PutDelegation(now, &Delegation{Cut: n, TTL: 60})
				c.Closest(now, numbered("z", g))
				c.Fail(now, q, nil, false)
				c.Failure(now, q)
				switch i % 16 {
				case 0:
					c.DropDelegation(n)
					c.Recovered(q)
				case 1:
					c.Bury(now, n)
				case 2:
					c.Sweep(now)
					c.Stats()
				}
			}
		})
	}
	wg.Wait()
	for c.Sweep(at(time.Hour)) {
	}
	if st := c.Stats(); st.Delegations != 0 || st.Failures != 0 || st.Tombstones != 0 {
		t.Errorf("left after an hour: %+v", st)
	}
}
