package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"lastgood/bench/openloop"
	"lastgood/bench/perquestion"
	"lastgood/bench/world"
)

// overNames measures with ever more names in the cache, each as likely to be asked for.
func overNames(ctx context.Context, r *rig) error {
	most := r.o.names[len(r.o.names)-1]
	s, err := r.start(ctx, max(64, most*700>>20), 1, 100)
	if err != nil {
		return err
	}
	defer s.process.Stop()
	filled := 0
	for _, n := range r.o.names {
		if err := s.warm(ctx, "m", filled, n-filled); err != nil {
			return err
		}
		filled = n
		for _, rate := range []float64{steady, flatOut} {
			f, err := r.measure(ctx, s, fmt.Sprintf("%s names, %s", grouped(n), told(rate)), s.probe("m", "plain.bench"), s.load(anyOf("m", "plain.bench", n), rate, 16, 32))
			if err != nil {
				return err
			}
			if rate == steady {
				r.must(fmt.Sprintf("lost of %s names", grouped(n)), 100*f.lost(), 0.1, " %")
			}
		}
	}
	return nil
}

// told is how a rate is told of.
func told(rate float64) string {
	if rate == flatOut {
		return "as many questions as the load can"
	}
	return fmt.Sprintf("%s questions/s", grouped(int(rate)))
}

// grouped writes a number with commas.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// overSockets measures with questions from ever more sockets, over UDP, one question a
// socket at a time, and over TCP, where each holds a connection.
func overSockets(ctx context.Context, r *rig) error {
	most := 0
	for _, n := range r.o.sockets {
		most = max(most, n)
	}
	s, err := r.start(ctx, 256, 1, most+100)
	if err != nil {
		return err
	}
	defer s.process.Stop()
	if err := s.warm(ctx, "m", 0, hotNames); err != nil {
		return err
	}
	for _, n := range r.o.sockets {
		f, err := r.measure(ctx, s, fmt.Sprintf("%s UDP sockets, %s", grouped(n), told(steady)), s.probe("m", "plain.bench"), s.load(anyOf("m", "plain.bench", hotNames), steady, n, 1))
		if err != nil {
			return err
		}
		r.must(fmt.Sprintf("lost from %s UDP sockets", grouped(n)), 100*f.lost(), 0.1, " %")
	}
	file := filepath.Join(r.dir, "names")
	if err := perquestion.WriteNames(file, world.Names("m", "plain.bench", 0, hotNames)); err != nil {
		return err
	}
	for _, n := range r.o.sockets {
		if err := r.overTCP(ctx, s, n, file); err != nil {
			return fmt.Errorf("%d connections: %w", n, err)
		}
	}
	return nil
}

// tcpRate is the rate of questions over TCP: dnsperf needs more for them than servers.
const tcpRate = 20e3

// overTCP measures with so many connections, by dnsperf.
func (r *rig) overTCP(ctx context.Context, s running, connections int, file string) error {
	load := perquestion.Load{Addr: s.addr, File: file, Rcode: "NOERROR", More: []string{"-m", "tcp", "-c", fmt.Sprint(connections), "-q", fmt.Sprint(max(100, connections)),
		"-Q", fmt.Sprint(tcpRate), "-l", fmt.Sprint(int(r.o.length.Seconds()))}}
	before, err := s.process.CPU()
	if err != nil {
		return err
	}
	probed := make(chan *openloop.Probed, 1)
	go func() {
		p, _ := s.probe("m", "plain.bench").Run(ctx, r.o.length) // its error is ctx's, which the load has too
		probed <- p
	}()
	l, err := load.Run(ctx)
	p := <-probed
	if err != nil || p == nil {
		return err
	}
	after, err := s.process.CPU()
	if err != nil {
		return err
	}
	f := figure{part: r.part, server: r.server.Name, what: fmt.Sprintf("%s TCP connections, %s", grouped(connections), told(tcpRate)), probe: *p, rss: s.process.Memory()}
	f.loads = []openloop.Loaded{{Sent: l.Answered + l.Lost, Rcodes: [16]int{l.Answered - l.Wrong}, Length: time.Duration(float64(l.Answered) / l.Rate * float64(time.Second))}}
	f.micros = float64((after - before).Nanoseconds()) / 1000 / float64(l.Answered+p.Answered)
	f.busy = (after - before).Seconds() / r.o.length.Seconds()
	r.note(f)
	r.must(fmt.Sprintf("lost over %s TCP connections", grouped(connections)), 100*f.lost(), 0.1, " %")
	return nil
}

// overCores measures with one thread on a core of its own, and with two, of which one
// shares its core with the load: two cores have no more room.
func overCores(ctx context.Context, r *rig) error {
	for cores := 1; cores <= 2; cores++ {
		if err := r.onCores(ctx, cores); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) onCores(ctx context.Context, cores int) error {
	s, err := r.start(ctx, 256, cores, 100)
	if err != nil {
		return err
	}
	defer s.process.Stop()
	if err := s.warm(ctx, "m", 0, hotNames); err != nil {
		return err
	}
	threads := []string{"", "one core", "two cores"}[cores]
	for _, rate := range []float64{steady, flatOut} {
		f, err := r.measure(ctx, s, threads+", cached, "+told(rate), s.probe("m", "plain.bench"), s.load(anyOf("m", "plain.bench", hotNames), rate, 64, 4))
		if err != nil {
			return err
		}
		if rate == steady {
			r.must("lost on "+threads, 100*f.lost(), 0.1, " %")
		}
	}
	_, err = r.measure(ctx, s, threads+", cold, "+told(coldRate), s.probe("m", "plain.bench"), s.load(newNames("q", "plain.bench"), coldRate, 64, 4))
	return err
}

// coldRate is one that every server can do on one core.
const coldRate = 8e3
