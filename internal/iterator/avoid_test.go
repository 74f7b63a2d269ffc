package iterator

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// without resolves without some servers.
func (w *world) without(name string, avoid ...string) Result {
	r := Request{Name: n(name), Type: wire.TypeA, Budget: NewBudget(50, 1<<20)}
	for _, a := range avoid {
		r.Avoid = append(r.Avoid, netip.AddrPortFrom(netip.MustParseAddr(a), 53))
	}
	return w.fly(context.Background(), r, 0)
}

// wereAsked tells whether one of some servers was asked for a name since the last
// look.
func (w *world) wereAsked(name string, addrs ...string) bool {
	all := "\n" + strings.Join(w.asked(), "\n")
	for _, a := range addrs {
		if strings.Contains(all, "\n"+a+" "+name+" ") {
			return true
		}
	}
	return false
}

// Whoever gave bogus data is not asked again, and it is told who gave what.
func TestAvoidedServersAreNotAsked(t *testing.T) {
	const one, two, parent = "192.0.2.11", "192.0.2.12", "192.0.2.2"
	const answer = "www.example.com. A 300 198.51.100.1"
	for _, cold := range []bool{true, false} {
		for _, c := range []struct {
			avoid []string
			from  string
		}{
			{[]string{one}, two},
			{[]string{two}, one},
			{[]string{one, parent}, two}, // it still leads on
			{[]string{one, two}, ""},
		} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, small).start()
				if !cold {
					expect(t, w.resolve("www.example.com.", "A"), answer)
					w.asked()
				}
				res := w.without("www.example.com.", c.avoid...)
				if w.wereAsked("www.example.com.", c.avoid...) {
					t.Errorf("cold %v, without %v: asked all the same", cold, c.avoid)
				}
				if c.from != "" {
					expect(t, res, answer)
					if res.From.String() != c.from+":53" {
						t.Errorf("cold %v, without %v: from %v", cold, c.avoid, res.From)
					}
					return
				}
				if res.Failure == nil || res.Failure.ID != "ELSE" || res.From.IsValid() || res.Silent || res.Refused {
					t.Errorf("cold %v: nobody is left, and %+v", cold, res)
				}
				if _, failing := w.infra.CutFailing(w.clock.Now(), n("example.com.")); failing {
					t.Errorf("cold %v: the cut is failing for it", cold)
				}
				expect(t, w.resolve("www.example.com.", "A"), answer)
			})
		}
	}
}

// That others fail while one of the servers is left out is not held against the cut.
func TestAvoidedServersAreNotBlamed(t *testing.T) {
	for _, avoid := range [][]string{{"192.0.2.11"}, nil} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, small).start()
			for _, addr := range []string{"192.0.2.11", "192.0.2.12"} {
				w.server(addr).fault = func(_ Query, r *reply) bool {
					*r = reply{rcode: wire.RcodeServFail}
					return true
				}
			}
			for _, name := range []string{"a.example.com.", "b.example.com.", "c.example.com.", "d.example.com."} {
				if res := w.without(name, avoid...); res.Failure == nil {
					t.Fatalf("%s: %s", name, show(res))
				}
			}
			if _, failing := w.infra.CutFailing(w.clock.Now(), n("example.com.")); failing != (avoid == nil) {
				t.Errorf("without %v: failing %v", avoid, failing)
			}
		})
	}
}

// The denial of an ancestor is the data of who gave it as well: when that is to be
// avoided, others are asked for the whole name.
func TestAvoidedServersDenyNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, small).start()
		res := w.resolve("www.none.", "A")
		expect(t, res, "www.none. NXDOMAIN 86400")
		if res.From.String() != "192.0.2.1:53" {
			t.Errorf("from %v", res.From)
		}
		w.asked()
		res = w.without("www.none.", "192.0.2.1")
		if res.Failure == nil || res.Failure.ID != "ELSE" {
			t.Errorf("believed again: %s", show(res))
		}
		if w.wereAsked("www.none.", "192.0.2.1") {
			t.Error("asked for the whole name all the same")
		}
	})
}

// A cut that fails for bogus answers is not back because somebody hears of it, by a
// question or a recheck: that is for who validates to say.
func TestRepliesDoNotEndBogusAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, cut := newWorld(t, small).start(), n("example.com.")
		w.resolve("www.example.com.", "A")
		for _, name := range []string{"a.example.com.", "b.example.com.", "c.example.com."} {
			w.infra.NameBogus(w.clock.Now(), cut, n(name), nil)
		}
		expect(t, w.resolve("www.example.com.", "A"), "www.example.com. A 300 198.51.100.1")
		server := netip.MustParseAddrPort("192.0.2.11:53")
		res := w.it.Recheck(context.Background(), infra.Recheck{
			Cut: cut, Server: infra.Candidate{Addr: server}, Question: event.Question{Name: n("www.example.com."), Type: wire.TypeA},
		})
		if expect(t, res, "www.example.com. A 300 198.51.100.1"); res.From != server {
			t.Errorf("from %v", res.From)
		}
		if tr, bad := w.it.Trouble(w.clock.Now(), cut); !bad || !tr.Failing {
			t.Errorf("%+v, %v", tr, bad)
		}
		if got := w.health(); len(got) != 0 {
			t.Errorf("told of %v", got)
		}
		for _, e := range w.rechecked() {
			if e.Recovered {
				t.Errorf("%+v", e)
			}
		}
		if w.infra.CutSound(w.clock.Now(), cut); len(w.rechecked()) != 1 {
			t.Errorf("%d rechecks told of", len(w.rechecked()))
		}
		if tr, bad := w.it.Trouble(w.clock.Now(), cut); bad {
			t.Errorf("%+v", tr)
		}
	})
}

// It is over whatever transport, and for the question itself alone.
func TestAvoidedServersAreNotAskedOverTCP(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.11:53")
	own := event.Question{Name: n("www.example.com."), Type: wire.TypeA}
	task := &task{it: new(Iterator), req: Request{Name: own.Name, Type: own.Type, Avoid: []netip.AddrPort{addr}}}
	for range 2 { // and when the question comes back
		task.ask(event.Question{Name: n("example.com."), Type: wire.TypeA}, true)
		if len(task.tries) != 0 {
			t.Errorf("%+v", task.tries)
		}
		task.ask(own, false)
		want := []infra.Tries{{Addr: addr, Done: true}, {Addr: addr, TCP: true, Done: true}}
		if !slices.Equal(task.tries, want) {
			t.Errorf("%+v", task.tries)
		}
		task.anew()
	}
}
