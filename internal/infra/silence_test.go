package infra

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// fallSilent lets n exchanges with a measured server go unanswered, a
// millisecond apart, and gives the moment after the last.
func fallSilent(i *Infra, now clock.Mono, a netip.AddrPort, n int) clock.Mono {
	for range n {
		i.Sent(now, a)
		now = now.Add(ms)
	}
	return now
}

// choose lets a zone ask an address n times more.
func choose(i *Infra, now clock.Mono, cut dnsname.Name, a netip.AddrPort, n int) {
	for range n {
		i.Choose(now, cut, cands(a), nil)
	}
}

// A suspect address is not dark before checks went unanswered: six of them, or
// one when many exchanges did.
func TestDarkNeedsChecks(t *testing.T) {
	for _, c := range []struct{ lost, checks int }{{3, 6}, {23, 1}, {24, 1}} {
		i := fresh(Options{})
		a := addr(0)
		answered(i, clock.Mono(time.Second), a, 10*ms)
		now := fallSilent(i, clock.Mono(time.Minute), a, c.lost).Add(100 * ms)
		choose(i, now, zone, a, min(c.lost, 5))
		if !i.Suspect(now, a) || i.Silence(now, zone, a) != 0 {
			t.Fatalf("%d lost: suspect %v, silence %d without a check", c.lost, i.Suspect(now, a), i.Silence(now, zone, a))
		}
		for n := 1; n <= c.checks; n++ {
			nth, again, due := i.Check(now, zone, a)
			if !due || nth != n || again != 100*ms {
				t.Fatalf("%d lost: check %d: %d, %v, %v", c.lost, n, nth, again, due)
			}
			i.Sent(now, a)
			if _, _, due := i.Check(now.Add(again-1), zone, a); due {
				t.Error("two checks at once")
			}
			if i.Silence(now.Add(again-1), zone, a) >= checksAtOnce {
				t.Errorf("%d lost: dark after %d checks", c.lost, n)
			}
			now = now.Add(again)
		}
		// A server that became slow looks just the same so far.
		if n := i.Silence(now, zone, a); n != 0 {
			t.Errorf("%d lost: silence %d before %v", c.lost, n, darkAfter)
		}
		now = now.Add(darkAfter)
		if got := i.Silence(now, zone, a); got != checksAtOnce {
			t.Errorf("%d lost, %d checks: silence %d", c.lost, c.checks, got)
		}
		i.Answered(now, a, 0)
		if i.Silence(now, zone, a) != 0 || i.Suspect(now, a) {
			t.Error("silent after a reply")
		}
	}
}

// Nothing is checked before two exchanges are overdue; six checks follow each
// other, then there is one a second; one that did not leave proves nothing.
func TestChecksAreSpaced(t *testing.T) {
	i := fresh(Options{})
	a, now := addr(0), clock.Mono(time.Minute)
	answered(i, clock.Mono(time.Second), a, 10*ms)
	i.Sent(now, a)
	if _, _, due := i.Check(now.Add(time.Second), zone, a); due {
		t.Error("checked after one exchange")
	}
	i.Sent(now, a)
	if _, _, due := i.Check(now.Add(100*ms-1), zone, a); due {
		t.Error("checked before it is overdue")
	}
	count := 0
	for at := now; at < now.Add(10*time.Second); at = at.Add(10 * ms) {
		if _, _, due := i.Check(at, zone, a); due {
			count++
			i.Sent(at, a)
		}
	}
	if count != 6+9 {
		t.Errorf("%d checks in ten seconds", count)
	}
	now = now.Add(10 * time.Second)
	if i.Silence(now, zone, a) != 6 {
		t.Errorf("silence %d", i.Silence(now, zone, a))
	}
	if i.CheckUnsent(zone, a); i.Silence(now, zone, a) != 0 {
		t.Error("a check that did not leave counts")
	}
}

// dark makes an address dark.
func dark(i *Infra, now clock.Mono, a netip.AddrPort) clock.Mono {
	answered(i, now, a, 10*ms)
	now = fallSilent(i, now.Add(time.Second), a, 24).Add(100 * ms)
	choose(i, now, zone, a, 5)
	i.Check(now, zone, a)
	i.Sent(now, a)
	return now.Add(darkAfter)
}

