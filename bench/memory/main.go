// Command memory measures what a cached A name costs: resident memory of the
// server process before and after it was asked for many names, lastgood beside
// Unbound. See bench/README.md for the method.
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
	"runtime"
	"strings"
	"time"

	"lastgood/bench/filling"
)

// Ports of the run, all on loopback.
const (
	resolverPort  = 5397
	authorityPort = 5398
	controlPort   = 8397
)

func resolverAddr() string { return fmt.Sprintf("127.0.0.1:%d", resolverPort) }

// warmNames are asked before the first measurement: code, threads and first
// buffers are not what a name costs.
const warmNames = 1000

// settle is how long a server is left alone before its memory is read.
const settle = 10 * time.Second

// figure is one measurement.
type figure struct {
	server   string
	names    int
	rss      float64 // bytes a name by resident memory
	own      float64 // bytes a name by the server's own accounting; 0: unknown
	entries  float64 // of the own accounting
	total    float64 // MiB resident at the end
	duration time.Duration
}

func main() {
	binary := flag.String("lastgood", "", "the lastgood binary; built from the parent folder when empty")
	sizes := flag.String("names", "100000,1000000", "how many names, separated by commas, each up to 10000000")
	churns := flag.String("churn", "32,256", "cache sizes in MiB to be filled several times over, separated by commas; empty: none")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *sizes, *churns, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, binary, sizes, churns, out string) error {
	dir, err := os.MkdirTemp("", "lastgood-memory-")
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
	authority, err := filling.Serve(fmt.Sprintf("127.0.0.1:%d", authorityPort))
	if err != nil {
		return err
	}
	defer authority.Close()
	list, err := figures(ctx, dir, binary, sizes)
	if err != nil {
		return err
	}
	all, err := churnAll(ctx, dir, binary, churns)
	if err != nil {
		return err
	}
	text := report(list) + churnReport(all)
	fmt.Print(text)
	if out != "" {
		return os.WriteFile(out, []byte(text), 0o644)
	}
	return nil
}

func figures(ctx context.Context, dir, binary, sizes string) ([]figure, error) {
	var list []figure
	for size := range strings.SplitSeq(sizes, ",") {
		var names int
		if _, err := fmt.Sscan(size, &names); err != nil || names < warmNames || names > 10_000_000 {
			return nil, fmt.Errorf("%q is no number of names from %d to 10000000", size, warmNames)
		}
		for _, s := range servers(dir, binary, names) {
			f, err := measure(ctx, s, names)
			if err != nil {
				return nil, fmt.Errorf("%s, %d names: %w", s.name, names, err)
			}
			log.Printf("%s, %d names: %.0f bytes a name by RSS, %.0f by own accounting", f.server, names, f.rss, f.own)
			list = append(list, f)
		}
	}
	return list, nil
}

func measure(ctx context.Context, s server, names int) (figure, error) {
	p, err := s.start()
	if err != nil {
		return figure{}, err
	}
	defer p.stop()
	start := time.Now()
	if err := filling.Fill(ctx, resolverAddr(), "w", warmNames); err != nil {
		return figure{}, err
	}
	before, err := p.rest(ctx)
	if err != nil {
		return figure{}, err
	}
	if err := filling.Fill(ctx, resolverAddr(), "n", names); err != nil {
		return figure{}, err
	}
	after, err := p.rest(ctx)
	if err != nil {
		return figure{}, err
	}
	f := figure{server: s.name, names: names, rss: (after.rss - before.rss) / float64(names), total: after.rss / (1 << 20), duration: time.Since(start)}
	if f.entries = after.entries; f.entries > 0 {
		f.own = (after.used - before.used) / float64(names)
		if f.entries < float64(names) {
			return f, fmt.Errorf("only %.0f entries are in the cache", f.entries)
		}
	}
	return f, nil
}

func report(list []figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Memory per cached A name\n\n%d cores, %s, one record and a name of 10 to 14 octets each.\n\n", runtime.NumCPU(), runtime.Version())
	b.WriteString("| server | names | bytes a name by RSS | by own accounting | RSS at the end, MiB | time to fill |\n|---|---|---|---|---|---|\n")
	for _, f := range list {
		own := "–"
		if f.own > 0 {
			own = fmt.Sprintf("%.0f", f.own)
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %s | %.0f | %v |\n", f.server, f.names, f.rss, own, f.total, f.duration.Round(time.Second))
	}
	return b.String()
}
