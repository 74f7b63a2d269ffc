package infra

import (
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/dnsname"
)

// Servers that were silent before a restart keep every zone that they alone serve
// in trouble, until they are rechecked, which is at once; one reply ends it for
// all. Who is known already, and who was not asked for long, is left alone.
func TestSilentServersOutliveRestart(t *testing.T) {
	i := fresh(Options{})
	suspects(i, sec, addr(3)) // nobody asks it again
	now := suspects(i, sec.Add(backoffLast), addr(0), addr(1))
	i.Unreachable(now, addr(2), "connection refused", false)
	answered(i, now, addr(4), 10*ms)
	memory := i.SilentServers(now)
	if len(memory) != 3 || memory[0].Addr != addr(2) || memory[0].Unreachable == "" || memory[1].Since != sec.Add(backoffLast+time.Second) {
		t.Fatalf("%+v", memory)
	}
	memory[1].Since = sec.Add(-time.Hour) // on the new clock
	one, other := dnsname.MustParse("one.example"), dnsname.MustParse("other.example")
	r := New(Options{Rand: rand.New(rand.NewPCG(1, 1))})
	now = 1 * sec
	answered(r, now, addr(1), 10*ms)
	r.RestoreSilent(now, memory)
	for _, s := range r.SilentServers(now) {
		if s.Since > now-2*sec {
			t.Errorf("%v is silent only since %v", s.Addr, s.Since)
		}
	}
	servers := cands(addr(0), addr(2))
	for _, cut := range []dnsname.Name{one, other} {
		tr, bad := r.Trouble(now, cut, servers)
		if !bad || tr.Failing || tr.Cause == nil {
			t.Fatalf("%v: %+v, %v", cut, tr, bad)
		}
		r.Wanted(now, Want{Cut: cut, Servers: servers, Question: question("www", cut)})
	}
	if _, bad := r.Trouble(now, one, cands(addr(1))); bad {
		t.Error("silent though it was heard")
	}
	due, _ := r.Rechecks(now)
	asked := map[string]int{}
	for _, d := range due {
		if !d.Parent {
			asked[d.Server.Addr.String()]++
		}
	}
	if len(asked) != 2 || asked[addr(0).String()] != 1 || asked[addr(2).String()] != 1 {
		t.Errorf("rechecked at once: %v", asked)
	}
	r.Answered(now, addr(0), 10*ms)
	for _, cut := range []dnsname.Name{one, other} {
		if tr, bad := r.Trouble(now, cut, servers); bad {
			t.Errorf("%v after a reply: %+v", cut, tr)
		}
	}
	if list := r.SilentServers(now); len(list) != 1 || list[0].Addr != addr(2) {
		t.Errorf("%+v", list)
	}
}

// A question without anything stale asks a server that is remembered as silent as
// it asks any other.
func TestSilentServersAreAsked(t *testing.T) {
	r := New(Options{Rand: rand.New(rand.NewPCG(1, 1))})
	r.RestoreSilent(sec, []SilentServer{{Addr: addr(0), Since: -sec}})
	if n := r.Silence(sec, zone, addr(0)); n > 0 {
		t.Errorf("silent to the zone beyond doubt: %d", n)
	}
	if c, ok := r.Choose(sec, zone, cands(addr(0)), nil); !ok || c.Addr != addr(0) {
		t.Errorf("%+v, %v", c, ok)
	}
}
