package iterator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

const (
	ns1 = "192.0.2.11" // of example.com. in the small world
	ns2 = "192.0.2.12"
	// shown is its answer for www.example.com., as show prints it.
	shown = "www.example.com. A 300 198.51.100.1"
)

// in runs a test in a bubble with a small world, warm up to example.com.
func in(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, small).start()
		w.resolve("example.com.", "DS") // of the parent: the servers of the cut are unknown still
		w.resolve("www.example.com.", "TXT")
		w.asked()
		f(t, w)
	})
}

func mute(Query) bool { return true }

func says(rc wire.Rcode) func(Query, *reply) bool {
	return func(_ Query, r *reply) bool {
		*r = reply{rcode: rc}
		return true
	}
}

// One of two servers fails in some way: the other one answers, soon enough.
func TestOneServerFails(t *testing.T) {
	refer := func(name, to string) func(Query, *reply) bool {
		return func(_ Query, r *reply) bool {
			*r = reply{authority: []rrset.Set{set(name, 300, "NS", to)}}
			return true
		}
	}
	for _, c := range []struct {
		about string
		s     server
		want  event.Outcome
	}{
		{"silent", server{mute: mute}, event.Timeout},
		{"slow", server{rtt: 2 * time.Second}, event.Timeout},
		{"SERVFAIL", server{fault: says(wire.RcodeServFail)}, event.ServFail},
		{"REFUSED", server{fault: says(wire.RcodeRefused)}, event.Refused},
		{"NOTIMP", server{fault: says(wire.RcodeNotImp)}, event.NotImp},
		{"FORMERR", server{fault: says(wire.RcodeFormErr)}, event.FormErr},
		{"BADVERS", server{fault: says(wire.RcodeYXDomain)}, event.OtherRcode},
		{"unreachable", server{err: func(Query) error { return errors.New("no route") }}, event.Unreachable},
		{"spoofed", server{err: func(Query) error { return outcomeError{event.Spoofed} }}, event.Spoofed},
		{"refers upwards", server{fault: refer(".", "a.root.")}, event.Lame},
		{"refers to itself", server{fault: refer("example.com.", "ns1.example.com.")}, event.Lame},
		{"refers sideways", server{fault: refer("example.org.", "ns1.example.com.")}, event.Lame},
		{"another class", server{fault: func(_ Query, r *reply) bool { r.class = wire.ClassCH; return true }}, event.NXDomain},
		{"another name's data", server{fault: func(_ Query, r *reply) bool {
			*r = reply{aa: true, answer: []rrset.Set{set("mail.example.com.", 300, "A", "192.0.2.66")}}
			return true
		}}, event.Garbage},
		{"nothing", server{fault: func(_ Query, r *reply) bool { *r = reply{aa: true}; return true }}, event.NoData},
	} {
		for _, bad := range []string{ns1, ns2} {
			in(t, func(t *testing.T, w *world) {
				s := w.server(bad)
				s.fault, s.mute, s.err = c.s.fault, c.s.mute, c.s.err
				s.rtt = max(s.rtt, c.s.rtt)
				seen := false
				for i := range 12 { // so that the bad one is tried
					begun := time.Now()
					got := w.resolve(strings.Repeat("x", i)+"www.example.com.", "A")
					if i == 0 && show(got) != shown {
						t.Errorf("%s: got %s", c.about, show(got))
					}
					if i > 0 && (len(got.Entries) != 1 || got.Entries[0].Kind != cache.NXDomain) {
						t.Errorf("%s: got %s", c.about, show(got))
					}
					if took := time.Since(begun); took > time.Second {
						t.Errorf("%s took %v", c.about, took)
					}
				}
				for _, e := range w.exchanged() {
					seen = seen || e.Outcome == c.want && e.Server.Addr() == netip.MustParseAddr(bad)
				}
				if !seen {
					t.Errorf("%s: no exchange with %s ended so", c.about, bad)
				}
			})
		}
	}
}

