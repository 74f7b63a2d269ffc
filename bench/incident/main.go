// Incident replays an evening on which a top-level domain signs its zone with a key
// that it does not publish, and shows what the clients of validating resolvers
// notice: see bench/README.md. On real sockets, in a network namespace of its own,
// its clock runs faster than the day; without -real under virtual time, by the test
// of that name in the folder scenario.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Times of day.
const (
	breaks = 19*time.Hour + 30*time.Minute
	anchor = breaks + 20*time.Minute // the negative trust anchor
	mends  = 22*time.Hour + 17*time.Minute
	night  = 24 * time.Hour
	binned = 10 * time.Minute
)

// evening is when questions begin.
const evening = 13*time.Hour + 30*time.Minute

// patience is how long a client waits for an answer on real sockets.
const patience = 2 * time.Second

// inside tells the program that it is in the namespace.
const inside = "INCIDENT_NAMESPACE"

type options struct {
	real     bool
	out      string
	pace     int
	rate     float64
	lastgood string
}

func main() {
	var o options
	flag.BoolVar(&o.real, "real", false, "on real sockets, beside Unbound and Knot Resolver (Linux, root)")
	flag.StringVar(&o.out, "out", "", "report and picture: this and .md, .svg")
	flag.IntVar(&o.pace, "pace", 60, "how many seconds of the evening pass in one (-real)")
	flag.Float64Var(&o.rate, "rate", 100, "questions a second to each resolver (-real)")
	flag.StringVar(&o.lastgood, "lastgood", "", "the program; built when it is not given (-real)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "incident:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if o.real && os.Getenv(inside) == "" {
		return again(ctx)
	}
	play := virtual
	if o.real {
		play = real
	}
	list, err := play(ctx, o)
	if err != nil {
		return err
	}
	text := report(o, list)
	fmt.Print(text)
	if o.out == "" {
		return nil
	}
	if err := os.WriteFile(o.out+".md", []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(o.out+".svg", []byte(chart(list)), 0o644)
}

// again starts the program in a network namespace of its own.
func again(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd.Run()
}

// real plays the evening on sockets.
func real(ctx context.Context, o *options) ([]*course, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	dir, err := os.MkdirTemp("", "incident")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	w := &world{dir: dir, pace: o.pace}
	defer w.end()
	if o.lastgood == "" {
		o.lastgood = filepath.Join(dir, "lastgood")
		if _, err := w.run(ctx, "go", "build", "-C", root(), "-o", o.lastgood, "./cmd/lastgood"); err != nil {
			return nil, err
		}
	}
	if err := w.network(ctx); err != nil {
		return nil, err
	}
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	if err := w.publish("good"); err != nil {
		return nil, err
	}
	conf, err := w.nsd()
	if err != nil {
		return nil, err
	}
	nsd, err := w.daemon(ctx, "nsd.log", "nsd", "-d", "-c", conf)
	if err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second)
	var clients []*client
	for _, r := range w.resolvers(o.lastgood) {
		if err := w.start(ctx, r); err != nil {
			return nil, err
		}
		clients = append(clients, &client{resolver: r, course: &course{name: r.name}, known: map[string]bool{}})
	}
	return pass(ctx, o, w, nsd, clients)
}

// network makes the addresses of the world.
func (w *world) network(ctx context.Context) error {
	if _, err := w.run(ctx, "ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	for n := range 2 + hosters {
		if _, err := w.run(ctx, "ip", "address", "add", fmt.Sprintf("192.0.2.%d/32", 1+n), "dev", "lo"); err != nil {
			return err
		}
	}
	return nil
}

// pass lets the evening pass.
func pass(ctx context.Context, o *options, w *world, nsd *exec.Cmd, clients []*client) ([]*course, error) {
	began, names := time.Now(), newDraw(1)
	now := func() time.Duration { return evening + time.Since(began)*time.Duration(o.pace) }
	until := func(end time.Duration) {
		for n := 0; now() < end && ctx.Err() == nil; n++ {
			name, at := names.name(), now()
			for _, c := range clients {
				c.question(name, at)
			}
			time.Sleep(time.Duration(names.ExpFloat64() / o.rate * 1e9))
		}
	}
	reload := func(kind string) error {
		if err := w.publish(kind); err != nil {
			return err
		}
		return nsd.Process.Signal(syscall.SIGHUP)
	}
	until(breaks)
	if err := reload("bad"); err != nil {
		return nil, err
	}
	until(anchor)
	for _, c := range clients {
		if c.nta {
			_, err := w.run(ctx, o.lastgood, "nta", "add", "tld.", "--control", fmt.Sprintf("127.0.0.1:%d", c.port+1000), "--for", ((mends-anchor)/time.Duration(o.pace) + 2*time.Second).Round(time.Second).String(), "--force", "--reason", "signed with an unpublished key")
			if err != nil {
				return nil, err
			}
		}
	}
	until(mends)
	if err := reload("good"); err != nil {
		return nil, err
	}
	until(night)
	var list []*course
	for _, c := range clients {
		c.asks.Wait()
		list = append(list, c.course)
	}
	return list, ctx.Err()
}

// root is the folder of the module that is measured.
func root() string {
	wd, err := os.Getwd()
	if err != nil {
		return ".."
	}
	return strings.TrimSuffix(wd, "/bench")
}
