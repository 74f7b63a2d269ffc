package cache

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/dnsname"
)

// resum gives the blocks of a snapshot the numbers and checksums that they would
// have, so that what lies behind these is reached.
func resum(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < preambleLen {
		return b
	}
	copy(b, binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotVersion))
	rest := b[preambleLen:]
	for number := uint32(0); len(rest) >= blockHead; number++ {
		n := blockHead + int(binary.LittleEndian.Uint32(rest)>>8)
		if n > len(rest) {
			break
		}
		binary.LittleEndian.PutUint32(rest[4:], number)
		binary.LittleEndian.PutUint32(rest[8:], blockSum(rest, rest[blockHead:n]))
		rest = rest[n:]
	}
	return b
}

// No file makes reading fail otherwise than by an error, and what was taken from
// one can be saved and loaded again.
func FuzzReadSnapshot(f *testing.F) {
	c := New(Options{Size: 256 << 10, Stale: rules(time.Hour)})
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 12 {
		c.Put(at(0), anyEntry(r, i))
	}
	c.PutDelegation(at(0), delegation(name("example."), 3600))
	h := SnapshotHeader{Memory: []byte("memory"), Zones: map[dnsname.Name][8]byte{name("consul."): {1}}}
	whole := save(f, c, at(0), noon, h)
	f.Add(whole, false)
	f.Add(whole, true)
	f.Add(whole[:len(whole)/2], false)
	f.Add(save(f, New(Options{}), at(0), noon, SnapshotHeader{}), true)
	f.Fuzz(func(t *testing.T, b []byte, sums bool) {
		if sums {
			b = resum(b)
		}
		c := New(Options{Size: 256 << 10, Stale: rules(time.Hour)})
		now := at(time.Hour)
		report, err := c.ReadSnapshot(bytes.NewReader(b), now, noon.Add(time.Minute), SnapshotHeader{})
		checkAll(t, c)
		if err != nil {
			return
		}
		d := New(Options{Size: 256 << 10, Stale: rules(time.Hour)})
		again := load(t, d, save(t, c, now, noon, SnapshotHeader{}), now, noon, SnapshotHeader{})
		if again.Refused > 0 || again.Entries() != int(c.Stats().Entries) || again.Entries() > report.Entries() {
			t.Errorf("first %+v, then %+v", report, again)
		}
		c.Walk(func(h *Hit, _ uint8) bool {
			if e := h.Entry(); !storable(&e) || e.Stored > now {
				t.Errorf("an entry that nobody could have stored: %+v", e)
			}
			return true
		})
	})
}

func BenchmarkSnapshot(b *testing.B) {
	for _, v := range []struct {
		what string
		n    int
		size int64
	}{{"10k", 10_000, 16 << 20}, {"1M", 1_000_000, 512 << 20}} {
		o := Options{Size: v.size, Stale: rules(time.Hour)}
		var c *Cache
		var file []byte
		prepare := func(b *testing.B) {
			if c == nil {
				c = New(o)
				fill(b, c, at(0), "host", 3600, v.n)
				file = save(b, c, at(0), noon, SnapshotHeader{})
				b.ResetTimer()
			}
		}
		b.Run("save/"+v.what, func(b *testing.B) {
			prepare(b)
			for b.Loop() {
				file = save(b, c, at(0), noon, SnapshotHeader{})
			}
			b.ReportMetric(float64(len(file))/float64(v.n), "octets/entry")
		})
		b.Run("load/"+v.what, func(b *testing.B) {
			prepare(b)
			for b.Loop() {
				o.Seed++ // as in another process: the order of a snapshot is that of hashes
				d := New(o)
				if r := load(b, d, file, at(0), noon, SnapshotHeader{}); r.Fresh != v.n {
					b.Fatalf("%+v", r)
				}
			}
		})
	}
}
