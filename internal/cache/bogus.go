package cache

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Bounds of the table of bogus answers. At the first the answer that was put first
// goes: the smallest take 700 octets with all that is around them, so there are
// never 400. What is larger than the second is not kept at all.
const (
	mostBogusBytes = 256 << 10
	mostBogusOne   = mostBogusBytes / 4
	bogusFor       = time.Minute
	bogusLeast     = time.Second // that a failure is remembered at least: what has TTL 0, too
)

// bogusTable keeps answers that failed validation, for those who ask with CD=1
// and judge for themselves (RFC 4035 §3.2.2, RFC 6840 §5.9). It stands apart from
// all data, and nobody else is answered from it. One lock: few ask so, and who
// does while nothing is bogus takes none.
type bogusTable struct {
	tombs   *tombs
	count   atomic.Int64
	dropped atomic.Uint64 // to make room
	mu      sync.Mutex
	byKey   map[Question]*list.Element // of *bogus; CD is not set
	order   list.List                  // the one that was put last at the back
	bytes   int64
}

// bogus is one answer. What it holds is shared with whoever was given it.
type bogus struct {
	key     Question
	entries []Entry
	end     clock.Mono
	gen     uint32
	cost    int64
}

func (t *bogusTable) init(tb *tombs) { t.tombs, t.byKey = tb, map[Question]*list.Element{} }

// PutBogus keeps a copy of an answer that failed validation, in its order, in
// place of what was kept for the question before; q.CD is not looked at. It is kept
// as long as the shortest of its TTLs, a second at least and a minute at most, which
// is then the TTL of all, but for 0, and all of it is Bogus, whatever a part was found to be. One that is larger
// than 64 KiB is not kept. All together take 256 KiB at most, beside Options.Size;
// the one that was put first gives way.
func (c *Cache) PutBogus(now clock.Mono, q Question, entries []Entry) {
	t := &c.bogus
	q.CD = false
	life := bogusFor
	for i := range entries {
		life = min(life, seconds(entries[i].TTL))
	}
	cost := bogusCost(q.Name, entries)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(t.byKey[q])
	if len(entries) == 0 || cost > mostBogusOne {
		return
	}
	for t.bytes+cost > mostBogusBytes {
		t.remove(t.order.Front())
		t.dropped.Add(1)
	}
	q.Name = cloneName(q.Name)
	b := &bogus{key: q, end: now.Add(max(life, bogusLeast)), gen: t.tombs.gen.Load(), cost: cost}
	for i := range entries {
		b.entries = append(b.entries, bogusCopy(&entries[i], now, life))
	}
	t.byKey[q] = t.order.PushBack(b)
	t.bytes += cost
	t.count.Add(1)
}

// Bogus is the answer to a question that failed validation lately, for who asked
// with CD=1; q.CD is not looked at. It is shared and must not be changed.
func (c *Cache) Bogus(now clock.Mono, q Question) ([]Entry, bool) {
	t := &c.bogus
	if t.count.Load() == 0 {
		return nil, false
	}
	q.CD = false
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byKey[q]
	if !ok {
		return nil, false
	}
	b := e.Value.(*bogus)
	if t.over(now, b) {
		t.remove(e)
		return nil, false
	}
	return b.entries, true
}

// bogusCopy has memory of its own, and times within which it is fresh: it is never
// served stale.
func bogusCopy(e *Entry, now clock.Mono, life time.Duration) Entry {
	b := *e
	b.Name, b.Cut, b.Set = cloneName(e.Name), cloneName(e.Cut), cloneSet(e.Set)
	b.Proof = nil
	for i := range e.Proof {
		b.Proof = append(b.Proof, cloneSet(e.Proof[i]))
	}
	b.Security, b.Valid = rrset.Bogus, time.Time{}
	b.TTL = uint32(life / time.Second)
	end := now.Add(max(life, bogusLeast))
	b.Stored, b.Expiry, b.StaleUntil = now, end, end
	return b
}

// bogusCost estimates the memory of an answer in bytes.
func bogusCost(name dnsname.Name, entries []Entry) int64 {
	n := 320 + len(name)
	for i := range entries {
		e := &entries[i]
		n += 256 + len(e.Name) + len(e.Cut) + setCost(&e.Set)
		for k := range e.Proof {
			n += setCost(&e.Proof[k])
		}
	}
	return int64(n)
}

func setCost(s *rrset.Set) int { return 96 + len(s.Name) + len(s.Data) + len(s.Sigs) }

// over tells whether an answer has come to its end or is buried.
func (t *bogusTable) over(now clock.Mono, b *bogus) bool {
	return now >= b.end || t.tombs.covers(b.key.Name, b.gen)
}

func (t *bogusTable) remove(e *list.Element) {
	if e == nil {
		return
	}
	b := e.Value.(*bogus)
	delete(t.byKey, b.key)
	t.order.Remove(e)
	t.bytes -= b.cost
	t.count.Add(-1)
}

// drop removes the answers that match.
func (t *bogusTable) drop(match func(*bogus) bool) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.order.Front(); e != nil; {
		next := e.Next()
		if match(e.Value.(*bogus)) {
			t.remove(e)
		}
		e = next
	}
}

// ForgetBogus removes the bogus answers to questions at and below a zone.
func (c *Cache) ForgetBogus(zone dnsname.Name) {
	c.bogus.drop(func(b *bogus) bool { return b.key.Name.Under(zone) })
}

// flush removes what is kept of a name: of one type, or with TypeNone of all.
func (t *bogusTable) flush(name dnsname.Name, typ wire.Type) {
	if typ == wire.TypeNone {
		t.drop(func(b *bogus) bool { return b.key.Name == name })
		return
	}
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(t.byKey[Question{Name: name, Type: typ}])
}

// sweep removes what is buried or has come to its end.
func (t *bogusTable) sweep(now clock.Mono) {
	t.drop(func(b *bogus) bool { return t.over(now, b) })
}
