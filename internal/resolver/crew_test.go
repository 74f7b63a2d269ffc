package resolver

import (
	"sync"
	"testing"
	"testing/synctest"
)

func call(f func()) { f() }

// Whoever asks gets a goroutine at once, though all others wait for it.
func TestNoneOfACrewWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrew(2, call)
		defer c.Close()
		gate := make(chan struct{})
		var wg sync.WaitGroup
		for range 10 {
			wg.Add(1)
			c.Go(func() { defer wg.Done(); <-gate })
		}
		wg.Add(1)
		c.Go(func() { defer wg.Done(); close(gate) })
		wg.Wait()
	})
}

// Goroutines are used again, and no more are kept than allowed.
func TestIdleGoroutinesAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrew(3, call)
		for range 5 {
			c.Go(func() {})
			synctest.Wait()
			if n := c.idle.Load(); n != 1 {
				t.Fatalf("%d idle after work for one at a time", n)
			}
		}
		gate := make(chan struct{})
		for range 10 {
			c.Go(func() { <-gate })
		}
		synctest.Wait()
		if n := c.idle.Load(); n != 0 {
			t.Errorf("%d idle while there was work for ten", n)
		}
		close(gate)
		synctest.Wait()
		if n := c.idle.Load(); n != 3 {
			t.Errorf("%d idle, want 3", n)
		}
		c.Close()
		c.Close() // does no harm
		synctest.Wait()
		if n := c.idle.Load(); n != 0 {
			t.Errorf("%d idle after Close", n)
		}
		ran := false
		c.Go(func() { ran = true })
		synctest.Wait()
		if !ran || c.idle.Load() != 0 {
			t.Error("after Close: not run, or kept")
		}
	})
}
