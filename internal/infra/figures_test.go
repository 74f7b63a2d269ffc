package infra

import (
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/event"
)

// With servers at 10, 50 and 200 ms and a dead one at least 90 % of questions
// go to the fastest once warm, and at most 5 % explore.
func TestFastestHasItsShare(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64, rate float64) {
		w := newWorld(t, seed, four()...)
		w.run(600*time.Second, rate)
		if got := w.share(0, 100*time.Second); got < 0.9 {
			t.Errorf("the fastest has %.3f of the questions", got)
		}
		explored, first := 0, 0
		for _, x := range w.tries {
			if x.first && x.at > clock.Mono(100*time.Second) {
				first++
				if x.why == event.ReasonExplore {
					explored++
				}
			}
		}
		if share := float64(explored) / float64(first); explored == 0 || share > 0.05 {
			t.Errorf("%.3f of the questions explore", share)
		}
	})
}

// The dead server costs one timeout per recheck interval in all, and no client
// more than one.
func TestDeadServerCostsOneTimeoutPerInterval(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64, rate float64) {
		w := newWorld(t, seed, four()...)
		w.run(300*time.Second, rate)
		last := clock.Mono(0)
		for id, c := range w.clients {
			n := 0
			for _, s := range c.timeouts {
				if s == 3 {
					n++
				}
			}
			if n > 1 {
				t.Fatalf("client %d paid %d timeouts for the dead server", id, n)
			}
			if n == 1 && c.at > clock.Mono(100*time.Second) {
				if last != 0 && c.at.Sub(last) < 20*time.Second {
					t.Errorf("timeouts %v apart, long after it died", c.at.Sub(last))
				}
				last = c.at
			}
			if c.failed {
				t.Errorf("client %d got nothing", id)
			}
		}
	})
}

// When the fastest dies the 99th percentile of the next minute stays below
// 600 ms; when it is back it has its share within one recheck interval.
func TestFastestDiesAndComesBack(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64, rate float64) {
		died, back := clock.Mono(100*time.Second), clock.Mono(400*time.Second)
		servers := four()
		servers[0].dead = func(now clock.Mono) bool { return now >= died && now < back }
		w := newWorld(t, seed, servers...)
		w.run(600*time.Second, rate)
		if got := w.percentile(0.99, 100*time.Second, 160*time.Second); got >= 600*ms {
			t.Errorf("p99 of the minute after: %v", got)
		}
		if got := w.share(0, 430*time.Second); got < 0.9 {
			t.Errorf("one interval after it is back, the fastest has %.3f", got)
		}
	})
}

// Under load a silent server is suspect within 0.4 s, and a reply clears it.
func TestSilentIsSuspectSoon(t *testing.T) {
	for seed := range uint64(20) {
		died := clock.Mono(20 * time.Second)
		w := newWorld(t, seed, &server{rtt: 30 * ms, dead: func(now clock.Mono) bool { return now >= died }}, &server{rtt: 40 * ms})
		w.run(20*time.Second, 200)
		if w.i.Suspect(w.now, addr(0)) {
			t.Fatal("suspect before it died")
		}
		w.run(20*time.Second+400*ms, 200)
		if !w.i.Suspect(w.now, addr(0)) {
			t.Error("not suspect 0.4 s after it fell silent")
		}
		w.i.Answered(w.now, addr(0), 0)
		if w.i.Suspect(w.now, addr(0)) {
			t.Error("suspect after a reply")
		}
	}
}

// So is the only server of a zone when nothing was ever heard from it.
func TestSilentFromTheStart(t *testing.T) {
	w := newWorld(t, 1, &server{rtt: 30 * ms, dead: always})
	w.run(400*ms, 200)
	if !w.i.Suspect(w.now, addr(0)) {
		t.Error("not suspect after 0.4 s")
	}
}

// Neither loss nor a server that drops some questions makes it suspect.
func TestLossIsNoOutage(t *testing.T) {
	worlds := map[string]*server{
		"30 % loss":       {rtt: 30 * ms, loss: 0.3},
		"drops every 3rd": {rtt: 30 * ms, drops: func(q int) bool { return q%3 == 0 }},
		"drops every 2nd": {rtt: 30 * ms, drops: func(q int) bool { return q%2 == 0 }},
	}
	for name, s := range worlds {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(10) {
				w := newWorld(t, seed, s)
				suspect := 0
				for at := time.Second; at < 120*time.Second; at += 10 * ms {
					w.run(at, 50)
					if w.i.Suspect(w.now, addr(0)) {
						suspect++
					}
				}
				if suspect > 0 {
					t.Errorf("seed %d: suspect for %d of 12,000 moments", seed, suspect)
				}
			}
		})
	}
}

// A slow zone, all of whose servers need 2 s, is resolved: the first tries stay
// open, and the last is waited for.
func TestSlowZoneResolves(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(t, seed, &server{rtt: 1800 * ms}, &server{rtt: 1800 * ms})
		w.run(60*time.Second, 1)
		for id, c := range w.clients[:len(w.clients)-5] {
			if c.failed || c.took < 0 {
				t.Errorf("seed %d: client %d failed after %v", seed, id, c.took)
			}
		}
	}
}

// No server is ever left alone for longer than 30 s while its zone is asked
// for, however long it was dead (Unbound's issue 1461).
func TestNeverStuck(t *testing.T) {
	w := newWorld(t, 7, four()...)
	w.run(6*time.Hour, 1)
	last := clock.Mono(0)
	for _, x := range w.tries {
		if x.server != 3 {
			continue
		}
		if gap := x.at.Sub(last); gap > 40*time.Second { // 30 s and until somebody asks
			t.Fatalf("left alone for %v at %v", gap, time.Duration(x.at))
		}
		last = x.at
	}
	if w.now.Sub(last) > 40*time.Second {
		t.Fatal("given up for good")
	}
}
