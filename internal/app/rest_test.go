package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/clock"
)

// Long work is interrupted for a share of its time, a bounded one; short work is not,
// nor any when nobody waits.
func TestRestIsAShareOfTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		c := clock.New()
		r := newRest(c, ctx.Done(), 4, c.Now())
		rested := func(work time.Duration) time.Duration {
			time.Sleep(work)
			from := c.Now()
			r.take()
			return c.Now().Sub(from)
		}
		for _, step := range []struct{ work, want time.Duration }{
			{pieceMost / 2, 0},
			{pieceMost / 2, pieceMost / 4},
			{pieceMost - 1, 0},
			{1, pieceMost / 4},
			{time.Hour, restMost},
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
