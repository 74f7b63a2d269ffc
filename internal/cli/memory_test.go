package cli

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

// The limit makes room for questions that wait, and takes it back.
func TestMemoryLimitFollowsStacks(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	defer debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer limitMemory(100<<20, 80<<20)()
	const alone = 130<<20 + memoryBeside - memoryOutside - 80<<20
	if got := debug.SetMemoryLimit(-1); got != alone {
		t.Fatalf("a limit of %d, want %d", got, alone)
	}
	if got := debug.SetGCPercent(garbagePercent); got != garbagePercent {
		t.Errorf("%d %% of garbage", got)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() { waitDeep(200, end) })
	}
	await := func(what string, ok func(limit int64) bool) {
		t.Helper()
		for range 200 {
			runtime.GC()
			runtime.Gosched()
			if ok(debug.SetMemoryLimit(-1)) {
				return
			}
			<-time.After(5 * time.Millisecond)
		}
		t.Errorf("%s: the limit is %d, stacks are %d", what, debug.SetMemoryLimit(-1), stacks())
	}
	await("with stacks", func(limit int64) bool { return limit > alone+20<<20 })
	close(end)
	wg.Wait()
	await("without", func(limit int64) bool { return limit == alone })
}

// waitDeep waits with a stack of so many calls.
//
//go:noinline
func waitDeep(calls int, end chan struct{}) (sum byte) {
	var frame [128]byte
	if calls == 0 {
		<-end
		return 0
	}
	frame[calls%128] = 1
	return frame[0] + waitDeep(calls-1, end)
}
