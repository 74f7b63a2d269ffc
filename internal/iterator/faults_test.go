package iterator

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// in runs a test in a bubble on a world of its own.
func in(t *testing.T, text string, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, text)
		w.opts.Minimise = Off
		f(t, w)
		time.Sleep(checkLast) // for checks, which outlive their resolution
	})
}

// count is how many of the queries begin with prefix.
func count(asked []string, prefix string) int {
	n := 0
	for _, q := range asked {
		if strings.HasPrefix(q, prefix) {
			n++
		}
	}
	return n
}

// bounds gives the names of the bounds that were hit.
func (w *world) bounds() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, e := range w.events {
		if b, ok := e.(event.BudgetHit); ok {
			out = append(out, b.Bound)
		}
	}
	return out
}

const answered = "www.example.com. A 300 198.51.100.1"

// faults are what one server may do while another is well.
var faults = []struct {
	name    string
	set     func(*server)
	outcome event.Outcome
}{
	{"silent", func(s *server) { s.mute = func(Query) bool { return true } }, event.Timeout},
	{"unreachable", func(s *server) { s.err = func(Query) error { return outcomeError{event.Unreachable} } }, event.Unreachable},
	{"SERVFAIL", says(reply{rcode: wire.RcodeServFail}), event.ServFail},
	{"REFUSED", says(reply{rcode: wire.RcodeRefused}), event.Refused},
	{"NOTIMP", says(reply{rcode: wire.RcodeNotImp}), event.NotImp},
	{"FORMERR", says(reply{rcode: wire.RcodeFormErr}), event.FormErr},
	{"refers up", says(reply{authority: records(". 60 NS a.root.")}), event.Lame},
	{"refers to itself", says(reply{authority: records("example.com. 60 NS ns1.example.com.")}), event.Lame},
	{"refers sideways", says(reply{authority: records("b.example.com. 60 NS ns1.example.com.")}), event.Lame},
	{"answers another question", says(reply{aa: true, answer: records("b.example.com. 60 A 192.0.2.66")}), event.Garbage},
}

func says(r reply) func(*server) {
	return func(s *server) {
		s.fault = func(_ Query, b *reply) bool { *b = r; return true }
	}
}

// A server that fails makes another be asked; its failure is told of.
func TestAnotherServerIsAsked(t *testing.T) {
	for _, f := range faults {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			f.set(w.server("192.0.2.11"))
			for i := range 40 { // until the bad one had its turn
				w.cache.DropDelegation(n("example.com."))
				res := w.resolve("www.example.com.", "A")
				if show(res) != answered {
					t.Fatalf("%s: got\n%s", f.name, show(res))
				}
				if count(w.asked(), "192.0.2.11 ") > 0 {
					break
				}
				if i == 39 {
					t.Fatalf("%s: the server was never asked", f.name)
				}
			}
			if !slices.ContainsFunc(w.exchanged(), func(e event.Exchanged) bool { return e.Outcome == f.outcome }) {
				t.Errorf("%s: no event of outcome %v", f.name, f.outcome)
			}
		})
	}
}

// When all servers fail the cause is told, with who it was.
func TestAllServersFail(t *testing.T) {
	for _, f := range faults {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			f.set(w.server("192.0.2.11"))
			f.set(w.server("192.0.2.12"))
			res := w.resolve("www.example.com.", "A")
			if res.Failure == nil || len(res.Entries) != 0 || res.Budget {
				t.Fatalf("%s: got %+v", f.name, res)
			}
			if text := res.Failure.ExtraText(); !strings.Contains(text, "192.0.2.1") || !strings.Contains(text, "www.example.com.") {
				t.Errorf("%s: the cause is %q", f.name, text)
			}
			if res.Refused != (f.name == "REFUSED") {
				t.Errorf("%s: refused %v", f.name, res.Refused)
			}
			asked := w.asked()
			for _, server := range []string{"192.0.2.11 ", "192.0.2.12 "} {
				if got := count(asked, server+"www.example.com. A"); got < 1 || got > 3 {
					t.Errorf("%s: %s was asked %d times", f.name, server, got)
				}
				if got := count(asked, server) - count(asked, server+"www.example.com. A"); got > 6 || got > 0 && f.name != "silent" {
					t.Errorf("%s: %s had %d checks", f.name, server, got)
				}
			}
		})
	}
}

func TestLateReplyCounts(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.server("192.0.2.11").rtt = 3 * time.Second
		w.server("192.0.2.12").mute = func(Query) bool { return true }
		began := time.Now()
		expect(t, w.resolve("www.example.com.", "A"), answered)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("took %v", took)
		}
		if !slices.ContainsFunc(w.exchanged(), func(e event.Exchanged) bool { return e.Late && e.Outcome == event.Answer }) {
			t.Error("the answer was not late")
		}
	})
}

