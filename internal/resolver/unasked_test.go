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

// What a question brought into the cache was not asked for there: else a flood
// of names that come once would displace those that are asked for (package cache
// tells the two apart by that).
func TestResolvingIsNotAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *cache.Cache
		r, _ := newTest(t, func(o *Options) { c = o.Cache }, func(_ context.Context, req iterator.Request) iterator.Result {
			time.Sleep(30 * time.Millisecond)
			switch req.Name {
			case name("both.example."):
				return iterator.Result{Entries: []cache.Entry{alias("both.example.", 60, "one.example."), address("one.example.", 60, 1)}}
			case name("first.example."):
				return iterator.Result{Entries: []cache.Entry{alias("first.example.", 60, "two.example.")}}
			}
			return iterator.Result{Entries: []cache.Entry{address(req.Name.String(), 60, 1)}}
		})
		hits := func() (entries, asked int) {
			c.Walk(func(_ *cache.Hit, hits uint8) bool {
				entries++
				if hits > 0 {
					asked++
				}
				return true
			})
			return entries, asked
		}
		for _, n := range []string{"www.example.", "both.example.", "first.example."} {
			r.ask(n, wire.TypeA)
		}
		if entries, asked := hits(); entries != 5 || asked != 0 {
			t.Errorf("asked for once: %d of %d entries count as wanted", asked, entries)
		}
		r.ask("both.example.", wire.TypeA)
		if _, asked := hits(); asked != 2 {
			t.Errorf("%d entries were asked for again, want 2", asked)
		}
	})
}
