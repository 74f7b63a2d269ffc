package anchor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const begun = clock.Mono(time.Hour) // of the stories

func nobody(dnsname.Name) bool { return false }

// expired is the failure of something that a zone signed.
func expired(zone string) *ede.Error {
	return &ede.Error{Code: ede.SignatureExpired, ID: "SEXP", Text: "signature of it by key 7 of " + zone + " expired", Zone: string(dnsname.MustParse(zone))}
}

func child(i int, zone string) dnsname.Name { return dnsname.MustParse(fmt.Sprintf("n%d.%s", i, zone)) }

func ask(name dnsname.Name) event.Question { return event.Question{Name: name, Type: wire.TypeA} }

// validated lets names of a zone validate.
func validated(w *Watch, zone string, n int) {
	for i := range n {
		w.Validated(dnsname.MustParse(zone), child(i, zone))
	}
}

// fail lets so many names of a zone fail, and gives how many incidents began.
func fail(w *Watch, at clock.Mono, zone string, n int) (began int) {
	for i := range n {
		if w.Failed(at, ask(child(i, zone)), expired(zone)) != nil {
			began++
		}
	}
	return began
}

// TestIncident: many names of a zone that validated begin to fail. It is told once
// when that begins and once when it ends, with what an operator wants to know.
func TestIncident(t *testing.T) {
	w := NewWatch(1)
	validated(w, "tld.", 2000)
	if n := fail(w, begun, "tld.", enoughNames-1); n != 0 || len(w.List(begun)) != 0 {
		t.Errorf("it began with %d names", enoughNames-1)
	}
	at := begun
	for i := range 2000 {
		at = at.Add(time.Second)
		told := w.Failed(at, ask(child(i, "tld.")), expired("tld."))
		if (told != nil) != (i == enoughNames-1) {
			t.Fatalf("name %d: told %+v", i, told)
		}
		until := at.Add(6 * time.Hour)
		if i%4 == 0 {
			until = 0
		}
		for range 3 {
			w.Asked(at, ask(child(i, "tld.")), expired("tld."), until)
		}
	}
	list := w.List(at)
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	i := list[0]
	if i.Zone.String() != "tld." || i.Since != begun || i.Last != at || i.Questions != 6000 || i.Cause.Text != expired("tld.").Text || i.Ended != Open ||
		i.Names < 1980 || i.Names > 2020 || i.Stale < 1485 || i.Stale > 1515 {
		t.Errorf("%+v", i)
	}
	if first, last := i.StaleEnd.Sub(begun), i.StaleLast.Sub(at); first < 5*time.Hour+50*time.Minute || first > 6*time.Hour+time.Minute || last != 6*time.Hour {
		t.Errorf("stale until %v after the beginning, the last until %v from now", first, last)
	}
	if got := i.Command(); got != `lastgood nta add tld. --for 2h --reason "signature expired"` {
		t.Error(got)
	}
	if ended := w.Look(at.Add(time.Minute), nobody); ended != nil {
		t.Errorf("ended: %+v", ended)
	}
	validated(w, "tld.", mendedBy)
	if ended := w.Look(at.Add(mendedAfter-1), nobody); ended != nil {
		t.Errorf("ended too early: %+v", ended)
	}
	ended := w.Look(at.Add(mendedAfter), nobody)
	if len(ended) != 1 || ended[0].Ended != Mended || ended[0].Questions != 6000 || len(w.List(at)) != 0 || w.Total() != 1 {
		t.Errorf("%+v", ended)
	}
	if ended := w.Look(at.Add(time.Hour), nobody); ended != nil {
		t.Errorf("ended twice: %+v", ended)
	}
}

