package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lastgood/bench/filling"
)

// churned is what the most memory was that a resolver took while more names went
// through its cache than it holds, and the cache was saved and loaded.
type churned struct {
	sizeMiB int
	names   int
	phase   string
	peak    float64 // MiB resident
	entries float64
}

// bound is what it may take: MiB.
func (c *churned) bound() float64 { return 1.3*float64(c.sizeMiB) + 64 }

// churnAll churns caches of several sizes in MiB, separated by commas.
func churnAll(ctx context.Context, dir, binary, sizes string) ([]churned, error) {
	var all []churned
	for size := range strings.SplitSeq(sizes, ",") {
		if size == "" {
			continue
		}
		mib, err := strconv.Atoi(size)
		if err != nil || mib < 16 || mib > 4096 {
			return nil, fmt.Errorf("%q is no size from 16 to 4096 MiB", size)
		}
		c, err := churn(ctx, dir, binary, mib)
		if err != nil {
			return nil, fmt.Errorf("churning %d MiB: %w", mib, err)
		}
		for i := range c {
			log.Printf("%d MiB %s: at most %.0f MiB, bound %.0f", mib, c[i].phase, c[i].peak, c[i].bound())
		}
		all = append(all, c...)
	}
	return all, nil
}

// churn fills a cache of a size three times over, then once more after a start with the
// snapshot. It is saved every five seconds, and at the end.
func churn(ctx context.Context, dir, binary string, sizeMiB int) ([]churned, error) {
	s := lastgood(dir, binary, sizeMiB, fmt.Sprintf("%q, snapshot-interval: 5s", filepath.Join(dir, fmt.Sprintf("churn%d.snapshot", sizeMiB))))
	names := 3 * sizeMiB << 20 / 160
	var list []churned
	for i, phase := range []string{"filled three times over", "loaded, and filled again"} {
		p, err := s.start()
		if err != nil {
			return nil, err
		}
		c := churned{sizeMiB: sizeMiB, names: names, phase: phase}
		if err = filling.Fill(ctx, resolverAddr(), fmt.Sprintf("c%d-", i), names); err == nil {
			var at state
			at, err = p.rest(ctx)
			c.peak, c.entries = p.peak(), at.entries
		}
		p.stop()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		names = names / 3
	}
	return list, nil
}

// peak is the most memory that was resident so far, in MiB.
func (p *process) peak() float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(data)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

func churnReport(list []churned) string {
	var b strings.Builder
	if len(list) == 0 {
		return ""
	}
	b.WriteString("\n## Full, churning, saved and loaded\n\n| `cache.size`, MiB | | names asked | entries at the end | most RSS, MiB | 1.3 × size + 64 MiB |\n|---|---|---|---|---|---|\n")
	for _, c := range list {
		fmt.Fprintf(&b, "| %d | %s | %d | %.0f | %.0f | %.0f |\n", c.sizeMiB, c.phase, c.names, c.entries, c.peak, c.bound())
	}
	return b.String()
}
