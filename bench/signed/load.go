package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"lastgood/bench/machine"
)

// result is one measured run of one workload.
type result struct {
	server, workload string
	micros           float64 // CPU of the server process per answered question
	rate             float64 // questions per second
	lost             int
	memory           float64 // MiB resident at the end
}

type loadResult struct {
	answered, lost, wrong int
	rate                  float64
}

// writeNames writes dnsperf's question file, in an order by chance, the same for all.
func writeNames(path string, w workload, zones int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	for _, z := range rand.New(rand.NewPCG(1, 2)).Perm(zones) {
		for _, name := range w.ask(z) {
			fmt.Fprintf(b, "%s A\n", name)
		}
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// load runs dnsperf on the second core, with DO.
func load(ctx context.Context, file, rcode string) (loadResult, error) {
	host, port, _ := strings.Cut(resolverAt, ":")
	out, err := exec.CommandContext(ctx, "taskset", "-c", loadCore, "dnsperf", "-s", host, "-p", port, "-d", file, "-D", "-c", "8", "-q", "100", "-t", "5", "-n", "1").CombinedOutput()
	if err != nil {
		return loadResult{}, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	number := func(label string) float64 {
		m := regexp.MustCompile(label + `\s+([0-9.]+)`).FindSubmatch(out)
		if m == nil {
			return 0
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0
		}
		return v
	}
	l := loadResult{answered: int(number("Queries completed:")), lost: int(number("Queries lost:")), rate: number("Queries per second:")}
	l.wrong = l.answered - int(number(`Response codes:.*\b`+rcode))
	return l, nil
}

// report writes the figures as Markdown, with the machine and the versions.
func report(ctx context.Context, results []result, o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# CPU per question about signed zones\n\n%s, %d cores, %s; %s; %d zones, validation %t; %d rounds, interleaved, servers on core %s, load and authorities on core %s.\n\n",
		machine.CPU(), runtime.NumCPU(), runtime.GOOS, machine.Versions(ctx), o.zones, o.validate, o.rounds, serverCore, loadCore)
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
			fmt.Fprintf(&b, "| %s | %s | %.1f | %.1f | %.1f | %.2f | %.0f | %.0f |\n", w.name, name, lo, mid, hi, mid/reference, perSecond, rss)
		}
	}
	return b.String()
}
