package cache

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/wire"
)

// Bounds of RFC 9520 §3.2.
const (
	minFailure = time.Second
	maxFailure = 5 * time.Minute
)

// failureCost is what a remembered failure takes at most in practice: its
// name, its text and the tables around it, in bytes.
const failureCost = 768

const failureShards = 16

// Question is the key of a failure. What failed validation says nothing to
// those who asked for none, so CD is part of it.
type Question struct {
	Name dnsname.Name
	Type wire.Type
	CD   bool
}

// Failure is what is remembered of a question that brought no useful answer.
type Failure struct {
	Cause   *ede.Error
	Refused bool       // every server said REFUSED
	Since   clock.Mono // the first failure of the row
	Last    clock.Mono // the latest, also one within the pause
	Until   clock.Mono // nothing is asked before
}

// failures remembers failed questions, apart from all data (RFC 9520).
type failures struct {
	min, max time.Duration
	limit    int // of a shard
	hash     hasher
	tombs    *tombs
	count    atomic.Int64
	dropped  atomic.Uint64
	shards   [failureShards]failureShard
}

type failureShard struct {
	mu    sync.Mutex
	byKey map[Question]*list.Element // of *failed
	order list.List                  // the one that failed last at the back
	rows  []below                    // one for each, in no order
	_     [64]byte
}

type failed struct {
	Failure
	key   Question
	pause time.Duration
	gen   uint32
	row   int // in rows
}

func failureBounds(low, high time.Duration) (time.Duration, time.Duration) {
	if high <= 0 {
		high = maxFailure
	}
	high = min(max(high, minFailure), maxFailure)
	return min(max(low, minFailure), high), high
}

func (f *failures) init(o *Options, h hasher, t *tombs) {
	f.min, f.max, f.hash, f.tombs = o.FailureMin, o.FailureMax, h, t
	f.limit = max(4, int(o.Size/32/failureCost/failureShards))
	for i := range f.shards {
		f.shards[i].byKey = map[Question]*list.Element{}
	}
}

func (f *failures) shard(q *Question) *failureShard {
	return &f.shards[f.hash.name(q.Name)>>32%failureShards]
}

// Fail remembers that a question brought no useful answer. Each failure after
// the last one's time doubles the time, until FailureMax without one forgets
// the row; failures within that time change its cause only.
func (c *Cache) Fail(now clock.Mono, q Question, cause *ede.Error, refused bool) {
	f := &c.failures
	s := f.shard(&q)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byKey[q]
	if !ok {
		if len(s.byKey) >= f.limit {
			f.remove(s, s.order.Front())
			f.dropped.Add(1)
		}
		q.Name = cloneName(q.Name)
		e = s.order.PushBack(&failed{key: q, row: len(s.rows)})
		s.byKey[q] = e
		s.rows = append(s.rows, f.below(q.Name, e))
		f.count.Add(1)
	}
	s.order.MoveToBack(e)
	r := e.Value.(*failed)
	f.extend(now, r)
	r.Cause, r.Refused, r.Last = cause, refused, now
}

// maxLinkFailure is how long at most it counts that a link of a chain of trust
// failed: all names below hang on it, so that one question finds out for all of them.
const maxLinkFailure = 10 * time.Second

// extend reckons how long a failure counts.
func (f *failures) extend(now clock.Mono, r *failed) {
	gen := f.tombs.gen.Load()
	switch {
	case r.pause == 0 || now >= r.Until.Add(f.max) || f.tombs.covers(r.key.Name, r.gen):
		r.Since, r.pause = now, f.min
	case now < r.Until:
		return
	default:
		r.pause = min(2*r.pause, f.max)
	}
	if t := r.key.Type; t == wire.TypeDS || t == wire.TypeDNSKEY {
		r.pause = min(r.pause, maxLinkFailure)
	}
	r.Until, r.gen = now.Add(r.pause), gen
}

// Failure is what is remembered of a question, while it counts: until then
// nothing is asked again.
func (c *Cache) Failure(now clock.Mono, q Question) (Failure, bool) {
	r, ok := c.LastFailure(now, q)
	if !ok || now >= r.Until {
		return Failure{}, false
	}
	return r, true
}

// LastFailure is the same also when it does not count any more, as long as the
// row is remembered: five minutes after its last failure at least, unless the
// question recovered or there was no room.
func (c *Cache) LastFailure(now clock.Mono, q Question) (Failure, bool) {
	f := &c.failures
	if f.count.Load() == 0 {
		return Failure{}, false
	}
	s := f.shard(&q)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byKey[q]
	if !ok {
		return Failure{}, false
	}
	r := e.Value.(*failed)
	if f.over(now, r) {
		return Failure{}, false
	}
	return r.Failure, true
}

// over tells whether a row has come to its end or is buried.
func (f *failures) over(now clock.Mono, r *failed) bool {
	return now >= r.Until.Add(f.max) && now >= r.Last.Add(maxFailure) || f.tombs.covers(r.key.Name, r.gen)
}

// Recovered forgets the failures of a question that brought a useful answer, and
// a bogus answer to it.
func (c *Cache) Recovered(q Question) {
	c.bogus.flush(q.Name, q.Type)
	f := &c.failures
	if f.count.Load() == 0 {
		return
	}
	s := f.shard(&q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byKey[q]; ok {
		f.remove(s, e)
	}
}

func (f *failures) remove(s *failureShard, e *list.Element) {
	if e == nil {
		return
	}
	r := e.Value.(*failed)
	last := len(s.rows) - 1
	s.rows[r.row] = s.rows[last]
	s.rows[r.row].of.Value.(*failed).row = r.row
	s.rows[last] = below{}
	s.rows = s.rows[:last]
	delete(s.byKey, r.key)
	s.order.Remove(e)
	f.count.Add(-1)
}

// sweep forgets the failures that are buried or whose row is over.
func (f *failures) sweep(now clock.Mono) {
	if f.count.Load() == 0 {
		return
	}
	for i := range f.shards {
		s := &f.shards[i]
		s.mu.Lock()
		for e := s.order.Front(); e != nil; {
			next := e.Next()
			if f.over(now, e.Value.(*failed)) {
				f.remove(s, e)
			}
			e = next
		}
		s.mu.Unlock()
	}
}
