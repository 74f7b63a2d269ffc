// Command scale measures how costs and latency of a resolver behave with many names,
// many clients, another core and more load than it can take, and whether clients of
// what is cached notice a flood or an outage that is not theirs. It checks what must
// hold, and exits with 1 when it does not. See bench/README.md for the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"slices"
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
	length           time.Duration
	capacity         float64 // cold questions a second; 0: it is searched
	names, sockets   []int
	servers, parts   []string
	binary, programs string
	out              string
}

// part is something that is measured, and what must hold of it for lastgood.
type part struct {
	key, title string
	run        func(context.Context, *rig) error
}

var parts = []part{
	{"names", "Names in the cache", overNames},
	{"sockets", "Clients' sockets", overSockets},
	{"cores", "Cores", overCores},
	{"cached", "Load, names in the cache", cachedLoad},
	{"cold", "Load, names that nobody asked for", coldLoad},
	{"isolation", "What clients of cached names notice", isolation},
}

func main() {
	var o options
	var all []string
	for _, p := range parts {
		all = append(all, p.key)
	}
	seconds := flag.Int("seconds", 4, "length of a measured run")
	names := flag.String("names", "1000,10000,100000,1000000,5000000", "how many names, separated by commas, rising")
	sockets := flag.String("sockets", "10,100,1000,10000", "how many sockets of clients")
	chosen := flag.String("parts", strings.Join(all, ","), "which, separated by commas")
	wanted := flag.String("servers", servers.Lastgood, "which, separated by commas; the checks are for lastgood alone")
	flag.StringVar(&o.binary, "lastgood", "", "the lastgood binary; built from the parent folder when empty")
	flag.StringVar(&o.programs, "programs", "", "a folder that is looked into first for the peers' programs")
	flag.Float64Var(&o.capacity, "capacity", 0, "of the part cold, in questions a second, in place of what is searched first")
	flag.StringVar(&o.out, "out", "", "also write OUT.md")
	flag.Parse()
	o.length = time.Duration(*seconds) * time.Second
	o.servers, o.parts = strings.Split(*wanted, ","), strings.Split(*chosen, ",")
	for _, p := range o.parts {
		if !slices.Contains(all, p) {
			log.Fatalf("unknown part %q: there are %s", p, strings.Join(all, ", "))
		}
	}
	var err1, err2 error
	o.names, err1 = numbers(*names)
	o.sockets, err2 = numbers(*sockets)
	if err1 != nil || err2 != nil {
		log.Fatal("-names and -sockets are numbers from 1 to 10000000, separated by commas")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	good, err := run(ctx, o)
	if err != nil {
		log.Fatal(err)
	}
	if !good {
		stop()
		os.Exit(1)
	}
}

func numbers(list string) (out []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000_000 {
			return nil, fmt.Errorf("%q", text)
		}
		out = append(out, n)
	}
	return out, nil
}

func run(ctx context.Context, o options) (good bool, err error) {
	dir, err := os.MkdirTemp("", "lastgood-scale-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	binary, err := machine.Build(ctx, dir, o.binary)
	if err != nil {
		return false, err
	}
	list, missing, err := servers.Find(ctx, binary, o.programs, o.servers)
	if err != nil {
		return false, err
	}
	if len(missing) > 0 {
		log.Printf("left out, for they are not installed: %s", strings.Join(missing, ", "))
	}
	w, err := world.Make(dir, world.Size{Plain: hotNames, Brief: hotNames})
	if err != nil {
		return false, err
	}
	// The load is this program. Best effort: the report's figures show it.
	_ = exec.Command("taskset", "-apc", perquestion.LoadCore, strconv.Itoa(os.Getpid())).Run()
	defer w.Stop()
	if err := w.Serve(ctx, perquestion.LoadCore); err != nil {
		return false, err
	}
	r := &rig{o: o, dir: dir, world: w}
	for _, p := range parts {
		if !slices.Contains(o.parts, p.key) {
			continue
		}
		for _, s := range list {
			r.part, r.server = p.title, s
			if err := p.run(ctx, r); err != nil {
				return false, fmt.Errorf("%s, %s: %w", p.key, s.Name, err)
			}
		}
	}
	text := r.report(ctx)
	fmt.Print(text)
	if o.out != "" {
		err = os.WriteFile(o.out+".md", []byte(text), 0o644)
	}
	return !slices.ContainsFunc(r.checks, func(c check) bool { return !c.holds }), err
}
