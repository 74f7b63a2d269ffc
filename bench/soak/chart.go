package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"lastgood/bench/openloop"
)

// Sizes of the chart, in pixels.
const (
	chartWidth  = 900
	panelHeight = 120
	panelGap    = 34
	marginLeft  = 60
	marginRight = 150
)

// series is one line of a panel.
type series struct {
	name, colour string
	of           func(*sample) float64
}

// panel is one plot over time.
type panel struct {
	title string
	log   bool // logarithmic, from 0.01 up
	lines []series
}

func panels() []panel {
	p99 := func(h openloop.Histogram) float64 { return h.Quantile(0.99).Seconds() * 1000 }
	p50 := func(h openloop.Histogram) float64 { return h.Quantile(0.5).Seconds() * 1000 }
	return []panel{
		{"memory, MiB", false, []series{
			{"resident", "#c0392b", func(s *sample) float64 { return s.rss }},
			{"heap in use", "#2471a3", func(s *sample) float64 { return s.heap }},
			{"cache in use", "#7d8a2e", func(s *sample) float64 { return s.cacheUsed / (1 << 20) }},
		}},
		{"goroutines and descriptors", false, []series{
			{"goroutines", "#c0392b", func(s *sample) float64 { return s.goroutines }},
			{"descriptors", "#2471a3", func(s *sample) float64 { return s.fds }},
			{"questions waiting", "#7d8a2e", func(s *sample) float64 { return s.waiting }},
		}},
		{"answers a second", false, []series{{"answers", "#2471a3", func(s *sample) float64 { return s.rate }}}},
		{"latency, ms", true, []series{
			{"p99 of all", "#c0392b", func(s *sample) float64 { return p99(s.all()) }},
			{"p99 of cached", "#2471a3", func(s *sample) float64 { return p99(s.window[steady]) }},
			{"p50 of cached", "#7d8a2e", func(s *sample) float64 { return p50(s.window[steady]) }},
		}},
	}
}

// chart draws the samples over time; where it is grey, a fault was on.
func (r *record) chart() string {
	list := panels()
	height := len(list)*(panelHeight+panelGap) + panelGap
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, height)
	for i, p := range list {
		r.draw(&b, p, float64(panelGap+i*(panelHeight+panelGap)))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// x is where a moment lies.
func (r *record) x(at time.Duration) float64 {
	end := r.samples[len(r.samples)-1].at
	return marginLeft + (chartWidth-marginLeft-marginRight)*min(1, at.Seconds()/end.Seconds())
}

func (r *record) draw(b *strings.Builder, p panel, top float64) {
	most := 0.0
	for i := range r.samples {
		for _, l := range p.lines {
			most = max(most, l.of(&r.samples[i]))
		}
	}
	most = ceiling(most)
	y := func(v float64) float64 {
		share := v / most
		if p.log {
			share = math.Log10(max(v, 0.01)/0.01) / math.Log10(most/0.01)
		}
		return top + panelHeight*(1-share)
	}
	for _, e := range r.plan {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.0f" width="%.1f" height="%d" fill="#888" opacity="0.12"/>`+"\n", r.x(e.from), top, r.x(e.to)-r.x(e.from), panelHeight)
	}
	fmt.Fprintf(b, `<text x="%d" y="%.0f" font-weight="bold">%s</text>`+"\n", marginLeft, top-8, p.title)
	grid := []float64{0, most / 2, most}
	if p.log {
		grid = nil
		for v := 0.01; v <= most*1.01; v *= 10 {
			grid = append(grid, v)
		}
	}
	for _, v := range grid {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ccc"/><text x="%d" y="%.1f" text-anchor="end">%.4g</text>`+"\n",
			marginLeft, chartWidth-marginRight, y(v), y(v), marginLeft-6, y(v)+4, v)
	}
	end := r.samples[len(r.samples)-1].at
	fmt.Fprintf(b, `<text x="%d" y="%.0f" text-anchor="end">%v</text>`+"\n", chartWidth-marginRight, top+panelHeight+14, end.Round(time.Second))
	for i, l := range p.lines {
		var points []string
		for k := range r.samples {
			s := &r.samples[k]
			points = append(points, fmt.Sprintf("%.1f,%.1f", r.x(s.at), y(l.of(s))))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.2"/>`+"\n", strings.Join(points, " "), l.colour)
		fmt.Fprintf(b, `<text x="%d" y="%.0f" fill="%s">%s</text>`+"\n", chartWidth-marginRight+8, top+14+float64(16*i), l.colour, l.name)
	}
}

// ceiling is the next round number: 1, 2 or 5 times a power of ten.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}
