package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Sizes of the chart, in pixels: a row for each server, with a panel for the
// answers and one for the latency.
const (
	chartWidth  = 960
	rowHeight   = 132
	panelHeight = 84
	panelWidth  = 400
	leftPanel   = 46
	rightPanel  = 532
	headHeight  = 62
	footHeight  = 34
)

// The scale of latencies, logarithmic.
const (
	leastWait = 50 * time.Microsecond
	mostWait  = 5 * time.Second
)

// style makes the chart readable on light and on dark pages: it has a ground
// of its own in either case.
const style = `<style>
.ground{fill:#fff}.ink{fill:#24292f}.soft{fill:#57606a}.line{stroke:#d0d7de}.shade{fill:#8c959f;opacity:.18}
.fresh{fill:#2a78b5}.stale{fill:#f0a202}.nothing{fill:#b3261e}.mark{stroke:#24292f;stroke-dasharray:3 2}.edge{stroke:#24292f;stroke-width:1.2}
path{shape-rendering:crispEdges}
.p50{fill:none;stroke:#2a78b5;stroke-width:1.3}.p99{fill:none;stroke:#b3261e;stroke-width:1.3}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.line{stroke:#30363d}.shade{fill:#9198a1;opacity:.25}
.fresh{fill:#4493d8}.stale{fill:#e3a72f}.nothing{fill:#f0625a}.mark,.edge{stroke:#e6edf3}
.p50{stroke:#4493d8}.p99{stroke:#f0625a}}
</style>
`

// second is what the questions of one second got.
type second struct {
	from     time.Duration // since the outage began
	count    [3]int        // by freshness
	p50, p99 time.Duration
}

// seconds cuts a run into seconds that begin with the outage.
func (r *record) seconds() (list []second) {
	length := r.o.outage + r.o.after
	for from := -r.o.healthy; from < length; from += time.Second {
		s := second{from: from}
		var waits []time.Duration
		for i := range r.questions {
			q := &r.questions[i]
			if at := q.due - r.stop; at < from || at >= from+time.Second {
				continue
			}
			s.count[r.freshness(q)]++
			waits = append(waits, q.waited(r.o.patience))
		}
		s.p50, s.p99, _ = quantiles(waits)
		list = append(list, s)
	}
	return list
}

// plot is a chart under way.
type plot struct {
	strings.Builder
	o *options
}

