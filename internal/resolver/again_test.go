package resolver

import (
	"context"
	"sync"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// Who looked into the cache before a flight landed and boards after it must not
// start the same again. Real goroutines: the moment in between is what counts.
func TestOneFlightHoweverTheClientsCome(t *testing.T) {
	for what, res := range map[string]iterator.Result{
		"answer":  {Entries: []cache.Entry{address("www.example.", 60, 1)}},
		"failure": {Failure: &ede.Error{Code: ede.NetworkError, ID: "TEST"}},
	} {
		for range 500 {
			r, it := newTest(t, nil, func(context.Context, iterator.Request) iterator.Result { return res })
			var all sync.WaitGroup
			for range 32 {
				all.Go(func() { r.ask("www.example.", wire.TypeA) })
			}
			all.Wait()
			if n := it.asked.Load(); n != 1 {
				t.Fatalf("%s: %d resolutions of one question", what, n)
			}
			r.Close()
		}
	}
}