// TestNoIncident: what is no zone that began to fail is not said to be one.
func TestNoIncident(t *testing.T) {
	for name, story := range map[string]func(w *Watch) int{
		"a zone that never validated": func(w *Watch) int { return fail(w, begun, "ever.", 1000) },
		"one client asking one broken name": func(w *Watch) (n int) {
			validated(w, "a.", 100)
			for k := range 1000 {
				if w.Failed(begun.Add(time.Duration(k)*time.Second), ask(child(1, "a.")), expired("a.")) != nil {
					n++
				}
			}
			return n
		},
		"broken names beside good ones, since ever": func(w *Watch) (n int) {
			validated(w, "test.", 50)
			for k := range 1000 {
				if w.Failed(begun, ask(dnsname.MustParse(fmt.Sprintf("broken%d.test.", k))), expired("test.")) != nil {
					n++
				}
			}
			return n
		},
		"a zone below that is signed wrongly": func(w *Watch) int {
			validated(w, "tld.", 1000)
			w.Validated("\x03tld\x00", dnsname.MustParse("ever.tld."))
			return fail(w, begun, "ever.tld.", 100)
		},
		"the parent's signature says nothing of the child's": func(w *Watch) int {
			for i := range 100 {
				w.Validated("\x03tld\x00", child(i, "ever.tld."))
			}
			return fail(w, begun, "ever.tld.", 100)
		},
		"silence is no failure of this kind": func(w *Watch) (n int) {
			validated(w, "a.", 100)
			for k := range 100 {
				e := &ede.Error{Code: ede.NoReachableAuthority, Zone: "\x01a\x00"}
				if w.Failed(begun, ask(child(k, "a.")), e) != nil || w.Failed(begun, ask(child(k, "a.")), &ede.Error{Code: ede.Bogus}) != nil || w.Failed(begun, ask(child(k, "a.")), nil) != nil {
					n++
				}
			}
			return n
		},
		"one in a hundred fails": func(w *Watch) (n int) {
			validated(w, "a.", 1000)
			for k := range 100 {
				n += fail(w, begun, "a.", 1)
				validated(w, "a.", 100)
				if w.Failed(begun, ask(child(k, "a.")), expired("a.")) != nil {
					n++
				}
			}
			return n
		},
		"now and then one": func(w *Watch) (n int) {
			validated(w, "a.", 100)
			for k := range 100 {
				if w.Failed(begun.Add(time.Duration(k)*(beginning+1)), ask(child(k, "a.")), expired("a.")) != nil {
					n++
				}
			}
			return n
		},
		"names that are not the zone's": func(w *Watch) (n int) {
			validated(w, "b.", 100)
			for k := range 100 {
				if w.Failed(begun, ask(child(k, "b.")), expired("a.")) != nil {
					n++
				}
			}
			return n
		},
	} {
		w := NewWatch(2)
		if n := story(w); n != 0 || len(w.List(begun)) != 0 || w.Total() != 0 {
			t.Errorf("%s: %d incidents", name, n)
		}
	}
}

// TestAfterRestart: nothing is known of what validated, but there are last good
// answers: they did.
func TestAfterRestart(t *testing.T) {
	w, told := NewWatch(3), 0
	for i := range 100 {
		if fail(w, begun, "tld.", 1); w.Asked(begun, ask(child(i, "tld.")), expired("tld."), begun.Add(time.Hour)) != nil {
			told++
		}
		if w.Asked(begun, ask(dnsname.MustParse("alias.other.")), expired("tld."), 0) != nil {
			told++
		}
	}
	if list := w.List(begun); told != 1 || len(list) != 1 || list[0].Questions != 200 {
		t.Errorf("told %d times: %+v", told, list)
	}
}

// TestSamples: what is to be looked at again later are names that validated before.
func TestSamples(t *testing.T) {
	w := NewWatch(8)
	validated(w, "tld.", 100)
	validated(w, "other.", 100)
	w.Failed(begun, ask(dnsname.MustParse("never.tld.")), expired("tld."))
	fail(w, begun, "other.", 1)
	if got := w.Samples("\x03tld\x00"); got != nil {
		t.Errorf("%v", got)
	}
	fail(w, begun, "tld.", 2)
	fail(w, begun, "tld.", 2)
	if got := w.Samples("\x03tld\x00"); len(got) != 2 || got[0].Name != child(0, "tld.") || got[1] != ask(child(1, "tld.")) {
		t.Errorf("%v", got)
	}
	fail(w, begun, "tld.", 100)
	if got := w.Samples(dnsname.Root); len(got) != mostSamples {
		t.Errorf("%v", got)
	}
}

