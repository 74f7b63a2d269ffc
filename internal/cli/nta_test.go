package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lastgood/internal/control"
	"lastgood/internal/dnsname"
)

func (s *shelf) NTAs() []control.NTA {
	now := time.Now()
	if s.last() == "none" {
		return nil
	}
	return []control.NTA{
		{Zone: "a.example.", Added: now.Add(-time.Hour), Until: now.Add(2*time.Hour + time.Second), Reason: "key \x1b[31mlost", Kept: true, Forced: true,
			Checked: now.Add(-3 * time.Minute), Trouble: "Signature Expired"},
		{Zone: "b.example.", Added: now.Add(-time.Hour), Until: now.Add(time.Minute + time.Second), Configured: true, Kept: true, Checked: now.Add(-time.Minute)},
		{Zone: "c.example.", Added: now, Until: now.Add(time.Minute)},
	}
}

func (s *shelf) AddNTA(zone dnsname.Name, until time.Time, reason string, forced bool) (control.NTA, error) {
	n := control.NTA{Zone: zone.String(), Until: time.Now().Add(time.Hour), Reason: reason, Forced: forced, Kept: reason != "full", Configured: reason == "later"}
	if !until.IsZero() {
		n.Until = until
	}
	if zone.IsRoot() {
		return n, errors.New("not that one; name another")
	}
	s.note("nta "+zone.String()+" "+time.Until(n.Until).Round(time.Minute).String()+" "+reason, 0)
	return n, nil
}

func (s *shelf) RemoveNTA(zone dnsname.Name) (control.NTA, error) {
	if zone.IsRoot() {
		return control.NTA{}, control.ErrNoNTA
	}
	s.note("removed "+zone.String(), 0)
	return control.NTA{Zone: zone.String(), Kept: zone != "\x04full\x00"}, nil
}

func TestNTACommands(t *testing.T) {
	s := new(shelf)
	at := " --control " + serveControl(t, s, "127.0.0.1:0", "")
	ahead := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	for _, c := range []struct {
		args, did string
		texts     []string
	}{
		{"nta add Broken.Example", "nta broken.example. 1h0m0s ", []string{"nothing at or below broken.example. is validated until 20", "(in ", "it is dropped before that when the zone validates again"}},
		{"nta add broken.example --for 1d2h --reason key", "nta broken.example. 26h0m0s key", []string{"(in 1d2h)"}},
		{"nta add --until " + ahead + " broken.example", "nta broken.example. 3h0m0s ", []string{ahead}},
		{"nta add broken.example --reason full", "nta broken.example. 1h0m0s full", []string{"could not be saved"}},
		{"nta add broken.example --reason later", "nta broken.example. 1h0m0s later", []string{"the one of the configuration counts"}},
		{"nta add broken.example --json", "nta broken.example. 1h0m0s ", []string{`{"zone":"broken.example.",`}},
		{"nta remove broken.example", "removed broken.example.", []string{"broken.example. is validated again, unless"}},
		{"nta remove full", "removed full.", []string{"full. is validated again", "a restart brings it back"}},
	} {
		expect(t, 0, c.args+at, c.texts...)
		if s.last() != c.did {
			t.Errorf("%s: did %q, want %q", c.args, s.last(), c.did)
		}
	}
	if got := expect(t, 0, "nta add broken.example --force"+at); strings.Contains(got.out, "dropped") {
		t.Errorf("a forced one is said to be dropped: %s", got.out)
	}
	got := expect(t, 0, "nta list"+at, "ZONE", "UNTIL", "a.example.", "(in 2h)", "1h ago", "operator, forced", "3m ago: Signature Expired", "key .[31mlost",
		"b.example.", "configuration", "1m ago: validates", "-", "c.example.", "operator, not saved", "-")
	if strings.Contains(got.out, "\x1b") {
		t.Errorf("%q", got.out)
	}
	expect(t, 0, "nta list --json"+at, `"zone": "a.example."`, `"forced": true`)
	s.note("none", 0)
	expect(t, 0, "nta list"+at, "there are no negative trust anchors")
	expect(t, 0, "nta add --help", "(RFC 7646)", "--for LONG", "--reason")
}

func TestNTAMistakes(t *testing.T) {
	s := new(shelf)
	at := " --control " + serveControl(t, s, "127.0.0.1:0", "")
	for args, want := range map[string]string{
		"nta add":                         "which zone?",
		"nta add a b":                     "which zone?",
		"nta add a..b":                    "is no domain name",
		"nta add a --for 90":              "is no time",
		"nta add a --for 0s":              "is no time",
		"nta add a --for -1h":             "is no time",
		"nta add a --until tomorrow":      "is no moment",
		"nta add a --until 2099 --for 1h": "both given",
		"nta add .":                       "not that one: name another",
		"nta remove":                      "`lastgood nta list` shows them",
		"nta list x":                      "takes no argument",
		"nta drop x":                      "unknown command",
	} {
		expect(t, 2, args+at, want)
	}
	expect(t, 1, "nta remove ."+at, "there is no such negative trust anchor: `lastgood nta list` shows those there are")
	if s.last() != "" {
		t.Errorf("did %s", s.last())
	}
}
