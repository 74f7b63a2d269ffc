package iterator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Two zones whose only servers are each other's, without glue, end at once;
// with a third server for one, both work.
func TestZonesThatNeedEachOther(t *testing.T) {
	const zones = `
@192.0.2.2 com.
a.com. 3600 NS ns.b.com.
b.com. 3600 NS ns.a.com.
`
	in(t, small+zones, func(t *testing.T, w *world) {
		com := w.server("192.0.2.2").zones
		com[n("com.")] = append(com[n("com.")], records("com. 900 SOA a.gtld.net. host.com. 900")...)
		w.start()
		began := time.Now()
		res := w.resolve("www.a.com.", "A")
		if res.Failure == nil || time.Since(began) > 5*time.Second {
			t.Errorf("after %v: %s", time.Since(began), show(res))
		}
		if got := len(w.asked()); got > 12 {
			t.Errorf("%d queries", got)
		}
		if _, failing := w.infra.CutFailing(w.clock.Now(), n("b.com.")); failing {
			t.Error("a circle of look-ups was held against a cut")
		}
	})
	const helped = zones + `
b.com. 3600 NS ns.other.net.
@192.0.2.21 b.com.
ns.b.com. 300 A 192.0.2.31
@192.0.2.31 a.com.
www.a.com. 300 A 198.51.100.7
`
	in(t, small+helped, func(t *testing.T, w *world) {
		w.start()
		expect(t, w.resolve("www.a.com.", "A"), "www.a.com. A 300 198.51.100.7")
	})
}

// A delegation to many name servers elsewhere costs no more than the budget,
// whatever the names (NXNS).
func TestManyNameServersCostNoMoreThanTheBudget(t *testing.T) {
	var text strings.Builder
	text.WriteString(small + "\n@192.0.2.2 com.\n")
	for i := range 40 {
		fmt.Fprintf(&text, "evil.com. 3600 NS ns%d.victim%d.com.\n", i, i)
		fmt.Fprintf(&text, "victim%d.com. 3600 NS ns.other.net.\n", i)
	}
	for i := range 40 {
		fmt.Fprintf(&text, "@192.0.2.21 victim%d.com.\nvictim%d.com. 300 SOA ns.other.net. host.other.net. 60\n", i, i)
	}
	in(t, text.String(), func(t *testing.T, w *world) {
		w.start()
		res := w.resolve("www.evil.com.", "A")
		if res.Failure == nil {
			t.Errorf("got %s", show(res))
		}
		if got := len(w.asked()); got > 50 {
			t.Errorf("%d queries", got)
		}
		for i := range 40 {
			if _, failing := w.infra.CutFailing(w.clock.Now(), n(fmt.Sprintf("victim%d.com.", i))); failing {
				t.Errorf("victim%d's cut is held to be failing", i)
			}
		}
	})
}

// A budget that look-ups used up is nobody's fault.
func TestSpentBudgetBlamesNobody(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.server("192.0.2.21").mute = func(Query) bool { return true }
		now := w.clock.Now()
		w.cache.PutDelegation(now, &cache.Delegation{Cut: n("glueless.com."), Parent: n("com."), TTL: 3600, Servers: []cache.NameServer{{Name: n("ns.other.net.")}}})
		res := w.fly(t.Context(), Request{Name: n("www.glueless.com."), Type: wire.TypeA, Budget: NewBudget(2, 1<<20)}, 0)
		if !res.Budget {
			t.Errorf("got %+v", res)
		}
		if _, failing := w.infra.CutFailing(w.clock.Now(), n("glueless.com.")); failing {
			t.Error("the cut is held to be failing")
		}
	})
}

// When the servers of a cached cut fail the parent is asked once (RFC 9520
// §3.3), and not again within 30 s.
func TestParentIsAskedOnce(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		expect(t, w.resolve("www.example.com.", "A"), answered)
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			says(reply{rcode: wire.RcodeRefused})(w.server(s))
		}
		w.asked()
		for i, c := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {10 * time.Second, 0}, {15 * time.Second, 0}, {10 * time.Second, 1}} {
			time.Sleep(c.wait)
			res := w.resolve(fmt.Sprintf("n%d.example.com.", i), "A")
			if !res.Refused {
				t.Errorf("%d: got %s", i, show(res))
			}
			if got := count(w.asked(), "192.0.2.2 "); got != c.want {
				t.Errorf("%d: the parent was asked %d times, want %d", i, got, c.want)
			}
		}
	})
}