// TestEndings: a negative trust anchor ends it, and that nobody meets it.
func TestEndings(t *testing.T) {
	for _, c := range []struct {
		after   time.Duration
		covered string
		asked   bool
		want    string
	}{
		{time.Second, "tld.", false, "it has a negative trust anchor"},
		{time.Second, ".", false, ""},
		{quietAfter - 1, "", false, ""},
		{quietAfter, "", false, "nobody met it any more"},
		{quietAfter, "", true, ""},
	} {
		w := NewWatch(4)
		validated(w, "tld.", enoughNames)
		if fail(w, begun, "tld.", enoughNames) != 1 {
			t.Fatal("it did not begin")
		}
		if c.asked {
			w.Asked(begun.Add(time.Minute), ask(child(1, "tld.")), expired("tld."), 0)
		}
		got := ""
		for _, e := range w.Look(begun.Add(c.after), func(zone dnsname.Name) bool { return zone.String() == c.covered }) {
			got += e.Ended.String()
		}
		if got != c.want {
			t.Errorf("%v, %q, %v: ended %q, want %q", c.after, c.covered, c.asked, got, c.want)
		}
	}
	if Open.String() != "open" || Mended.String() != "it validates again" {
		t.Error("an ending is called something else")
	}
}

// TestCommand: what a zone is called does nothing in a shell.
func TestCommand(t *testing.T) {
	zone := dnsname.MustParse(`a'$\(x\).example.`)
	i := Incident{Zone: zone, Cause: &ede.Error{Code: ede.Bogus}}
	if got := i.Command(); got != `lastgood nta add 'a'\''`+zone.String()[2:]+`' --for 2h --reason "dnssec bogus"` {
		t.Error(got)
	}
}

// TestCodes holds the list against what fails validation.
func TestCodes(t *testing.T) {
	for c := ede.Code(0); c < 100; c++ {
		if c.FailsValidation() != slices.Contains(codes[:], c) {
			t.Errorf("%v is in one of them only", c)
		}
	}
}

// TestWatchIsBounded: however many zones fail there is room for what matters.
func TestWatchIsBounded(t *testing.T) {
	w := NewWatch(5)
	validated(w, "tld.", enoughNames)
	fail(w, begun, "tld.", enoughNames)
	for i := range 1000 {
		w.Asked(begun, ask(child(i, "tld.")), expired("tld."), 0)
	}
	for z := range 2000 {
		zone := fmt.Sprintf("z%d.", z)
		validated(w, zone, enoughNames)
		fail(w, begun, zone, 1+z%2*(enoughNames-1))
	}
	if n := len(w.begun); n > mostBeginnings+mostIncidents || w.open > mostIncidents {
		t.Errorf("%d zones, %d incidents", n, w.open)
	}
	list := w.List(begun)
	if len(list) != w.open || list[0].Zone.String() != "tld." || list[0].Names < 995 || list[0].Names > 1005 {
		t.Errorf("%d incidents, first %+v", len(list), list[0])
	}
	if told := w.Look(begun, nobody); told != nil {
		t.Errorf("some that nobody asked for made room for others: %d", len(told))
	}
	var e ends
	for i := range 100_000 {
		e.add(begun.Add(time.Duration(i) * time.Hour))
	}
	if first, last := e.ahead(begun + 1); len(e.at) > endMost || first > begun.Add(endStep) || last != begun.Add(99_999*time.Hour) {
		t.Errorf("%d ends, first %v, last %v", len(e.at), first, last)
	}
}

