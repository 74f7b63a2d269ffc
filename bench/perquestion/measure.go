package perquestion

import (
	"context"
	"fmt"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/openloop"
)

// Result is one measured run of one workload.
type Result struct {
	Server, Workload string
	Round            int
	Micros           float64       // CPU of the server process per answered question
	Answered         int           // the prober's questions among them
	Rate             float64       // answers a second
	Busy             float64       // share of the run that the server used the processor for
	Mean             time.Duration // of dnsperf's questions
	P50, P99         time.Duration // of the prober's questions; 0 without it
	Memory           float64       // MiB resident at the end
	Upstream         float64       // questions to the authorities per answered one; not counted by Measure
}

// Unfair is the error of a run that does not count.
type Unfair struct{ Why string }

func (u Unfair) Error() string { return u.Why + ": not a fair run" }

// Measure runs the load once, and beside it the prober, unless that is nil, for a
// time. It gives an Unfair error for a run with a reply that has another rcode, or
// with a question that was lost.
func Measure(ctx context.Context, p *machine.Process, load Load, probe *openloop.Probe, length time.Duration) (Result, error) {
	before, err := p.CPU()
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	type probed struct {
		*openloop.Probed
		err error
	}
	probes := make(chan probed, 1)
	if probe != nil {
		go func() {
			r, err := probe.Run(ctx, length)
			probes <- probed{r, err}
		}()
	}
	l, err := load.Run(ctx)
	took := time.Since(began)
	seen := probed{Probed: &openloop.Probed{}}
	if probe != nil {
		seen = <-probes // always: it is this run's
	}
	if err != nil {
		return Result{}, err
	}
	if seen.err != nil {
		return Result{}, seen.err
	}
	after, err := p.CPU()
	if err != nil {
		return Result{}, err
	}
	if l.Wrong+seen.Wrong > 0 || l.Answered == 0 || l.Lost+seen.Lost() > 0 {
		return Result{}, Unfair{fmt.Sprintf("%d answered, %d lost, %d not %s; of the prober %d lost, %d wrong", l.Answered, l.Lost, l.Wrong, load.Rcode, seen.Lost(), seen.Wrong)}
	}
	answered := l.Answered + seen.Answered
	used := after - before
	return Result{
		Micros: float64(used.Nanoseconds()) / 1000 / float64(answered), Answered: answered, Rate: l.Rate, Busy: used.Seconds() / took.Seconds(),
		Mean: l.Mean, P50: seen.Waits.Quantile(0.5), P99: seen.Waits.Quantile(0.99), Memory: p.Memory(),
	}, nil
}
