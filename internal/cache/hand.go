package cache

import (
	"cmp"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/stale"
)

// Which delegation has to go when room is needed: one that is gone; then one
// that lapsed and was not asked for lately, the longest lapsed first; then as
// the hand says. Root and top-level domains serve everybody: unless they are
// gone, only the hand can take them, and not before anything else.
const (
	handSteps = 1024 // of the hand for one delegation
	maxAsked  = 3
	drawEvery = time.Second // a shard is searched for what is idle, at most so often
)

// victim chooses from a ring that is not empty. The hand goes round and stops
// at what is gone, or at what it came by as often as it was asked for and once
// more. Where it would have to go on for too long, the least of what it saw has
// to go.
func (s *delegationShard) victim(now clock.Mono) *cut {
	if e := s.nextIdle(now); e != nil {
		return e
	}
	var least *cut
	score := 0
	for range min(handSteps, (maxAsked+1)*len(s.ring)) {
		if s.hand++; s.hand >= len(s.ring) {
			s.hand = 0
		}
		e := s.ring[s.hand]
		n := e.asked.Load()
		if e.state(now) == stale.Gone || n == 0 && e.labels > 1 {
			return e
		}
		if n > 0 {
			e.asked.Store(n - 1)
		}
		if v := e.labels - int(n)<<8; least == nil || v > score {
			least, score = e, v
		}
	}
	return least
}

// nextIdle is a delegation that ranks below all that are fresh; nil if none is
// known of.
func (s *delegationShard) nextIdle(now clock.Mono) *cut {
	if now >= s.drawn {
		s.draw(now)
		s.drawn = now.Add(drawEvery)
	}
	for n := len(s.idle); n > 0; n = len(s.idle) {
		e := s.idle[n-1]
		s.idle[n-1] = nil
		s.idle = s.idle[:n-1]
		if e.at < len(s.ring) && s.ring[e.at] == e && e.isIdle(now) {
			return e
		}
	}
	return nil
}

// isIdle tells whether a delegation ranks below all that are fresh.
func (e *cut) isIdle(now clock.Mono) bool {
	switch e.state(now) {
	case stale.Gone:
		return true
	case stale.Stale:
		return e.asked.Load() == 0 && e.labels > 1
	}
	return false
}

// draw lists what is idle, who goes first at the end.
func (s *delegationShard) draw(now clock.Mono) {
	clear(s.idle)
	s.idle = s.idle[:0]
	for _, e := range s.ring {
		if e.isIdle(now) {
			s.idle = append(s.idle, e)
		}
	}
	slices.SortFunc(s.idle, func(a, b *cut) int {
		return cmp.Or(cmp.Compare(a.state(now), b.state(now)), cmp.Compare(b.d.Expiry, a.d.Expiry))
	})
}
