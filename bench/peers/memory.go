package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lastgood/bench/ask"
	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
	"lastgood/bench/world"
)

const (
	settle     = 10 * time.Second // a server is left alone before its memory is read
	warmNames  = 1_000            // asked before: code, threads and first buffers are not what a name costs
	sampleEach = 1_000            // one name of so many is checked
)

// memory is what cached names cost a server.
type memory struct {
	server        string
	before, after float64 // MiB resident
	perName       float64 // bytes
}

// fill fills the caches with names that have an address each, one server after the
// other, and lets all of them come to rest together.
func fill(ctx context.Context, f *field, _ group) error {
	var running []*machine.Process
	defer func() {
		for _, p := range running {
			p.Stop()
		}
	}()
	list := make([]memory, len(f.servers))
	size := max(cacheMiB, f.o.names*1500>>20)
	for i, s := range f.servers {
		p, err := s.Start(ctx, f.setup(s, i, false, size), perquestion.ServerCore)
		if err != nil {
			return err
		}
		running = append(running, p)
		list[i].server = s.Name
		if err := ask.All(ctx, local(basePort+i), window, false, world.Names("w", "plain.bench", 0, warmNames), wildcard); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	read := func(into func(m *memory, mib float64)) error {
		err := machine.Wait(ctx, settle)
		for i, p := range running {
			into(&list[i], p.Memory())
		}
		return err
	}
	if err := read(func(m *memory, mib float64) { m.before = mib }); err != nil {
		return err
	}
	file := filepath.Join(f.dir, "names")
	if err := perquestion.WriteNames(file, world.Names("m", "plain.bench", 0, f.o.names)); err != nil {
		return err
	}
	for i, s := range f.servers {
		if err := f.fillOne(ctx, local(basePort+i), file); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if err := read(func(m *memory, mib float64) { m.after = mib }); err != nil {
		return err
	}
	for _, m := range list {
		m.perName = (m.after - m.before) * (1 << 20) / float64(f.o.names)
		log.Printf("memory: %s: %.0f bytes a name, %.0f MiB in all", m.server, m.perName, m.after)
		f.memory = append(f.memory, m)
	}
	return nil
}

// fillOne asks for all names twice: the second time the authorities must be asked for
// hardly any, for they are in the cache.
func (f *field) fillOne(ctx context.Context, addr, file string) error {
	load := perquestion.Load{Addr: addr, File: file, Rcode: "NOERROR", More: []string{"-q", "200", "-n", "1"}}
	if err := load.Warm(ctx); err != nil { // what is lost is asked again
		return err
	}
	before, err := f.world.Queries(ctx)
	if err != nil {
		return err
	}
	l, err := load.Run(ctx)
	if err != nil {
		return err
	}
	after, err := f.world.Queries(ctx)
	if err != nil {
		return err
	}
	// What dnsperf lost may be in the cache or not.
	if asked := after - before; (asked+l.Lost)*200 > f.o.names || l.Wrong > 0 {
		return fmt.Errorf("of %d names the cache lacks %d, %d answers are wrong, %d lost", f.o.names, asked, l.Wrong, l.Lost)
	}
	sample := func(yield func(string) bool) {
		for i := 0; i < f.o.names; i += sampleEach {
			if !yield(fmt.Sprintf("m%d.plain.bench", i)) {
				return
			}
		}
	}
	return ask.All(ctx, addr, window, false, iter.Seq[string](sample), wildcard)
}

func wildcard(_ string, r ask.Reply) error {
	if r.Rcode != 0 || len(r.Addrs) != 1 || r.Addrs[0] != world.Wildcard() {
		return fmt.Errorf("%+v, want %s", r, world.Wildcard())
	}
	return nil
}

// allocations counts what lastgood's heap is asked for while it answers from the
// cache, by the Go runtime's own count.
func allocations(ctx context.Context, f *field, _ group) error {
	for i, s := range f.servers {
		if s.Name != servers.Lastgood {
			continue
		}
		setup := f.setup(s, i, false, cacheMiB)
		setup.Control = controlPort
		p, err := s.Start(ctx, setup, perquestion.ServerCore)
		if err != nil {
			return err
		}
		defer p.Stop()
		return f.countAllocations(ctx, local(setup.Port))
	}
	return nil
}

// countAllocations counts with a load and without, for what the scraping and the
// background take.
func (f *field) countAllocations(ctx context.Context, addr string) error {
	w := groups()[0].workloads[0]
	file := filepath.Join(f.dir, "names")
	if err := perquestion.WriteNames(file, w.names); err != nil {
		return err
	}
	if err := (contender{addr: addr}).warm(ctx, w, file); err != nil {
		return err
	}
	load := perquestion.Load{Addr: addr, File: file, Rcode: w.rcode, More: append([]string{"-l", fmt.Sprint(int(f.o.length.Seconds()))}, w.args...)}
	if err := load.Warm(ctx); err != nil { // buffers that are kept are made once
		return err
	}
	before, err := heapObjects(ctx)
	if err != nil {
		return err
	}
	if err := machine.Wait(ctx, f.o.length); err != nil {
		return err
	}
	rested, err := heapObjects(ctx)
	if err != nil {
		return err
	}
	answered := 0
	for range allocationRuns {
		l, err := load.Run(ctx)
		if err != nil {
			return err
		}
		answered += l.Answered
	}
	after, err := heapObjects(ctx)
	if err != nil {
		return err
	}
	f.allocations = max(0, (after-rested)-(rested-before)) / float64(max(answered, 1))
	log.Printf("allocations: %.4f a question, of %d", f.allocations, answered)
	return nil
}

// allocationRuns is how many runs it is counted over: a look at the metrics alone
// takes thousands of objects, and the runtime counts by whole spans.
const allocationRuns = 5

// heapObjects is how many objects lastgood's heap has been asked for.
func heapObjects(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+local(controlPort)+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), heapMetric+" "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("no %s among the metrics", heapMetric)
}

const heapMetric = "go_memstats_mallocs_total"
