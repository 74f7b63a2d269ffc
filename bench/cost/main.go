// Command cost measures what a question costs: CPU time of the server process
// (user and system, all threads, from /proc) per answered question, lastgood
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
	var results []result
	for _, w := range workloads {
		for round := range rounds {
			for _, s := range servers(dir, binary) {
				r, err := measure(ctx, dir, s, w, round, time.Duration(seconds)*time.Second)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, w.name, err)
				}
				log.Printf("%-9s %-24s round %d: %6.2f µs/question, %7.0f questions/s, %d lost", s.name, w.name, round+1, r.micros, r.rate, r.lost)
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
func measure(ctx context.Context, dir string, s server, w workload, round int, length time.Duration) (result, error) {
	p, err := s.start(ctx)
	if err != nil {
		return result{}, err
	}
	defer p.Stop()
	if err := p.correct(ctx); err != nil {
		return result{}, err
	}
	file := filepath.Join(dir, "names")
	if err := writeNames(file, w, round); err != nil {
		return result{}, err
	}
	if !w.cold {
		if _, err := load(ctx, file, "-n", "1"); err != nil { // warm: every name once
			return result{}, err
		}
	}
	before, err := p.CPU()
	if err != nil {
		return result{}, err
	}
	// A cold run asks each name once; the others go round for the time given.
	limit := []string{"-l", fmt.Sprint(int(length.Seconds()))}
	if w.cold {
		limit = []string{"-n", "1"}
	}
	l, err := load(ctx, file, limit...)
	if err != nil {
		return result{}, err
	}
	after, err := p.CPU()
	if err != nil {
		return result{}, err
	}
	if l.wrong > 0 || l.answered == 0 || l.lost*100 > l.answered {
		return result{}, fmt.Errorf("%d answered, %d lost, %d not NOERROR: not a fair run", l.answered, l.lost, l.wrong)
	}
	micros := float64((after - before).Microseconds()) / float64(l.answered)
	return result{s.name, w.name, micros, l.rate, l.lost, p.Memory()}, nil
}

// spread is least, middle and greatest of some figures.
func spread(v []float64) (lo, mid, hi float64) {
	v = slices.Sorted(slices.Values(v))
	return v[0], v[len(v)/2], v[len(v)-1]
}