// TestWatchMakesRoom: when there are as many incidents as are told of, one that far more
// questions meet takes the place of the one that the fewest meet. It is told that that one
// is told of no more; those that are alike do not take turns.
func TestWatchMakesRoom(t *testing.T) {
	w := NewWatch(6)
	meet := func(zone string, questions int) (began int) {
		validated(w, zone, enoughNames)
		fail(w, begun, zone, 1)
		for range questions {
			w.Asked(begun, ask(child(0, zone)), expired(zone), 0)
		}
		return fail(w, begun, zone, enoughNames)
	}
	for z := range mostIncidents {
		if meet(fmt.Sprintf("z%d.", z), 10+z) != 1 {
			t.Fatalf("incident %d did not begin", z)
		}
	}
	if meet("tld.", 20) != 0 || len(w.Look(begun, nobody)) != 0 || len(w.List(begun)) != mostIncidents {
		t.Error("one that is met as often as others took the place of one")
	}
	if meet("tld.", 1) != 1 {
		t.Error("one that is met more than twice as often did not begin")
	}
	gone := w.Look(begun, nobody)
	if len(gone) != 1 || gone[0].Zone.String() != "z0." || gone[0].Questions != 10 || gone[0].Ended != Yielded || w.Look(begun, nobody) != nil {
		t.Errorf("%+v", gone)
	}
	if meet("z0.", 15) != 0 || len(w.List(begun)) != mostIncidents || w.open != mostIncidents {
		t.Error("it came back at once")
	}
	for z := range 3 * mostIncidents {
		meet(fmt.Sprintf("y%d.", z), 200<<(z/mostIncidents*2))
	}
	if n := len(w.yielded); n != mostIncidents || len(w.Look(begun, nobody)) != n {
		t.Errorf("%d that made room wait to be told of", n)
	}
}

// TestSketch: it counts about right, whatever the names.
func TestSketch(t *testing.T) {
	p := proven{seed: 6}
	for _, n := range []int{0, 1, 5, 100, 1000, 5000, 20_000, 100_000} {
		var s sketch
		for i := range n {
			s.add(p.hash(child(i, "example.")))
			s.add(p.hash(child(i, "example.")))
		}
		if got, slack := s.count(), n/50+n/200+1; got < n-slack || got > n+slack {
			t.Errorf("%d names are counted as %d", n, got)
		}
	}
}

// TestWatchStories plays random stories beside a plain model: no incident begins but
// by names of the zone that validated before, in time and outnumbering what is well;
// what began is listed until it is told to have ended, once.
func TestWatchStories(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := NewWatch(seed)
		zones := []string{"a.", "b.a.", "c."}
		good := map[string]map[int]bool{}
		recent := map[string]map[int]clock.Mono{} // failures by zone of names that validated before
		open := map[string]bool{}
		now := begun
		for range 400 {
			now = now.Add(time.Duration(r.Int64N(int64(3 * time.Minute))))
			zone, n := zones[r.IntN(len(zones))], r.IntN(8)
			if good[zone] == nil {
				good[zone], recent[zone] = map[int]bool{}, map[int]clock.Mono{}
			}
			var began *Incident
			switch r.IntN(8) {
			case 0:
				w.Validated(dnsname.MustParse(zone), child(n, zone))
				good[zone][n] = true
			case 1, 2, 3, 4:
				if good[zone][n] {
					recent[zone][n] = now
				}
				began = w.Failed(now, ask(child(n, zone)), expired(zone))
			case 5, 6:
				until := clock.Mono(0)
				if r.IntN(2) == 0 && good[zone][n] {
					until = now.Add(time.Hour)
					recent[zone][n] = now
				}
				began = w.Asked(now, ask(child(n, zone)), expired(zone), until)
			default:
				for _, e := range w.Look(now, func(z dnsname.Name) bool { return r.IntN(20) == 0 }) {
					if !open[e.Zone.String()] || e.Ended == Open {
						t.Fatalf("seed %d: %s ended, which was not open", seed, e.Zone)
					}
					delete(open, e.Zone.String())
				}
			}
			if began != nil {
				if open[zone] || began.Zone.String() != zone || len(recent[zone]) < enoughNames {
					t.Fatalf("seed %d: %s began with %d names, open before: %v", seed, began.Zone, len(recent[zone]), open[zone])
				}
				open[zone] = true
			}
			if list := w.List(now); len(list) != len(open) {
				t.Fatalf("seed %d: %d open, %d listed", seed, len(open), len(list))
			}
		}
	}
}
