package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// slept is how long the machine slept since it was started: what the clock that
// goes on meanwhile is ahead of the one that does not. That one is read last, so
// that time in between (the process may be stopped there) makes it less, which
// the next reading puts right, and never more. Package time's own clock is no
// substitute for it: in a simulation it is not the machine's.
func slept() time.Duration {
	var on, up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &on) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &up) != nil {
		return 0
	}
	return time.Duration(on.Nano() - up.Nano())
}
