// Command outage measures what clients notice when a zone's only authority
// fails: lastgood beside peers that serve stale answers, one after the other.
// Silence, SERVFAIL and REFUSED; or, with -kill, silence in which lastgood is
// killed and restarted. See bench/README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lastgood/bench/machine"
)

// options are the flags.
type options struct {
	servers, kinds          []string
	runs, peerRuns, nsdRuns int
	names, rate             int

	ttl, enter, healthy, outage, after time.Duration
	patience, floor                    time.Duration

	seed               uint64
	kill               bool
	binary, nsdProgram string
	out                string
}

func main() {
	// The death signal of processes is sent when the thread ends that started them.
	runtime.LockOSThread()
	if len(os.Args) > 1 && parts[os.Args[1]] != nil {
		if err := parts[os.Args[1]](os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	o, err := parse(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		log.Fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("outage", flag.ExitOnError)
	servers := f.String("servers", "lastgood,unbound,pdns-recursor,knot-resolver,bind9", "who is measured, if installed")
	kinds := f.String("kinds", silence+","+servfail+","+refused, "of outage")
	f.IntVar(&o.runs, "runs", 10, "of lastgood with the benchmark's own authority, a kind")
	f.IntVar(&o.peerRuns, "peer-runs", 1, "of each peer with it, a kind")
	f.IntVar(&o.nsdRuns, "nsd-runs", 1, "of each server with NSD as the authority, silence only")
	f.IntVar(&o.names, "names", 200, "that are asked for, up to 250")
	f.IntVar(&o.rate, "rate", 400, "questions a second")
	f.DurationVar(&o.ttl, "ttl", 5*time.Second, "of the addresses, whole seconds")
	f.DurationVar(&o.enter, "enter", 20*time.Second, "in which the names enter")
	f.DurationVar(&o.healthy, "healthy", 40*time.Second, "before the outage, and up to a TTL more")
	f.DurationVar(&o.outage, "outage", 30*time.Second, "length of the outage")
	f.DurationVar(&o.after, "after", 15*time.Second, "of observation after it")
	f.DurationVar(&o.patience, "patience", 5*time.Second, "of a client: no answer counts later")
	f.DurationVar(&o.floor, "floor", 10*time.Second, "for which an echo server is asked first; 0 leaves it out")
	f.Uint64Var(&o.seed, "seed", 1, "of the phases and the questions")
	f.BoolVar(&o.kill, "kill", false, "only lastgood, killed and restarted in the middle of silence")
	f.StringVar(&o.binary, "lastgood", "", "the lastgood binary; built from the parent folder when empty")
	f.StringVar(&o.out, "out", "", "also write OUT.md, and OUT-KIND.svg for each kind")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.servers, o.kinds = strings.Split(*servers, ","), strings.Split(*kinds, ",")
	if o.kill {
		o.servers, o.kinds, o.nsdRuns = []string{"lastgood"}, []string{silence}, 0
	}
	return o, o.check()
}

func (o *options) check() error {
	length := o.healthy + o.ttl + o.outage + o.after
	for _, k := range o.kinds {
		if !slices.Contains([]string{silence, servfail, refused}, k) {
			return fmt.Errorf("unknown kind %q", k)
		}
	}
	switch {
	case o.names < 1 || o.names > mostNames:
		return fmt.Errorf("-names must be from 1 to %d", mostNames)
	case o.ttl < 2*time.Second || o.ttl%time.Second != 0:
		return errors.New("-ttl must be 2s or more, whole seconds")
	case o.rate < 1 || length.Seconds()*float64(o.rate) > mostQuestions || length > time.Hour:
		return fmt.Errorf("a run has at most %d questions and lasts at most an hour", mostQuestions)
	case o.healthy < o.enter+settle:
		return fmt.Errorf("-healthy must be at least %v longer than -enter", settle)
	case o.outage < 5*time.Second || o.after < time.Second || o.patience < time.Second:
		return errors.New("-outage must be 5s or more, -after and -patience 1s or more")
	case o.runs < 0 || o.peerRuns < 0 || o.nsdRuns < 0 || o.runs > 1000:
		return errors.New("numbers of runs must be 0 or more, up to 1000")
	}
	return nil
}

func run(ctx context.Context, o *options) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "lastgood-outage-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	commit := ""
	if o.binary == "" && slices.Contains(o.servers, "lastgood") {
		commit = ", commit " + firstLine(ctx, "git", "-C", "..", "describe", "--always", "--dirty")
		if o.binary, err = machine.Build(ctx, dir, ""); err != nil {
			return false, err
		}
	}
	b := &bench{o: o}
	if b.found, b.missing, err = find(ctx, o.binary, o.servers); err != nil {
		return false, err
	}
	if s := byName(b.found, "lastgood"); s != nil {
		s.version += commit
	}
	if o.nsdProgram, err = locate("nsd"); err != nil {
		o.nsdRuns, b.missing = 0, append(b.missing, "nsd")
	} else {
		b.nsdVersion = firstLine(ctx, o.nsdProgram, "-v")
	}
	// Best effort: without it all share the cores, which the floor and the lateness show.
	_ = exec.Command("taskset", "-apc", loadCore(), strconv.Itoa(os.Getpid())).Run()
	if err := b.measure(ctx, dir); err != nil {
		return false, err
	}
	return b.write()
}

// bench is all that is measured.
type bench struct {
	o          *options
	found      []*server
	missing    []string
	nsdVersion string
	floor      *record
	records    []*record
	failed     []string // trials that could not be done, and why
}

// trials are in the order in which they are done.
func (b *bench) trials() (list []trial) {
	add := func(kind, authority string, number int, most func(*server) int) {
		for _, s := range b.found {
			if number <= most(s) {
				list = append(list, trial{s, authority, kind, number, b.o.kill})
			}
		}
	}
	for _, kind := range b.o.kinds {
		for number := 1; number <= max(b.o.runs, b.o.peerRuns); number++ {
			add(kind, ownAuthority, number, b.runs)
		}
	}
	if slices.Contains(b.o.kinds, silence) {
		for number := 1; number <= b.o.nsdRuns; number++ {
			add(silence, nsd, number, func(*server) int { return b.o.nsdRuns })
		}
	}
	return list
}

func (b *bench) runs(s *server) int {
	if s.name == "lastgood" {
		return b.o.runs
	}
	return b.o.peerRuns
}

// measure does all trials. A server that cannot be measured is named in the
// report; lastgood must be.
func (b *bench) measure(ctx context.Context, dir string) (err error) {
	if b.o.floor > 0 {
		if b.floor, err = floor(ctx, b.o); err != nil {
			return err
		}
		p := b.floor.phase(0, b.o.floor)
		log.Printf("echo server: p50 %v, p99 %v, most %v; asked late by p99 %v", short(p.p50), short(p.p99), short(p.most), short(b.floor.late()))
	}
	list := b.trials()
	for i := range list {
		t := &list[i]
		r, err := b.bounded(ctx, t, dir)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && t.server.name == "lastgood":
			return fmt.Errorf("%v: %w", t, err)
		case err != nil:
			log.Printf("%v: %v", t, err)
			b.failed = append(b.failed, fmt.Sprintf("%v: %v", t, err))
			continue
		}
		b.records = append(b.records, r)
		log.Printf("%d of %d: %v: %s", i+1, len(list), t, r.figures().line())
	}
	return nil
}

// bounded does a trial within the time that it may take.
func (b *bench) bounded(ctx context.Context, t *trial, dir string) (*record, error) {
	o := b.o
	ctx, cancel := context.WithTimeout(ctx, o.healthy+o.ttl+o.outage+o.after+o.patience+time.Minute)
	defer cancel()
	return try(ctx, o, t, dir)
}

// line is a run for people who watch.
func (f *figures) line() string {
	text := fmt.Sprintf("healthy p50 %v p99 %v; outage %s good, p50 %v p99 %v most %v, %d waited; fresh again after %s, stale until %s; upstream %d then ≤ %d/s, back ≤ %d/s; %d/%d stale by error/data, %d against",
		short(f.healthy.p50), short(f.healthy.p99), percent(f.outage.share()), short(f.outage.p50), short(f.outage.p99), short(f.outage.most), f.outage.slow,
		moment(f.first), moment(f.last), f.upstreamFirst, f.upstreamMost, f.upstreamBack, f.said, f.old, f.against)
	if f.restarted.asked > 0 {
		text += fmt.Sprintf("; after the restart %s good", percent(f.restarted.share()))
	}
	return text + fmt.Sprintf("; asked late by p99 %v", short(f.late))
}
