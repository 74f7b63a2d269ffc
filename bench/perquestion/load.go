// Package perquestion has what the benchmarks share that tell what a question costs
// the processor: the load, the measuring, the arithmetic and the table.
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
	"time"
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

// Loaded is what dnsperf says of a run.
type Loaded struct {
	Answered, Lost int
	Wrong          int           // of those answered, with another rcode
	Rate           float64       // answers a second
	Mean           time.Duration // from sending to reading
}

// Warm runs it and measures nothing.
func (l Load) Warm(ctx context.Context) error {
	_, err := l.Run(ctx)
	return err
}

// Run runs it once.
func (l Load) Run(ctx context.Context) (Loaded, error) {
	host, port, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return Loaded{}, err
	}
	args := append([]string{"-c", LoadCore, "dnsperf", "-s", host, "-p", port, "-d", l.File, "-c", "8", "-t", "5"}, l.More...)
	out, err := exec.CommandContext(ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		return Loaded{}, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	return parse(string(out), l.Rcode)
}

// parse reads what dnsperf says at its end.
func parse(out, rcode string) (Loaded, error) {
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
	l := Loaded{
		Answered: int(number("Queries completed:")), Lost: int(number("Queries lost:")), Rate: number("Queries per second:"),
		Mean: time.Duration(number(`Average Latency \(s\):`) * float64(time.Second)),
	}
	l.Wrong = l.Answered - int(number(`Response codes:.*\b`+regexp.QuoteMeta(rcode)))
	return l, err
}
