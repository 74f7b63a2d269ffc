package clock

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the system says is what the machine's clocks differ by, to within the
// time that reading them takes.
func TestSlept(t *testing.T) {
	read := func(id int32) time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(id, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	up := read(unix.CLOCK_MONOTONIC)
	got := slept()
	if most := read(unix.CLOCK_BOOTTIME) - up; got > most || got < most-time.Minute {
		t.Errorf("slept %v, the clocks differ by %v at most", got, most)
	}
}
