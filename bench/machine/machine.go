// Package machine has what every benchmark needs of the machine that it runs on.
package machine

import (
	"context"
	"os"
	"strings"
	"time"
)

// CPU is the processor's name, for reports.
func CPU() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(strings.TrimSpace(name), ": \t")
		}
	}
	return "unknown CPU"
}

// Wait sleeps so long, or until ctx ends, whose error it gives then.
func Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
