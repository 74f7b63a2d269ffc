package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"lastgood/bench/machine"
)

// group is the runs of one server in one kind of outage, and their figures.
type group struct {
	server  *server
	records []*record
	figures []*figures
}

// groups are those of a kind and an authority, in the servers' order.
func (b *bench) groups(kind, authority string) (list []*group) {
	for _, s := range b.found {
		g := &group{server: s}
		for _, r := range b.records {
			if r.server == s && r.kind == kind && r.authority == authority {
				g.records, g.figures = append(g.records, r), append(g.figures, r.figures())
			}
		}
		if len(g.records) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// worst is the run with the fewest good answers and, of those, the longest waits.
func (g *group) worst() *record {
	at := 0
	for i, f := range g.figures {
		if a, b := f.outage.share(), g.figures[at].outage.share(); a < b || a == b && f.outage.p99 > g.figures[at].outage.p99 {
			at = i
		}
	}
	return g.records[at]
}

// write tells the result on standard output and, when asked for, in files. It
// tells whether lastgood held in every run.
func (b *bench) write() (ok bool, err error) {
	text, ok := b.markdown()
	fmt.Print(text)
	if b.o.out == "" {
		return ok, nil
	}
	files := map[string]string{b.o.out + ".md": text}
	for _, kind := range b.o.kinds {
		if list := b.groups(kind, ownAuthority); len(list) > 0 {
			files[b.o.out+"-"+kind+".svg"] = chart(kind, list)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(name, []byte(files[name]), 0o644); err != nil {
			return ok, err
		}
	}
	return ok, nil
}

func (b *bench) markdown() (text string, ok bool) {
	var s strings.Builder
	b.head(&s)
	ok = true
	for _, kind := range b.o.kinds {
		for _, authority := range []string{ownAuthority, nsd} {
			list := b.groups(kind, authority)
			if len(list) == 0 {
				continue
			}
			fmt.Fprintf(&s, "\n## %s, %s\n\n", titles[kind], map[string]string{ownAuthority: "the benchmark's own authority", nsd: "NSD"}[authority])
			if authority == ownAuthority {
				ok = verdicts(&s, list, b.o.kill) && ok
			}
			table(&s, list, authority)
			if b.o.out != "" && authority == ownAuthority {
				fmt.Fprintf(&s, "\n![answers by freshness, and latency, over time](%s-%s.svg)\n", filepath.Base(b.o.out), kind)
			}
		}
	}
	b.each(&s)
	b.tail(&s)
	return s.String(), ok
}

var titles = map[string]string{silence: "Silence", servfail: "SERVFAIL", refused: "REFUSED"}

func (b *bench) head(s *strings.Builder) {
	o := b.o
	title := "An authority's outage"
	if o.kill {
		title += ", lastgood killed in the middle of it"
	}
	fmt.Fprintf(s, "# %s\n\n%s, %d cores, %s; %s. Resolver on core %s, questions, front and authority on core %s.\n\n", title, machine.CPU(), runtime.NumCPU(), runtime.GOOS, runtime.Version(), resolverCore, loadCore())
	fmt.Fprintf(s, "%d questions a second over %d names with TTL %v that enter over %v; outage of %v after %v and up to a TTL more, observed for %v after it; a client's patience %v; seed %d.\n\n",
		o.rate, o.names, o.ttl, o.enter, o.outage, o.healthy, o.after, o.patience, o.seed)
	for _, v := range b.found {
		fmt.Fprintf(s, "- %s: %s\n", v.name, v.version)
	}
	if o.nsdRuns > 0 {
		fmt.Fprintf(s, "- NSD: %s\n", b.nsdVersion)
	}
	if len(b.missing) > 0 {
		fmt.Fprintf(s, "- not installed, left out: %s\n", strings.Join(b.missing, ", "))
	}
	for _, f := range b.failed {
		fmt.Fprintf(s, "- could not be measured: %s\n", strings.ReplaceAll(f, "\n", " "))
	}
	if b.floor != nil {
		p := b.floor.phase(0, o.floor)
		fmt.Fprintf(s, "\nFloor, an echo server in place of the resolver: p50 %v, p99 %v, most %v; questions were asked late by p99 %v.\n",
			short(p.p50), short(p.p99), short(p.most), short(b.floor.late()))
	}
}

// verdicts holds lastgood's runs against the targets: a line a target.
func verdicts(s *strings.Builder, list []*group, killed bool) (ok bool) {
	ok = true
	for _, g := range list {
		if g.server.name != "lastgood" {
			continue
		}
		var rows [][]verdict // by run
		for _, f := range g.figures {
			rows = append(rows, f.judge(killed))
			ok = ok && passed(rows[len(rows)-1])
		}
		s.WriteString("| judged of lastgood, a run at a time | bound | run by run, repeats left out | |\n|---|---|---|---|\n")
		for i, v := range rows[0] {
			var found []string
			held := 0
			for _, row := range rows {
				text := row[i].found
				if row[i].ok {
					held++
				} else {
					text = "**" + text + "**"
				}
				found = append(found, text)
			}
			say := "holds"
			if held < len(rows) {
				say = fmt.Sprintf("**holds in %d of %d**", held, len(rows))
			}
			fmt.Fprintf(s, "| %s | %s | %s | %s |\n", v.what, v.bound, strings.Join(slices.Compact(found), "; "), say)
		}
		s.WriteString("\n")
	}
	return ok
}

// row is one line of a table: a figure of a run, and how it is shown.
type row struct {
	what string
	of   func(*figures) float64
	show func(float64) string
}

func durationRow(what string, of func(*figures) time.Duration) row {
	return row{what, func(f *figures) float64 { return float64(of(f)) }, func(v float64) string { return moment(time.Duration(v)) }}
}

func countRow(what string, of func(*figures) int) row {
	return row{what, func(f *figures) float64 { return float64(of(f)) }, func(v float64) string { return fmt.Sprintf("%.0f", v) }}
}

func shareRow(what string, of func(*figures) *phase) row {
	return row{what, func(f *figures) float64 { return of(f).share() }, percent}
}

func phaseRows(name string, of func(*figures) *phase) []row {
	return []row{
		shareRow("good answers, "+name, of),
		durationRow("p50, "+name, func(f *figures) time.Duration { return of(f).p50 }),
		durationRow("p99, "+name, func(f *figures) time.Duration { return of(f).p99 }),
		durationRow("longest, "+name, func(f *figures) time.Duration { return of(f).most }),
		countRow("stale answers, "+name, func(f *figures) int { return of(f).stale }),
	}
}

func rows(killed bool) []row {
	list := slices.Concat(
		phaseRows("healthy", func(f *figures) *phase { return &f.healthy }),
		phaseRows("in the outage", func(f *figures) *phase { return &f.outage }),
		[]row{countRow("of the outage's questions, waited more than 10 ms", func(f *figures) int { return f.outage.slow })},
		phaseRows("after the return", func(f *figures) *phase { return &f.after }),
		[]row{
			durationRow("first fresh answer after the return", func(f *figures) time.Duration { return f.first }),
			durationRow("last stale answer after the return", func(f *figures) time.Duration { return f.last }),
			countRow("queries to the authority, the outage's first second", func(f *figures) int { return f.upstreamFirst }),
			countRow("the same, the worst second after it", func(f *figures) int { return f.upstreamMost }),
			{"the same, mean of the seconds after it", func(f *figures) float64 { return f.upstreamMean }, func(v float64) string { return fmt.Sprintf("%.1f", v) }},
			countRow("the same, the worst second after the return", func(f *figures) int { return f.upstreamBack }),
			countRow("stale by extended error, outage and after", func(f *figures) int { return f.said }),
			countRow("stale by the data, likewise", func(f *figures) int { return f.old }),
			countRow("said to be stale, within the grace by the data", func(f *figures) int { return f.margin }),
			countRow("extended error and data contradict each other", func(f *figures) int { return f.against }),
			durationRow("generator's lateness, p99", func(f *figures) time.Duration { return f.late }),
		})
	if killed {
		list = append(list, phaseRows("from 1 s after the restart", func(f *figures) *phase { return &f.restarted })...)
	}
	return list
}

// table has a column a server: the median of its runs, and in brackets the
// least and the most.
func table(s *strings.Builder, list []*group, authority string) {
	s.WriteString("| |")
	for _, g := range list {
		fmt.Fprintf(s, " %s, %s |", g.server.name, runCount(len(g.records)))
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(list)) + "\n")
	for _, r := range rows(list[0].records[0].killed) {
		fmt.Fprintf(s, "| %s |", r.what)
		for _, g := range list {
			fmt.Fprintf(s, " %s |", r.cell(g.figures))
		}
		s.WriteString("\n")
	}
	if authority == nsd {
		s.WriteString("\nNSD's data does not show its age: what is stale is known by the extended error, or by a TTL above the zone's, alone.\n")
	}
}

func runCount(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

func (r row) cell(figures []*figures) string {
	var v []float64
	for _, f := range figures {
		v = append(v, r.of(f))
	}
	slices.Sort(v)
	mid, least, most := r.show(v[len(v)/2]), r.show(v[0]), r.show(v[len(v)-1])
	if least == most {
		return mid
	}
	return fmt.Sprintf("%s (%s – %s)", mid, least, most)
}

// each is a line for every run.
func (b *bench) each(s *strings.Builder) {
	s.WriteString("\n## Every run\n\n")
	for _, r := range b.records {
		f := r.figures()
		fmt.Fprintf(s, "- %v, stopped at %.2f s: %s%s", &r.trial, r.stop.Seconds(), f.line(), causes(f.causes))
		if r.strays > 0 {
			fmt.Fprintf(s, "; %d replies that fit no question", r.strays)
		}
		s.WriteString("\n")
	}
}

// causes are the other extended errors since the outage began.
func causes(m map[uint16]int) string {
	text := ""
	for _, code := range slices.Sorted(maps.Keys(m)) {
		text += fmt.Sprintf("; extended error %d %d times", code, m[code])
	}
	return text
}

func (b *bench) tail(s *strings.Builder) {
	s.WriteString("\n## Configurations\n")
	for _, v := range b.found {
		conf := v.conf
		if b.o.kill {
			conf = killedConf
		}
		fmt.Fprintf(s, "\n%s, `%s %s`:\n```\n%s```\n", v.name, filepath.Base(v.program), place(strings.Join(v.args, " "), "DIR"), place(conf, "DIR"))
	}
}
