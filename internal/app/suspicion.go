package app

import (
	"sync"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
)

const (
	clockStep    = time.Minute      // by how much the time of day has to jump to have been set
	suspectsLast = 10 * time.Minute // how long a suspicion lasts that nothing confirms
)

// suspicion is that the clock of this machine is wrong.
type suspicion struct {
	mu     sync.Mutex
	raised uint64
	now    bool
	last   clock.Mono
	offset time.Duration // of the time of day from the monotonic one, when it was raised
}

func (s *suspicion) raise(e *event.ClockSuspect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raised++
	s.now, s.last, s.offset = true, e.At, offsetOf(e.Says, e.At)
}

func offsetOf(wall time.Time, now clock.Mono) time.Duration {
	return time.Duration(wall.UnixNano() - int64(now))
}

// look tells whether a clock that was suspected was set.
func (s *suspicion) look(wall time.Time, now clock.Mono) (set bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.now {
		return false
	}
	set = (offsetOf(wall, now) - s.offset).Abs() > clockStep
	s.now = !set && now.Sub(s.last) < suspectsLast
	return set
}

func (s *suspicion) state() (raised uint64, now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raised, s.now
}

// lookAtClock forgets what failed while the clock was wrong, once it is set: all of
// it may be well now.
func (a *App) lookAtClock() {
	if !a.counts.suspicion.look(a.clock.Wall(), a.clock.Now()) {
		return
	}
	a.o.Log.Info("the clock of this machine was set: what did not validate is tried again", "clock", stamp(a.clock.Wall()))
	a.cache.RecoverBelow(dnsname.Root)
	select {
	case a.followed.again <- struct{}{}:
	default:
	}
}
