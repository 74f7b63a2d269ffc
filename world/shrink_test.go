package world

import (
	"slices"
	"testing"
)

// shrink leaves out of a plan whatever it fails without, in so many replays at
// most: questions, faults, changes and records, in ever smaller pieces. It gives
// the smallest world that still fails, nil if the first replay does not.
func shrink(t *testing.T, p *plan, replays int, play func(*plan) (*record, *violation)) (*record, *violation, int) {
	t.Helper()
	s := &shrinker{left: replays, play: play}
	if !s.try(p) {
		return nil, nil, 1
	}
	for before := -1; before != s.size() && s.left > 0; {
		before = s.size()
		s.lastQuestion()
		s.pieces(func(p *plan) int { return len(p.asks) }, func(p *plan, i, n int) { p.asks = slices.Delete(slices.Clone(p.asks), i, n) })
		s.pieces(func(p *plan) int { return len(p.faults) }, func(p *plan, i, n int) { p.faults = slices.Delete(slices.Clone(p.faults), i, n) })
		s.pieces(func(p *plan) int { return len(p.zones) }, dropZones)
		s.pieces(func(p *plan) int { return len(p.steps) }, func(p *plan, i, n int) { p.steps = slices.Delete(slices.Clone(p.steps), i, n) })
	}
	return s.record, s.found, replays - s.left
}

type shrinker struct {
	best   *plan
	record *record
	found  *violation
	left   int
	play   func(*plan) (*record, *violation)
}

func (s *shrinker) size() int {
	return len(s.best.asks) + len(s.best.faults) + len(s.best.zones) + len(s.best.steps)
}

// try plays a plan and keeps it if it fails.
func (s *shrinker) try(p *plan) bool {
	if s.left <= 0 || len(p.hints()) == 0 {
		return false
	}
	s.left--
	r, v := s.play(p)
	if v == nil {
		return false
	}
	s.best, s.record, s.found = p, r, v
	return true
}

// lastQuestion leaves out everything after the question that failed.
func (s *shrinker) lastQuestion() {
	p := *s.best
	at := s.found.reply.came
	p.asks = slices.DeleteFunc(slices.Clone(p.asks), func(a ask) bool { return at > 0 && a.at > at })
	p.steps = slices.DeleteFunc(slices.Clone(p.steps), func(x step) bool { return at > 0 && x.at > at })
	p.faults = slices.DeleteFunc(slices.Clone(p.faults), func(f fault) bool { return at > 0 && f.from > at })
	s.try(&p)
}

// pieces leaves out pieces of a list, each half as large as those before.
func (s *shrinker) pieces(length func(*plan) int, without func(p *plan, from, until int)) {
	for size := (length(s.best) + 1) / 2; size > 0 && s.left > 0; size /= 2 {
		for at := length(s.best) - size; at > -size && s.left > 0; at -= size {
			from := max(at, 0)
			p := *s.best
			without(&p, from, min(from+size, length(&p)))
			s.try(&p)
		}
	}
}

// dropZones leaves zones out with all that is in them and leads to them.
func dropZones(p *plan, from, until int) {
	gone := p.zones[from:until]
	p.steps = slices.DeleteFunc(slices.Clone(p.steps), func(x step) bool {
		return slices.ContainsFunc(gone, func(z zonePlan) bool { return x.zone == z.origin || x.name == z.origin })
	})
	p.zones = slices.Delete(slices.Clone(p.zones), from, until)
}