// A dark server is asked by one question a second and the others are held; with a
// better server nobody is held; a reply ends it.
func TestDarkIsAskedOnceASecond(t *testing.T) {
	i := fresh(Options{Explore: -1})
	a := addr(0)
	now := dark(i, clock.Mono(time.Second), a)
	asked, held := 0, 0
	for range 1000 {
		ch, ok := i.Choose(now, zone, cands(a), nil)
		switch {
		case ok:
			asked++
			if ch.Timeout != unknownTimeout {
				t.Errorf("waits %v for it", ch.Timeout)
			}
		case ch.Held && ch.Pause == 0:
			held++
		}
		now = now.Add(10 * ms)
	}
	if asked < 9 || asked > 11 || asked+held != 1000 || i.Stats().Held != uint64(held) {
		t.Errorf("asked %d times in ten seconds, held %d, counted %d", asked, held, i.Stats().Held)
	}
	i.Choose(now, zone, cands(a, addr(1)), nil) // finds out whether it is back, perhaps
	if ch, ok := i.Choose(now, zone, cands(a, addr(1)), nil); !ok || ch.Addr != addr(1) {
		t.Errorf("with another server: %+v, %v", ch, ok)
	}
	i.Answered(now, a, 10*ms)
	for range 10 {
		if _, ok := i.Choose(now, zone, cands(a), nil); !ok {
			t.Fatal("held after a reply")
		}
	}
}

// What is dark to one zone, or has a crowd of its questions waiting, is asked for
// another that says nothing of it yet, and by as many of its questions as before.
func TestDarkIsAZonesOwn(t *testing.T) {
	const other = "\x05other\x00"
	i := fresh(Options{Explore: -1})
	a := addr(0)
	now := dark(i, clock.Mono(time.Second), a)
	choose(i, now, zone, a, 1)
	i.CutFailed(now, other, &ede.Error{}, Blame{})
	for n := range 5 {
		if ch, ok := i.Choose(now, zone, cands(a), nil); ok || !ch.Held {
			t.Fatalf("%d: not held: %+v", n, ch)
		}
		if ch, ok := i.Choose(now, other, cands(a), nil); !ok {
			t.Fatalf("%d: the other zone is held: %+v", n, ch)
		}
	}
	if n := i.Silence(now, other, a); n != 0 {
		t.Errorf("silence to the other zone: %d", n)
	}
	if nth, _, due := i.Check(now, other, a); !due || nth != 1 {
		t.Errorf("no check of the other zone's own: %d, %v", nth, due)
	}
	i = fresh(Options{Explore: -1})
	answered(i, clock.Mono(time.Second), a, 10*ms)
	now = fallSilent(i, clock.Mono(time.Minute), a, 100)
	choose(i, now, zone, a, 16)
	if ch, _ := i.Choose(now, zone, cands(a), nil); ch.Pause == 0 {
		t.Error("a crowd does not wait")
	}
	if _, ok := i.Choose(now, other, cands(a), nil); !ok {
		t.Error("the other zone waits for the crowd")
	}
}

// The table of zones that an address is silent to has a bound, and who falls out
// of it is asked again.
func TestHushesAreBounded(t *testing.T) {
	i := fresh(Options{MaxAddresses: 100})
	a := addr(0)
	now := dark(i, clock.Mono(time.Second), a)
	for n := range 1000 {
		cut := dnsname.MustParse(fmt.Sprintf("z%d.example", n))
		i.Check(now, cut, a)
		choose(i, now, cut, a, 1)
	}
	if n := i.hushes.len(); n != 100 {
		t.Errorf("%d", n)
	}
	if i.Silence(now, zone, a) != 0 {
		t.Error("not forgotten")
	}
}

// What nobody asked about for five minutes is asked by all (RFC 9520 §3.2), and is
// found to be dark again when it is.
func TestDarkIsForgotten(t *testing.T) {
	for _, c := range []struct {
		idle time.Duration
		held bool
	}{{backoffLast - time.Second, true}, {backoffLast, false}} {
		i := fresh(Options{Explore: -1})
		now := dark(i, clock.Mono(time.Second), addr(0)).Add(c.idle - darkAfter)
		i.Choose(now, zone, cands(addr(0)), nil)
		i.Sent(now, addr(0))
		if ch, ok := i.Choose(now.Add(ms), zone, cands(addr(0)), nil); ok == c.held || ch.Held != c.held {
			t.Errorf("after %v: %+v, %v", c.idle, ch, ok)
		}
		i.Check(now.Add(time.Second), zone, addr(0))
		i.Sent(now.Add(time.Second), addr(0))
		choose(i, now.Add(time.Second), zone, addr(0), 5)
		for n := range 24 {
			i.Sent(now.Add(time.Second+time.Duration(n)), addr(0))
		}
		if n := i.Silence(now.Add(2*time.Second), zone, addr(0)); n != checksAtOnce {
			t.Errorf("after %v: %d checks", c.idle, n)
		}
	}
}

