package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"lastgood/bench/machine"
)

// report writes the figures as Markdown, with the machine and the versions.
func report(ctx context.Context, results []result, rounds, seconds int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# CPU per question\n\n%s, %d cores, %s; %s; %d rounds of %d s, interleaved, servers on core %s, load on core %s.\n\n",
		machine.CPU(), runtime.NumCPU(), runtime.GOOS, machine.Versions(ctx), rounds, seconds, serverCore, loadCore)
	b.WriteString("| workload | server | µs/question: least | median | most | of Unbound's median | questions/s (median) | RSS MiB |\n|---|---|---|---|---|---|---|---|\n")
	for _, w := range workloads {
		var reference float64
		for _, name := range []string{"unbound", "lastgood"} {
			var cost, rate, memory []float64
			for _, r := range results {
				if r.server == name && r.workload == w.name {
					cost, rate, memory = append(cost, r.micros), append(rate, r.rate), append(memory, r.memory)
				}
			}
			lo, mid, hi := spread(cost)
			_, perSecond, _ := spread(rate)
			_, rss, _ := spread(memory)
			if name == "unbound" {
				reference = mid
			}
			fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f |\n", w.name, name, lo, mid, hi, mid/reference, perSecond, rss)
		}
	}
	return b.String()
}
