// Command signed measures what it costs to resolve names of signed zones that are
// not in the cache: CPU time of the server process per answered question, lastgood
// beside Unbound, in interleaved rounds. See bench/README.md for the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
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
	var results []result
	for round := range o.rounds {
		for _, s := range list {
			r, err := measure(ctx, dir, s, o)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			for _, one := range r {
				log.Printf("%-9s %-26s round %d: %7.1f µs/question, %6.0f questions/s, %d lost", s.name, one.workload, round+1, one.micros, one.rate, one.lost)
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
func measure(ctx context.Context, dir string, s server, o options) ([]result, error) {
	p, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	if err := correct(ctx, o.validate); err != nil {
		return nil, err
	}
	var out []result
	for _, w := range workloads {
		file := filepath.Join(dir, "names")
		if err := writeNames(file, w, o.zones); err != nil {
			return nil, err
		}
		before, err := p.CPU()
		if err != nil {
			return nil, err
		}
		l, err := load(ctx, file, w.rcode)
		if err != nil {
			return nil, err
		}
		after, err := p.CPU()
		if err != nil {
			return nil, err
		}
		if l.wrong > 0 || l.answered == 0 || l.lost*100 > l.answered {
			return nil, fmt.Errorf("%s: %d answered, %d lost, %d not %s: not a fair run", w.name, l.answered, l.lost, l.wrong, w.rcode)
		}
		micros := float64((after - before) / time.Microsecond)
		out = append(out, result{s.name, w.name, micros / float64(l.answered), l.rate, l.lost, p.Memory()})
	}
	return out, nil
}

// spread is least, middle and greatest of some figures.
func spread(v []float64) (lo, mid, hi float64) {
	v = slices.Sorted(slices.Values(v))
	return v[0], v[len(v)/2], v[len(v)-1]
}