// What is only suspect is never held, but of a cut that failed as a whole.
func TestSuspectIsHeldOnlyOfAFailingCut(t *testing.T) {
	for _, failing := range []bool{false, true} {
		i := fresh(Options{})
		answered(i, clock.Mono(time.Second), addr(0), 10*ms)
		now := fallSilent(i, clock.Mono(time.Minute), addr(0), 4).Add(100 * ms)
		i.Check(now, zone, addr(0))
		i.Sent(now, addr(0))
		now = now.Add(darkAfter)
		if failing {
			i.CutFailed(now, zone, &ede.Error{}, Blame{})
		}
		if ch, ok := i.Choose(now, zone, cands(addr(0)), nil); ok == failing || ch.Held != failing {
			t.Errorf("failing %v: %+v, %v", failing, ch, ok)
		}
	}
}

// Many questions at once wait for a first reply that is overdue, not for long.
func TestCrowdWaits(t *testing.T) {
	for _, n := range []int{63, 64} {
		i := fresh(Options{})
		answered(i, clock.Mono(time.Second), addr(0), 10*ms)
		now := clock.Mono(time.Minute)
		for range n {
			i.Sent(now, addr(0))
		}
		choose(i, now.Add(20*ms), zone, addr(0), 16)
		paused := func(d time.Duration) bool {
			ch, _ := i.Choose(now.Add(d), zone, cands(addr(0)), nil)
			return ch.Pause > 0
		}
		if paused(19*ms) || paused(25*ms) != (n == 64) || paused(crowdLast) {
			t.Errorf("%d under way: paused %v, %v, %v", n, paused(19*ms), paused(25*ms), paused(crowdLast))
		}
		i.Answered(now.Add(30*ms), addr(0), 30*ms)
		if paused(40 * ms) {
			t.Error("paused after a reply")
		}
	}
}

// How soon a server that falls silent is suspect, by its round trip and load:
// within 0.4 s after it was last heard, for all of 1 to 150 ms and 200 a second
// and more.
func TestSuspectWithin400Milliseconds(t *testing.T) {
	for _, rtt := range []time.Duration{1, 10, 50, 100, 150} {
		for _, rate := range []float64{200, 1000} {
			worst, sum := time.Duration(0), time.Duration(0)
			const seeds = 20
			for seed := range uint64(seeds) {
				died := clock.Mono(10 * time.Second)
				w := newWorld(t, seed, &server{rtt: rtt * ms, dead: func(now clock.Mono) bool { return now >= died }})
				w.run(10*time.Second+rtt*ms*11/10, rate) // what was on its way arrived
				from := w.now
				for !w.i.Suspect(w.now, addr(0)) && w.now.Sub(from) < time.Second {
					w.run(time.Duration(w.now)+ms, rate)
				}
				worst, sum = max(worst, w.now.Sub(from)), sum+w.now.Sub(from)
			}
			t.Logf("%v, %v/s: mean %v, most %v", rtt*ms, rate, sum/seeds, worst)
			if worst > 400*ms {
				t.Errorf("%v, %v/s: suspect after %v", rtt*ms, rate, worst)
			}
		}
	}
}

// A flood of addresses never seen again takes nothing away of servers in use.
func TestFloodForgetsNoPopularServer(t *testing.T) {
	i := fresh(Options{MaxAddresses: 1000})
	popular := make([]netip.AddrPort, 100)
	for n := range popular {
		popular[n] = addr(n)
		answered(i, 1, popular[n], 10*ms)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 200_000 { // ten addresses of the flood to a question for somebody's server
		now := clock.Mono(n) * clock.Mono(ms)
		i.Sent(now, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 53))
		if n%10 == 0 {
			i.Choose(now, zone, cands(popular[r.IntN(len(popular))]), nil)
		}
	}
	lost := 0
	for _, a := range popular {
		if s, ok := i.Server(clock.Mono(time.Hour), a); !ok || s.SRTT == 0 {
			lost++
		}
	}
	if lost > 0 || i.Stats().Addresses != 1000 {
		t.Errorf("%d of 100 popular servers forgotten, %d known", lost, i.Stats().Addresses)
	}
}

// Loss on IPv6 is no dead family while some of it answers; a dead one is back
// with its first reply (see TestDeadFamily).
func TestLossyFamilyIsNotDead(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			i, r, now := fresh(Options{}), rand.New(rand.NewPCG(seed, 1)), clock.Mono(time.Second)
			answered(i, now, v6(0), 10*ms)
			for range 2000 { // two a second to thirty servers, half of them lost
				a := v6(r.IntN(30))
				i.Sent(now, a)
				if r.Float64() < 0.5 {
					i.Answered(now.Add(10*ms), a, 10*ms)
				} else {
					i.TimedOut(now.Add(400*ms), a)
				}
				now = now.Add(500 * ms)
				if i.Stats().IPv6Dead {
					t.Fatal("dead")
				}
			}
		})
	}
}
