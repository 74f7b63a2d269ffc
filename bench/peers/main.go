// Command peers measures what a question costs lastgood and other resolvers: CPU time
// of the server process per answered question, in interleaved rounds, and memory per
// cached name, and holds the figures of lastgood to its targets. See bench/README.md
// for the method.
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
	"lastgood/bench/world"
)

type options struct {
	rounds, peerRounds int
	length             time.Duration
	names              int // of the measurement of memory
	workloads, servers []string
	binary, programs   string
	out                string
}

func main() {
	var o options
	seconds := flag.Int("seconds", 2, "length of a measured run")
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	flag.IntVar(&o.peerRounds, "peer-rounds", 2, "the first so many have all servers, the others lastgood, Unbound and the echo")
	flag.IntVar(&o.names, "names", 1_000_000, "that are cached to measure memory")
	workloads := flag.String("workloads", strings.Join(keys(), ","), "which, separated by commas")
	wanted := flag.String("servers", "unbound,lastgood,echo,pdns-recursor,bind9,knot-resolver", "which, separated by commas; echo is the floor, a server in C that sends back what it gets")
	flag.StringVar(&o.binary, "lastgood", "", "the lastgood binary; built from the parent folder when empty")
	flag.StringVar(&o.programs, "programs", "", "a folder that is looked into first for the peers' programs")
	flag.StringVar(&o.out, "out", "", "also write OUT.md and OUT.svg")
	flag.Parse()
	o.length = time.Duration(*seconds) * time.Second
	o.workloads, o.servers = strings.Split(*workloads, ","), strings.Split(*wanted, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	groups, err := chosen(o.workloads)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lastgood-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := newField(ctx, o, dir)
	if err != nil {
		return err
	}
	// The prober runs where the load does. Best effort: the report's figures show it.
	_ = exec.Command("taskset", "-apc", perquestion.LoadCore, strconv.Itoa(os.Getpid())).Run()
	defer f.world.Stop()
	if err := f.world.Serve(ctx, perquestion.LoadCore); err != nil {
		return err
	}
	for _, g := range groups {
		if err := g.run(ctx, f, g); err != nil {
			return err
		}
	}
	text := f.report(ctx)
	fmt.Print(text)
	if o.out == "" {
		return nil
	}
	if err := os.WriteFile(o.out+".md", []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(o.out+".svg", []byte(chart(f.results, f.memory)), 0o644)
}

// field is who takes part and what they resolve, and what was found so far.
type field struct {
	o       options
	dir     string
	world   *world.World
	servers []*servers.Server
	echo    string // its program; empty: none
	missing []string

	results     []perquestion.Result
	memory      []memory
	allocations float64  // per cached question; negative: not measured
	unfair      []string // runs that did not count
}

func newField(ctx context.Context, o options, dir string) (*field, error) {
	f := &field{o: o, dir: dir, allocations: -1}
	binary, err := machine.Build(ctx, dir, o.binary)
	if err != nil {
		return nil, err
	}
	var wanted []string
	for _, name := range o.servers {
		if name != echoName {
			wanted = append(wanted, name)
			continue
		}
		if f.echo, err = buildEcho(ctx, dir); err != nil {
			log.Printf("no echo server: %v", err)
			f.missing = append(f.missing, "echo (no C compiler)")
		}
	}
	var missing []string
	if f.servers, missing, err = servers.Find(ctx, binary, o.programs, wanted); err != nil {
		return nil, err
	}
	f.missing = append(f.missing, missing...)
	if len(f.missing) > 0 {
		log.Printf("left out, for they are not installed: %s", strings.Join(f.missing, ", "))
	}
	f.world, err = world.Make(dir, world.Size{Plain: cachedNames, Chains: hotNames, Fresh: coldNames, Signed: hotNames, Zones: coldZones})
	return f, err
}

// basePort and on are the servers' ports, all on loopback; controlPort is lastgood's.
const (
	basePort    = 5450
	controlPort = 5459
)

// setup is the configuration of a server with a number.
func (f *field) setup(s *servers.Server, number int, validate bool, cacheMiB int) servers.Setup {
	return servers.Setup{Dir: filepath.Join(f.dir, "run", s.Name), Port: basePort + number, Validate: validate, CacheMiB: cacheMiB, Cores: 1, Connections: 100, Raised: true,
		Hints: f.world.Hints, Anchor: f.world.Anchor}
}
