package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// work is what the machine has done since it was started.
type work struct{ busy, idle, softirq time.Duration }

// done reads /proc/stat. Busy is all that is neither idle nor waiting nor another
// virtual machine's.
func done() (w work, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return w, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return w, fmt.Errorf("/proc/stat begins with %q", line)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	at := func(i int) time.Duration {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return time.Duration(n) * tick
	}
	// user nice system idle iowait irq softirq steal
	return work{busy: at(1) + at(2) + at(3) + at(6) + at(7), idle: at(4) + at(5), softirq: at(7)}, nil
}

// measure starts a server, fills its cache, checks it, and loads it once.
func (b *bench) measure(ctx context.Context, s server, names string) (r result, err error) {
	r.server = s.name
	if err := os.WriteFile(s.file, []byte(s.conf), 0o644); err != nil {
		return r, err
	}
	p, err := b.launch(ctx, perquestion.ServerCore, s.args...)
	if err != nil {
		return r, err
	}
	defer p.stop()
	if err := b.answers(ctx); err != nil {
		return r, err
	}
	if _, _, err := b.load(ctx, names, "-n", "1", "-q", "100"); err != nil { // each name once
		return r, err
	}
	if r.others, err = idle(ctx); err != nil {
		return r, err
	}
	before, err := done()
	if err != nil {
		return r, err
	}
	own, err := machine.CPUOf(p.cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	l, loadTime, err := b.load(ctx, names, "-l", fmt.Sprint(b.length.Seconds()), "-q", "200", "-c", "10")
	if err != nil {
		return r, err
	}
	after, err := done()
	if err != nil {
		return r, err
	}
	ownAfter, err := machine.CPUOf(p.cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	each := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / float64(l.answered) }
	r.machine, r.process = each(after.busy-before.busy-loadTime), each(ownAfter-own)
	r.softirq, r.rate, r.lost = each(after.softirq-before.softirq), l.rate, l.lost
	if l.lost*100 > l.answered {
		return r, fmt.Errorf("%d of %d questions were lost", l.lost, l.answered)
	}
	return r, nil
}

// idle tells how busy the machine is for half a second with no load.
func idle(ctx context.Context) (float64, error) {
	before, err := done()
	if err != nil {
		return 0, err
	}
	if err := machine.Wait(ctx, 500*time.Millisecond); err != nil {
		return 0, err
	}
	after, err := done()
	all := after.busy + after.idle - before.busy - before.idle
	if err != nil || all == 0 {
		return 0, err
	}
	return float64(after.busy-before.busy) / float64(all), nil
}

// loaded is what dnsperf says of a run.
type loaded struct {
	answered, lost int
	rate           float64
}

var (
	completed = regexp.MustCompile(`Queries completed: +(\d+)`)
	lost      = regexp.MustCompile(`Queries lost: +(\d+)`)
	perSecond = regexp.MustCompile(`Queries per second: +([0-9.]+)`)
)

// load runs dnsperf in the client's namespace on the second core, and gives the processor time
// that it used.
func (b *bench) load(ctx context.Context, names string, more ...string) (l loaded, used time.Duration, err error) {
	cmd := b.client.command(ctx, perquestion.LoadCore, append([]string{"dnsperf", "-s", serverAddr, "-d", names}, more...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return l, 0, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	figure := func(r *regexp.Regexp) float64 {
		m := r.FindSubmatch(out)
		if m == nil {
			return 0
		}
		v, _ := strconv.ParseFloat(string(m[1]), 64)
		return v
	}
	l = loaded{int(figure(completed)), int(figure(lost)), figure(perSecond)}
	if l.answered == 0 || !strings.Contains(string(out), fmt.Sprintf("NOERROR %d (100.00%%)", l.answered)) {
		return l, 0, fmt.Errorf("not all answers are right:\n%s", out)
	}
	return l, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
