package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// memoryBeside is what the program may take beside its cache, in octets: questions
	// in flight, buffers, tables.
	memoryBeside = 64 << 20
	// memoryOutside is the part of it that the Go runtime does not know of: the
	// program's text, the kernel's threads.
	memoryOutside = 24 << 20
	// garbagePercent is how much garbage there may be for each octet that is in use, in
	// the Go heap, which holds all but the cache's entries: what collecting costs depends
	// on what is in use, which is little.
	garbagePercent = 400
	// stacksBeside are the stacks that have their place in memoryBeside: those of
	// goroutines that wait for work. For each octet of more there may be roomForStack.
	stacksBeside = 8 << 20
	roomForStack = 3
)

// limitMemory has the collector keep the process below 1.3 times the size of its cache
// and memoryBeside, of which so many octets are outside the Go heap. Where none are, the
// cache's entries are to the collector one large heap that lives: then there may be
// less garbage. GOMEMLIMIT and GOGC go before.
//
// Thousands of questions that wait need more than that: 44 KB each, two thirds of it
// stacks. If the limit held then, the collector would run without end, walk all the
// stacks, and keep the questions from being answered. So it follows the stacks, as they
// were found by the last collection, until forget is called.
func limitMemory(cache, outside int64) (forget func()) {
	var forgotten atomic.Bool
	if os.Getenv("GOMEMLIMIT") == "" {
		limit := cache*13/10 + memoryBeside - memoryOutside - outside
		debug.SetMemoryLimit(limit)
		afterEachCollection(func() bool {
			if forgotten.Load() {
				return false
			}
			debug.SetMemoryLimit(limit + roomForStack*max(0, stacks()-stacksBeside))
			return true
		})
	}
	if os.Getenv("GOGC") == "" && outside > 0 {
		debug.SetGCPercent(garbagePercent)
	}
	return func() { forgotten.Store(true) }
}

// stacks is how many octets the stacks of all goroutines take.
func stacks() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}

// afterEachCollection calls f after each garbage collection, until it says false.
func afterEachCollection(f func() bool) {
	type nobodys struct{ _ *nobodys } // which each collection finds, and the next one its successor
	runtime.SetFinalizer(new(nobodys), func(*nobodys) {
		if f() {
			afterEachCollection(f)
		}
	})
}
