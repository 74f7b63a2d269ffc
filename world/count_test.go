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
	alone, most                        int            // questions alone in the world, and what one of them cost at most
	answers                            map[string]int // by kind
	failures                           map[string]int // by excuse
	stale                              map[string]int // stale answers, by excuse
	faults                             map[string]int // that were there
	bounds                             map[string]int // that were hit
}

func newCounts() counts {
	return counts{answers: map[string]int{}, failures: map[string]int{}, stale: map[string]int{}, faults: map[string]int{}, bounds: map[string]int{}}
}

func (c *counts) add(o counts) {
	c.worlds += o.worlds
	c.questions += o.questions
	c.queries += o.queries
	c.cached += o.cached
	c.alone += o.alone
	c.most = max(c.most, o.most)
	for _, pair := range [][2]map[string]int{{c.answers, o.answers}, {c.failures, o.failures}, {c.stale, o.stale}, {c.faults, o.faults}, {c.bounds, o.bounds}} {
		for k, n := range pair[1] {
			pair[0][k] += n
		}
	}
}

func (c *counts) String() string {
	return fmt.Sprintf("%d worlds, %d questions, %d upstream queries, %d answers from the cache, at most %d queries for one of %d questions alone\n  answers: %s\n  failures: %s\n  stale: %s\n  faults: %s\n  bounds: %s",
		c.worlds, c.questions, c.queries, c.cached, c.most, c.alone, table(c.answers), table(c.failures), table(c.stale), table(c.faults), table(c.bounds))
}

func table(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}

// varied tells what is missing for the worlds to have been worth their while:
// an oracle that lets everything pass, or worlds in which nothing happens, look
// like success otherwise. It is for 200 worlds and more.
func (c *counts) varied() (missing []string) {
	want := func(ok bool, format string, args ...any) {
		if !ok {
			missing = append(missing, fmt.Sprintf(format, args...))
		}
	}
	for _, kind := range append(slices.Clone(faultKinds), authorityFaults...) {
		want(c.faults[kind] > 0, "no fault %s", kind)
	}
	for _, kind := range []string{"data after 0", "data after 1", "data after 3", "no data after 0", "no data after 1", "NXDOMAIN after 0",
		"NXDOMAIN after 3", "made alias", "denied without SOA", "TC", "SERVFAIL", "REFUSED"} {
		want(c.answers[kind] > 0, "no answer of kind %s", kind)
	}
	for _, e := range []excuse{dead, lossy, moved, loop, bounded} {
		want(c.failures[string(e)] > 0, "no failure for %s", e)
	}
	for _, e := range []excuse{dead, lossy, timedOut} {
		want(c.stale[string(e)] > 0, "nothing stale for %s", e)
	}
	for _, kind := range []string{"stale NOERROR", "stale NXDOMAIN"} {
		want(c.answers[kind] > 0, "no answer of kind %s", kind)
	}
	stale := 0
	for _, n := range c.stale {
		stale += n
	}
	want(c.stale[string(slow)]*5 < stale, "slowness excuses too much: %s", table(c.stale))
	failed := 0
	for _, n := range c.failures {
		failed += n
	}
	want(c.failures[string(none)] == 0, "%d failures without excuse", c.failures[string(none)])
	want(failed*5 < c.questions, "%d of %d questions failed", failed, c.questions)
	want((c.failures[string(aftermath)]+c.failures[string(remembered)]+c.failures[string(zoneFailure)])*200 < c.questions, "memory excuses too much: %s", table(c.failures))
	want(c.failures[string(moved)]*50 < c.questions, "old delegations excuse too much: %s", table(c.failures))
	want(c.answers["data after 0"]*5 > c.questions, "data answers only %d of %d questions", c.answers["data after 0"], c.questions)
	want(c.cached*20 > c.questions, "%d of %d questions answered from the cache", c.cached, c.questions)
	want(c.alone*20 > c.questions, "%d of %d questions alone", c.alone, c.questions)
	return missing
}
