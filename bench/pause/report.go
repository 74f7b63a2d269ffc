package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"lastgood/bench/filling"
	"lastgood/bench/machine"
)

// report is all that was measured.
type report struct {
	options
	starts    []begun
	echo      [][]wait // by kind
	resolver  [][]wait
	resident  []float64 // MiB, after each round
	sizeMiB   int
	capacityQ float64
}

// begun is how a start with the snapshot went: from the start of the program.
type begun struct {
	first, all time.Duration // until the first answer, until it held all
	entries    float64
	resident   float64 // MiB
}

// measure makes all measurements, those of the echo server and the resolver in turn.
func (r *report) measure(ctx context.Context, s *subject) error {
	r.sizeMiB = s.size()
	r.echo, r.resolver = make([][]wait, len(kinds(r.kinds))), make([][]wait, len(kinds(r.kinds)))
	for range r.rounds {
		b, err := s.begin(ctx)
		if err != nil {
			return err
		}
		r.starts = append(r.starts, b)
		log.Printf("first answer after %v, %.0f entries after %v", b.first, b.entries, b.all)
		err = r.round(ctx, s)
		r.resident = append(r.resident, s.process.Memory())
		s.process.Stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// begin starts the resolver and asks for a name of the snapshot until it answers,
// with nobody else who could tell.
func (s *subject) begin(ctx context.Context) (b begun, err error) {
	began := time.Now()
	answered := make(chan time.Duration, 1)
	asking, stop := context.WithCancel(ctx)
	defer stop()
	go func() { answered <- firstAnswer(asking, began) }()
	if err := s.start(ctx); err != nil {
		return b, err
	}
	for {
		m, err := metrics()
		if err == nil && m[`lastgood_snapshot_duration_seconds{what="load"}`] > 0 {
			b.all, b.entries, b.resident = time.Since(began), m["lastgood_cache_entries"], s.process.Memory()
			break
		}
		if time.Since(began) > time.Minute {
			return b, fmt.Errorf("the snapshot is not loaded after a minute")
		}
		if err := machine.Wait(ctx, 5*time.Millisecond); err != nil {
			return b, err
		}
	}
	select {
	case b.first = <-answered:
		return b, nil
	case <-time.After(time.Second):
		return b, fmt.Errorf("no answer from the snapshot")
	}
}

// firstAnswer asks for names of the snapshot, another each millisecond, and tells when
// the first answer came.
func firstAnswer(ctx context.Context, began time.Time) time.Duration {
	for i := 0; ctx.Err() == nil; i++ {
		conn, err := net.Dial("udp4", resolverAddr)
		if err != nil {
			continue
		}
		conn.SetDeadline(time.Now().Add(time.Millisecond))
		conn.Write(filling.Question(nil, uint16(i), fmt.Sprintf("n%d", i)))
		var buf [512]byte
		n, err := conn.Read(buf[:])
		took := time.Since(began)
		conn.Close()
		if err == nil && n > 12 && buf[3]&15 == 0 && buf[7] > 0 {
			return took
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}

// round measures each kind, the echo server first.
func (r *report) round(ctx context.Context, s *subject) error {
	authority, err := filling.Serve(authorityAddr)
	if err != nil {
		return err
	}
	defer authority.Close()
	if r.rate == 0 {
		if r.capacityQ, err = capacity(ctx, r.names); err != nil {
			return err
		}
		r.rate = r.capacityQ / 2
		s.rate = r.rate
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for i, k := range kinds(r.kinds) {
		echo, err := machine.Start(ctx, serverCore, []string{self, "-echo"}, echoAddr)
		if err != nil {
			return err
		}
		w, err := measure(ctx, echoAddr, &s.options, k)
		echo.Stop()
		if err != nil {
			return err
		}
		r.echo[i] = append(r.echo[i], w)
		if w, err = s.measureResolver(ctx, k); err != nil {
			return err
		}
		r.resolver[i] = append(r.resolver[i], w)
		log.Printf("%s: longest wait %v, of the echo server %v; %.0f collections, longest %v, %.0f evictions, %d lost",
			k.name, w.longest, r.echo[i][len(r.echo[i])-1].longest, w.collections, w.collected, w.evicted, w.lost)
	}
	return nil
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The longest wait\n\n%s, %d cores, %s. %d names, `cache.size` %d MiB, servers on core %s with one thread of Go, all else on core %s.\n\n",
		machine.CPU(), runtime.NumCPU(), runtime.Version(), r.names, r.sizeMiB, serverCore, loadCore)
	b.WriteString("## Start with a snapshot\n\n| first answer after, ms | all loaded after, ms | entries | RSS then, MiB |\n|---|---|---|---|\n")
	for _, s := range r.starts {
		fmt.Fprintf(&b, "| %d | %d | %.0f | %.0f |\n", s.first.Milliseconds(), s.all.Milliseconds(), s.entries, s.resident)
	}
	fmt.Fprintf(&b, "\n## Waits at %.0f questions a second", r.rate)
	if r.capacityQ > 0 {
		fmt.Fprintf(&b, ", half of capacity (%.0f)", r.capacityQ)
	}
	fmt.Fprintf(&b, "\n\nOf %d a second that are measured, %v each time; in µs, least, median and most of %d rounds. The collector's longest stop is\nthat among its last 256 stops, in µs.\n\n", probeRate, r.length, r.rounds)
	b.WriteString("| | server | p50 | p99.9 | p99.99 | longest | asked late by at most | collections | longest stop | evictions | lost, wrong |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i, k := range kinds(r.kinds) {
		r.row(&b, k.name, "echo", r.echo[i])
		r.row(&b, k.name, "lastgood", r.resolver[i])
	}
	b.WriteString("\nRSS after each round, MiB:")
	for _, m := range r.resident {
		fmt.Fprintf(&b, " %.0f", m)
	}
	b.WriteString("\n")
	return b.String()
}

func (r *report) row(b *strings.Builder, kind, server string, all []wait) {
	spread := func(get func(w *wait) float64) string {
		var v []float64
		for i := range all {
			v = append(v, get(&all[i]))
		}
		slices.Sort(v)
		return fmt.Sprintf("%.0f %.0f %.0f", v[0], v[len(v)/2], v[len(v)-1])
	}
	us := func(get func(w *wait) time.Duration) string {
		return spread(func(w *wait) float64 { return float64(get(w).Microseconds()) })
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", kind, server,
		us(func(w *wait) time.Duration { return w.p50 }), us(func(w *wait) time.Duration { return w.p999 }), us(func(w *wait) time.Duration { return w.p9999 }),
		us(func(w *wait) time.Duration { return w.longest }), us(func(w *wait) time.Duration { return w.late }), spread(func(w *wait) float64 { return w.collections }),
		us(func(w *wait) time.Duration { return w.collected }), spread(func(w *wait) float64 { return w.evicted }),
		spread(func(w *wait) float64 { return float64(w.lost + w.wrong) }))
}
