package resolver

import (
	"sync"
	"sync/atomic"

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
	n  atomic.Int32 // len(cuts): nothing is locked while all is well
	mu sync.Mutex
	// cuts has whether a zone was failing, not suspect only.
	cuts map[dnsname.Name]bool
}

// has tells whether a zone was in trouble, and whether it was failing.
func (s *troubled) has(cut dnsname.Name) (failing, ok bool) {
	if s.n.Load() == 0 {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	failing, ok = s.cuts[cut]
	return failing, ok
}

// add notes that a zone is in trouble, and tells whether it was not before.
func (s *troubled) add(cut dnsname.Name, failing bool) (began bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed, was := s.cuts[cut]
	if !was {
		s.makeRoom()
	}
	s.cuts[cut] = failed || failing
	s.n.Store(int32(len(s.cuts)))
	return !was
}

func (s *troubled) makeRoom() {
	if s.cuts == nil {
		s.cuts = map[dnsname.Name]bool{}
	}
	for other := range s.cuts {
		if len(s.cuts) < maxTroubled {
			break
		}
		delete(s.cuts, other)
	}
}

// remove notes that a zone is back.
func (s *troubled) remove(cut dnsname.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cuts, cut)
	s.n.Store(int32(len(s.cuts)))
}