// A domain that moved while it was cached is found at its new servers.
func TestMovedDomain(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		expect(t, w.resolve("www.example.com.", "A"), answered)
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			says(reply{rcode: wire.RcodeRefused})(w.server(s))
		}
		com := w.server("192.0.2.2").zones[n("com.")]
		get(com, n("example.com."), wire.TypeNS).Data = rdataSet("ns.other.net.")
		w.server("192.0.2.21").zones[n("example.com.")] = records("new.example.com. 300 A 198.51.100.9")
		expect(t, w.resolve("new.example.com.", "A"), "new.example.com. A 300 198.51.100.9")
	})
}

func rdataSet(name string) []byte {
	s := set("x.", 1, "NS", name)
	return s.Data
}

// A delegation lives no longer than the one that gave it (ghost domains).
func TestNoGhostDomains(t *testing.T) {
	in(t, small+`
@192.0.2.11 example.com.
sub.example.com. 86400 NS ns1.example.com.
ns1.example.com. 3600 A 192.0.2.11
www.example.com. 300 A 198.51.100.1
@192.0.2.12 example.com.
sub.example.com. 86400 NS ns1.example.com.
ns1.example.com. 3600 A 192.0.2.11
www.example.com. 300 A 198.51.100.1
@192.0.2.11 sub.example.com.
www.sub.example.com. 60 A 198.51.100.5
`, func(t *testing.T, w *world) {
		delete(w.server("192.0.2.11").zones, n("sub.example.com."))
		w.server("192.0.2.11").zones[n("sub.example.com.")] = nil
		w.start()
		w.opts.Minimise = Off
		w.resolve("www.example.com.", "A")
		time.Sleep(3000 * time.Second)
		w.server("192.0.2.11").zones = map[dnsname.Name][]rrset.Set{n("example.com."): w.server("192.0.2.12").zones[n("example.com.")]}
		w.resolve("www.sub.example.com.", "A")
		d, ok := w.cache.Closest(w.clock.Now(), n("www.sub.example.com."))
		if !ok || d.Cut != n("sub.example.com.") {
			t.Fatalf("closest is %v", d)
		}
		if left := d.Expiry.Sub(w.clock.Now()); left > 600*time.Second {
			t.Errorf("it lives %v, its parent's delegation 600 s", left)
		}
	})
}

// A child's own NS set neither prolongs nor changes its delegation.
func TestChildDoesNotProlongItsDelegation(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.resolve("www.example.com.", "A")
		before, _ := w.cache.Closest(w.clock.Now(), n("example.com."))
		time.Sleep(1000 * time.Second)
		w.resolve("example.com.", "NS")
		after, _ := w.cache.Closest(w.clock.Now(), n("example.com."))
		if before != after {
			t.Errorf("the delegation changed: %v, then %v", before, after)
		}
	})
}

func TestNameServerBehindAnAlias(t *testing.T) {
	in(t, small+`
@192.0.2.2 com.
odd.com. 3600 NS ns.alias.com.
alias.com. 3600 NS ns.other.net.
@192.0.2.21 alias.com.
ns.alias.com. 300 CNAME real.alias.com.
real.alias.com. 300 A 192.0.2.41
@192.0.2.41 odd.com.
www.odd.com. 300 A 198.51.100.8
ftp.odd.com. 300 A 198.51.100.8
`, func(t *testing.T, w *world) {
		w.start()
		for _, name := range []string{"www.odd.com.", "ftp.odd.com."} { // the second finds the alias in the cache
			expect(t, w.resolve(name, "A"), name+" A 300 198.51.100.8")
		}
	})
}

