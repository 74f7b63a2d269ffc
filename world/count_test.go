package world

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// counts is what was seen, so that an oracle that lets everything pass, or worlds
// in which nothing happens, are noticed.
type counts struct {
	worlds, questions, queries, cached int
	answers                            map[string]int // by kind
	failures                           map[string]int // by excuse
	faults                             map[string]int // that were there
	bounds                             map[string]int // that were hit
}

func newCounts() counts {
	return counts{answers: map[string]int{}, failures: map[string]int{}, faults: map[string]int{}, bounds: map[string]int{}}
}

func (c *counts) add(o counts) {
	c.worlds += o.worlds
	c.questions += o.questions
	c.queries += o.queries
	c.cached += o.cached
	for _, pair := range [][2]map[string]int{{c.answers, o.answers}, {c.failures, o.failures}, {c.faults, o.faults}, {c.bounds, o.bounds}} {
		for k, n := range pair[1] {
			pair[0][k] += n
		}
	}
}

func (c *counts) String() string {
	return fmt.Sprintf("%d worlds, %d questions, %d upstream queries, %d sets from the cache\n  answers: %s\n  failures: %s\n  faults: %s\n  bounds: %s",
		c.worlds, c.questions, c.queries, c.cached, table(c.answers), table(c.failures), table(c.faults), table(c.bounds))
}

func table(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}
