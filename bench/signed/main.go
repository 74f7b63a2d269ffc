// Command signed measures what it costs to resolve names of signed zones that are
// not in the cache: CPU time of the server process per answered question, lastgood
// beside Unbound, in interleaved rounds. See bench/README.md for the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// workload is one way of asking. They follow one another, each on what the ones
// before left in the cache.
type workload struct {
	name  string
	rcode string
	ask   func(zone int) []string // the names of a zone that are asked for
}

var workloads = []workload{
	{"new zones: the first name", "NOERROR", func(z int) []string { return []string{fmt.Sprintf("n0.z%d.bench", z)} }},
	{"known zones: new names", "NOERROR", func(z int) []string {
		return []string{fmt.Sprintf("n1.z%d.bench", z), fmt.Sprintf("n2.z%d.bench", z)}
	}},
	{"known zones: no such name", "NXDOMAIN", func(z int) []string { return []string{fmt.Sprintf("nope.z%d.bench", z)} }},
}

// each gives out the names, in an order by chance, the same for all servers.
func (w workload) each(zones int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, z := range rand.New(rand.NewPCG(1, 2)).Perm(zones) {
			for _, name := range w.ask(z) {
				if !yield(name) {
					return
				}
			}
		}
	}
}

type options struct {
	rounds, zones int
	validate      bool
	binary, out   string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds of each server")
	flag.IntVar(&o.zones, "zones", 5000, "signed zones")
	flag.BoolVar(&o.validate, "validate", true, "false: as if nothing were signed, to compare with")
	flag.StringVar(&o.binary, "lastgood", "", "the lastgood binary; built from the parent folder when empty")
	flag.StringVar(&o.out, "out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "lastgood-signed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.binary == "" {
		o.binary = filepath.Join(dir, "lastgood")
		if msg, err := exec.CommandContext(ctx, "go", "-C", "..", "build", "-o", o.binary, "./cmd/lastgood").CombinedOutput(); err != nil {
			return fmt.Errorf("building lastgood: %w\n%s", err, msg)
		}
	}
	w, err := makeWorld(dir, o.zones)
	if err != nil {
		return err
	}
	list, err := servers(dir, o.binary, w, o.validate)
	if err != nil {
		return err
	}
	stop, err := w.serve(ctx, dir)
	defer stop()
	if err != nil {
		return err
	}
	var results []perquestion.Result
	for round := range o.rounds {
		for _, s := range list {
			r, err := measure(ctx, dir, s, o)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			for _, one := range r {
				log.Printf("%-9s %-26s round %d: %7.1f µs/question, %6.0f questions/s, %d lost", s.name, one.Workload, round+1, one.Micros, one.Rate, one.Lost)
			}
			results = append(results, r...)
		}
	}
	text := report(ctx, results, o)
	fmt.Print(text)
	if o.out != "" {
		return os.WriteFile(o.out, []byte(text), 0o644)
	}
	return nil
}

// measure starts a server, checks it, and asks every name once.
func measure(ctx context.Context, dir string, s server, o options) ([]perquestion.Result, error) {
	p, err := machine.Start(ctx, perquestion.ServerCore, s.args, resolverAt)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	if err := correct(ctx, o.validate); err != nil {
		return nil, err
	}
	var out []perquestion.Result
	for _, w := range workloads {
		load := perquestion.Load{Addr: resolverAt, File: filepath.Join(dir, "names"), Rcode: w.rcode, More: []string{"-D", "-q", "100", "-n", "1"}}
		if err := perquestion.WriteNames(load.File, w.each(o.zones)); err != nil {
			return nil, err
		}
		r, err := perquestion.Measure(ctx, p, load, s.name, w.name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		out = append(out, r)
	}
	return out, nil
}
