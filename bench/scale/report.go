package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// report writes the figures and the checks as Markdown.
func (r *rig) report(ctx context.Context) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Scaling\n\n%s, %d cores, %s; lastgood %s; server on core %s, load and authorities on core %s; %v each.\n", machine.CPU(), runtime.NumCPU(),
		machine.Versions(ctx), machine.Commit(ctx), perquestion.ServerCore, perquestion.LoadCore, r.o.length)
	if len(r.checks) > 0 {
		b.WriteString("\n## What must hold\n\n| | at most | found | |\n|---|---|---|---|\n")
		for _, c := range r.checks {
			word := "holds"
			if !c.holds {
				word = "**does not hold**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.what, c.bound, c.found, word)
		}
	}
	for _, p := range parts {
		b.WriteString(r.table(p.title))
	}
	return b.String()
}

// table is the figures of a part.
func (r *rig) table(part string) string {
	var b strings.Builder
	for _, f := range r.figures {
		if f.part != part {
			continue
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "\n## %s\n\n| server | | asked/s | answered/s | errors/s | µs/question | core busy | cached: p50 | p99 | p99.9 | missed | asked late, p99 | RSS MiB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n", part)
		}
		q := func(q float64) time.Duration { return f.probe.Waits.Quantile(q) }
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f | %.0f | %s | %.0f %% | %v | %v | %v | %.2f %% | %v | %.0f |\n", f.server, f.what, f.asked(), f.answered(), f.errors(), perquestion.Micros(f.micros),
			100*f.busy, q(0.5), q(0.99), q(0.999), 100*f.missed(), f.probe.Late.Quantile(0.99), f.rss)
	}
	return b.String()
}
