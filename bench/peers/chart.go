package main

import (
	"fmt"
	"strings"

	"lastgood/bench/perquestion"
	"lastgood/bench/servers"
)

// Sizes of the chart, in pixels: a panel for each workload, three in a row, a bar for
// each server.
const (
	chartWidth = 960
	columns    = 3
	panelWidth = chartWidth / columns
	nameWidth  = 96
	valueWidth = 44
	barHeight  = 14
	barGap     = 4
	headHeight = 34
	panelHead  = 22
	panelGap   = 14
)

// chartStyle makes the chart readable on light and on dark pages: it has a ground of
// its own in either case.
const chartStyle = `<style>
.ground{fill:#fff}.ink{fill:#24292f}.soft{fill:#57606a}
.own{fill:#2a78b5}.other{fill:#b6bec8}.floor{fill:#e6c26e}.spread{stroke:#24292f;stroke-width:1}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}
.own{fill:#4493d8}.other{fill:#484f58}.floor{fill:#8a6d1d}.spread{stroke:#e6edf3}}
</style>
`

// bar is a server's cost in one workload.
type bar struct {
	server           string
	least, mid, most float64
}

// panel is a workload.
type panel struct {
	title string
	bars  []bar
}

// short are the panels' titles.
var short = map[string]string{
	"hot": "1,000 cached names", "rate": "the same at 50,000 questions/s", "chain": "aliases, three in a chain, cached", "tcp": "cached, over TCP",
	"cached": "100,000 cached names", "signed": "cached, signed, DO", "cold": "not cached, one upstream question", "zones": "not cached, signed: a new zone",
	"names": "not cached, signed: a known zone", "denials": "not cached, signed: no such name",
}

// drawn are the servers, in order.
var drawn = []string{echoName, servers.Lastgood, servers.Unbound, "pdns-recursor", "bind9", "knot-resolver"}

// panels are the workloads that were measured, and the memory.
func panels(results []perquestion.Result, mem []memory) (list []panel) {
	for _, key := range keys() {
		p := panel{title: short[key]}
		for _, name := range drawn {
			if of := perquestion.Of(results, key, name); len(of) > 0 {
				lo, mid, hi := perquestion.Spread(perquestion.Each(of, func(r perquestion.Result) float64 { return r.Micros }))
				p.bars = append(p.bars, bar{name, lo, mid, hi})
			}
		}
		if len(p.bars) > 0 {
			list = append(list, p)
		}
	}
	p := panel{title: "memory per cached name, bytes"}
	for _, name := range drawn {
		for _, m := range mem {
			if m.server == name {
				p.bars = append(p.bars, bar{name, m.perName, m.perName, m.perName})
			}
		}
	}
	if len(p.bars) > 0 {
		list = append(list, p)
	}
	return list
}

// chart draws what a question costs: the medians, and from least to most; and what a
// name in the cache does.
func chart(results []perquestion.Result, mem []memory) string {
	list := panels(results, mem)
	most := 1
	for _, p := range list {
		most = max(most, len(p.bars))
	}
	panelHeight := panelHead + most*(barHeight+barGap) + panelGap
	height := headHeight + (len(list)+columns-1)/columns*panelHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="system-ui,sans-serif" font-size="11">`+"\n", chartWidth, height)
	b.WriteString(chartStyle)
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%d"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text class="ink" x="12" y="20" font-weight="bold" font-size="13">CPU time of the server per question, µs: median, and least to most of the rounds; echo: a server that sends back what it gets</text>`+"\n")
	for i, p := range list {
		p.draw(&b, i%columns*panelWidth, headHeight+i/columns*panelHeight)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws a panel with its corner at a point.
func (p panel) draw(b *strings.Builder, left, top int) {
	most := 0.0
	for _, bar := range p.bars {
		most = max(most, bar.most)
	}
	fmt.Fprintf(b, `<text class="ink" x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left+12, top+14, p.title)
	scale := float64(panelWidth-nameWidth-valueWidth-12) / most
	for i, bar := range p.bars {
		y := top + panelHead + i*(barHeight+barGap)
		class := "other"
		switch bar.server {
		case servers.Lastgood:
			class = "own"
		case echoName:
			class = "floor"
		}
		x := left + nameWidth + 8
		middle := float64(y) + barHeight/2.
		fmt.Fprintf(b, `<text class="soft" x="%d" y="%d" text-anchor="end">%s</text>`, x-6, y+11, bar.server)
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, x, y, bar.mid*scale, barHeight)
		fmt.Fprintf(b, `<path class="spread" d="M%.1f %.1fH%.1f"/>`, float64(x)+bar.least*scale, middle, float64(x)+bar.most*scale)
		fmt.Fprintf(b, `<text class="ink" x="%.1f" y="%d">%s</text>`+"\n", float64(x)+bar.most*scale+5, y+11, perquestion.Micros(bar.mid))
	}
}
