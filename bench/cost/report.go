package main

import (
	"context"
	"fmt"
	"runtime"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// report writes the figures as Markdown, with the machine and the versions.
func report(ctx context.Context, results []perquestion.Result, rounds, seconds int) string {
	head := fmt.Sprintf("# CPU per question\n\n%s, %d cores, %s; %s; %d rounds of %d s, interleaved, servers on core %s, load on core %s.\n\n",
		machine.CPU(), runtime.NumCPU(), runtime.GOOS, machine.Versions(ctx), rounds, seconds, perquestion.ServerCore, perquestion.LoadCore)
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return head + perquestion.Table(results, names, 2)
}
