package cache

import (
	"container/list"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// rowLabels is how many of the upper labels of a name its row tells of.
const rowLabels = 4

// below is what the search for everything below a cut looks at, for one
// failure. The rows of a shard lie in one piece of memory: going through those
// of ten thousand failures takes microseconds, and a cut may be a top-level
// domain.
type below struct {
	// Hashes of the ancestors with one label, two and so on, the name itself
	// included; 0 where it has not so many.
	cuts [rowLabels]uint32
	of   *list.Element
}

// below makes the row of a name.
func (f *failures) below(name dnsname.Name, e *list.Element) below {
	row := below{of: e}
	labels := name.Labels()
	for ; labels > 0; labels-- {
		if labels <= rowLabels {
			row.cuts[labels-1] = f.rowHash(name)
		}
		name = name.Parent()
	}
	return row
}

func (f *failures) rowHash(name dnsname.Name) uint32 { return uint32(f.hash.name(name)) | 1 }

// RecoverBelow forgets the failures of all questions at or below a cut, which
// recovered. It goes through the whole table, whose size is bounded; see
// BenchmarkRecoverBelow.
func (c *Cache) RecoverBelow(cut dnsname.Name) {
	f := &c.failures
	if f.count.Load() == 0 {
		return
	}
	depth := min(cut.Labels(), rowLabels)
	var hash uint32
	if depth > 0 {
		hash = f.rowHash(cut.Suffix(depth))
	}
	for i := range f.shards {
		f.removeRows(&f.shards[i], func(row *below) bool {
			return (depth == 0 || row.cuts[depth-1] == hash) && row.of.Value.(*failed).key.Name.Under(cut)
		})
	}
}

// flush forgets the failures of a name: of one type, or with TypeNone of all.
func (f *failures) flush(name dnsname.Name, t wire.Type) {
	if f.count.Load() == 0 {
		return
	}
	f.removeRows(f.shard(&Question{Name: name}), func(row *below) bool {
		key := &row.of.Value.(*failed).key
		return key.Name == name && (t == wire.TypeNone || key.Type == t)
	})
}

// removeRows removes the failures that match from a shard.
func (f *failures) removeRows(s *failureShard, match func(*below) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.rows) - 1; i >= 0; i-- { // from the end: the last takes the place of one that goes
		if match(&s.rows[i]) {
			f.remove(s, s.rows[i].of)
		}
	}
}
