package main

import (
	"fmt"
	"strings"
	"time"
)

// Sizes of the chart, in pixels: a row for each resolver.
const (
	chartWidth = 900
	rowHeight  = 92
	plotHeight = 60
	left       = 250
	plotWidth  = 620
	head       = 60
)

// style makes the chart readable on light and on dark pages.
const style = `<style>
.ground{fill:#fff}.ink{fill:#24292f}.soft{fill:#57606a}.line{stroke:#d0d7de}.shade{fill:#8c959f;opacity:.18}
.good{fill:#2a78b5}.failed{fill:#b3261e}.mark{stroke:#24292f;stroke-dasharray:3 2}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.line{stroke:#30363d}.shade{fill:#9198a1;opacity:.25}
.good{fill:#4493d8}.failed{fill:#f0625a}.mark{stroke:#e6edf3}}
</style>
`

// x is where a time of day stands.
func x(t time.Duration) float64 {
	const from = 18 * time.Hour
	return left + plotWidth*float64(t-from)/float64(night-from)
}

// chart draws the share of good answers over the evening, of all questions.
func chart(list []*course) string {
	var b strings.Builder
	height := head + rowHeight*len(list) + 24
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="system-ui,sans-serif" font-size="12">`+"\n%s", chartWidth, height, style)
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%d"/><text class="ink" x="16" y="24" font-size="15">A top-level domain signed with the wrong key, 19:30 to 22:17: what clients get</text>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text class="soft" x="16" y="44">Blue: answered. Red: SERVFAIL, or nothing. Dashed: the negative trust anchor at 19:50.</text>`+"\n")
	for n, c := range list {
		c.draw(&b, head+rowHeight*n)
	}
	for h := 18; h <= 24; h++ {
		fmt.Fprintf(&b, `<text class="soft" x="%.0f" y="%d" text-anchor="middle">%02d:00</text>`+"\n", x(time.Duration(h)*time.Hour), height-10, h%24)
	}
	return b.String() + "</svg>\n"
}

// draw draws one resolver's evening with the upper edge at y.
func (c *course) draw(b *strings.Builder, y int) {
	during := c.span(breaks, mends)
	fmt.Fprintf(b, `<text class="ink" x="16" y="%d">%s</text><text class="soft" x="16" y="%d">%.1f %% answered while broken,</text><text class="soft" x="16" y="%d">%.1f %% of names known before</text>`+"\n",
		y+18, c.name, y+36, during.all(), y+52, during.known())
	for _, at := range c.bins {
		if at.at < 18*time.Hour || at.at >= night || at.asked == 0 {
			continue
		}
		good := float64(plotHeight) * float64(at.good) / float64(at.asked)
		width := x(at.at+binned) - x(at.at) - 0.5
		fmt.Fprintf(b, `<rect class="failed" x="%.1f" y="%d" width="%.1f" height="%.1f"/><rect class="good" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n",
			x(at.at), y, width, plotHeight-good, x(at.at), float64(y)+plotHeight-good, width, good)
	}
	fmt.Fprintf(b, `<rect class="shade" x="%.1f" y="%d" width="%.1f" height="%d"/><line class="line" x1="%d" x2="%d" y1="%d" y2="%[7]d"/>`+"\n",
		x(breaks), y-6, x(mends)-x(breaks), plotHeight+12, left, left+plotWidth, y+plotHeight)
	if strings.Contains(c.name, "NTA") {
		fmt.Fprintf(b, `<line class="mark" x1="%.1f" x2="%.1[1]f" y1="%d" y2="%d"/>`+"\n", x(anchor), y-6, y+plotHeight+6)
	}
}
