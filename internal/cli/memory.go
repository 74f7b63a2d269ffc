package cli

import (
	"os"
	"runtime/debug"
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
)

// limitMemory has the collector keep the process below 1.3 times the size of its cache
// and memoryBeside, of which so many octets are outside the Go heap. Where none are, the
// cache's entries are to the collector one large heap that lives: then there may be
// less garbage. GOMEMLIMIT and GOGC go before.
func limitMemory(cache, outside int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cache*13/10 + memoryBeside - memoryOutside - outside)
	}
	if os.Getenv("GOGC") == "" && outside > 0 {
		debug.SetGCPercent(garbagePercent)
	}
}
