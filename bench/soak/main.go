// Command soak runs lastgood in its lab for a long time at 80 % of what it can
// do, while faults switch on and off, and judges whether memory, goroutines,
// descriptors and latency stay as they are. See bench/README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"lastgood/bench/machine"
)

// options are the flags.
type options struct {
	minutes, share float64
	seed           uint64
	rate           float64 // questions a second; 0: share of what is measured
	binary, out    string
	cache          string
	faults         bool
}

func main() {
	var o options
	flag.Float64Var(&o.minutes, "minutes", 30, "length of the soak, up to 1440")
	flag.Float64Var(&o.share, "share", 0.8, "of the capacity that is measured first")
	flag.Float64Var(&o.rate, "rate", 0, "questions a second, in place of a share of the capacity")
	flag.Uint64Var(&o.seed, "seed", 1, "of the questions and of the faults")
	flag.StringVar(&o.binary, "lastgood", "", "the lastgood binary; built from the parent folder when empty")
	flag.StringVar(&o.out, "out", "", "also write OUT.md, OUT.csv and OUT.svg")
	flag.StringVar(&o.cache, "cache", "24MiB", "size of the cache: small, so that it is full after the warm-up")
	flag.BoolVar(&o.faults, "faults", true, "switch faults on and off")
	flag.Parse()
	if o.minutes < 1 || o.minutes > 1440 || o.share <= 0 || o.share > 1 {
		log.Fatal("-minutes must be from 1 to 1440 and -share above 0, up to 1")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, &o)
	if err != nil {
		log.Fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "lastgood-soak-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if o.binary, err = machine.Build(ctx, dir, o.binary); err != nil {
		return false, err
	}
	l, err := startLab(ctx, dir, o.binary, o.cache)
	if err != nil {
		return false, err
	}
	defer l.kill()
	separate()
	r, err := soak(ctx, o, l)
	if err != nil {
		return false, errors.Join(err, l.said())
	}
	r.clean = l.stop()
	verdicts := r.judge()
	if err := r.write(o.out, verdicts); err != nil {
		return false, err
	}
	return passed(verdicts), nil
}

// separate leaves the server its cores to itself: this program takes the last
// one, see startLab.
func separate() {
	if n := runtime.NumCPU(); n > 1 {
		runtime.GOMAXPROCS(1)
		// Best effort: without it the two share, which the report's figures show.
		_ = exec.Command("taskset", "-apc", strconv.Itoa(n-1), strconv.Itoa(os.Getpid())).Run()
	}
}

// soak warms up, finds the rate, runs, and lets everything come to rest.
func soak(ctx context.Context, o *options, l *lab) (*record, error) {
	r := &record{o: *o}
	var err error
	if r.before, err = l.sample(); err != nil {
		return nil, err
	}
	g, err := newGenerator(o.seed)
	if err != nil {
		return nil, err
	}
	defer g.close()
	go g.run()
	if err := g.warm(ctx); err != nil {
		return nil, err
	}
	r.rate = o.rate
	if r.rate == 0 {
		if r.capacity, err = measure(ctx, o, l, g); err != nil {
			return nil, err
		}
		r.rate = r.capacity * o.share
	}
	log.Printf("capacity %.0f questions/s, soaking at %.0f for %.1f min", r.capacity, r.rate, o.minutes)
	if err := r.steady(ctx, l, g); err != nil {
		return nil, err
	}
	g.setRate(0)
	if err := l.faultsOff(ctx); err != nil {
		return nil, err
	}
	return r, r.rest(ctx, l, g)
}

// standing are the faults during the measuring of the capacity: what faults
// cost belongs to it.
var standing = [][2]string{{"cdn.example", "slow=200ms,loss=30%"}, {"org", "blackhole"}, {"tree.example.net", "truncate,stall-tcp"}}

// measure finds the capacity, faults included.
func measure(ctx context.Context, o *options, l *lab, g *generator) (float64, error) {
	if o.faults {
		for _, f := range standing {
			if err := l.fault(ctx, f[0], f[1]); err != nil {
				return 0, err
			}
		}
	}
	found, err := g.capacity(ctx)
	if err != nil {
		return 0, err
	}
	return found, l.faultsOff(ctx)
}
