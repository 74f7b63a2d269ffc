package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/clock"
)

// Long work is interrupted after each piece; short work is not, nor does anybody wait
// for a rest at the end.
func TestRestAfterEachPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		c := clock.New()
		const piece, rest = time.Millisecond, time.Second
		r := newRest(c, ctx.Done(), pace{piece, rest}, c.Now())
		rested := func(work time.Duration) time.Duration {
			time.Sleep(work)
			from := c.Now()
			r.take()
			return c.Now().Sub(from)
		}
		for _, step := range []struct{ work, want time.Duration }{
			{piece / 2, 0}, {piece / 2, rest}, {piece - 1, 0}, {1, rest}, {time.Hour, rest},
		} {
			if got := rested(step.work); got != step.want {
				t.Errorf("after work of %v a rest of %v, want %v", step.work, got, step.want)
			}
		}
		end()
		if got := rested(time.Hour); got != 0 {
			t.Errorf("a rest of %v at the end", got)
		}
	})
}
