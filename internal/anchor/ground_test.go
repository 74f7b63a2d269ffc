package anchor

import (
	"sync"
	"testing"
	"time"

	"lastgood/internal/dnsname"
)

func anchorOf(t testing.TB, zone string, n byte) *Anchor {
	t.Helper()
	return &Anchor{Zone: dnsname.MustParse(zone), Keys: set{newKey(t, n, entryPoint)}}
}

// TestGround: the closest counts; at one zone a negative anchor before that it is
// insecure, and that before an anchor.
func TestGround(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin(), anchorOf(t, "below.b.", 1), anchorOf(t, "both.", 2), anchorOf(t, "all.", 3), anchorOf(t, "sub.corp.", 4)},
		[]dnsname.Name{dnsname.MustParse("corp."), dnsname.MustParse("both."), dnsname.MustParse("all."), dnsname.MustParse("x.b.")})
	n := NewNegatives(tb)
	add(t, n, "b.", time.Hour)
	add(t, n, "all.", time.Hour)
	add(t, n, "deep.below.b.", 2*time.Hour)
	for _, c := range []struct{ name, now, later string }{
		{".", "anchored .", "anchored ."},
		{"example.", "anchored .", "anchored ."},
		{"bb.", "anchored .", "anchored ."},
		{"b.", "negative b.", "anchored ."},
		{"a.b.", "negative b.", "anchored ."},
		{"below.b.", "anchored below.b.", "anchored below.b."},
		{"www.below.b.", "anchored below.b.", "anchored below.b."},
		{"www.deep.below.b.", "negative deep.below.b.", "negative deep.below.b."},
		{"www.x.b.", "insecure x.b.", "insecure x.b."},
		{"www.corp.", "insecure corp.", "insecure corp."},
		{"sub.corp.", "anchored sub.corp.", "anchored sub.corp."},
		{"both.", "insecure both.", "insecure both."},
		{"www.all.", "negative all.", "insecure all."},
	} {
		if got := under(tb, c.name, noon); got != c.now {
			t.Errorf("%s: %s, want %s", c.name, got, c.now)
		}
		if got := under(tb, c.name, noon.Add(time.Hour)); got != c.later {
			t.Errorf("%s later: %s, want %s", c.name, got, c.later)
		}
	}
	if g := tb.Ground(dnsname.MustParse("www.below.b."), noon); g.Anchor == nil || g.Anchor.Zone != g.Zone || g.NTA != nil {
		t.Errorf("%+v", g)
	}
	if got := under(NewTable(nil, nil), "www.example.", noon); got != "none" {
		t.Error(got)
	}
}

// TestSetAnchor: other keys replace those of the zone alone; without any it is as if
// there never was an anchor (RFC 5011 §5).
func TestSetAnchor(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin(), anchorOf(t, "example.", 1)}, nil)
	add(t, NewNegatives(tb), "b.", time.Hour)
	next := anchorOf(t, "example.", 2)
	tb.SetAnchor(next)
	if g := tb.Ground(zone, noon); g.Anchor != next {
		t.Errorf("%+v", g)
	}
	tb.SetAnchor(&Anchor{Zone: zone})
	for name, want := range map[string]string{"www.example.": "anchored .", "b.": "negative b."} {
		if got := under(tb, name, noon); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	tb.SetAnchor(&Anchor{Zone: dnsname.Root})
	if got := under(tb, "www.example.", noon); got != "none" {
		t.Error(got)
	}
}

// TestGroundDoesNotAllocate: it is asked for every name.
func TestGroundDoesNotAllocate(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin()}, nil)
	add(t, NewNegatives(tb), "b.", time.Hour)
	name := dnsname.MustParse("a.long.name.somewhere.example.")
	if n := testing.AllocsPerRun(100, func() { tb.Ground(name, noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReadersSeeWholeChanges: two zones that are changed together are never seen
// apart, and no change of one writer undoes another's.
func TestReadersSeeWholeChanges(t *testing.T) {
	tb := NewTable([]*Anchor{Builtin()}, nil)
	n := NewNegatives(tb)
	a, b := dnsname.MustParse("a."), dnsname.MustParse("b.")
	both := []Against{{Zone: a, Until: noon.Add(time.Hour)}, {Zone: b, Until: noon.Add(time.Hour)}}
	var writers sync.WaitGroup
	writers.Go(func() {
		for range 500 {
			if err := n.Configure(both, noon); err != nil {
				t.Error(err)
			}
			if err := n.Configure(nil, noon); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Go(func() {
		for i := range 500 {
			tb.SetAnchor(anchorOf(t, "example.", byte(i)))
		}
	})
	writers.Go(func() {
		for range 500 {
			add(t, n, "c.", time.Hour)
			n.List()
			n.Expire(noon, 1)
		}
	})
	done := make(chan struct{})
	go func() {
		writers.Wait()
		close(done)
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		g := tb.now.Load()
		if (g.against[a] == nil) != (g.against[b] == nil) {
			t.Error("half of a change can be seen")
			reading = false
		}
		tb.Ground(a, noon)
	}
	<-done
	if g := tb.Ground(zone, noon); g.Kind != Anchored || g.Anchor.Keys[0].Data()[4] != byte(499%256) {
		t.Errorf("an anchor was lost: %+v", g)
	}
	if got := under(tb, "c.", noon); got != "negative c." {
		t.Error(got)
	}
}

// A name's positive ground is what it stands on without negative trust anchors.
func TestPositiveGround(t *testing.T) {
	table := NewTable([]*Anchor{{Zone: "\x00", DS: Builtin().DS}}, []dnsname.Name{"\x01i\x00"})
	if table.Negative() {
		t.Error("a negative anchor without any")
	}
	table.SetAgainst([]*Against{{Zone: "\x01a\x00", Until: noon.Add(time.Hour)}})
	if !table.Negative() {
		t.Error("no negative anchor")
	}
	for name, want := range map[dnsname.Name]Kind{"\x01w\x01a\x00": Anchored, "\x01w\x01i\x00": Insecure} {
		if g := table.Positive(name); g.Kind != want || g.NTA != nil {
			t.Errorf("%s: %v", name, g.Kind)
		}
	}
	if g := table.Ground("\x01w\x01a\x00", noon); g.Kind != Negative {
		t.Errorf("with it: %v", g.Kind)
	}
}
