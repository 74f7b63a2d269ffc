package resolver

import (
	"context"
	"testing"
	"testing/synctest"

	"lastgood/internal/cache"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

func answers(context.Context, iterator.Request) iterator.Result {
	return iterator.Result{Entries: []cache.Entry{address("www.example.", 60, 1)}}
}

// A look-up that a flight left behind must not start another when all were
// waited for: it would outlive Close.
func TestNoFlightStartsAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, answers)
		r.Close()
		expect(t, r.ask("www.example.", wire.TypeA), "SERVFAIL STOP")
		_, _, err := r.Addresses(context.Background(), iterator.Request{Budget: iterator.NewBudget(5, 1000)}, name("ns.example."), wire.TypeA)
		if err == nil {
			t.Error("addresses were found after Close")
		}
		if n := it.asked.Load(); n != 0 {
			t.Errorf("%d flights after Close", n)
		}
	})
}

// When a flight has its answer, the look-ups that it no longer needs must not
// cost another packet.
func TestNoFlightStartsForWhoeverIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, answers)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, _, err := r.Addresses(ctx, iterator.Request{Budget: iterator.NewBudget(5, 1000)}, name("ns.example."), wire.TypeA); err == nil {
			t.Error("no error for whoever is gone")
		}
		synctest.Wait()
		if n := it.asked.Load(); n != 0 {
			t.Errorf("%d flights for nobody", n)
		}
	})
}
