package infra

import (
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
)

// speed is how long the last useful resolutions below a cut took.
type speed struct {
	took    [stale.SamplesKept]uint32 // µs
	n       int                       // of them
	at      int                       // where the next goes
	timeout time.Duration             // made of them; 0: they changed since
}

// Resolved notes how long a useful resolution below a cut took. Those count too
// that clients did not wait for.
func (i *Infra) Resolved(_ clock.Mono, cut dnsname.Name, took time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s, ok := i.speeds.get(cut)
	if !ok {
		s = new(speed)
		i.speeds.put(clone(cut), s)
	}
	s.add(took)
}

func (s *speed) add(took time.Duration) {
	s.took[s.at] = uint32(min(max(took, 0)/time.Microsecond, 1<<32-1))
	s.at = (s.at + 1) % len(s.took)
	s.n = min(s.n+1, len(s.took))
	s.timeout = 0
}

// samples puts them into dst, in the order in which they came.
func (s *speed) samples(dst *[stale.SamplesKept]time.Duration) []time.Duration {
	first := s.at - s.n + len(s.took)
	for k := range s.n {
		dst[k] = time.Duration(s.took[(first+k)%len(s.took)]) * time.Microsecond
	}
	return dst[:s.n]
}

func (s *speed) learned() time.Duration {
	if s.timeout == 0 {
		var list [stale.SamplesKept]time.Duration
		s.timeout = stale.Learned(s.samples(&list))
	}
	return s.timeout
}

// ClientTimeout is how long a client should wait for something better than what
// is stored of a zone, as far as that is learnt, and from how many samples. It
// allocates nothing.
func (i *Infra) ClientTimeout(cut dnsname.Name) (learned time.Duration, samples int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s, ok := i.speeds.get(cut); ok {
		return s.learned(), s.n
	}
	return stale.Learned(nil), 0
}
