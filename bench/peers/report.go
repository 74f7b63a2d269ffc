package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
)

// report writes the figures as Markdown, with the machine, the versions and the
// configurations.
func (f *field) report(ctx context.Context) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What a question costs, beside other resolvers\n\n%s, %d cores, %s; lastgood %s; servers on core %s, load and authorities on core %s.\n"+
		"%d rounds of %v, interleaved; lastgood, Unbound and the echo in each, the others in the first %d.\n",
		machine.CPU(), runtime.NumCPU(), machine.Versions(ctx), machine.Commit(ctx), perquestion.ServerCore, perquestion.LoadCore, f.o.rounds, f.o.length, min(f.o.rounds, f.o.peerRounds))
	if len(f.missing) > 0 {
		fmt.Fprintf(&b, "Not installed, and left out: %s.\n", strings.Join(f.missing, ", "))
	}
	if len(f.unfair) > 0 {
		fmt.Fprintf(&b, "%d runs did not count and were made again, up to twice:\n- %s\n", len(f.unfair), strings.Join(f.unfair, "\n- "))
	}
	b.WriteString("\n| server | version |\n|---|---|\n")
	var names []string
	for _, s := range f.servers {
		names = append(names, s.Name)
		fmt.Fprintf(&b, "| %s | %s |\n", s.Name, s.Version)
	}
	if f.echo != "" {
		names = append(names, echoName)
		b.WriteString("| echo | sends back what it gets, in C, 32 datagrams a system call |\n")
	}
	if list := judge(f.results, f.memory, f.allocations); len(list) > 0 {
		b.WriteString("\n## lastgood's targets\n\n" + verdicts(list))
	}
	b.WriteString(f.brief())
	for _, key := range keys() {
		if len(perquestion.Of(f.results, key, servers.Lastgood))+len(perquestion.Of(f.results, key, servers.Unbound)) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s", title(key), perquestion.Table(f.results, key, servers.Unbound, names))
		}
	}
	if len(f.memory) > 0 {
		fmt.Fprintf(&b, "\n## Memory, %d cached names\n\n| server | bytes a name | RSS before, MiB | after |\n|---|---|---|---|\n", f.o.names)
		for _, m := range f.memory {
			fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f |\n", m.server, m.perName, m.before, m.after)
		}
	}
	b.WriteString(f.configurations())
	return b.String()
}

// brief is one table of the medians, for a page that has room for no more.
func (f *field) brief() string {
	var b strings.Builder
	b.WriteString("\n## In short\n\nµs of CPU per question, medians; in brackets the ratio to Unbound in the same rounds.\n\n| |")
	order := []string{servers.Lastgood, servers.Unbound, "pdns-recursor", "bind9", "knot-resolver", echoName}
	for _, name := range order {
		fmt.Fprintf(&b, " %s |", name)
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(order)) + "|\n")
	for _, key := range keys() {
		if len(perquestion.Of(f.results, key, servers.Lastgood)) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", title(key))
		for _, name := range order {
			list := perquestion.Of(f.results, key, name)
			if len(list) == 0 {
				b.WriteString(" – |")
				continue
			}
			_, cost, _ := perquestion.Spread(perquestion.Each(list, func(r perquestion.Result) float64 { return r.Micros }))
			fmt.Fprintf(&b, " %s", perquestion.Micros(cost))
			if ratios := perquestion.Ratios(f.results, key, name, servers.Unbound); len(ratios) > 0 && name != servers.Unbound {
				_, ratio, _ := perquestion.Spread(ratios)
				fmt.Fprintf(&b, " (%.2f)", ratio)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// configurations are those of the servers when they validate.
func (f *field) configurations() string {
	var b strings.Builder
	b.WriteString("\n## Configurations\n\nWith validation, as for signed names; DIR is a folder of the server's own.\n")
	for i, s := range f.servers {
		files, err := s.Files(f.setup(s, i, true, cacheMiB))
		if err != nil {
			continue // it has been started with them
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(&b, "\n%s, %s:\n```\n%s```\n", s.Name, name, strings.NewReplacer(f.setup(s, i, true, 0).Dir, "DIR", f.dir, "DIR").Replace(files[name]))
		}
	}
	return b.String()
}
