package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"lastgood/bench/ask"
	"lastgood/bench/machine"
	"lastgood/bench/openloop"
	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
)

const (
	window    = 100  // questions under way when names are checked
	probeRate = 500. // questions a second of the prober beside the load
	tries     = 3    // to measure a run that is fair
)

// contender is a server that runs.
type contender struct {
	name    string
	addr    string
	process *machine.Process
	echo    bool
}

// always tells whether it takes part in every round.
func always(name string) bool {
	return name == servers.Unbound || name == servers.Lastgood || name == echoName
}

// kept measures workloads on processes that are kept over all rounds: what is asked
// for is in the cache.
func kept(ctx context.Context, f *field, g group) error {
	list, err := f.startAll(ctx, g.validate)
	defer func() {
		for _, c := range list {
			c.process.Stop()
		}
	}()
	if err != nil {
		return err
	}
	for _, w := range g.workloads {
		if err := f.rounds(ctx, list, w); err != nil {
			return fmt.Errorf("%s: %w", w.key, err)
		}
	}
	return nil
}

// startAll starts all servers, the echo after lastgood, and checks those that resolve.
func (f *field) startAll(ctx context.Context, validate bool) (list []contender, err error) {
	for i, s := range f.servers {
		c, err := f.start(ctx, s, i, validate)
		if err != nil {
			return list, err
		}
		list = append(list, c)
	}
	if f.echo != "" {
		addr := local(basePort + len(f.servers))
		p, err := machine.Program{Args: []string{f.echo, strconv.Itoa(basePort + len(f.servers))}, Core: perquestion.ServerCore}.Start(ctx)
		if err != nil {
			return list, err
		}
		list = slices.Insert(list, min(2, len(list)), contender{name: echoName, addr: addr, process: p, echo: true})
	}
	return list, nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// start starts a server and checks that it resolves, and validates as it should.
func (f *field) start(ctx context.Context, s *servers.Server, number int, validate bool) (contender, error) {
	setup := f.setup(s, number, validate, cacheMiB)
	p, err := s.Start(ctx, setup, perquestion.ServerCore)
	if err != nil {
		return contender{}, err
	}
	c := contender{name: s.Name, addr: local(setup.Port), process: p}
	if err := correct(ctx, c.addr, validate); err != nil {
		p.Stop()
		return contender{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	return c, nil
}

// correct checks that a server validates, or does not, before anything is counted.
func correct(ctx context.Context, addr string, validate bool) error {
	good, err := ask.One(ctx, addr, "n0.check.bench", true)
	if err != nil {
		return err
	}
	if good.AD != validate || address("n0.check.bench", good) != nil {
		return fmt.Errorf("a good answer before the run is %+v", good)
	}
	bad, err := ask.One(ctx, addr, "n0.broken.bench", true)
	if err != nil {
		return err
	}
	if servfail := bad.Rcode == 2; servfail != validate {
		return fmt.Errorf("an answer with a wrong signature is %+v, and validation %t", bad, validate)
	}
	return nil
}

// rounds measures a workload whose names are in the caches, server after server, round
// after round. That they are is checked: by asking for all of them before, and by the
// authorities, who are asked for hardly anything meanwhile.
func (f *field) rounds(ctx context.Context, list []contender, w workload) error {
	file := filepath.Join(f.dir, "names")
	if err := perquestion.WriteNames(file, w.names); err != nil {
		return err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(c contender) bool { return c.echo && w.stream })
	for _, c := range list {
		if err := c.warm(ctx, w, file); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	before, err := f.world.Queries(ctx)
	if err != nil {
		return err
	}
	answered := 0
	for round := range f.o.rounds {
		for _, c := range list {
			if round >= f.o.peerRounds && !always(c.name) {
				continue
			}
			err := f.fairly(c.name+", "+w.key, func() error {
				r, err := f.once(ctx, c, w, file)
				if err == nil {
					answered += r.Answered
					f.note(r, round)
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	after, err := f.world.Queries(ctx)
	if err != nil {
		return err
	}
	if asked := after - before; asked*1000 > answered {
		return fmt.Errorf("the authorities were asked %d questions during %d that should all be answered from caches", asked, answered)
	}
	return nil
}

// warm asks for all names, checks the answers, and asks for them again as the load
// does: some servers keep whole messages, by all that the question says.
func (c contender) warm(ctx context.Context, w workload, file string) error {
	if c.echo {
		_, err := ask.One(ctx, c.addr, "n0.bench", false)
		return err
	}
	if err := ask.All(ctx, c.addr, window, w.do, w.names, w.right); err != nil {
		return err
	}
	return perquestion.Load{Addr: c.addr, File: file, Rcode: w.rcode, More: append([]string{"-n", "1"}, w.args...)}.Warm(ctx)
}

// once runs a workload on a server once.
func (f *field) once(ctx context.Context, c contender, w workload, file string) (perquestion.Result, error) {
	load := perquestion.Load{Addr: c.addr, File: file, Rcode: w.rcode, More: append([]string{"-l", fmt.Sprint(int(f.o.length.Seconds()))}, w.args...)}
	probe := &openloop.Probe{Addr: c.addr, Rate: probeRate, Questions: some(w)}
	if w.once {
		load.More = append([]string{"-n", "1"}, w.args...)
	}
	if w.once || w.stream {
		probe = nil
	}
	r, err := perquestion.Measure(ctx, c.process, load, probe, f.o.length)
	r.Server, r.Workload = c.name, w.key
	return r, err
}

// fairly has something measured until it is fair, three times at most: what is not
// does not count, and a round may lack it.
func (f *field) fairly(what string, measure func() error) error {
	for range tries {
		err := measure()
		var unfair perquestion.Unfair
		if !errors.As(err, &unfair) {
			return err
		}
		log.Printf("%s: %v", what, err)
		f.unfair = append(f.unfair, what+": "+err.Error())
	}
	return nil
}

// some are questions for the prober.
func some(w workload) (list [][]byte) {
	for name := range w.names {
		if list = append(list, ask.Append(nil, 0, name, w.do)); len(list) == hotNames {
			break
		}
	}
	return list
}

func (f *field) note(r perquestion.Result, round int) {
	r.Round = round
	f.results = append(f.results, r)
	log.Printf("%-8s round %d: %-14s %7s µs/question, %7.0f questions/s, core busy %3.0f %%, mean %v, p50 %v, p99 %v", r.Workload, round+1, r.Server,
		perquestion.Micros(r.Micros), r.Rate, 100*r.Busy, r.Mean, r.P50, r.P99)
}

// fresh measures workloads on processes that have just started: nothing that is asked
// for is in the cache, and the authorities see that.
func fresh(ctx context.Context, f *field, g group) error {
	for round := range f.o.rounds {
		for i, s := range f.servers {
			if round >= f.o.peerRounds && !always(s.Name) {
				continue
			}
			err := f.fairly(s.Name+", cold", func() error { return f.freshOne(ctx, s, i, g, round) })
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
	}
	return nil
}

func (f *field) freshOne(ctx context.Context, s *servers.Server, number int, g group, round int) error {
	c, err := f.start(ctx, s, number, g.validate)
	if err != nil {
		return err
	}
	defer c.process.Stop()
	before, err := f.world.Queries(ctx)
	if err != nil {
		return err
	}
	var list []perquestion.Result
	for _, w := range g.workloads {
		file := filepath.Join(f.dir, "names")
		if err := perquestion.WriteNames(file, w.names); err != nil {
			return err
		}
		r, err := f.once(ctx, c, w, file)
		if err != nil {
			return fmt.Errorf("%s: %w", w.key, err)
		}
		after, err := f.world.Queries(ctx)
		if err != nil {
			return err
		}
		if after-before < r.Answered {
			return fmt.Errorf("%s: the authorities were asked %d questions for %d names that nobody can know", w.key, after-before, r.Answered)
		}
		r.Upstream, before = float64(after-before)/float64(r.Answered), after
		// They are in the cache now: see whether the answers were right.
		if err := ask.All(ctx, c.addr, window, w.do, w.names, w.right); err != nil {
			return fmt.Errorf("%s: %w", w.key, err)
		}
		list = append(list, r)
	}
	for _, r := range list { // all of them, or none
		f.note(r, round)
	}
	return nil
}
