package perquestion

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Spread is least, median and greatest of some figures; zeros of none.
func Spread(v []float64) (least, median, most float64) {
	if len(v) == 0 {
		return 0, 0, 0
	}
	v = slices.Sorted(slices.Values(v))
	half := len(v) / 2
	median = v[half]
	if len(v)%2 == 0 {
		median = (v[half-1] + v[half]) / 2
	}
	return v[0], median, v[len(v)-1]
}

// Of are the results of one server in one workload.
func Of(results []Result, workload, server string) []Result {
	var out []Result
	for _, r := range results {
		if r.Server == server && r.Workload == workload {
			out = append(out, r)
		}
	}
	return out
}

// Each is a figure of each result.
func Each(results []Result, figure func(Result) float64) []float64 {
	out := make([]float64, 0, len(results))
	for _, r := range results {
		out = append(out, figure(r))
	}
	return out
}

// Ratios are a server's costs as shares of another's in the same round, of the rounds
// that have both. The machine's speed varies more from minute to minute than servers
// differ: only neighbours can be compared.
func Ratios(results []Result, workload, server, reference string) []float64 {
	return against(results, workload, server, reference, func(a, b float64) float64 { return a / b })
}

// Differences are a server's costs less another's in the same round, in microseconds.
func Differences(results []Result, workload, server, reference string) []float64 {
	return against(results, workload, server, reference, func(a, b float64) float64 { return a - b })
}

func against(results []Result, workload, server, reference string, compare func(a, b float64) float64) []float64 {
	by := map[int]float64{}
	for _, r := range Of(results, workload, reference) {
		by[r.Round] = r.Micros
	}
	var out []float64
	for _, r := range Of(results, workload, server) {
		if other := by[r.Round]; other > 0 {
			out = append(out, compare(r.Micros, other))
		}
	}
	return out
}

// Table is the results of one workload as a table of Markdown, servers in the order
// given, ratios to one of them.
func Table(results []Result, workload, reference string, servers []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| server | µs/question: least | median | most | of %s in the same round: least | median | most | questions/s | core busy | p50 | p99 | mean | asked upstream | RSS MiB |\n", reference)
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range servers {
		list := Of(results, workload, name)
		if len(list) == 0 {
			continue
		}
		median := func(figure func(Result) float64) float64 {
			_, mid, _ := Spread(Each(list, figure))
			return mid
		}
		wait := func(figure func(Result) time.Duration) string {
			d := time.Duration(median(func(r Result) float64 { return float64(figure(r)) }))
			if d == 0 {
				return "–"
			}
			return d.Round(time.Microsecond).String()
		}
		lo, mid, hi := Spread(Each(list, func(r Result) float64 { return r.Micros }))
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.0f | %.0f %% | %s | %s | %s | %.2f | %.0f |\n", name, Micros(lo), Micros(mid), Micros(hi),
			ratios(Ratios(results, workload, name, reference)), median(func(r Result) float64 { return r.Rate }), 100*median(func(r Result) float64 { return r.Busy }),
			wait(func(r Result) time.Duration { return r.P50 }), wait(func(r Result) time.Duration { return r.P99 }), wait(func(r Result) time.Duration { return r.Mean }),
			median(func(r Result) float64 { return r.Upstream }), median(func(r Result) float64 { return r.Memory }))
	}
	return b.String()
}

func ratios(v []float64) string {
	if len(v) == 0 {
		return "– | – | –"
	}
	lo, mid, hi := Spread(v)
	return fmt.Sprintf("%.2f | %.2f | %.2f", lo, mid, hi)
}

// Micros writes a cost with three digits that count.
func Micros(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}
