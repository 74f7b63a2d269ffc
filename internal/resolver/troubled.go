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
	// cleared has for each zone until when the failures beneath it were forgotten as
	// often as they may be on average.
	cleared map[dnsname.Name]clock.Mono
}

// ailment is what was wrong with a zone.
type ailment struct {
	failing bool   // it was failing, not suspect only
	back    bool   // it is well again, but what failed beneath is not forgotten yet
	servers string // those that were silent, as infra.Trouble names them
}

// clearEvery is how often the failures beneath a zone are forgotten on average at
// most: some broken names can make it fail, which ends with the first name that is
// well, and they are not to be asked for all the time for that. A zone that flaps
// may be so clearBurst times at once; more often it has to wait.
const (
	clearEvery = 10 * time.Second
	clearBurst = 3
)

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
	return !was || before.back
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
	until, ok := s.cleared[cut]
	if ok && until.Sub(now) > (clearBurst-1)*clearEvery {
		return false
	}
	if !ok {
		s.cleared = roomIn(s.cleared)
	}
	s.cleared[cut] = max(until, now).Add(clearEvery)
	return true
}

// remove notes that a zone is back.
func (s *troubled) remove(cut dnsname.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cuts, cut)
	s.n.Store(int32(len(s.cuts)))
}
