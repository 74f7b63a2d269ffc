// Package clock is the only place that reads the time.
//
// Two kinds of time are told apart: [Mono] for lifetimes and round trips,
// which a step of the system's clock must not move, and wall time for
// signatures and timestamps. Built with -tags testclock, both are shifted by
// an offset that a test outside the process controls; without the tag none of
// that is in the binary.
package clock

import "time"

// Mono is a moment on a [Clock]'s monotonic scale, in nanoseconds since the
// clock was made. Zero and less mean "never": a clock's readings are always
// positive.
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
}

// New returns a clock whose monotonic scale starts now.
func New() *Clock {
	c := &Clock{epoch: time.Now().Add(-time.Nanosecond)}
	c.offset.open()
	return c
}

// Now reads the monotonic scale.
func (c *Clock) Now() Mono {
	return max(1, Mono(time.Since(c.epoch)+c.offset.read())) // an offset may be negative
}

// Wall reads the time of day.
func (c *Clock) Wall() time.Time {
	return time.Now().Add(c.offset.read())
}

// Deadline is the moment d from now for the deadlines of package net, which
// know the system's own time and no offset.
func (c *Clock) Deadline(d time.Duration) time.Time { return time.Now().Add(d) }

// At gives the time of day of a monotonic reading, as this clock sees it now.
func (c *Clock) At(m Mono) time.Time {
	return c.Wall().Add(m.Sub(c.Now()))
}
