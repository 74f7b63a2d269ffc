// Package clock is the only place that reads the time.
//
// Two kinds of time are told apart: [Mono] for lifetimes and round trips,
// which a step of the system's clock must not move, and wall time for
// signatures and timestamps. Time that the machine sleeps (a laptop, a suspended
// virtual machine) counts as well for what lives on Mono, where the system tells
// of it: on Linux. Built with -tags testclock, both are shifted by an offset
// that a test outside the process controls; without the tag none of that is in
// the binary.
package clock

import (
	"sync/atomic"
	"time"
)

// Mono is a moment on a [Clock]'s monotonic scale, in nanoseconds since the
// clock was made. Zero means "never": a clock's readings are always positive, and
// what came over from before the clock was made has negative moments.
type Mono int64

// Add returns m moved by d.
func (m Mono) Add(d time.Duration) Mono { return m + Mono(d) }

// Sub returns the time from o to m.
func (m Mono) Sub(o Mono) time.Duration { return time.Duration(m - o) }

// Clock reads the time. Its epoch is taken when it is made, not at program
// start, so that a simulated clock that starts elsewhere gives sane readings.
type Clock struct {
	epoch  time.Time
	offset offset
	sleep  sleep
	shift  *Shift // nil: the machine is no simulated one
}

// New returns a clock whose monotonic scale starts now.
func New() *Clock {
	c := &Clock{epoch: time.Now().Add(-time.Nanosecond)}
	c.offset.open()
	c.sleep.start(slept)
	return c
}

// Now reads the monotonic scale. After the machine woke up it may take 10 ms
// until a reading says so.
func (c *Clock) Now() Mono {
	up := time.Since(c.epoch)
	if c.shift != nil {
		up += time.Duration(c.shift.slept.Load())
	} else {
		up += c.sleep.read(up)
	}
	return max(1, Mono(up+c.offset.read())) // an offset may be negative
}

// Wall reads the time of day.
func (c *Clock) Wall() time.Time {
	now := time.Now().Add(c.offset.read())
	if c.shift != nil {
		now = now.Add(time.Duration(c.shift.slept.Load() + c.shift.set.Load()))
	}
	return now
}

// Deadline is the moment d from now for the deadlines of package net, which
// know the system's own time and no offset.
func (c *Clock) Deadline(d time.Duration) time.Time { return time.Now().Add(d) }

// At gives the time of day of a monotonic reading, as this clock sees it now.
func (c *Clock) At(m Mono) time.Time {
	return c.Wall().Add(m.Sub(c.Now()))
}

// Shift is what happens to the clocks of a simulated machine beside the time
// that goes by on them. Its zero value is nothing.
type Shift struct{ slept, set atomic.Int64 }

// Suspend lets the machine sleep for d, at once: timers stand still meanwhile.
func (s *Shift) Suspend(d time.Duration) { s.slept.Add(int64(d)) }

// Step sets the time of day forward by d, back if it is negative.
func (s *Shift) Step(d time.Duration) { s.set.Add(int64(d)) }

// Simulated is New for a simulated machine, to whose clocks s happens.
func Simulated(s *Shift) *Clock {
	c := New()
	c.shift = s
	return c
}
