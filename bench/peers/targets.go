package main

import (
	"fmt"
	"strings"

	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
)

// target is what lastgood should cost at most: a share of what Unbound costs in the
// same round, by the median over the rounds.
type target struct {
	workload string
	ratio    float64
	echo     float64 // or the echo of the same round and so many µs, if that is more; 0: no such thing
}

var targets = []target{
	{"hot", 0.80, 0.4}, {"rate", 0.80, 0.4}, {"cached", 0.75, 0}, {"signed", 0.80, 0}, {"chain", 0.90, 0}, {"tcp", 0.80, 0},
	{"cold", 0.80, 0}, {"zones", 1.0, 0}, {"names", 1.0, 0}, {"denials", 1.0, 0},
}

// Bounds of what is not a ratio.
const (
	mostBytes = 250 // of memory a cached name
	// mostAllocations is what counts as none: the runtime counts by whole spans. That
	// it is none at all is for the tests of internal/resolver and internal/listener.
	mostAllocations = 0.005
)

// judgement is a target and what became of it.
type judgement struct {
	what, bound, found string
	met                bool
}

// judge holds what was measured to the targets.
func judge(results []perquestion.Result, mem []memory, allocs float64) (list []judgement) {
	for _, t := range targets {
		ratios := perquestion.Ratios(results, t.workload, servers.Lastgood, servers.Unbound)
		if len(ratios) == 0 {
			continue
		}
		lo, mid, hi := perquestion.Spread(ratios)
		j := judgement{what: "CPU, " + title(t.workload), bound: fmt.Sprintf("%.2f × Unbound", t.ratio), found: fmt.Sprintf("%.2f × (%.2f – %.2f)", mid, lo, hi), met: mid <= t.ratio}
		if above := perquestion.Differences(results, t.workload, servers.Lastgood, echoName); t.echo > 0 && len(above) > 0 {
			lo, mid, hi := perquestion.Spread(above)
			j.bound += fmt.Sprintf(", or the echo + %.1f µs", t.echo)
			j.found += fmt.Sprintf(", the echo %+.2f µs (%+.2f – %+.2f)", mid, lo, hi)
			j.met = j.met || mid <= t.echo
		}
		list = append(list, j)
	}
	if allocs >= 0 {
		list = append(list, judgement{"heap allocations per cached question", "0", fmt.Sprintf("%.4f", allocs), allocs <= mostAllocations})
	}
	for _, m := range mem {
		if m.server == servers.Lastgood {
			list = append(list, judgement{"memory per cached name", fmt.Sprintf("%d bytes", mostBytes), fmt.Sprintf("%.0f bytes", m.perName), m.perName <= mostBytes})
		}
	}
	return list
}

// title is what a workload's key stands for.
func title(key string) string {
	for _, g := range groups() {
		for _, w := range g.workloads {
			if w.key == key {
				return w.title
			}
		}
	}
	return key
}

// verdicts is the judgements as a table.
func verdicts(list []judgement) string {
	var b strings.Builder
	b.WriteString("| target | at most | found: median (least – most) | |\n|---|---|---|---|\n")
	for _, j := range list {
		word := "met"
		if !j.met {
			word = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", j.what, j.bound, j.found, word)
	}
	return b.String()
}
