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
	told   clock.Mono    // the last time that it was logged
	offset time.Duration // of the time of day from the monotonic one, when it was raised
}

// raise notes an answer that gives rise to it, and tells whether that is news.
func (s *suspicion) raise(e *event.ClockSuspect) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if news = !s.now || e.At.Sub(s.told) >= suspectsLast; news {
		s.told = e.At
	}
	s.raised++
	s.now, s.last, s.offset = true, e.At, offsetOf(e.Says, e.At)
	return news
}

// hearClock is the sink for it.
func (a *App) hearClock(e event.Event) {
	c, ok := e.(event.ClockSuspect)
	if !ok || !a.counts.suspicion.raise(&c) {
		return
	}
	a.o.Log.Warn("the clock of this machine seems to be wrong: no signature of the keys of a trust anchor is valid at the time that it says", "zone", c.Zone.String(),
		"clock", stamp(c.Says), "signed-from", stamp(c.Begins), "signed-until", stamp(c.Ends),
		"advice", "set the clock (timedatectl, ntpdate); what failed is tried again within seconds then")
}

// stamp is a time of day.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

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
