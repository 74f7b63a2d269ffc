package perquestion

import (
	"fmt"
	"slices"
	"strings"
)

// Table is the results as a table of Markdown, workloads in the order given, costs
// with so many decimals.
func Table(results []Result, workloads []string, decimals int) string {
	var b strings.Builder
	b.WriteString("| workload | server | µs/question: least | median | most | of Unbound's median | questions/s (median) | RSS MiB |\n|---|---|---|---|---|---|---|---|\n")
	for _, w := range workloads {
		var reference float64
		for _, name := range []string{"unbound", "lastgood"} {
			var cost, rate, memory []float64
			for _, r := range results {
				if r.Server == name && r.Workload == w {
					cost, rate, memory = append(cost, r.Micros), append(rate, r.Rate), append(memory, r.Memory)
				}
			}
			lo, mid, hi := spread(cost)
			_, perSecond, _ := spread(rate)
			_, rss, _ := spread(memory)
			if name == "unbound" {
				reference = mid
			}
			fmt.Fprintf(&b, "| %s | %s | %.*f | %.*f | %.*f | %.2f | %.0f | %.0f |\n", w, name, decimals, lo, decimals, mid, decimals, hi, mid/reference, perSecond, rss)
		}
	}
	return b.String()
}

// spread is least, middle and greatest of some figures.
func spread(v []float64) (lo, mid, hi float64) {
	v = slices.Sorted(slices.Values(v))
	return v[0], v[len(v)/2], v[len(v)-1]
}
