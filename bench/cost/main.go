// Command cost measures what a question costs: CPU time of the server process
// (user and system, all threads, from /proc) per answered question, lastgood
// beside Unbound, in interleaved rounds. See bench/README.md for the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// workload is one way of asking.
type workload struct {
	name  string
	names int  // distinct names
	cold  bool // every name is new to the server, in every round
}

var workloads = []workload{
	{"hot: 1,000 cached names", 1_000, false},
	{"cached: 100,000 names", 100_000, false},
	{"cold: every name new", 100_000, true},
}

// each gives out the names. Cold rounds have names of their own.
func (w workload) each(round int) iter.Seq[string] {
	first := "n"
	if w.cold {
		first = fmt.Sprintf("r%dn", round)
	}
	return func(yield func(string) bool) {
		for i := range w.names {
			if !yield(fmt.Sprintf("%s%d.bench", first, i)) {
				return
			}
		}
	}
}

func main() {
	rounds := flag.Int("rounds", 5, "interleaved rounds of each server and workload")
	seconds := flag.Int("seconds", 5, "length of a measured run")
	binary := flag.String("lastgood", "", "the lastgood binary; built from the parent folder when empty")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *seconds, *binary, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, rounds, seconds int, binary, out string) error {
	dir, err := os.MkdirTemp("", "lastgood-cost-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if binary == "" {
		binary = filepath.Join(dir, "lastgood")
		if msg, err := exec.CommandContext(ctx, "go", "-C", "..", "build", "-o", binary, "./cmd/lastgood").CombinedOutput(); err != nil {
			return fmt.Errorf("building lastgood: %w\n%s", err, msg)
		}
	}
	authority, err := startNSD(ctx, dir)
	if err != nil {
		return err
	}
	defer authority.Stop()
	var results []perquestion.Result
	for _, w := range workloads {
		for round := range rounds {
			for _, s := range servers(dir, binary) {
				r, err := measure(ctx, dir, s, w, round, time.Duration(seconds)*time.Second)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, w.name, err)
				}
				log.Printf("%-9s %-24s round %d: %6.2f µs/question, %7.0f questions/s, %d lost", s.name, w.name, round+1, r.Micros, r.Rate, r.Lost)
				results = append(results, r)
			}
		}
	}
	text := report(ctx, results, rounds, seconds)
	fmt.Print(text)
	if out != "" {
		return os.WriteFile(out, []byte(text), 0o644)
	}
	return nil
}

// measure starts a server, warms it, checks it and runs the load once.
func measure(ctx context.Context, dir string, s server, w workload, round int, length time.Duration) (perquestion.Result, error) {
	p, err := machine.Start(ctx, perquestion.ServerCore, s.args, resolverAt)
	if err != nil {
		return perquestion.Result{}, err
	}
	defer p.Stop()
	if err := correct(ctx); err != nil {
		return perquestion.Result{}, err
	}
	load := perquestion.Load{Addr: resolverAt, File: filepath.Join(dir, "names"), Rcode: "NOERROR"}
	if err := perquestion.WriteNames(load.File, w.each(round)); err != nil {
		return perquestion.Result{}, err
	}
	load.More = []string{"-q", "200", "-n", "1"} // every name once
	// A cold run asks each name once; the others go round for the time given.
	if !w.cold {
		if err := load.Warm(ctx); err != nil {
			return perquestion.Result{}, err
		}
		load.More = []string{"-q", "200", "-l", fmt.Sprint(int(length.Seconds()))}
	}
	return perquestion.Measure(ctx, p, load, s.name, w.name)
}
