package clock

import (
	"sync/atomic"
	"time"
)

const (
	// sleepEvery is how often at most the system is asked: a question costs as
	// much as a handful of readings, one in 10 ms nothing that could be measured.
	sleepEvery = 10 * time.Millisecond
	// sleepLeast is how much more it must be to count: less is no sleep.
	sleepLeast = 100 * time.Millisecond
)

// sleep is how long the machine slept since the clock was made. Timers stand
// still meanwhile, and so does the clock of package time, by which things would
// live as much longer.
type sleep struct {
	ask    func() time.Duration // the system, how long the machine slept since it was started, or less
	before time.Duration        // of it, until the clock was made
	asked  atomic.Int64         // when the system was asked last, on the clock of package time
	lasted atomic.Int64         // nanoseconds
}

func (s *sleep) start(ask func() time.Duration) {
	s.ask, s.before = ask, max(ask(), ask()) // the greater one is nearer to the truth
}

// read gives what is known, and asks the system when it is time to; up is the
// reading of the clock of package time. Whoever comes while somebody asks has
// what was known before.
func (s *sleep) read(up time.Duration) time.Duration {
	if last := s.asked.Load(); up-time.Duration(last) >= sleepEvery && s.asked.CompareAndSwap(last, int64(up)) {
		s.note(s.ask() - s.before)
	}
	return time.Duration(s.lasted.Load())
}

// note takes what the system says. It never becomes less: time does not run
// backwards.
func (s *sleep) note(total time.Duration) {
	for {
		known := s.lasted.Load()
		if total < time.Duration(known)+sleepLeast || s.lasted.CompareAndSwap(known, int64(total)) {
			return
		}
	}
}
