package iterator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

func mute(Query) bool { return true }

// both sets a fault of both servers of example.com. in the small world.
func both(w *world, set func(*server)) {
	synctest.Wait() // nobody reads it now
	set(w.server("192.0.2.11"))
	set(w.server("192.0.2.12"))
}

func failing(w *world, cut string) bool {
	_, yes := w.infra.CutFailing(w.clock.Now(), n(cut))
	return yes
}

// Servers that let a type of question go unanswered, and answer others
// meanwhile, make no cut failing, however many names it is asked for.
func TestSilenceToOneTypeFailsNoCut(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		both(w, func(s *server) { s.mute = func(q Query) bool { return q.Type == wire.TypeHTTPS } })
		w.resolve("www.example.com.", "A")
		for i := range 5 {
			done := make(chan bool)
			go func() {
				for range 30 {
					time.Sleep(100 * time.Millisecond)
					w.resolve("www.example.com.", "A")
				}
				close(done)
			}()
			if got := w.resolve(fmt.Sprintf("n%d.example.com.", i), "HTTPS"); got.Failure == nil || got.Failure.ID != "MUTE" {
				t.Fatalf("got %s", show(got))
			}
			if failing(w, "example.com.") {
				t.Fatalf("failing after %d names", i+1)
			}
			<-done
		}
		told := func(z infra.ZoneHealth) bool {
			return z.Cut == n("example.com.") && !z.Failing && z.LastFailure != 0 && z.Cause != nil && z.Cause.ID == "MUTE"
		}
		if zones := w.infra.Zones(w.clock.Now()); !slices.ContainsFunc(zones, told) {
			t.Errorf("it is not told of: %+v", zones)
		}
	})
}

// Nor do they when what they answer is of another of their zones.
func TestSilenceForOneZoneOfAServer(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.server("192.0.2.21").mute = func(q Query) bool { return q.Type == wire.TypeHTTPS }
		for i := range 5 {
			done := make(chan bool)
			go func() {
				for k := range 30 {
					time.Sleep(100 * time.Millisecond)
					w.resolve(fmt.Sprintf("n%d-%d.other.net.", i, k), "A")
				}
				close(done)
			}()
			w.resolve(fmt.Sprintf("n%d.glueless.com.", i), "HTTPS")
			<-done
		}
		if failing(w, "glueless.com.") {
			t.Error("failing")
		}
	})
}

// aliveError is that of a server that only TCP with it failed.
type aliveError struct{ outcomeError }

func (aliveError) Lives() bool { return true }

// How an attempt at all servers of a cut ended decides whether the cut is
// failing at once, after several names, or not for that.
func TestWhatMakesACutFailing(t *testing.T) {
	lame := says(reply{authority: records(". 60 NS a.root.")})
	for _, c := range []struct {
		what  string
		set   func(*server)
		names int // until the cut is failing, 0 never
	}{
		{"silent", func(s *server) { s.mute = mute }, 1},
		{"unreachable", func(s *server) { s.err = func(Query) error { return outcomeError{event.Unreachable} } }, 1},
		{"TCP refused", func(s *server) { s.err = func(Query) error { return aliveError{outcomeError{event.Unreachable}} } }, 3},
		{"lame", lame, 1},
		{"REFUSED", says(reply{rcode: wire.RcodeRefused}), 1},
		{"SERVFAIL", says(reply{rcode: wire.RcodeServFail}), 3},
		{"no sockets", func(s *server) { s.err = func(Query) error { return outcomeError{event.Budget} } }, 0},
	} {
		in(t, small, func(t *testing.T, w *world) {
			w.start().resolve("com.", "NS")
			both(w, c.set)
			at := 0
			for i := range 4 {
				if got := w.resolve(fmt.Sprintf("n%d.example.com.", i), "A"); got.Failure == nil {
					t.Fatalf("%s: got %s", c.what, show(got))
				}
				if at == 0 && failing(w, "example.com.") {
					at = i + 1
				}
			}
			if at != c.names {
				t.Errorf("%s: failing after %d names, want %d", c.what, at, c.names)
			}
			both(w, func(s *server) { s.mute, s.err, s.fault = nil, nil, nil })
			time.Sleep(time.Minute)
			if w.resolve("www.example.com.", "A"); failing(w, "example.com.") {
				t.Errorf("%s: still failing after a useful answer", c.what)
			}
		})
	}
}

