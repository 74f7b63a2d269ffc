// Command profile makes the profile that the compiler lays out lastgood by
// (cmd/lastgood/default.pgo): it has the program answer what resolvers are mostly
// asked, and notes where its time goes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
	"lastgood/bench/world"
)

// How much there is to ask for.
const (
	hotNames    = 1_000
	cachedNames = 100_000
	coldNames   = 400_000
	coldZones   = 5_000
)

// Ports on loopback.
const (
	port        = 5470
	controlPort = 5471
)

func main() {
	out := flag.String("out", "../cmd/lastgood/default.pgo", "the file to write")
	length := flag.Duration("length", 10*time.Second, "how long each load is profiled, at most a minute")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *length); err != nil {
		log.Fatal(err)
	}
}

// load is one way of asking.
type load struct {
	name     string
	validate bool
	warm     bool // its names are asked once before
	file     string
	args     []string
}

func run(ctx context.Context, out string, length time.Duration) error {
	dir, err := os.MkdirTemp("", "lastgood-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := build(ctx, dir)
	if err != nil {
		return err
	}
	w, err := world.Make(dir, world.Size{Plain: cachedNames, Chains: hotNames, Fresh: coldNames, Signed: hotNames, Zones: coldZones})
	if err != nil {
		return err
	}
	defer w.Stop()
	if err := w.Serve(ctx, perquestion.LoadCore); err != nil {
		return err
	}
	loads, err := questions(dir)
	if err != nil {
		return err
	}
	var profiles []string
	for _, l := range loads {
		p, err := profile(ctx, dir, binary, w, l, length)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		profiles = append(profiles, p)
	}
	return merge(ctx, out, profiles)
}

// build makes a lastgood that no profile has a part in.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "lastgood")
	msg, err := exec.CommandContext(ctx, "go", "-C", "..", "build", "-pgo=off", "-o", path, "./cmd/lastgood").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building lastgood: %w\n%s", err, msg)
	}
	return path, nil
}

// questions writes what is asked. Cached questions over UDP are most of what a
// resolver does, so they come in three ways.
func questions(dir string) ([]load, error) {
	var err error
	write := func(name, prefix, zone string, count int) string {
		path := filepath.Join(dir, name)
		if e := perquestion.WriteNames(path, world.Names(prefix, zone, 0, count)); e != nil {
			err = e
		}
		return path
	}
	hot, all := write("hot", "n", "plain.bench", hotNames), write("all", "n", "plain.bench", cachedNames)
	loads := []load{
		{name: "hot names", warm: true, file: hot, args: []string{"-q", "200"}},
		{name: "cached names", warm: true, file: all, args: []string{"-q", "200"}},
		{name: "signed names", warm: true, validate: true, file: write("signed", "n", "signed.bench", hotNames), args: []string{"-D", "-q", "200"}},
		{name: "chains", warm: true, file: write("chains", "x", "plain.bench", hotNames), args: []string{"-q", "200"}},
		{name: "TCP", warm: true, file: hot, args: []string{"-m", "tcp", "-q", "200"}},
		{name: "cold names", file: write("cold", "f", "plain.bench", coldNames), args: []string{"-q", "100"}},
		{name: "cold signed names", validate: true, file: filepath.Join(dir, "zones"), args: []string{"-D", "-q", "100"}},
	}
	if e := perquestion.WriteNames(filepath.Join(dir, "zones"), zones); e != nil {
		err = e
	}
	return loads, err
}

// zones gives the names of all signed zones, the first of each before the second.
func zones(yield func(string) bool) {
	for i := range world.PerZone * coldZones {
		if !yield(fmt.Sprintf("n%d.z%d.bench", i/coldZones, i%coldZones)) {
			return
		}
	}
}

// profile runs one load on a lastgood of its own and gives the file of its profile.
func profile(ctx context.Context, dir, binary string, w *world.World, l load, length time.Duration) (string, error) {
	found, _, err := servers.Find(ctx, binary, "", []string{"lastgood"})
	if err != nil {
		return "", err
	}
	p, err := found[0].Start(ctx, servers.Setup{
		Dir: filepath.Join(dir, "lastgood-"+strconv.FormatBool(l.validate)), Port: port, Control: controlPort, Validate: l.validate,
		CacheMiB: 768, Cores: 1, Connections: 100, Raised: true, Hints: w.Hints, Anchor: w.Anchor,
	}, perquestion.ServerCore)
	if err != nil {
		return "", err
	}
	defer p.Stop()
	ask := perquestion.Load{Addr: fmt.Sprintf("127.0.0.1:%d", port), File: l.file, Rcode: "NOERROR", More: l.args}
	if l.warm {
		first := ask
		first.More = []string{"-n", "1", "-q", "100"}
		if err := first.Warm(ctx); err != nil {
			return "", err
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := perquestion.Load{Addr: ask.Addr, File: ask.File, Rcode: ask.Rcode, More: append([]string{"-l", strconv.Itoa(int(length / time.Second))}, l.args...)}.Run(ctx)
		ended <- err
	}()
	path := filepath.Join(dir, "profile of "+l.name)
	if err := fetch(ctx, path, length); err != nil {
		return "", err
	}
	log.Printf("%s: profiled for %v", l.name, length)
	return path, <-ended
}

// fetch asks lastgood for a profile.
func fetch(ctx context.Context, path string, length time.Duration) error {
	url := fmt.Sprintf("http://127.0.0.1:%d/api/v1/profile/cpu?seconds=%d", controlPort, int(length/time.Second))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("profile: %s: %s", resp.Status, body)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

// merge writes one profile of all.
func merge(ctx context.Context, out string, profiles []string) error {
	args := append([]string{"tool", "pprof", "-proto", "-output", out}, profiles...)
	msg, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("joining the profiles: %w\n%s", err, msg)
	}
	return nil
}