// A live server that lets the datagrams of one question go unanswered is asked
// over TCP, after three tries.
func TestOverTCP(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			w.server(s).mute = func(q Query) bool { return !q.TCP && q.Type == wire.TypeTXT }
		}
		w.resolve("www.example.com.", "A") // they are alive
		w.asked()
		var others sync.WaitGroup
		others.Go(func() { // and stay so, whatever the TXT question meets
			for range 20 {
				time.Sleep(200 * time.Millisecond)
				w.resolve("www.example.com.", "A")
			}
		})
		expect(t, w.resolve("www.example.com.", "TXT"), "www.example.com. NODATA TXT 60")
		others.Wait()
		datagrams := 0
		for _, q := range w.asked() {
			if strings.HasSuffix(q, "TXT") {
				datagrams++
			}
		}
		if datagrams < 3 || datagrams > 8 {
			t.Errorf("%d queries", datagrams)
		}
	})
}

func TestDoubtfulReplies(t *testing.T) {
	nothing := reply{aa: true}
	t.Run("others know better", func(t *testing.T) {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			says(nothing)(w.server("192.0.2.11"))
			for range 20 {
				expect(t, w.resolve("www.example.com.", "A"), answered)
			}
		})
	})
	t.Run("nobody knows better", func(t *testing.T) {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			says(nothing)(w.server("192.0.2.11"))
			says(nothing)(w.server("192.0.2.12"))
			expect(t, w.resolve("www.example.com.", "A"), "www.example.com. NODATA A 0")
			if got := count(w.asked(), "192.0.2.1"); got < 2 {
				t.Errorf("believed after %d queries", got)
			}
		})
	})
	t.Run("to a minimised question only", func(t *testing.T) {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Minimise = Relaxed
			w.start()
			for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
				w.server(s).fault = func(q Query, b *reply) bool {
					if q.Type == wire.TypeA {
						*b = nothing
					} else {
						*b = reply{rcode: wire.RcodeServFail}
					}
					return true
				}
			}
			if res := w.resolve("deep.a.b.example.com.", "TXT"); res.Failure == nil || len(res.Entries) > 0 {
				t.Errorf("got %s", show(res))
			}
		})
	})
}

func TestBudgetOfQueries(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		b := NewBudget(3, 1<<20)
		res := w.fly(context.Background(), Request{Name: n("www.example.com."), Type: wire.TypeA, Budget: b}, 0)
		if !res.Budget || res.Failure == nil || len(w.asked()) != 3 || !slices.Equal(w.bounds(), []string{"upstream-queries"}) {
			t.Errorf("got %+v, bounds %v", res, w.bounds())
		}
	})
}

func TestBudgetOfOctets(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		res := w.fly(context.Background(), Request{Name: n("www.example.com."), Type: wire.TypeA, Budget: NewBudget(50, 150)}, 0)
		if !res.Budget || len(w.asked()) > 3 || !slices.Equal(w.bounds(), []string{"reply-bytes"}) {
			t.Errorf("got %+v, bounds %v", res, w.bounds())
		}
	})
}

// Part of a set is no answer: neither given nor kept.
func TestRecordsHitTheirBound(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Limits.Records = 3
		w.start()
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			w.server(s).fault = func(_ Query, b *reply) bool {
				b.answer[0] = many("www.example.com.", wire.TypeA, 5)
				return true
			}
		}
		res := w.resolve("www.example.com.", "A")
		if len(res.Entries) != 0 || res.Failure == nil || res.Failure.ID != "GARB" || !slices.Contains(w.bounds(), "records-per-section") {
			t.Errorf("got %s, bounds %v", show(res), w.bounds())
		}
	})
}

// Nothing that a resolution started goes on when it has returned.
func TestNothingGoesOn(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		for _, s := range []string{"192.0.2.11", "192.0.2.12", "192.0.2.21"} {
			w.server(s).mute = func(Query) bool { return true }
		}
		if res := w.resolve("www.glueless.com.", "A"); res.Failure == nil {
			t.Error("no failure")
		}
		synctest.Wait()
		w.asked()
		time.Sleep(time.Minute)
		if got := w.asked(); len(got) > 0 {
			t.Errorf("afterwards: %q", got)
		}
	}) // the bubble would not end with a goroutine blocked in it
}

// A doubtful reply to one question does not stand for that to the next.
func TestDoubtIsOfOneQuestion(t *testing.T) {
	for range 20 {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Minimise = Strict
			w.start()
			for i, s := range []string{"192.0.2.11", "192.0.2.12"} {
				w.server(s).fault = func(q Query, b *reply) bool {
					if i == 0 || q.Type == wire.TypeTXT {
						*b = reply{aa: true}
					}
					return true
				}
			}
			expect(t, w.resolve("b.example.com.", "TXT"), "b.example.com. NODATA TXT 0")
			expect(t, w.resolve("deep.a.b.example.com.", "TXT"), "deep.a.b.example.com. NODATA TXT 0")
		})
	}
}
