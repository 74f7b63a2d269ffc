package scenario

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
)

// figures, given a file, lets TestServerChoice play many worlds and write what
// it found there; bench/README.md says how to read it.
var figures = flag.String("figures", "", "file for the figures of TestServerChoice")

// The zone of the figures: its servers' round trips, one dead from the start;
// when the fastest dies and is back, and how long things take.
const (
	fastest  = "192.0.2.10"
	dead     = "192.0.2.13"
	warm     = time.Minute // from then on all is known
	dies     = 3 * time.Minute
	isBack   = 5 * time.Minute
	interval = 30 * time.Second // the longest recheck interval
	finish   = 7 * time.Minute
)

// choice is what a world brought.
type choice struct {
	fast, explored float64       // of the questions while all is well
	deadPackets    float64       // to the dead server per recheck interval
	slowed         int           // clients who lost more than one timeout to it
	p99, most      time.Duration // in the minute after the fastest died
	failed         int           // questions, in all
	back           float64       // share of the fastest one interval after it is back
}

// TestServerChoice holds the server choice to the figures that the project
// promises: servers 10, 50 and 200 ms away and a dead one.
func TestServerChoice(t *testing.T) {
	seeds := uint64(1)
	if *figures != "" {
		seeds = 20
	}
	var text strings.Builder
	for _, rate := range []float64{2, 10, 50} {
		var all []choice
		for seed := range seeds {
			synctest.Test(t, func(t *testing.T) {
				c := choose(t, seed+1, rate)
				c.check(t, rate)
				all = append(all, c)
			})
		}
		table(&text, rate, all)
	}
	if *figures == "" {
		return
	}
	if err := os.WriteFile(*figures, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func choose(t *testing.T, seed uint64, rate float64) (c choice) {
	var members []member
	for n, rtt := range []time.Duration{10, 50, 200, 10} {
		members = append(members, member{
			addr: fmt.Sprintf("192.0.2.1%d", n), zones: []string{"one."},
			link: simnet.Link{Latency: rtt * time.Millisecond / 2, Jitter: rtt * time.Millisecond / 20},
		})
	}
	g := newRig(t, seed, "", members...)
	g.net.Outage(g.sim.Server(dead).Addr(), simnet.Blackhole, 0, 0)
	g.net.Outage(g.sim.Server(fastest).Addr(), simnet.Blackhole, dies, isBack)
	g.load(finish, rate, always("one."))
	g.end()
	share := func(server string, from, until time.Duration) float64 {
		all := 0
		for n := range 4 {
			all += g.packets(fmt.Sprintf("192.0.2.1%d", n), from, until)
		}
		return float64(g.packets(server, from, until)) / float64(all)
	}
	c.fast = share(fastest, warm, dies)
	c.explored = share("192.0.2.11", warm, dies) + share("192.0.2.12", warm, dies)
	c.deadPackets = float64(g.packets(dead, warm, dies)) * float64(interval) / float64(dies-warm)
	for _, a := range g.between("", warm, dies-time.Second) {
		// One timeout and the answer of the slowest fit into this, two do not.
		if a.took > 400*time.Millisecond+230*time.Millisecond {
			c.slowed++
		}
	}
	minute := g.between("", dies, dies+time.Minute)
	c.p99, c.most = took(minute, 0.99), took(minute, 1)
	c.failed = failures(g.between("", 0, finish))
	c.back = share(fastest, isBack+interval, finish)
	return c
}

func (c *choice) check(t *testing.T, rate float64) {
	t.Helper()
	if c.fast < 0.9 {
		t.Errorf("rate %v: the fastest has %.3f of the questions", rate, c.fast)
	}
	if c.explored > 0.05 {
		t.Errorf("rate %v: %.3f of the questions explore", rate, c.explored)
	}
	if c.deadPackets > 3 || c.slowed > 0 {
		t.Errorf("rate %v: the dead one had %.1f packets an interval and slowed %d clients twice", rate, c.deadPackets, c.slowed)
	}
	if c.p99 >= 600*time.Millisecond {
		t.Errorf("rate %v: p99 of the minute after the fastest died: %v", rate, c.p99)
	}
	if c.back < 0.9 {
		t.Errorf("rate %v: back for one interval, the fastest has %.3f", rate, c.back)
	}
	if c.failed > 0 {
		t.Errorf("rate %v: %d questions failed", rate, c.failed)
	}
}

// table writes mean and spread of the worlds of a rate.
func table(b *strings.Builder, rate float64, all []choice) {
	fmt.Fprintf(b, "%v questions a second, %d worlds\n\n%-52s %9s %9s %9s %9s\n", rate, len(all), "", "mean", "sd", "least", "most")
	row := func(name string, of func(*choice) float64) {
		sum, squares, least, most := 0.0, 0.0, math.Inf(1), math.Inf(-1)
		for i := range all {
			v := of(&all[i])
			sum, squares, least, most = sum+v, squares+v*v, min(least, v), max(most, v)
		}
		n := float64(len(all))
		sd := math.Sqrt(max(0, squares/n-sum*sum/n/n))
		fmt.Fprintf(b, "%-52s %9.2f %9.2f %9.2f %9.2f\n", name, sum/n, sd, least, most)
	}
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	row("warm: packets to the fastest, %", func(c *choice) float64 { return 100 * c.fast })
	row("warm: packets that explore, %", func(c *choice) float64 { return 100 * c.explored })
	row("packets to the dead one per 30 s", func(c *choice) float64 { return c.deadPackets })
	row("clients who waited for more than one timeout", func(c *choice) float64 { return float64(c.slowed) })
	row("the fastest dies: p99 of the next minute, ms", func(c *choice) float64 { return ms(c.p99) })
	row("                  most of the next minute, ms", func(c *choice) float64 { return ms(c.most) })
	row("back for 30 s: packets to the fastest, %", func(c *choice) float64 { return 100 * c.back })
	row("questions failed in all seven minutes", func(c *choice) float64 { return float64(c.failed) })
	b.WriteString("\n")
}
