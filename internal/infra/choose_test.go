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
	"lastgood/internal/event"
)

func fresh(o Options) *Infra {
	o.Rand = rand.New(rand.NewPCG(1, 1))
	return New(o)
}

func v6(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(n + 1)}), 53)
}

func cands(addrs ...netip.AddrPort) (list []Candidate) {
	for _, a := range addrs {
		list = append(list, Candidate{Addr: a})
	}
	return list
}

// answered makes an address measured.
func answered(i *Infra, now clock.Mono, a netip.AddrPort, rtt time.Duration) {
	for range 8 {
		i.Sent(now, a)
		i.Answered(now.Add(rtt), a, rtt)
	}
}

// A question is sent at most three times to an address, and each server is
// tried before any is tried again.
func TestTriesAreBounded(t *testing.T) {
	for _, bad := range []bool{false, true} {
		i := fresh(Options{})
		list := cands(addr(0), addr(1), v6(0))
		now := clock.Mono(time.Second)
		if bad {
			for _, c := range list {
				for range 3 {
					i.Sent(now, c.Addr)
				}
			}
			now = now.Add(time.Second)
		}
		var tried []Tries
		count := map[netip.AddrPort]int{}
		for n := 0; ; n++ {
			ch, ok := i.Choose(now, zone, list, tried)
			if !ok {
				if n != 9 {
					t.Errorf("%d tries, want 3 for each of 3", n)
				}
				break
			}
			if n > 8 {
				t.Fatal("a tenth try")
			}
			if count[ch.Addr] != n/3 {
				t.Errorf("try %d goes to a server asked %d times", n, count[ch.Addr])
			}
			count[ch.Addr]++
			tried = append(tried, Tries{Addr: ch.Addr, N: 1})
			if n == 8 && ch.Timeout != maxTimeout {
				t.Errorf("the last try of all is waited for %v", ch.Timeout)
			}
			i.Sent(now, ch.Addr)
			now = now.Add(ch.Timeout)
			i.TimedOut(now, ch.Addr)
		}
	}
}

// Tries over the other transport are not these.
func TestTriesAreByTransport(t *testing.T) {
	i := fresh(Options{})
	list := []Candidate{{Addr: addr(0)}, {Addr: addr(0), TCP: true}}
	ch, ok := i.Choose(1, zone, list, []Tries{{Addr: addr(0), N: 3}})
	if !ok || !ch.TCP {
		t.Errorf("got %+v, %v; want the same address over TCP", ch, ok)
	}
	if _, ok := i.Choose(1, zone, list, []Tries{{Addr: addr(0), N: 3}, {Addr: addr(0), TCP: true, N: 3}}); ok {
		t.Error("a fourth try")
	}
}

func TestUnknownServersAreTriedEarly(t *testing.T) {
	i := fresh(Options{Explore: -1})
	answered(i, 1, addr(0), 10*ms)
	hits := 0
	for range 1000 {
		ch, _ := i.Choose(clock.Mono(time.Second), zone, cands(addr(0), addr(1)), nil)
		if ch.Addr == addr(1) {
			hits++
			if ch.Why != event.ReasonUnknown || ch.Timeout != unknownTimeout {
				t.Fatalf("chosen as %v with %v", ch.Why, ch.Timeout)
			}
		}
	}
	if hits < 200 || hits > 300 {
		t.Errorf("the unknown one has %d of 1000", hits)
	}
	i.Sent(clock.Mono(time.Second), addr(1)) // one question is enough to find out
	for range 100 {
		if ch, _ := i.Choose(clock.Mono(time.Second), zone, cands(addr(0), addr(1)), nil); ch.Addr == addr(1) {
			t.Fatal("a second question goes to the server of which an answer is awaited")
		}
	}
}

func TestNearEqualsShare(t *testing.T) {
	i := fresh(Options{Explore: -1})
	answered(i, 1, addr(0), 20*ms)
	answered(i, 1, addr(1), 21*ms)
	answered(i, 1, addr(2), 40*ms)
	var hits [3]int
	for range 1000 {
		ch, _ := i.Choose(clock.Mono(time.Second), zone, cands(addr(0), addr(1), addr(2)), nil)
		hits[ch.Addr.Addr().As4()[3]-1]++
	}
	if hits[0] < 400 || hits[1] < 400 || hits[2] != 0 {
		t.Errorf("shares %v", hits)
	}
}

