package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// result is one measured run.
type result struct {
	server, workload string
	micros           float64 // CPU of the server process per answered question
	rate             float64 // questions per second
	lost             int
	memory           float64 // MiB resident at the end
}

// loadResult is what dnsperf says of a run.
type loadResult struct {
	answered, lost, wrong int
	rate                  float64
}

// writeNames writes dnsperf's question file. Cold rounds have names of their own.
func writeNames(path string, w workload, round int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	for i := range w.names {
		if w.cold {
			fmt.Fprintf(b, "r%dn%d.bench A\n", round, i)
		} else {
			fmt.Fprintf(b, "n%d.bench A\n", i)
		}
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// load runs dnsperf on the second core.
func load(ctx context.Context, file string, limit ...string) (loadResult, error) {
	args := append([]string{"-c", loadCore, "dnsperf", "-s", "127.0.0.1", "-p", strconv.Itoa(resolverPort),
		"-d", file, "-c", "8", "-q", "200", "-t", "5"}, limit...)
	out, err := exec.CommandContext(ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		return loadResult{}, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	text := string(out)
	number := func(label string) float64 {
		m := regexp.MustCompile(label + `:\s+([0-9.]+)`).FindStringSubmatch(text)
		if m == nil {
			return 0
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0
		}
		return v
	}
	l := loadResult{answered: int(number("Queries completed")), lost: int(number("Queries lost")), rate: number("Queries per second")}
	if m := regexp.MustCompile(`Response codes:\s+NOERROR (\d+)`).FindStringSubmatch(text); m != nil {
		good, err := strconv.Atoi(m[1])
		if err != nil {
			return l, err
		}
		l.wrong = l.answered - good
	} else {
		return l, fmt.Errorf("dnsperf counted no NOERROR:\n%s", strings.TrimSpace(text))
	}
	return l, nil
}
