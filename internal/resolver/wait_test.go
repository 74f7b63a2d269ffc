package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// The flights of a chain do not add up: the client waits once for all of them.
func TestClientWaitsOnceForAChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, func(ctx context.Context, q iterator.Request) iterator.Result {
			if q.Name == name("www.example.") {
				time.Sleep(6 * time.Second)
				return iterator.Result{Entries: []cache.Entry{alias("www.example.", 300, "far.example.")}}
			}
			<-ctx.Done()
			return iterator.Result{}
		})
		start := r.clock.Now()
		expect(t, r.ask("www.example.", wire.TypeA), "SERVFAIL DEAD")
		if took := r.clock.Now().Sub(start); took != 10*time.Second+lastWord {
			t.Errorf("waited %s", took)
		}
		if n := it.asked.Load(); n != 2 {
			t.Errorf("%d flights", n)
		}
		time.Sleep(10 * time.Second) // the second goes on to its own end
	})
}