// Anybody can delegate a zone to the servers of the zone above, which know nothing
// of it. That these were asked for it already, when the zone above is asked again, is
// no failure of theirs as the servers of that.
func TestLameZoneFailsNoParent(t *testing.T) {
	text := strings.Replace(small, "glueless.com.  ", "lame.com. 3600 NS a.gtld.net.\nglueless.com.  ", 1)
	for _, mode := range []Mode{Relaxed, Off} {
		in(t, text, func(t *testing.T, w *world) {
			w.opts.Minimise = mode
			w.start()
			for i := range 4 {
				if got := w.resolve(fmt.Sprintf("n%d.lame.com.", i), "A"); got.Failure == nil {
					t.Fatalf("got %s", show(got))
				}
				if failing(w, "com.") {
					t.Fatalf("mode %d: com. is failing after %d names of lame.com.", mode, i+1)
				}
				time.Sleep(31 * time.Second) // so that the parent is asked again
			}
			if !failing(w, "lame.com.") {
				t.Errorf("mode %d: lame.com. is not failing", mode)
			}
		})
	}
}

// So many silent servers that time runs out before the tries do: the cut is
// failing all the same, and its parent is asked the next time.
func TestDeadlineFailsASilentCut(t *testing.T) {
	var zone strings.Builder
	for i := range 13 {
		fmt.Fprintf(&zone, "big.com. 3600 NS n%d.big.com.\nn%d.big.com. 3600 A 203.0.113.%d\n", i, i, i+1)
	}
	in(t, strings.Replace(small, "glueless.com.  ", zone.String()+"glueless.com.  ", 1), func(t *testing.T, w *world) {
		w.start()
		got := w.resolve("www.big.com.", "A")
		if got.Failure == nil || got.Failure.Code != 22 {
			t.Fatalf("got %s", show(got))
		}
		w.asked()
		w.resolve("www.big.com.", "A")
		w.resolve("www.big.com.", "A")
		if !failing(w, "big.com.") {
			t.Error("not failing")
		}
	})
}

// Three tries an address, also when the parent confirmed it in between
// (RFC 9520 §3.1).
func TestThreeTries(t *testing.T) {
	for _, mode := range []Mode{Relaxed, Off} {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Minimise = mode
			w.start().resolve("www.example.com.", "TXT")
			w.asked()
			both(w, func(s *server) { s.mute = mute })
			w.resolve("www.example.com.", "A")
			log := w.asked()
			for _, addr := range []string{"192.0.2.11", "192.0.2.12"} {
				if got := count(log, addr+" www.example.com. A"); got > infra.MaxTries {
					t.Errorf("mode %d: %d queries to %s: %q", mode, got, addr, log)
				}
			}
			if count(log, "192.0.2.2 ") == 0 {
				t.Errorf("mode %d: the parent was not asked: %q", mode, log)
			}
		})
	}
}

// A server that errs for a part of the name is not blamed before it was asked
// for the whole.
func TestErrorToMinimisedQuestionIsNoFault(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Relaxed
		w.start()
		both(w, func(s *server) {
			s.fault = func(q Query, r *reply) bool {
				if q.Name == n("b.example.com.") {
					*r = reply{rcode: wire.RcodeNotImp}
				}
				return true
			}
		})
		expect(t, w.resolve("deep.a.b.example.com.", "A"), "deep.a.b.example.com. A 300 198.51.100.2")
		if log := w.asked(); count(log, "192.0.2.11 ")+count(log, "192.0.2.12 ") != 2 {
			t.Errorf("asked %q", log)
		}
	})
}

