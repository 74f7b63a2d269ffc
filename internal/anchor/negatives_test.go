package anchor

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// under says what a name stands on.
func under(tb *Table, name string, wall time.Time) string {
	g := tb.Ground(dnsname.MustParse(name), wall)
	if g.Kind == None {
		return "none"
	}
	return g.Kind.String() + " " + g.Zone.String()
}

func list(n *Negatives) string {
	var out []string
	for _, a := range n.List() {
		kind := "added"
		if a.Configured {
			kind = "configured"
		}
		out = append(out, kind+" "+a.Zone.String())
	}
	return strings.Join(out, ", ")
}

func add(t *testing.T, n *Negatives, zone string, lasts time.Duration) *Against {
	t.Helper()
	a, err := n.Add(Against{Zone: dnsname.MustParse(zone), Until: noon.Add(lasts)}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestNegatives: one counts from when it is added until it ends or is removed.
func TestNegatives(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin()}, nil)
	n := NewNegatives(tb)
	a, err := n.Add(Against{Zone: zone, Reason: "expired signatures", Forced: true}, noon)
	if err != nil || !a.Until.Equal(noon.Add(time.Hour)) || !a.Added.Equal(noon) || !a.Forced || a.Configured || a.Reason != "expired signatures" {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, c := range []struct {
		name string
		at   time.Duration
		want string
	}{
		{"www.example.", 0, "negative example."},
		{"example.", time.Hour - 1, "negative example."},
		{"example.", time.Hour, "anchored ."},
		{"other.", 0, "anchored ."},
	} {
		if got := under(tb, c.name, noon.Add(c.at)); got != c.want {
			t.Errorf("%s after %v: %s, want %s", c.name, c.at, got, c.want)
		}
	}
	if g := tb.Ground(zone, noon); g.NTA != a {
		t.Errorf("the ground has %+v", g.NTA)
	}
	if !n.Has(zone) || n.Has(dnsname.Root) {
		t.Error("it is not there, or another one is")
	}
	if gone, err := n.Remove(zone); err != nil || gone != a || n.Has(zone) {
		t.Errorf("%+v, %v", gone, err)
	}
	if got := under(tb, "www.example.", noon); got != "anchored ." {
		t.Error(got)
	}
	_, err = n.Remove(zone)
	says(t, err, "there is no negative trust anchor of example.")
}

// TestNegativeBounds: an end within a week, a zone, a reason of one line.
func TestNegativeBounds(t *testing.T) {
	n := NewNegatives(NewTable(nil, nil))
	add(t, n, "a.", NegativeLongest)
	for _, c := range []struct {
		a    Against
		want string
	}{
		{Against{Zone: zone, Until: noon.Add(NegativeLongest + 1)}, "negative trust anchor of example. until 2026-05-12T12:00:00Z would last longer than a week; give an end until 2026-05-12T12:00:00Z, and add it again then if need be"},
		{Against{Zone: zone, Until: noon}, "negative trust anchor of example. would have ended 2026-05-05T12:00:00Z; give an end that is ahead"},
		{Against{Zone: zone, Until: noon.Add(-day)}, "would have ended"},
		{Against{}, "without a zone; name one"},
		{Against{Zone: zone, Reason: strings.Repeat("x", mostReason+1)}, "longer than 200 octets; shorten it"},
		{Against{Zone: zone, Reason: "a\nb"}, "do not print; write one line of text"},
		{Against{Zone: zone, Reason: "\xff"}, "do not print; write one line of text"},
	} {
		a, err := n.Add(c.a, noon)
		says(t, err, c.want)
		if a != nil {
			t.Errorf("%+v was added", a)
		}
	}
	if got := list(n); got != "added a." {
		t.Error(got)
	}
}

// TestManyNegatives: the 1,001st is refused, another end for one that is there is not.
func TestManyNegatives(t *testing.T) {
	n := NewNegatives(NewTable(nil, nil))
	for i := range mostNegatives {
		add(t, n, fmt.Sprintf("z%d.", i), time.Hour)
	}
	_, err := n.Add(Against{Zone: zone}, noon)
	says(t, err, "there are 1000 negative trust anchors already; remove some, or add one for a zone above them")
	add(t, n, "z7.", 2*time.Hour)
	if got := len(n.List()); got != mostNegatives {
		t.Errorf("%d negative trust anchors", got)
	}
}

// TestConfigured: they are told apart from added ones, and the later end counts.
func TestConfigured(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin()}, nil)
	n := NewNegatives(tb)
	b := dnsname.MustParse("b.")
	err := n.Configure([]Against{
		{Zone: zone, Until: noon.Add(3 * time.Hour)}, {Zone: b, Until: noon.Add(time.Hour)},
		{Zone: dnsname.MustParse("ended."), Until: noon.Add(-time.Hour)},
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if a := add(t, n, "example.", time.Hour); !a.Configured {
		t.Error("the one that ends sooner counts")
	}
	if a := add(t, n, "b.", 2*time.Hour); a.Configured {
		t.Error("the one that ends sooner counts")
	}
	add(t, n, "a.b.", time.Hour)
	if got := list(n); got != "configured b., added b., added a.b., configured example., added example." {
		t.Error(got)
	}
	if g := tb.Ground(zone, noon); !g.NTA.Configured {
		t.Error("the table has the one that ends sooner")
	}
	if _, err := n.Remove(zone); err != nil {
		t.Error(err)
	}
	_, err = n.Remove(zone)
	says(t, err, "the negative trust anchor of example. comes from the configuration; delete it there")
	if got := under(tb, "example.", noon); got != "negative example." {
		t.Error(got)
	}
	// The configuration is read again: what was added stays.
	err = n.Configure([]Against{{Zone: b}, {Zone: zone, Until: noon.Add(8 * day)}, {Zone: dnsname.Root, Until: noon.Add(time.Hour)}}, noon)
	says(t, err, "negative trust anchor of b. has no end; write a moment such as 2026-05-05T13:00:00Z", "would last longer than a week")
	if got := list(n); got != "configured ., added b., added a.b." {
		t.Error(got)
	}
	if got := under(tb, "example.", noon); got != "negative ." {
		t.Error(got)
	}
}

// TestEnds: those that ended are dropped, and those that are needed no longer unless
// somebody insists.
func TestEnds(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin()}, nil)
	n := NewNegatives(tb)
	if err := n.Configure([]Against{{Zone: zone, Until: noon.Add(time.Hour)}}, noon); err != nil {
		t.Fatal(err)
	}
	add(t, n, "b.", time.Hour)
	add(t, n, "c.", 2*time.Hour)
	add(t, n, "example.", 2*time.Hour)
	if got := n.Expire(noon.Add(time.Hour-1), 1); got != nil {
		t.Errorf("%v ended too early", got)
	}
	if got := n.Expire(noon.Add(time.Hour), 1); len(got) != 2 || got[0].Zone.String() != "b." || !got[1].Configured {
		t.Errorf("%+v ended", got)
	}
	if got := list(n); got != "added c., added example." {
		t.Error(got)
	}
	if _, err := n.Add(Against{Zone: dnsname.MustParse("f."), Forced: true}, noon); err != nil {
		t.Fatal(err)
	}
	if err := n.Configure([]Against{{Zone: zone, Until: noon.Add(time.Hour)}}, noon); err != nil {
		t.Fatal(err)
	}
	if got := n.Recovered(zone); len(got) != 2 {
		t.Errorf("%+v were dropped", got)
	}
	if got := n.Recovered(dnsname.MustParse("f.")); got != nil {
		t.Errorf("%+v was dropped though it is forced", got)
	}
	if got := list(n); got != "added c., added f." {
		t.Error(got)
	}
	if got := under(tb, "example.", noon); got != "anchored ." {
		t.Error(got)
	}
}

