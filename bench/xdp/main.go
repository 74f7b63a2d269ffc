// Command xdp measures what a cached question costs the machine over a virtual cable
// between two network namespaces: Unbound, lastgood with the kernel's sockets, lastgood with AF_XDP.
// See bench/README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

func main() {
	rounds := flag.Int("rounds", 7, "interleaved rounds of each server")
	seconds := flag.Int("seconds", 4, "length of a measured run")
	names := flag.Int("names", 1000, "names that are asked for, all of them cached")
	skip := flag.Bool("skip-xdp", false, "leave AF_XDP out, to see the two others alone")
	binary := flag.String("lastgood", "", "the lastgood binary; built from the parent folder when empty")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	runtime.LockOSThread() // whose end would send the death signal to what was started
	b := bench{rounds: *rounds, length: time.Duration(*seconds) * time.Second, names: *names, binary: *binary, skip: *skip}
	text, err := b.run(ctx)
	fmt.Print(text)
	if err == nil && *out != "" {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

type bench struct {
	rounds, names  int
	length         time.Duration
	dir, binary    string
	skip           bool // AF_XDP
	server, client *namespace
	results        []result
}

// result is one measured run.
type result struct {
	server  string
	machine float64 // µs a question: all that was done but the load generator's own
	process float64 // µs a question: the server's process
	softirq float64 // µs a question: what of all was done in the kernel's softirqs
	rate    float64
	lost    int
	others  float64 // share of the machine that was busy before the run, without load
}

func (b *bench) run(ctx context.Context) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("network namespaces and AF_XDP need root")
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "lastgood-xdp-"); err != nil {
		return "", err
	}
	defer os.RemoveAll(b.dir)
	if b.binary, err = machine.Build(ctx, b.dir, b.binary); err != nil {
		return "", err
	}
	if err := b.lay(ctx); err != nil {
		return "", err
	}
	defer b.client.close()
	defer b.server.close()
	authority, err := b.authority(ctx)
	if err != nil {
		return "", err
	}
	defer authority.stop()
	file := filepath.Join(b.dir, "names")
	err = perquestion.WriteNames(file, func(yield func(string) bool) {
		for i := range b.names {
			if !yield(fmt.Sprintf("n%d.bench", i)) {
				return
			}
		}
	})
	if err != nil {
		return "", err
	}
	for round := range b.rounds {
		for i, s := range b.servers() {
			if b.skip && i == 2 {
				continue
			}
			r, err := b.measure(ctx, s, file)
			if err != nil {
				return b.report(ctx), fmt.Errorf("%s: %w", s.name, err)
			}
			log.Printf("%-14s round %d: machine %5.2f µs/question, process %5.2f, softirqs %5.2f, %7.0f questions/s, %d lost, %.1f %% busy before",
				r.server, round+1, r.machine, r.process, r.softirq, r.rate, r.lost, 100*r.others)
			b.results = append(b.results, r)
		}
	}
	return b.report(ctx), nil
}

// report has the spread of every figure, and the ratio to Unbound in the same round.
func (b *bench) report(ctx context.Context) string {
	var t strings.Builder
	fmt.Fprintf(&t, "# AF_XDP over a virtual cable\n\n%s, %d cores; %s; lastgood %s.\n%d names, cached; %d rounds of %v each, interleaved. µs a question: least, median, most.\n\n",
		machine.CPU(), runtime.NumCPU(), machine.Versions(ctx), machine.Commit(ctx), b.names, b.rounds, b.length)
	t.WriteString("| server | machine less load | ratio to Unbound | server's process | ratio | of all, in softirqs | questions/s | lost | busy before |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range serverNames {
		col := func(f func(result) float64) []float64 {
			var v []float64
			for _, r := range b.results {
				if r.server == s {
					v = append(v, f(r))
				}
			}
			return v
		}
		if len(col(func(r result) float64 { return 1 })) == 0 {
			continue
		}
		lost := 0.0
		for _, n := range col(func(r result) float64 { return float64(r.lost) }) {
			lost += n
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s | %s | %s | %.0f | %s |\n", s,
			spread("%.2f", col(func(r result) float64 { return r.machine })), spread("%.2f", b.ratios(s, func(r result) float64 { return r.machine })),
			spread("%.2f", col(func(r result) float64 { return r.process })), spread("%.2f", b.ratios(s, func(r result) float64 { return r.process })),
			spread("%.2f", col(func(r result) float64 { return r.softirq })), spread("%.0f", col(func(r result) float64 { return r.rate })), lost,
			spread("%.1f %%", col(func(r result) float64 { return 100 * r.others })))
	}
	return t.String()
}

// ratios compares a server's figure with Unbound's, round by round.
func (b *bench) ratios(server string, figure func(result) float64) []float64 {
	var v []float64
	for i, r := range b.results {
		for j := i; r.server == server && j >= 0; j-- {
			if b.results[j].server == serverNames[0] {
				v = append(v, figure(r)/figure(b.results[j]))
				break
			}
		}
	}
	return v
}

func spread(format string, v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	least, median, most := perquestion.Spread(v)
	return fmt.Sprintf(strings.Join([]string{format, format, format}, " / "), least, median, most)
}