// The root's denial of a top-level domain is believed in relaxed mode: it need
// not see the rest of the name.
func TestRootDenies(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Relaxed
		w.start()
		expect(t, w.resolve("printer.office.lan.", "A"), "printer.office.lan. NXDOMAIN 86400")
		if log := w.asked(); count(log, "192.0.2.1 ") != 2 || count(log, "192.0.2.1 lan. A") != 1 {
			t.Errorf("asked %q", log)
		}
	})
}

// The DS records of a cut are its parent's, however well its own servers are
// known (RFC 4035 §3.1.4.1).
func TestDSIsAskedOfTheParent(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start().resolve("www.example.com.", "A")
		w.asked()
		expect(t, w.resolve("example.com.", "DS"), "example.com. NODATA DS 900")
		if log := w.asked(); len(log) != 1 || log[0] != "192.0.2.2 example.com. DS" {
			t.Errorf("asked %q", log)
		}
	})
}

// Glue and the servers' own word on their addresses differ, and either may be
// the one that is right.
func TestGlueAgainstAnswers(t *testing.T) {
	for _, right := range []string{"glue", "answer"} {
		in(t, small, func(t *testing.T, w *world) {
			w.start()
			wrong, s := "203.0.113.9", w.server("192.0.2.21")
			if right == "answer" { // net. has an old address; the other is known from before
				for z, sets := range w.server("192.0.2.2").zones {
					if g := get(sets, n("ns.other.net."), wire.TypeA); g != nil {
						g.Data = set("ns.other.net.", 60, "A", wrong).Data
						w.server("192.0.2.2").zones[z] = sets
					}
				}
				e := w.resolve("www.example.com.", "A").Entries[0]
				e.Name, e.Set = n("ns.other.net."), set("ns.other.net.", 3600, "A", "192.0.2.21")
				w.cache.Put(w.clock.Now(), &e)
			} else {
				sets := s.zones[n("other.net.")]
				get(sets, n("ns.other.net."), wire.TypeA).Data = set("ns.other.net.", 60, "A", wrong).Data
				w.resolve("ns.other.net.", "A")
			}
			expect(t, w.resolve("www.glueless.com.", "A"), "www.glueless.com. A 300 198.51.100.3")
		})
	}
}

// Names that are nowhere to be found among the addresses that are allowed.
func TestForbiddenAddresses(t *testing.T) {
	in(t, strings.ReplaceAll(small, "A 192.0.2.21", "A 127.0.0.21"), func(t *testing.T, w *world) {
		w.opts.Allowed = func(a netip.Addr) bool { return !a.IsLoopback() }
		w.start()
		got := w.resolve("www.glueless.com.", "A")
		if got.Failure == nil || got.Failure.ID != "NOAD" {
			t.Errorf("got %s", show(got))
		}
		if log := w.asked(); count(log, "127.") > 0 {
			t.Errorf("asked %q", log)
		}
	})
}

// What servers say of other zones is not believed, whatever section it is in.
func TestPoison(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		both(w, func(s *server) {
			s.fault = func(_ Query, r *reply) bool {
				r.answer = append(r.answer, set("www.bank.net.", 300, "A", "192.0.2.66"))
				r.authority = append(r.authority, set("net.", 300, "NS", "ns.evil.net."), set("example.com.", 300, "NS", "ns.evil.net."))
				r.additional = append(r.additional, set("ns.evil.net.", 300, "A", "192.0.2.66"), set("a.gtld.net.", 300, "A", "192.0.2.66"))
				return true
			}
		})
		expect(t, w.resolve("www.example.com.", "A"), answered)
		expect(t, w.resolve("www.glueless.com.", "A"), "www.glueless.com. A 300 198.51.100.3")
		expect(t, w.resolve("www.bank.net.", "A"), "www.bank.net. NXDOMAIN 900")
		if log := w.asked(); count(log, "192.0.2.66 ") > 0 {
			t.Errorf("asked %q", log)
		}
	})
}