// All servers of a cut fail alike: the client hears why.
func TestAllServersFail(t *testing.T) {
	for _, c := range []struct {
		about   string
		s       server
		code    int
		id      string
		text    string
		refused bool
	}{
		{"silent", server{mute: mute}, 22, "MUTE", "did not answer for www.example.com. A", false},
		{"SERVFAIL", server{fault: says(wire.RcodeServFail)}, 23, "ERCD", "said SERVFAIL for www.example.com. A", false},
		{"REFUSED", server{fault: says(wire.RcodeRefused)}, 23, "RFSD", "said REFUSED for www.example.com. A", true},
		{"lame", server{fault: func(_ Query, r *reply) bool {
			*r = reply{authority: []rrset.Set{set(".", 300, "NS", "a.root.")}}
			return true
		}}, 22, "LAMD", "refers to another zone for www.example.com. A", false},
		{"garbage", server{fault: func(_ Query, r *reply) bool {
			r.answer = []rrset.Set{set("mail.example.com.", 300, "A", "192.0.2.66")}
			return true
		}}, 23, "GARB", "answers another question for www.example.com. A", false},
		{"unreachable", server{err: func(Query) error { return errors.New("no route to host") }}, 22, "UNRC", "no route to host for www.example.com. A", false},
		{"no sockets", server{err: func(Query) error { return outcomeError{event.Budget} }}, 0, "LOCL", "for www.example.com. A", false},
	} {
		in(t, func(t *testing.T, w *world) {
			for _, addr := range []string{ns1, ns2} {
				s := w.server(addr)
				s.fault, s.mute, s.err = c.s.fault, c.s.mute, c.s.err
			}
			got := w.resolve("www.example.com.", "A")
			if len(got.Entries) != 0 || got.Failure == nil {
				t.Fatalf("%s: got %s", c.about, show(got))
			}
			if int(got.Failure.Code) != c.code || got.Failure.ID != c.id || !strings.HasSuffix(got.Failure.Text, c.text) {
				t.Errorf("%s: got %v", c.about, got.Failure)
			}
			if got.Refused != c.refused || got.Budget {
				t.Errorf("%s: refused %v, budget %v", c.about, got.Refused, got.Budget)
			}
			log := w.asked()
			for _, addr := range []string{ns1, ns2} {
				if n := to(log, addr); n < 1 || n > 6 { // three tries, and three over TCP at most
					t.Errorf("%s: %d queries to %s: %q", c.about, n, addr, log)
				}
			}
		})
	}
}

// Errors of one server and silence of the other: not all said REFUSED.
func TestNotAllRefused(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.server(ns1).fault = says(wire.RcodeRefused)
		w.server(ns2).fault = says(wire.RcodeServFail)
		got := w.resolve("www.example.com.", "A")
		if got.Refused || got.Failure == nil || got.Failure.ID != "ERCD" {
			t.Errorf("refused %v, %v", got.Refused, got.Failure)
		}
	})
}

// A reply that comes after its try was given up still counts.
func TestLateReplyCounts(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.server(ns1).rtt, w.server(ns2).mute = 1900*time.Millisecond, mute
		begun := time.Now()
		expect(t, w.resolve("www.example.com.", "A"), shown)
		if took := time.Since(begun); took > 2600*time.Millisecond {
			t.Errorf("took %v", took)
		}
		late := slices.ContainsFunc(w.exchanged(), func(e event.Exchanged) bool { return e.Late && e.Outcome == event.Answer })
		if !late {
			t.Error("no late reply told")
		}
	})
}

// Silence of a name's question makes no cut failing while others are answered;
// silence of everything does.
func TestSilenceToOneQuestion(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		deaf := func(q Query) bool { return q.Type == wire.TypeHTTPS }
		w.server(ns1).mute, w.server(ns2).mute = deaf, deaf
		for i := range 5 {
			go w.resolve(fmt.Sprintf("n%d.example.com.", i), "A")
			if got := w.resolve(fmt.Sprintf("n%d.example.com.", i), "HTTPS"); got.Failure == nil {
				t.Fatalf("got %s", show(got))
			}
			w.resolve(fmt.Sprintf("m%d.example.com.", i), "A")
		}
		if f, failing := w.infra.CutFailing(w.clock.Now(), n("example.com.")); failing {
			t.Errorf("failing: %v", f.Cause)
		}
	})
	in(t, func(t *testing.T, w *world) {
		w.server(ns1).mute, w.server(ns2).mute = mute, mute
		w.resolve("www.example.com.", "A")
		if _, failing := w.infra.CutFailing(w.clock.Now(), n("example.com.")); !failing {
			t.Error("not failing when all is silent")
		}
	})
}

