package cache

import (
	"math/bits"
	"time"

	"lastgood/internal/clock"
)

// wheel tells which entries' time has come, in order: levels of 64 lists, each
// list of a level as long as a whole level below. An entry lies on the level
// of the highest six bits in which its second differs from the wheel's, and
// moves down when the wheel comes there. Lists are threaded through the
// entries' first cells.
type wheel struct {
	now   uint32 // seconds; nothing in the lists is earlier
	heads [wheelLevels << 6]ref
	used  [wheelLevels]uint64 // lists that are not empty
}

// 64^5 seconds are 34 years; what lies further is looked at then.
const wheelLevels = 5

const lastTick = 1<<(6*wheelLevels) - 1

// place is the list for a moment. It is at most a second late, never early.
func (w *wheel) place(at clock.Mono) int {
	tick := uint32(min((max(int64(at), 0)+int64(time.Second)-1)/int64(time.Second), lastTick))
	tick = max(tick, w.now)
	level := 0
	if d := tick ^ w.now; d != 0 {
		level = (bits.Len32(d) - 1) / 6
	}
	return level<<6 | int(tick>>(6*level)&63)
}

// next is the list that comes first, if its time has come, and turns the wheel
// there.
func (w *wheel) next(now clock.Mono) (list int, ok bool) {
	// A list that the wheel came to and that was not emptied yet: what lies in
	// it may be due before what already moved down.
	for level := wheelLevels - 1; level > 0; level-- {
		if slot := int(w.now >> (6 * level) & 63); w.used[level]>>slot&1 != 0 {
			return level<<6 | slot, true
		}
	}
	for level, used := range w.used {
		if used == 0 {
			continue
		}
		slot := bits.TrailingZeros64(used)
		low := uint(6 * level)
		at := w.now>>(low+6)<<(low+6) | uint32(slot)<<low
		if int64(at) > int64(now)/int64(time.Second) {
			return 0, false
		}
		w.now = at
		return level<<6 | slot, true
	}
	return 0, false
}
