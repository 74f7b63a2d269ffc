package anchor

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// incident is what is known of one trouble, before it is told of and after. The
// watch's lock guards it.
type incident struct {
	trouble
	open               bool
	cause              *ede.Error
	since, last, met   clock.Mono
	bad                int      // answers that were not believed
	goodAll, goodSince int      // answers of the zone that were, since the first failure and the latest
	before             []uint64 // names that validated before and fail now, until it opens
	questions          int
	names, stale       sketch
	ends               ends
	samples            []event.Question // the first that failed, of names that validated before
}

func (i *incident) sample(q event.Question) {
	if len(i.samples) < mostSamples && !slices.Contains(i.samples, q) {
		i.samples = append(i.samples, q)
	}
}

// ending tells why it is over, Open when it is not.
func (i *incident) ending(now clock.Mono, covered func(dnsname.Name) bool) Ending {
	switch {
	case covered(i.zone):
		return Covered
	case i.goodSince >= mendedBy && now.Sub(i.last) >= mendedAfter:
		return Mended
	case now.Sub(i.met) >= quietAfter, !i.open && now.Sub(i.last) > beginning:
		return Quiet
	}
	return Open
}

func (i *incident) told(now clock.Mono) Incident {
	first, last := i.ends.ahead(now)
	return Incident{
		Zone: i.zone, Cause: i.cause, Since: i.since, Last: i.last, Names: i.names.count(), Questions: i.questions,
		Stale: i.stale.count(), StaleEnd: first, StaleLast: last,
	}
}

// sketchBits is the size of a sketch: it tells some thousands to a percent, and
// 100,000 to two.
const sketchBits = 1 << 15

// sketch counts how many different names there were, about (linear counting): its
// memory is bounded whatever there is to count. Its zero value is empty, and takes
// none.
type sketch struct {
	words []uint64
	set   int
}

// add notes a name by its hash, and tells whether it is a new one for all that is
// known.
func (s *sketch) add(hash uint64) bool {
	if s.words == nil {
		s.words = make([]uint64, sketchBits/64)
	}
	at, bit := hash%sketchBits/64, uint64(1)<<(hash%64)
	if s.words[at]&bit != 0 {
		return false
	}
	s.words[at] |= bit
	s.set++
	return true
}

func (s *sketch) count() int {
	const m = sketchBits
	free := max(m-s.set, 1)
	return int(math.Round(-m * math.Log(float64(free)/m)))
}

const (
	endStep = 10 * time.Minute
	endMost = 1024 // a week of them; what is beyond is known of the last only
)

// ends are the moments when last good answers may be given no longer, to ten minutes.
type ends struct {
	at   map[clock.Mono]struct{}
	last clock.Mono
}

func (e *ends) add(until clock.Mono) {
	if e.at == nil {
		e.at = map[clock.Mono]struct{}{}
	}
	e.last = max(e.last, until)
	if step := until - until%clock.Mono(endStep); len(e.at) < endMost {
		e.at[step] = struct{}{}
	}
}

// ahead gives the first that is not over, 0 for none, and the last.
func (e *ends) ahead(now clock.Mono) (first, last clock.Mono) {
	for step := range e.at {
		switch {
		case step.Add(endStep) <= now:
			delete(e.at, step)
		case first == 0 || step < first:
			first = step
		}
	}
	if e.last <= now {
		return 0, e.last
	}
	return min(max(first, now), e.last), e.last
}

// Names that validated are kept in buckets of a few, of which the one that came first
// makes room.
const (
	provenBuckets = 1 << 14
	provenWays    = 4
)

// proven remembers which names validated, by a hash, and how many labels the zone had
// that signed them. One look in 2^40 is wrong, which is good enough for advice.
type proven struct {
	seed    uint64
	buckets []bucket // nil until there is one
}

type bucket struct {
	names [provenWays]uint64 // hash, its lowest octet the labels
	next  uint8
}

// hash is FNV-1a of a name in wire form, begun elsewhere and mixed.
func (p *proven) hash(name dnsname.Name) uint64 {
	h := uint64(14695981039346656037) ^ p.seed
	for k := range len(name) {
		h = (h ^ uint64(name[k])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	return bits.RotateLeft64(h, 29) * 0x9e3779b97f4a7c15
}

func (p *proven) add(name dnsname.Name, labels int) {
	if p.buckets == nil {
		p.buckets = make([]bucket, provenBuckets)
	}
	h := p.hash(name)
	b := &p.buckets[h>>50%provenBuckets]
	mark := h&^0xff | uint64(labels&0xff)
	for k, have := range b.names {
		if have&^0xff == mark&^0xff {
			b.names[k] = max(have, mark)
			return
		}
	}
	b.names[b.next%provenWays] = mark
	b.next++
}

// has tells whether a name validated that a zone of at least so many labels signed.
func (p *proven) has(name dnsname.Name, labels int) bool {
	if p.buckets == nil {
		return false
	}
	h := p.hash(name)
	for _, have := range p.buckets[h>>50%provenBuckets].names {
		if have&^0xff == h&^0xff && int(have&0xff) >= labels {
			return true
		}
	}
	return false
}