func TestForwardAndStub(t *testing.T) {
	server := func(addr string) Target { return Target{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 0)} }
	t.Run("forward", func(t *testing.T) {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Zones = []Zone{{Name: n("com."), Forward: true, Servers: []Target{server("192.0.2.11")}}}
			w.start()
			expect(t, w.resolve("www.example.com.", "A"), answered)
			if got := w.asked(); !slices.Equal(got, []string{"192.0.2.11 www.example.com. A"}) {
				t.Errorf("asked %q", got)
			}
		})
	})
	for _, fallback := range []bool{true, false} {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Zones = []Zone{{Name: n("com."), Forward: true, Fallback: fallback, Servers: []Target{server("192.0.2.99")}}}
			w.start()
			if res := w.resolve("www.example.com.", "A"); (show(res) == answered) != fallback {
				t.Errorf("fallback %v: got %s", fallback, show(res))
			}
		})
	}
	t.Run("stub by name", func(t *testing.T) {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Zones = []Zone{{Name: n("glueless.com."), Servers: []Target{{Host: n("ns.other.net.")}}}}
			w.start()
			expect(t, w.resolve("www.glueless.com.", "A"), "www.glueless.com. A 300 198.51.100.3")
			if got := w.asked(); slices.ContainsFunc(got, func(q string) bool { return strings.Contains(q, "192.0.2.2 glueless") }) {
				t.Errorf("asked %q", got)
			}
		})
	})
}

func TestPrimingThatFailsFallsBackToTheHints(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.start()
		w.server("192.0.2.1").fault = func(q Query, b *reply) bool {
			if q.Name.IsRoot() {
				*b = reply{rcode: wire.RcodeServFail}
			}
			return true
		}
		expect(t, w.resolve("www.example.com.", "A"), answered)
	})
}

// A server that denies an empty non-terminal is asked for the whole name, but in
// strict mode (RFC 9156 §2.3, RFC 8020).
func TestDeniedEmptyNonTerminal(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		want string
	}{
		{Relaxed, "deep.a.b.example.com. A 300 198.51.100.2"},
		{Strict, "deep.a.b.example.com. NXDOMAIN 60"},
		{Off, "deep.a.b.example.com. A 300 198.51.100.2"},
	} {
		in(t, small, func(t *testing.T, w *world) {
			w.opts.Minimise = c.mode
			w.start()
			for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
				w.server(s).fault = func(q Query, b *reply) bool {
					if len(b.answer) == 0 {
						b.rcode = wire.RcodeNXDomain
					}
					return true
				}
			}
			expect(t, w.resolve("deep.a.b.example.com.", "A"), c.want)
		})
	}
}

// However many labels a name has, few questions are minimised.
func TestMinimisedQuestionsAreFew(t *testing.T) {
	in(t, small, func(t *testing.T, w *world) {
		w.opts.Minimise = Strict
		name := strings.Repeat("x.", 60) + "example.com."
		for _, s := range []string{"192.0.2.11", "192.0.2.12"} {
			zones := w.server(s).zones
			zones[n("example.com.")] = append(zones[n("example.com.")], set(name, 60, "A", "198.51.100.6"))
		}
		w.start()
		expect(t, w.resolve(name, "A"), name+" A 60 198.51.100.6")
		if got := len(w.asked()); got != 12 { // priming, ten, and the name itself
			t.Errorf("%d queries", got)
		}
	})
}

func TestLookupsOfADelegationAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString(small + "\n@192.0.2.2 com.\n")
	for i := range 10 {
		fmt.Fprintf(&text, "evil.com. 3600 NS ns%d.glueless.com.\n", i)
	}
	text.WriteString("glueless.com. 3600 NS ns.other.net.\n")
	in(t, text.String(), func(t *testing.T, w *world) {
		w.opts.Limits.LookupsTotal = 4
		w.start()
		w.resolve("www.evil.com.", "A")
		asked := w.asked()
		if got := count(asked, "192.0.2.21 ns") - count(asked, "192.0.2.21 ns.other.net."); got != 4 {
			t.Errorf("%d look-ups", got)
		}
		if !slices.Contains(w.bounds(), "ns-lookups-total") {
			t.Errorf("bounds %v", w.bounds())
		}
	})
}