// Records that a server may not give are not believed, glue neither.
func TestPoison(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		poison := func(_ Query, r *reply) bool {
			r.answer = append(r.answer, set("www.bank.net.", 300, "A", "192.0.2.66"))
			r.authority = append(r.authority, set("net.", 300, "NS", "ns.evil.net."), set("example.com.", 300, "NS", "ns.evil.net."))
			r.additional = append(r.additional, set("ns.evil.net.", 300, "A", "192.0.2.66"), set("a.gtld.net.", 300, "A", "192.0.2.66"))
			return true
		}
		w.server(ns1).fault, w.server(ns2).fault = poison, poison
		expect(t, w.resolve("www.example.com.", "A"), shown)
		expect(t, w.resolve("www.glueless.com.", "A"), "www.glueless.com. A 300 198.51.100.3")
		if log := w.asked(); to(log, "192.0.2.66") > 0 {
			t.Errorf("asked %q", log)
		}
		var r cache.Reader
		for _, name := range []string{"www.bank.net.", "ns.evil.net.", "a.gtld.net."} {
			if _, ok := w.cache.Lookup(&r, w.clock.Now(), n(name), wire.TypeA); ok {
				t.Errorf("%s is cached", name)
			}
		}
	})
}

// A server that denies empty non-terminals, or errs or is silent when asked
// for one, is asked for the whole name; strict mode takes its word.
func TestBrokenEmptyNonTerminals(t *testing.T) {
	entity := func(f func(r *reply)) func(Query, *reply) bool {
		return func(q Query, r *reply) bool {
			if q.Name == n("b.example.com.") || q.Name == n("a.b.example.com.") {
				f(r)
			}
			return true
		}
	}
	for _, c := range []struct {
		about  string
		s      server
		strict string
	}{
		{"NXDOMAIN", server{fault: entity(func(r *reply) { r.rcode = wire.RcodeNXDomain })}, "deep.a.b.example.com. NXDOMAIN 60"},
		{"REFUSED", server{fault: entity(func(r *reply) { *r = reply{rcode: wire.RcodeRefused} })}, "failure 23"},
		{"silence", server{mute: func(q Query) bool { return q.Name == n("b.example.com.") }}, "failure 22"},
	} {
		for _, mode := range []Mode{Relaxed, Strict, Off} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, small)
				w.opts.Minimise = mode
				w.start()
				for _, addr := range []string{ns1, ns2} {
					w.server(addr).fault, w.server(addr).mute = c.s.fault, c.s.mute
				}
				want := "deep.a.b.example.com. A 300 198.51.100.2"
				if mode == Strict {
					want = c.strict
				}
				if got := show(w.resolve("deep.a.b.example.com.", "A")); !strings.HasPrefix(got, want) {
					t.Errorf("%s, mode %d: got %s", c.about, mode, got)
				}
			})
		}
	}
}

// The root's denial of a top-level domain is believed at once: it need not see
// the rest of the name.
func TestRootDenies(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		expect(t, w.resolve("printer.office.lan.", "A"), "printer.office.lan. NXDOMAIN 86400")
		if got, want := w.asked(), []string{"192.0.2.1 lan. A"}; !slices.Equal(got, want) {
			t.Errorf("asked %q", got)
		}
	})
}

// A server asked the same question is left alone after three tries, also when
// the parent confirmed it in between.
func TestThreeTries(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.server(ns1).mute, w.server(ns2).mute = mute, mute
		w.resolve("www.example.com.", "A")
		log := w.asked()
		if a, b := to(log, ns1), to(log, ns2); a != 3 || b != 3 {
			t.Errorf("%d and %d queries: %q", a, b, log)
		}
	})
}

func TestBudget(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.server(ns1).mute, w.server(ns2).mute = mute, mute
		got := w.it.Resolve(t.Context(), Request{Name: n("www.example.com."), Type: wire.TypeA, Budget: NewBudget(2, 1<<20)})
		if !got.Budget || got.Failure == nil || got.Failure.ID != "BUDG" {
			t.Errorf("got %+v", got)
		}
		if log := w.asked(); len(log) != 2 {
			t.Errorf("asked %q", log)
		}
	})
}

// Name servers that do not exist, many of them: a question costs its bound.
func TestNameServersThatDoNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var zone strings.Builder
		for i := range 500 {
			fmt.Fprintf(&zone, "attack.com. 3600 NS ns%d.victim%d.com.\n", i, i)
		}
		w := newWorld(t, strings.Replace(small, "glueless.com.  ", zone.String()+"glueless.com.  ", 1))
		w.opts.IPv6 = true
		w.start()
		got := w.resolve("www.attack.com.", "A")
		if got.Failure == nil || got.Failure.Code != 22 {
			t.Errorf("got %s", show(got))
		}
		if log := w.asked(); len(log) > 45 {
			t.Errorf("%d queries", len(log))
		}
		bound := slices.ContainsFunc(w.events, func(e event.Event) bool {
			b, ok := e.(event.BudgetHit)
			return ok && b.Bound == "ns-lookups"
		})
		if !bound {
			t.Error("no bound told")
		}
	})
}
