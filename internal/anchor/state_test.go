package anchor

import (
	"bytes"
	"strings"
	"testing"
)

// someState is the text of a tracker with a key in each state.
func someState(t testing.TB) (*Anchor, *Tracker) {
	t.Helper()
	a := &Anchor{Zone: zone}
	var keys set
	for n := range byte(4) {
		keys = append(keys, newKey(t, n+1, entryPoint))
		if n < 3 {
			a.DS = append(a.DS, digestOf(zone, keys[n]))
		}
	}
	tr := NewTracker(a)
	show := func(days int, keys, signers set) {
		if _, ok := tr.Seen(&Sighting{At: noon.AddDate(0, 0, days), Keys: keys, Signers: signers, TTL: 2 * day, Left: 20 * day}); !ok {
			t.Fatal("the set does not count")
		}
	}
	gone := newKey(t, 3, givenUp)
	show(0, set{keys[0], keys[1], gone}, set{keys[0], gone})
	show(40, set{keys[0], keys[1]}, set{keys[0]})
	show(41, set{keys[0], newKey(t, 2, givenUp), keys[3]}, set{keys[0], newKey(t, 2, givenUp)})
	return a, tr
}

// TestTrackerState: what is written is read, and can be read by people.
func TestTrackerState(t *testing.T) {
	a, tr := someState(t)
	if got := states(tr); got != "3:removed 1:valid 2:revoked 4:pending" {
		t.Fatal(got)
	}
	text := tr.Marshal()
	for _, want := range []string{
		"lastgood trust anchors (RFC 5011), version 1\nzone example. due 2026-06-16T12:00:00Z retry 17280\n",
		"key valid configured 2026-05-05T12:00:00Z - - 257 3 15 AQEB",
		"key revoked configured 2026-06-15T12:00:00Z 2026-07-15T12:00:00Z - 257 3 15 AgIC",
		"key pending learned 2026-06-15T12:00:00Z 2026-07-15T12:00:00Z 2 257 3 15 BAQE",
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	restarted(t, a, tr)
	empty := NewTracker(a)
	restarted(t, a, empty)
}

// TestTorn: no beginning of a text is taken for a text, nor is one with any octet
// changed.
func TestTorn(t *testing.T) {
	a, tr := someState(t)
	n := NewNegatives(NewTable(nil, nil))
	if _, err := n.Add(Against{Zone: zone, Reason: "signatures expired"}, noon); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]struct {
		text []byte
		read func([]byte) error
	}{
		"tracker": {tr.Marshal(), func(b []byte) error { _, err := ReadTracker(a, b); return err }},
		"negatives": {n.Marshal(), func(b []byte) error {
			return NewNegatives(NewTable(nil, nil)).Unmarshal(b, noon)
		}},
	} {
		if err := f.read(f.text); err != nil {
			t.Fatal(name, err)
		}
		for i := range f.text {
			says(t, f.read(f.text[:i]), "line ", "; delete the file")
			changed := bytes.Clone(f.text)
			changed[i] ^= 1
			says(t, f.read(changed), "line ", "; delete the file")
		}
		says(t, f.read(append(bytes.Clone(f.text), '\n')), "line ")
		says(t, f.read(bytes.Replace(f.text, []byte("version 1"), []byte("version 2"), 1)), "line 1: another version of the program wrote")
	}
}

