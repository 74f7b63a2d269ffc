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
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// sealed is an entry whose data tells whether it is whole: record, signature
// and proof end in the checksum of the name, a serial number and the content.
func sealed(r *rand.Rand, n dnsname.Name, serial uint32) *Entry {
	seal := func() []byte {
		b := binary.BigEndian.AppendUint32(nil, serial)
		b = append(b, randomBytes(r, 1<<r.IntN(14))...)
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

// Readers and writers of one shard: no reader ever sees an
// entry that is not whole, nor misses one that is only being replaced.
func TestReadersSeeWholeEntries(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	gen := rand.New(rand.NewPCG(1, 7))
	entries := make([]*Entry, 64) // of 16 names, the first one's every other
	for i := range entries {
		entries[i] = sealed(gen, numbered("n", i%2*(i/2)%16), uint32(i))
	}
	always := entries[0].Name
	c.Put(at(0), entries[0])
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	var hits, torn, lost atomic.Int64
	for w := range uint64(2) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(w, 3))
			for i := range 3000 {
				now := at(time.Duration(i) * 10 * time.Millisecond)
				e := *entries[r.IntN(len(entries))]
				c.Put(now, &e)
				if i%64 == 0 {
					c.Bury(now, numbered("n", 1+r.IntN(15)))
					c.Sweep(now)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			var r Reader
			for i := 0; !stop.Load(); i++ {
				n := entries[i%len(entries)].Name
				h, ok := c.Lookup(&r, at(0), n, wire.TypeTXT)
				switch {
				case !ok && n == always:
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
	if st := c.Stats(); st.Replaced == 0 || st.EvictBuried == 0 {
		t.Errorf("too quiet to prove anything: %+v", st)
	}
}

// Everything at once, for the race detector.
func TestTablesConcurrently(t *testing.T) {
	c := New(Options{Size: minSize, Stale: stale.NewRules(stale.Policy{Enabled: true, Max: time.Minute, Negative: time.Minute}, nil, nil)})
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
				case 3:
					c.Put(now, address(n, 60))
					c.Put(now, denial(NXDomain, numbered("no", i%20), wire.TypeNone, 60))
					c.Lapsed(now, n)
					c.Delegation(now, n)
					c.LastFailure(now, q)
				case 4:
					c.RecoverBelow(numbered("z", g))
				case 5:
					c.Walk(func(h *Hit, _ uint8) bool {
						for _, e := range c.Names(h.Name()) {
							if e.Name != h.Name() {
								t.Errorf("%v stands at %v", e.Name, h.Name())
							}
						}
						return true
					})
				case 6:
					c.FlushBelow(numbered("z", g))
					c.Flush(n, wire.TypeNone)
				case 7:
					c.FlushStale(now)
					c.FlushNegative(now)
				}
			}
		})
	}
	wg.Wait()
	for c.Sweep(at(time.Hour)) {
	}
	c.Sweep(at(time.Hour + tombRest))
	if st := c.Stats(); st.Entries != 0 || st.Stale != 0 || st.Delegations != 0 || st.Failures != 0 || st.Tombstones != 0 {
		t.Errorf("left after an hour: %+v", st)
	}
}
