package resolver

import (
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// maxTroubled bounds the zones of which it is known that they were in trouble.
// Of one that is forgotten the return is not noticed: it has no slow start, and
// failures of single names end with their own time.
const maxTroubled = 10_000

// troubled are the zones that were in trouble when they were looked at last. It
// is how a return is noticed, whatever ended the trouble: a recheck, a client's
// question, or a reply to another zone's question from a server that they share.
// Safe for concurrent use.
type troubled struct {
	n    atomic.Int32 // len(cuts): nothing is locked while all is well
	mu   sync.Mutex
	cuts map[dnsname.Name]ailment
	// cleared has when the failures beneath a zone were forgotten.
	cleared map[dnsname.Name]clock.Mono
}

// ailment is what was wrong with a zone.
type ailment struct {
	failing bool   // it was failing, not suspect only
	servers string // those that were silent, as infra.Trouble names them
}

// clearEvery is how often at most the failures beneath a zone are forgotten: some
// broken names can make it fail, which ends with the first name that is well, and
// they are not to be asked for all the time for that.
const clearEvery = 10 * time.Second

// has tells whether a zone was in trouble, and in which.
func (s *troubled) has(cut dnsname.Name) (a ailment, ok bool) {
	if s.n.Load() == 0 {
		return a, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok = s.cuts[cut]
	return a, ok
}

// add notes that a zone is in trouble, and tells whether it was not before.
func (s *troubled) add(cut dnsname.Name, a ailment) (began bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, was := s.cuts[cut]
	if !was {
		s.cuts = roomIn(s.cuts)
	}
	a.failing = a.failing || before.failing
	s.cuts[cut] = a
	s.n.Store(int32(len(s.cuts)))
	return !was
}

// roomIn gives a table in which there is room for one more.
func roomIn[V any](table map[dnsname.Name]V) map[dnsname.Name]V {
	if table == nil {
		table = map[dnsname.Name]V{}
	}
	for other := range table {
		if len(table) < maxTroubled {
			break
		}
		delete(table, other)
	}
	return table
}

// clear tells whether the failures beneath a zone that is back may be forgotten now.
func (s *troubled) clear(now clock.Mono, cut dnsname.Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.cleared[cut]
	if ok && now.Sub(last) < clearEvery {
		return false
	}
	if !ok {
		s.cleared = roomIn(s.cleared)
	}
	s.cleared[cut] = now
	return true
}

// remove notes that a zone is back.
func (s *troubled) remove(cut dnsname.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cuts, cut)
	s.n.Store(int32(len(s.cuts)))
}
