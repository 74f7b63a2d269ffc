package resolver

import (
	"context"
	"sync"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// Who looked into the cache before a flight landed and boards after it must not
// start the same again. Real goroutines: the moment in between is what counts.
func TestOneFlightHoweverTheClientsCome(t *testing.T) {
	for what, res := range map[string]iterator.Result{
		"answer":  {Entries: []cache.Entry{address("www.example.", 3600, 1)}},
		"failure": {Failure: &ede.Error{Code: ede.NetworkError, ID: "TEST"}},
	} {
		for range 500 {
			r, it := newTest(t, patientMemory, func(context.Context, iterator.Request) iterator.Result { return res })
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

// patientMemory keeps failures in mind for longer than the busiest machine
// leaves a goroutine waiting.
func patientMemory(o *Options) {
	o.Cache = cache.New(cache.Options{Size: 4 << 20, MaxTTL: time.Hour, MaxNegativeTTL: time.Hour,
		FailureMin: 5 * time.Minute, FailureMax: 5 * time.Minute, Seed: 1})
	o.Deadline = time.Hour
}