// TestRestart: what was added comes back with its end, unless it ended meanwhile.
func TestRestart(t *testing.T) {
	n := NewNegatives(NewTable(nil, nil))
	odd := Against{Zone: dnsname.MustParse(`a\032b.example.`), Until: noon.Add(3 * time.Hour), Reason: `ünsigned "since" noon`, Forced: true}
	if _, err := n.Add(odd, noon.Add(999*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	add(t, n, "short.", time.Hour)
	if err := n.Configure([]Against{{Zone: zone, Until: noon.Add(time.Hour)}}, noon); err != nil {
		t.Fatal(err)
	}
	text := n.Marshal()
	tb := NewTable([]*Anchor{Builtin()}, nil)
	again := NewNegatives(tb)
	add(t, again, "before.", time.Hour)
	if err := again.Unmarshal(text, noon.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := again.List(); len(got) != 1 || got[0].Zone != odd.Zone || !got[0].Until.Equal(odd.Until) || got[0].Reason != odd.Reason || !got[0].Forced || !got[0].Added.Equal(noon) {
		t.Errorf("%+v", got)
	}
	if got := under(tb, `a\032b.example.`, noon); got != `negative a\032b.example.` {
		t.Error(got)
	}
}

// TestClockThatIsNotSet: a machine that boots without the time of day has its negative
// trust anchors when it is set, and where it never is, or was far ahead when they were
// added, they last as long as they were meant to, and no longer.
func TestClockThatIsNotSet(t *testing.T) {
	const start = clock.Mono(time.Hour)
	n := NewNegatives(NewTable(nil, nil))
	add(t, n, "short.", time.Hour)
	add(t, n, "long.", NegativeLongest)
	text, early := n.Marshal(), noon.Add(-50*365*day)
	for name, n := range map[string]*Negatives{"set back": n, "started": NewNegatives(NewTable(nil, nil))} {
		if name == "started" {
			if err := n.Unmarshal(text, early); err != nil {
				t.Fatal(err)
			}
		}
		if got := n.Expire(early, start); got != nil || !bytes.Equal(n.Marshal(), text) {
			t.Errorf("%s: %+v ended, there are\n%s", name, got, n.Marshal())
		}
		if got := n.Expire(early, start.Add(time.Hour-1)); got != nil {
			t.Errorf("%s: %+v ended too early", name, got)
		}
		if got := n.Expire(early, start.Add(time.Hour)); len(got) != 1 || list(n) != "added long." {
			t.Errorf("%s: %+v ended", name, got)
		}
		if got := n.Expire(noon.Add(2*time.Hour), start.Add(time.Hour)); got != nil {
			t.Errorf("%s: %+v ended as the clock was set", name, got)
		}
		if n.Expire(early, start.Add(NegativeLongest)); list(n) != "" || len(n.latest) > 0 {
			t.Errorf("%s: there are still %s", name, list(n))
		}
	}
}

// TestConfiguredByAnUnsetClock: before the time of day is set a moment of the
// configuration is no mistake, and counts as long as one may at most.
func TestConfiguredByAnUnsetClock(t *testing.T) {
	const start = clock.Mono(time.Hour)
	n, early := NewNegatives(NewTable(nil, nil)), noon.Add(-50*365*day)
	if err := n.Configure([]Against{{Zone: zone, Until: noon}, {Zone: dnsname.Root, Until: noon.Add(day)}}, early); err != nil {
		t.Fatal(err)
	}
	if got := n.Expire(early, start); got != nil {
		t.Errorf("%+v ended", got)
	}
	if got := n.Expire(noon, start+1); len(got) != 1 || got[0].Zone != zone {
		t.Errorf("%+v ended as the clock was set", got)
	}
	if got := n.Expire(early, start.Add(NegativeLongest)); len(got) != 1 {
		t.Errorf("%+v ended after a week", got)
	}
	says(t, n.Configure([]Against{{Zone: zone}}, early), "has no end")
}

// TestLargestText: whatever may be added can be read again.
func TestLargestText(t *testing.T) {
	n := NewNegatives(NewTable(nil, nil))
	label, reason := strings.Repeat(`\007`, 60), strings.Repeat("\u00ad", mostReason/2)
	for i := range mostNegatives {
		name := dnsname.MustParse(fmt.Sprintf("%s.%s.%s.%s.%d.", label, label, label, label, 10000+i))
		if _, err := n.Add(Against{Zone: name, Reason: reason, Forced: true}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := NewNegatives(NewTable(nil, nil)).Unmarshal(n.Marshal(), noon); err != nil {
		t.Errorf("%d octets: %v", len(n.Marshal()), err)
	}
}

// TestNegativesTextErrors: nothing changes when a text makes no sense.
func TestNegativesTextErrors(t *testing.T) {
	n := NewNegatives(NewTable(nil, nil))
	add(t, n, "example.", time.Hour)
	const line = `a. 2026-05-05T12:00:00Z 2026-05-05T13:00:00Z plain "why"`
	for _, c := range []struct{ line, want string }{
		{"a.", `"a." is no negative trust anchor`},
		{strings.Replace(line, "a.", "a..", 1), "is no name (empty label)"},
		{strings.Replace(line, "2026-05-05T12", "yesterday", 1), "line 3: "},
		{strings.Replace(line, "T13", "T33", 1), "line 3: "},
		{strings.Replace(line, "T13", "T11", 1), "would have ended"},
		{strings.Replace(line, "2026-05-05T13", "2026-05-15T13", 1), "longer than a week"},
		{strings.Replace(line, "plain", "soft", 1), `"soft" is neither plain nor forced`},
		{strings.Replace(line, `"why"`, "why", 1), `"why" is no text in quotes`},
		{strings.Replace(line, `"why"`, `"a\nb"`, 1), "do not print"},
		{strings.Replace(line, "a.", "b.", 1), "a second negative trust anchor of b."},
	} {
		text := seal([]byte(negativesHeading + "\n" + strings.Replace(line, "a.", "b.", 1) + "\n" + c.line + "\n"))
		says(t, n.Unmarshal(text, noon), c.want, "line 3: ", "; delete the file")
	}
	text := negativesHeading + "\n"
	for i := range mostNegatives + 1 {
		text += strings.Replace(line, "a.", fmt.Sprintf("a%d.", i), 1) + "\n"
	}
	says(t, n.Unmarshal(seal([]byte(text)), noon), "more than 1000 negative trust anchors")
	if got := list(n); got != "added example." {
		t.Error(got)
	}
}