// A lame server is left alone for a growing time, for its cut only, and tried
// by one question when that is over.
func TestLameIsLastAndComesBack(t *testing.T) {
	i := fresh(Options{Explore: -1})
	now := clock.Mono(time.Second)
	answered(i, now, addr(0), 10*ms)
	answered(i, now, addr(1), 90*ms)
	list := cands(addr(0), addr(1))
	ask := func() Choice { ch, _ := i.Choose(now, zone, list, nil); return ch }
	for _, left := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
		i.Lame(now, zone, addr(0), ede.Error{Code: ede.NotAuthoritative})
		if ch := ask(); ch.Addr != addr(1) {
			t.Fatal("the lame server is asked")
		}
		if ch, _ := i.Choose(now, "\x05other\x00", list, nil); ch.Addr != addr(0) {
			t.Fatal("lame for another cut")
		}
		now = now.Add(left*time.Second - 1)
		if ch := ask(); ch.Addr != addr(1) {
			t.Fatalf("asked before %d s are over", left)
		}
		now++
		if ch := ask(); ch.Addr != addr(0) || ch.Why != event.ReasonProbe {
			t.Fatalf("not asked after %d s: %+v", left, ch)
		}
		if ch := ask(); ch.Addr != addr(1) {
			t.Fatal("asked by two at once")
		}
	}
	i.Useful(now, zone, addr(0))
	if ch := ask(); ch.Addr != addr(0) || ch.Why != event.ReasonBest {
		t.Errorf("after a useful answer: %+v", ch)
	}
}

// Errors of questions that were under way together count once.
func TestErrorsAtOnceCountOnce(t *testing.T) {
	i := fresh(Options{Explore: -1})
	now := clock.Mono(time.Second)
	answered(i, now, addr(0), 10*ms)
	answered(i, now, addr(1), 90*ms)
	for range 100 {
		i.Erred(now, zone, addr(0), event.Refused)
		now += clock.Mono(ms)
	}
	now = clock.Mono(2 * time.Second)
	if ch, _ := i.Choose(now, zone, cands(addr(0), addr(1)), nil); ch.Why != event.ReasonProbe {
		t.Errorf("after 1 s: %+v", ch)
	}
}

// A server that erred is not asked the same question again.
func TestErredIsNotAskedAgain(t *testing.T) {
	i := fresh(Options{})
	answered(i, 1, addr(0), 10*ms)
	i.Erred(1, zone, addr(0), event.ServFail)
	if ch, ok := i.Choose(2, zone, cands(addr(0)), []Tries{{Addr: addr(0), N: 1, Done: true}}); ok {
		t.Errorf("asked again: %+v", ch)
	}
	// What it said to other questions is no answer to one that it leaves unanswered.
	if ch, ok := i.Choose(2, zone, cands(addr(0)), []Tries{{Addr: addr(0), N: 1}}); !ok || ch.Addr != addr(0) {
		t.Errorf("unanswered: %+v, %v; want it asked again", ch, ok)
	}
	ch, ok := i.Choose(2, zone, cands(addr(0)), nil)
	if !ok || ch.Why != event.ReasonLastHope {
		t.Errorf("another question: %+v, %v; want the last hope", ch, ok)
	}
}