// TestTrackerStateErrors: a text that is whole and makes no sense.
func TestTrackerStateErrors(t *testing.T) {
	a, tr := someState(t)
	for _, c := range []struct{ old, new, want string }{
		{"zone example.", "zone example.org.", `line 2: "example.org." is not example.`},
		{"zone example.", "zone", "line 2: "},
		{"retry 17280", "retry never", `line 2: "never" is no number of seconds`},
		{"due 2026-06-16T12:00:00Z", "due soon", "line 2: "},
		{"due 2026-06-16T12:00:00Z", "due 2026-06-16T14:00:00+02:00", `line 2: "2026-06-16T14:00:00+02:00" is no moment in UTC`},
		{"key valid", "key good", `line 4: "good" is no state of a key`},
		{"valid configured", "valid found", `line 4: "found" is neither configured nor learned`},
		{"2026-07-15T12:00:00Z 2 257", "2026-07-14T12:00:00Z 2 257", "line 6: a key that is trusted after less than 30 days"},
		{"2026-07-15T12:00:00Z 2 257", "- 2 257", "line 6: the moment - does not go with pending"},
		{"2026-07-15T12:00:00Z 2 257", "2026-07-15T12:00:00Z 5 257", `line 6: "5" does not name keys that vouched for it`},
		{"2026-07-15T12:00:00Z 2 257", "2026-07-15T12:00:00Z - 257", `line 6: "-" does not name keys that vouched for it`},
		{"- - 257 3 15 AQEB", "- 1 257 3 15 AQEB", "line 4: a key that is valid needs nobody to vouch for it"},
		{"257 3 15 AQEB", "256 3 8 AQEB", "line 4: "},
		{"257 3 15 AQEB", "385 3 15 AQEB", "line 4: flags 385: the key is revoked"},
		{"257 3 15 AQEB", "257 3 15 !QEB", "line 4: no key"},
	} {
		body, _, _ := strings.Cut(string(tr.Marshal()), "end ")
		if !strings.Contains(body, c.old) {
			t.Fatalf("no %q in\n%s", c.old, body)
		}
		_, err := ReadTracker(a, seal([]byte(strings.Replace(body, c.old, c.new, 1))))
		says(t, err, c.want, "; delete the file")
	}
	body, _, _ := strings.Cut(string(tr.Marshal()), "end ")
	lines := strings.SplitAfter(body, "\n")
	_, err := ReadTracker(a, seal([]byte(body+lines[3])))
	says(t, err, "line 7: the same key once more")
	_, err = ReadTracker(a, seal([]byte(lines[0])))
	says(t, err, "line 2: the zone is missing")
}

// TestOtherAnchor: what was learned stays with the anchor that it came from.
func TestOtherAnchor(t *testing.T) {
	_, tr := someState(t)
	foreign := &Anchor{Zone: zone, Keys: set{newKey(t, 9, entryPoint)}}
	_, err := ReadTracker(foreign, tr.Marshal())
	says(t, err, "none of its keys is one of the trust anchor of example. that is configured")

	// One of three keys is configured no longer, and what it vouched for begins anew.
	one, two, three, four := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint), newKey(t, 3, entryPoint), newKey(t, 4, entryPoint)
	s := tell(t, one, two)
	s.after(0, set{one, two, three}, set{two}, "2:valid 1:valid 3:pending")
	s.after(day, set{one, two, three, four}, set{one, two}, "2:valid 1:valid 3:pending 4:pending")
	again, err := ReadTracker(&Anchor{Zone: zone, Keys: set{one}}, s.Marshal())
	if err != nil || states(again) != "1:valid 4:pending" {
		t.Errorf("%s, %v", states(again), err)
	}
	// One that is learned comes with the program: no need to wait any longer.
	again, err = ReadTracker(&Anchor{Zone: zone, Keys: set{one, four}}, s.Marshal())
	if err != nil || states(again) != "1:valid 4:valid" {
		t.Errorf("%s, %v", states(again), err)
	}
	// One that was revoked stays so, whoever configures it.
	s.after(day, set{one, newKey(t, 2, givenUp)}, set{one, newKey(t, 2, givenUp)}, "2:revoked 1:valid")
	again, err = ReadTracker(&Anchor{Zone: zone, Keys: set{one, two}}, s.Marshal())
	if err != nil || again.Anchor().Trusts(two) || !again.Anchor().Trusts(one) {
		t.Errorf("%s, %v", states(again), err)
	}
	again, err = ReadTracker(&Anchor{Zone: zone, Keys: set{one}}, s.Marshal())
	if err != nil || states(again) != "2:revoked 1:valid" {
		t.Errorf("%s, %v", states(again), err)
	}
}
