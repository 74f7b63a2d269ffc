package main

import (
	"context"
	"fmt"
	"runtime"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// report writes the figures as Markdown, with the machine and the versions.
func report(ctx context.Context, results []perquestion.Result, o options) string {
	head := fmt.Sprintf("# CPU per question about signed zones\n\n%s, %d cores, %s; %s; %d zones, validation %t; %d rounds, interleaved, servers on core %s, load and authorities on core %s.\n\n",
		machine.CPU(), runtime.NumCPU(), runtime.GOOS, machine.Versions(ctx), o.zones, o.validate, o.rounds, perquestion.ServerCore, perquestion.LoadCore)
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return head + perquestion.Table(results, names, 1)
}