// A dead IPv6 is avoided as a whole, though its servers are unknown, tried again
// at intervals, and good again at the first reply.
func TestDeadFamily(t *testing.T) {
	for _, noRoute := range []bool{false, true} {
		t.Run(fmt.Sprintf("noRoute=%v", noRoute), func(t *testing.T) {
			i := fresh(Options{Explore: -1})
			now := clock.Mono(time.Second)
			answered(i, now, addr(0), 50*ms)
			for n := range familySilent {
				if noRoute {
					i.Unreachable(now, v6(n), "network is unreachable", true)
				} else {
					i.Sent(now, v6(n))
				}
			}
			now = now.Add(time.Second)
			for n := range familySilent {
				if !noRoute {
					i.TimedOut(now, v6(n))
				}
			}
			if !i.Stats().IPv6Dead {
				t.Fatal("IPv6 is not seen as dead")
			}
			list := cands(addr(0), v6(100), v6(101))
			probes := 0
			for range 1200 {
				now = now.Add(100 * ms)
				ch, _ := i.Choose(now, zone, list, nil)
				if ch.Addr != addr(0) {
					if probes++; ch.Why != event.ReasonProbe {
						t.Fatalf("chosen as %v", ch.Why)
					}
				}
			}
			if probes < 4 || probes > 7 { // after 5, 10, 20, 30, 30 s
				t.Errorf("%d probes in two minutes", probes)
			}
			i.Answered(now, v6(100), 10*ms)
			if ch, _ := i.Choose(now, zone, cands(addr(0), v6(100)), nil); i.Stats().IPv6Dead || ch.Addr != v6(100) {
				t.Error("still avoided after a reply")
			}
		})
	}
}

// When both families seem dead it is the network: nobody is avoided.
func TestBothFamiliesDead(t *testing.T) {
	i := fresh(Options{})
	for n := range familySilent {
		i.Unreachable(1, v6(n), "", true)
		i.Unreachable(1, addr(n), "", true)
	}
	if ch, ok := i.Choose(2, zone, cands(addr(50), v6(50)), nil); !ok || ch.Why == event.ReasonLastHope {
		t.Errorf("got %+v, %v", ch, ok)
	}
}

func TestFamilySwitchedOff(t *testing.T) {
	i := fresh(Options{IPv4: true})
	if ch, ok := i.Choose(1, zone, cands(v6(0)), nil); ok {
		t.Errorf("chose %v", ch.Addr)
	}
}

// The same seed and reports give the same choices.
func TestDeterministic(t *testing.T) {
	one, two := newWorld(t, 3, four()...), newWorld(t, 3, four()...)
	one.run(30*time.Second, 100)
	two.run(30*time.Second, 100)
	if fmt.Sprint(one.tries) != fmt.Sprint(two.tries) || len(one.tries) < 1000 {
		t.Error("two runs differ")
	}
}

func TestTablesAreBounded(t *testing.T) {
	i := fresh(Options{MaxAddresses: 100, MaxCuts: 10})
	keep := netip.MustParseAddrPort("203.0.113.1:53")
	answered(i, 1, keep, 10*ms)
	for n := range 1000 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), uint16(n))
		i.Sent(1, a)
		i.Lame(1, zone, a, ede.Error{})
		i.CutFailed(1, dnsname.MustParse(fmt.Sprintf("z%d.example", n)), nil, Blame{})
		i.Resolved(1, dnsname.MustParse(fmt.Sprintf("z%d.example", n)), ms)
		i.Choose(1, zone, cands(keep), nil)
	}
	s := i.Stats()
	if s.Addresses != 100 || s.Pairs != 100 || s.Cuts != 10 {
		t.Errorf("%d addresses, %d pairs, %d cuts", s.Addresses, s.Pairs, s.Cuts)
	}
	if s.EvictedAddresses != 901 || s.EvictedPairs != 900 || s.EvictedCuts != 990 || s.EvictedSpeeds != 990 {
		t.Errorf("evicted %d, %d, %d, %d", s.EvictedAddresses, s.EvictedPairs, s.EvictedCuts, s.EvictedSpeeds)
	}
	if info, ok := i.Server(1, keep); !ok || info.SRTT != 10*ms {
		t.Error("the server in use was forgotten")
	}
}

// Whoever explores a slow server for others waits no longer than for an unknown
// one before the fast one is asked.
func TestExplorersDoNotWaitLong(t *testing.T) {
	i := fresh(Options{Explore: 0.5})
	fast, slow := addr(0), addr(1)
	now := clock.Mono(time.Second)
	answered(i, now, fast, 20*ms)
	answered(i, now, slow, 1500*ms)
	explored := 0
	for range 200 {
		c, ok := i.Choose(now, "", []Candidate{{Addr: fast}, {Addr: slow}}, nil)
		if !ok || c.Addr != slow {
			continue
		}
		if explored++; c.Timeout > unknownTimeout {
			t.Fatalf("%v: waits %v", c.Why, c.Timeout)
		}
	}
	if explored == 0 {
		t.Error("never explored")
	}
}