// chart draws the worst run of each server.
func chart(kind string, list []*group) string {
	p := &plot{o: list[0].records[0].o}
	height := headHeight + rowHeight*len(list) + footHeight
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="system-ui,sans-serif" font-size="11">`+"\n", chartWidth, height)
	p.WriteString(style)
	fmt.Fprintf(p, `<rect class="ground" width="%d" height="%d"/>`+"\n", chartWidth, height)
	p.legend(kind, list[0].records[0].killed)
	for i, g := range list {
		p.row(g, float64(headHeight+i*rowHeight))
	}
	p.axis(float64(height - footHeight))
	p.WriteString("</svg>\n")
	return p.String()
}

var grounds = map[string]string{silence: "authority stopped", servfail: "authority answers SERVFAIL", refused: "authority answers REFUSED"}

func (p *plot) legend(kind string, killed bool) {
	p.text(leftPanel, 20, "ink", `font-weight="bold" font-size="13"`, "answers a second")
	p.text(rightPanel, 20, "ink", `font-weight="bold" font-size="13"`, "how long clients waited")
	x := leftPanel
	for _, e := range []struct{ class, name string }{{"fresh", "fresh"}, {"stale", "stale"}, {"nothing", "none, or an error"}, {"shade", grounds[kind]}} {
		fmt.Fprintf(p, `<rect class="%s" x="%d" y="31" width="10" height="10"/>`, e.class, x)
		p.text(float64(x+14), 40, "soft", "", e.name)
		x += 30 + 6*len(e.name)
	}
	x = rightPanel
	for _, e := range []struct{ class, name string }{{"p50", "median of each second"}, {"p99", "99th percentile"}} {
		fmt.Fprintf(p, `<path class="%s" d="M%d 36h14"/>`, e.class, x)
		p.text(float64(x+18), 40, "soft", "", e.name)
		x += 40 + 6*len(e.name)
	}
	if killed {
		fmt.Fprintf(p, `<path class="mark" d="M%d 30v12"/>`, x)
		p.text(float64(x+6), 40, "soft", "", "killed")
	}
	p.WriteByte('\n')
}

func (p *plot) text(x, y float64, class, more, text string) {
	fmt.Fprintf(p, `<text class="%s" x="%.1f" y="%.1f" %s>%s</text>`, class, x, y, more, text)
}

// x is where a moment lies in a panel.
func (p *plot) x(left float64, at time.Duration) float64 {
	whole := p.o.healthy + p.o.outage + p.o.after
	return left + panelWidth*float64(at+p.o.healthy)/float64(whole)
}

func (p *plot) row(g *group, top float64) {
	r := g.worst()
	f := r.figures()
	said := fmt.Sprintf("in the outage %s good, p50 %v, p99 %v", percent(f.outage.share()), short(f.outage.p50), short(f.outage.p99))
	if len(g.records) > 1 {
		said += fmt.Sprintf(" (worst of %d runs)", len(g.records))
	}
	p.text(leftPanel, top+12, "ink", `font-weight="bold"`, g.server.name)
	p.text(leftPanel+14+7*float64(len(g.server.name)), top+12, "soft", "", said)
	list, at := r.seconds(), top+20
	p.answers(list, at)
	p.waits(list, at)
	for _, left := range []float64{leftPanel, rightPanel} {
		for _, edge := range []time.Duration{0, p.o.outage} {
			fmt.Fprintf(p, `<path class="edge" d="M%.1f %.1fv%d"/>`, p.x(left, edge), at-4, panelHeight+8)
		}
	}
	if r.restart > 0 {
		for _, left := range []float64{leftPanel, rightPanel} {
			fmt.Fprintf(p, `<path class="mark" d="M%.1f %.1fv%d"/>`, p.x(left, r.restart-r.stop), at, panelHeight)
		}
	}
	p.WriteByte('\n')
}

func (p *plot) shade(left, top float64) {
	fmt.Fprintf(p, `<rect class="shade" x="%.1f" y="%.1f" width="%.1f" height="%d"/>`, p.x(left, 0), top, p.x(left, p.o.outage)-p.x(left, 0), panelHeight)
}

func (p *plot) grid(left, y float64, label string) {
	fmt.Fprintf(p, `<path class="line" d="M%.1f %.1fh%d"/>`, left, y, panelWidth)
	p.text(left-5, y+4, "soft", `text-anchor="end"`, label)
}

// answers draws a second's answers on top of each other, good ones below.
func (p *plot) answers(list []second, top float64) {
	most := 1.0
	for _, s := range list {
		most = max(most, float64(s.count[0]+s.count[1]+s.count[2]))
	}
	most = ceiling(most)
	p.shade(leftPanel, top)
	for _, v := range []float64{0, most / 2, most} {
		p.grid(leftPanel, top+panelHeight*(1-v/most), fmt.Sprintf("%.4g", v))
	}
	var paths [3]strings.Builder
	width := p.x(0, time.Second) - p.x(0, 0)
	for _, s := range list {
		base := 0
		for _, kind := range []freshness{fresh, stale, nothing} {
			if s.count[kind] == 0 {
				continue
			}
			high := panelHeight * float64(s.count[kind]) / most
			y := top + panelHeight*(1-float64(base)/most) - high
			fmt.Fprintf(&paths[kind], "M%.1f %.2fh%.2fv%.2fh-%.2fz", p.x(leftPanel, s.from), y, width, high, width)
			base += s.count[kind]
		}
	}
	for kind, class := range map[freshness]string{fresh: "fresh", stale: "stale", nothing: "nothing"} {
		if paths[kind].Len() > 0 {
			fmt.Fprintf(p, `<path class="%s" d="%s"/>`+"\n", class, &paths[kind])
		}
	}
}

// waits draws the latencies.
func (p *plot) waits(list []second, top float64) {
	y := func(d time.Duration) float64 {
		share := math.Log(float64(max(leastWait, min(mostWait, d)))/float64(leastWait)) / math.Log(float64(mostWait)/float64(leastWait))
		return top + panelHeight*(1-share)
	}
	p.shade(rightPanel, top)
	for v := 100 * time.Microsecond; v <= mostWait; v *= 10 {
		p.grid(rightPanel, y(v), v.String())
	}
	for _, line := range []struct {
		class string
		of    func(second) time.Duration
	}{{"p99", func(s second) time.Duration { return s.p99 }}, {"p50", func(s second) time.Duration { return s.p50 }}} {
		var points []string
		for _, s := range list {
			points = append(points, fmt.Sprintf("%.1f,%.1f", p.x(rightPanel, s.from+time.Second/2), y(line.of(s))))
		}
		fmt.Fprintf(p, `<polyline class="%s" points="%s"/>`+"\n", line.class, strings.Join(points, " "))
	}
}

// axis says how many seconds before and after the outage's beginning.
func (p *plot) axis(top float64) {
	for _, left := range []float64{leftPanel, rightPanel} {
		for at := -p.o.healthy.Truncate(10 * time.Second); at <= p.o.outage+p.o.after; at += 10 * time.Second {
			p.text(p.x(left, at), top-6, "soft", `text-anchor="middle"`, sign(at))
		}
		p.text(left+panelWidth, top+12, "soft", `text-anchor="end"`, "seconds since the authority failed")
	}
	p.WriteByte('\n')
}

// sign is a time in whole seconds with its sign, 0 without one.
func sign(at time.Duration) string {
	if at == 0 {
		return "0"
	}
	return fmt.Sprintf("%+.0f", at.Seconds())
}

// ceiling is the next round number: 1, 2, 4 or 5 times a power of ten.
func ceiling(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, m := range []float64{1, 2, 4, 5} {
		if v <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}
