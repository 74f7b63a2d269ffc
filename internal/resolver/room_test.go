package resolver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// over is a resolution of which nothing goes on.
func over(ctx context.Context, r iterator.Request) iterator.Result {
	r.Budget.Spend()
	time.Sleep(time.Duration(len(r.Name)) * time.Millisecond)
	return iterator.Result{Entries: []cache.Entry{address(r.Name.String(), 1, byte(len(r.Name)))}, Over: true}
}

// Memory that is used again belongs to one question at a time, however many want
// the same and whoever comes and goes: under the race detector, too.
func TestRoomsAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, over)
		var clients sync.WaitGroup
		for c := range 50 {
			clients.Go(func() {
				rng := rand.New(rand.NewPCG(1, uint64(c)))
				for range 100 {
					n := rng.IntN(8)
					owner := fmt.Sprintf("%0*d.example.", n+1, 0)
					q := Query{Name: name(owner), Type: wire.TypeA, RD: true, Stays: rng.IntN(3) > 0, Arrival: r.clock.Now()}
					ctx, cancel := t.Context(), func() {}
					if !q.Stays {
						ctx, cancel = context.WithTimeout(ctx, time.Duration(5+rng.IntN(100))*time.Millisecond)
					}
					a := r.Resolve(ctx, q)
					cancel()
					time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
					if len(a.Chain) == 0 && !q.Stays {
						continue // gone before
					}
					if len(a.Chain) != 1 || a.Chain[0].Entry.Name != q.Name || a.Chain[0].Entry.Set.Data.First()[3] != byte(len(q.Name)) {
						t.Errorf("%s: %s", owner, shape(a))
					}
					a.Release()
				}
			})
		}
		clients.Wait()
	})
}

// What others may know of is not used again.
func TestRoomIsKeptFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, over)
		ask := func(stays bool) *Answer {
			return r.Resolve(t.Context(), Query{Name: name("www.example."), Type: wire.TypeA, RD: true, Stays: stays, Arrival: r.clock.Now()})
		}
		if a := ask(true); a.room == nil || a.room.known {
			t.Error("alone: not to be used again")
		}
		time.Sleep(2 * time.Second)
		if a := ask(false); a.room == nil || !a.room.known {
			t.Error("a flight of its own knows the budget")
		}
		time.Sleep(2 * time.Second)
		go ask(true)
		synctest.Wait()
		if a := ask(true); a.room == nil || a.room.known {
			t.Error("who joined has room of his own")
		}
		time.Sleep(2 * time.Second)
		var first *Answer
		go func() { first = ask(true) }()
		synctest.Wait()
		ask(true)
		synctest.Wait()
		if first.room == nil || !first.room.known {
			t.Error("another landed with the flight")
		}
	})
}
