package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"lastgood/bench/machine"
)

// report tells the figures.
func report(o *options, list []*course) string {
	var b strings.Builder
	how := "virtual time, simulated network: the test TestIncident of the folder scenario"
	if o.real {
		how = fmt.Sprintf("real sockets in a network namespace, %d seconds of the evening in one, %g questions a second to each resolver", o.pace, o.rate)
	}
	fmt.Fprintf(&b, "# incident: a top-level domain signed with a key that it does not publish, 19:30 to 22:17\n\n%s\n%s, %d cores, %s\n",
		how, machine.CPU(), runtime.NumCPU(), runtime.Version())
	if o.real {
		for _, p := range [...][]string{{"unbound", "-V"}, {"kresd", "--version"}, {"nsd", "-v"}} {
			b.WriteString(version(p[0], p[1:]...) + "\n")
		}
	}
	fmt.Fprintf(&b, "\nGood answers, per cent: of all questions, and of those for names that were answered before 19:30. The negative trust anchor (NTA) comes at 19:50.\n\n")
	b.WriteString("| resolver | 17:30–19:30 | 19:30–22:17, names known | all | 21:00–22:10, names known | all | stale | authentic | after 22:30 |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range list {
		before, during := c.span(breaks-2*time.Hour, breaks), c.span(breaks, mends)
		late, after := c.span(21*time.Hour, mends), c.span(22*time.Hour+30*time.Minute, night)
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f | %.2f |\n", c.name, before.all(), during.known(), during.all(),
			late.known(), late.all(), percent(during.stale, during.asked), percent(during.secure, during.asked), after.all())
	}
	return b.String()
}

// version is the first line that a program says of itself.
func version(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
