// Package perquestion has what the benchmarks share that tell what a question costs
// the processor, lastgood beside Unbound: the load, the measuring, and the table.
package perquestion

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"lastgood/bench/machine"
)

// Servers run on the first core, what loads and feeds them on the second.
const (
	ServerCore = "0"
	LoadCore   = "1"
)

// WriteNames writes dnsperf's question file, which asks for the names' addresses.
func WriteNames(path string, names iter.Seq[string]) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	for name := range names {
		fmt.Fprintf(b, "%s A\n", name)
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// Load is a run of dnsperf on the second core.
type Load struct {
	Addr  string   // of the resolver
	File  string   // the questions
	Rcode string   // the only one that is right
	More  []string // arguments
}

// loaded is what dnsperf says of a run.
type loaded struct {
	answered, lost, wrong int
	rate                  float64 // questions a second
}

// Warm runs it and measures nothing.
func (l Load) Warm(ctx context.Context) error {
	_, err := l.run(ctx)
	return err
}

func (l Load) run(ctx context.Context) (loaded, error) {
	host, port, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return loaded{}, err
	}
	args := append([]string{"-c", LoadCore, "dnsperf", "-s", host, "-p", port, "-d", l.File, "-c", "8", "-t", "5"}, l.More...)
	out, err := exec.CommandContext(ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		return loaded{}, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	return parse(string(out), l.Rcode)
}

// parse reads what dnsperf says at its end.
func parse(out, rcode string) (loaded, error) {
	var err error
	number := func(label string) float64 {
		m := regexp.MustCompile(label + `\s+([0-9.]+)`).FindStringSubmatch(out)
		if m == nil {
			err = fmt.Errorf("dnsperf does not tell %q:\n%s", label, strings.TrimSpace(out))
			return 0
		}
		v, bad := strconv.ParseFloat(m[1], 64)
		if bad != nil {
			err = bad
		}
		return v
	}
	l := loaded{answered: int(number("Queries completed:")), lost: int(number("Queries lost:")), rate: number("Queries per second:")}
	l.wrong = l.answered - int(number(`Response codes:.*\b`+regexp.QuoteMeta(rcode)))
	return l, err
}

// Result is one measured run of one workload.
type Result struct {
	Server, Workload string
	Micros           float64 // CPU of the server process per answered question
	Rate             float64 // questions per second
	Lost             int
	Memory           float64 // MiB resident at the end
}

// Measure runs the load once, and gives an error for a run that is not fair: a reply
// with another rcode, or more than a hundredth lost.
func Measure(ctx context.Context, p *machine.Process, load Load, server, workload string) (Result, error) {
	before, err := p.CPU()
	if err != nil {
		return Result{}, err
	}
	l, err := load.run(ctx)
	if err != nil {
		return Result{}, err
	}
	after, err := p.CPU()
	if err != nil {
		return Result{}, err
	}
	if l.wrong > 0 || l.answered == 0 || l.lost*100 > l.answered {
		return Result{}, fmt.Errorf("%d answered, %d lost, %d not %s: not a fair run", l.answered, l.lost, l.wrong, load.Rcode)
	}
	micros := float64((after - before).Microseconds()) / float64(l.answered)
	return Result{server, workload, micros, l.rate, l.lost, p.Memory()}, nil
}
