// Command pause measures the longest wait that a client sees of a resolver with a large
// cache at half of its capacity, beside an echo server under the same load, and how soon
// the resolver answers from a snapshot. See bench/README.md for the method.
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
	"syscall"
	"time"

	"lastgood/bench/filling"
	"lastgood/bench/machine"
)

// Addresses of the run, and cores: the servers' and everybody else's.
const (
	resolverAddr  = "127.0.0.1:5441"
	echoAddr      = "127.0.0.1:5442"
	authorityAddr = "127.0.0.1:5443"
	controlAddr   = "127.0.0.1:5444"

	serverCore = "0"
	loadCore   = "1"
)

// options of a run.
type options struct {
	lastgood string
	names    int
	snapshot string
	length   time.Duration
	rounds   int
	rate     float64
	kinds    string
	out      string
}

func main() {
	var o options
	flag.StringVar(&o.lastgood, "lastgood", "", "the lastgood binary; built from the parent folder when empty")
	flag.IntVar(&o.names, "names", 5_000_000, "how many names are in the cache")
	flag.StringVar(&o.snapshot, "snapshot", "", "a `file` that keeps the filled cache from one run to the next; made when it is not there")
	flag.DurationVar(&o.length, "length", 20*time.Second, "of each measurement")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is made, in turn")
	flag.Float64Var(&o.rate, "rate", 0, "questions a second; 0: half of what it can answer")
	flag.StringVar(&o.kinds, "kinds", "caw", "what to measure: c cached names, a and new ones, w while the cache is saved")
	flag.StringVar(&o.out, "out", "", "also write the report to this file")
	echo := flag.Bool("echo", false, "be the echo server")
	flag.Parse()
	if *echo {
		log.Fatal(serveEcho())
	}
	if err := pin(); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

// pinned is set in the environment of the program that runs on the load's core alone.
const pinned = "LASTGOOD_BENCH_PINNED"

// pin replaces this program by itself on the load's core. The servers are on theirs.
func pin() error {
	if os.Getenv(pinned) != "" {
		return nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(taskset, append([]string{"taskset", "-c", loadCore, self}, os.Args[1:]...), append(os.Environ(), pinned+"=1"))
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "lastgood-pause-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.lastgood == "" {
		o.lastgood = filepath.Join(dir, "lastgood")
		if msg, err := exec.CommandContext(ctx, "go", "-C", "..", "build", "-o", o.lastgood, "./cmd/lastgood").CombinedOutput(); err != nil {
			return fmt.Errorf("building lastgood: %w\n%s", err, msg)
		}
	}
	if o.snapshot == "" {
		o.snapshot = filepath.Join(dir, "cache.snapshot")
	}
	s := &subject{options: o, config: filepath.Join(dir, "lastgood.yaml")}
	if err := s.configure(); err != nil {
		return err
	}
	if _, err := os.Stat(o.snapshot); err != nil {
		if err := s.fill(ctx); err != nil {
			return fmt.Errorf("filling the cache: %w", err)
		}
	}
	r := report{options: o}
	if err := r.measure(ctx, s); err != nil {
		return err
	}
	text := r.String()
	fmt.Print(text)
	if o.out != "" {
		return os.WriteFile(o.out, []byte(text), 0o644)
	}
	return nil
}

// subject is the resolver.
type subject struct {
	options
	config  string
	process *machine.Process
}

// configure writes a configuration in which the cache is full of the names.
func (s *subject) configure() error {
	text := fmt.Sprintf("listen: [\"dns://%s\"]\ncontrol: {listen: %q}\ncache: {size: %dMiB, snapshot: %q, snapshot-interval: 1h}\n"+
		"recursion: {do-not-query: []}\ndnssec: {validation: false}\nlimits: {clients-waiting: 20000, outstanding-per-client: 20000}\n"+
		"stub: [{zone: \"bench.\", servers: [%q]}]\nlog: {level: error}\n",
		resolverAddr, controlAddr, s.size(), s.snapshot, authorityAddr)
	return os.WriteFile(s.config, []byte(text), 0o600)
}

// size is a cache in MiB that is full of the names: what an address takes with its
// place in the index, of seven eighths.
func (s *subject) size() int { return s.names*161>>20 + 1 }

func (s *subject) start(ctx context.Context) error {
	var err error
	s.process, err = machine.Start(ctx, serverCore, []string{s.lastgood, "serve", "--config", s.config}, resolverAddr)
	return err
}

// fill starts it, asks for all names, and has it save them.
func (s *subject) fill(ctx context.Context) error {
	authority, err := filling.Serve(authorityAddr)
	if err != nil {
		return err
	}
	defer authority.Close()
	if err := s.start(ctx); err != nil {
		return err
	}
	defer s.process.Stop()
	log.Printf("asking for %d names", s.names)
	return filling.Fill(ctx, resolverAddr, "n", s.names)
}
