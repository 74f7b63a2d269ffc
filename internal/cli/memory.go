package cli

import (
	"os"
	"runtime/debug"
)

// memoryBeside is what the program may take beside its cache before it
// collects garbage harder, in octets: questions in flight, buffers, tables.
const memoryBeside = 64 << 20

// limitMemory keeps the collector from letting garbage grow as large as the
// cache, which to it is one large live heap. GOMEMLIMIT goes before.
func limitMemory(cache int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cache + cache/8 + memoryBeside)
	}
}
