package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
)

const (
	ksk2017 = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
	ksk2024 = ". 172800 IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"
	// ownKey is a key of a zone of one's own.
	ownKey = "corp.example. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
)

// rootXML is IANA's file, shortened: one key had its time.
const rootXML = `<?xml version="1.0" encoding="UTF-8"?>
<TrustAnchor id="x" source="http://data.iana.org/root-anchors/root-anchors.xml">
<Zone>.</Zone>
<KeyDigest id="a" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
<KeyTag>19036</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
</KeyDigest>
<KeyDigest id="b" validFrom="2017-02-02T00:00:00+00:00">
<KeyTag>20326</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
</KeyDigest>
</TrustAnchor>
`

// anchorsOf is what an app trusts with a configuration, as text.
func anchorsOf(t *testing.T, dnssec string) string {
	t.Helper()
	a := newApp(t, "dnssec: {"+dnssec+"}\n")
	var list []string
	for _, zone := range []dnsname.Name{dnsname.Root, dnsname.MustParse("corp.example.")} {
		if g := a.anchors.Ground(zone, a.clock.Wall()); g.Kind == anchor.Anchored && g.Zone == zone {
			list = append(list, fmt.Sprintf("%s %v", zone, g.Anchor.Tags()))
		}
	}
	return strings.Join(list, ", ")
}

// TestTrustAnchors: records and files of any form, alone and together; without any
// the built-in ones, of which both keys of the root are.
func TestTrustAnchors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := file("root.key", "; comment\n"+ksk2017+"\n"+ksk2024+"\n")
	xml := file("root-anchors.xml", rootXML)
	own := file("own.key", ownKey+"\n")
	for dnssec, want := range map[string]string{
		"":                                     ". [20326 38696]",
		"trust-anchors: [\"" + ksk2017 + "\"]": ". [20326]",
		"trust-anchors: [" + lines + "]":       ". [20326 38696]",
		"trust-anchors: [" + xml + "]":         ". [20326]",
		"trust-anchors: [" + own + "]":         "corp.example. [3613]",
		"trust-anchors: [" + own + ", " + xml + ", \"" + ksk2024 + "\"]":   ". [20326 38696], corp.example. [3613]",
		"trust-anchors: [\"" + ownKey + "\"], insecure: [corp.example.]":   "",
		"trust-anchors: [" + lines + "], insecure: [corp.example.]":        ". [20326 38696]",
		"validation: false, trust-anchors: [" + xml + ", \"" + own + "\"]": ". [20326], corp.example. [3613]",
	} {
		if got := anchorsOf(t, dnssec); got != want {
			t.Errorf("%s: %s, want %s", dnssec, got, want)
		}
	}
}

// TestWhatIsFollowed: the built-in anchors, unless that is not wanted; those that are
// given only when it is.
func TestWhatIsFollowed(t *testing.T) {
	for dnssec, want := range map[string]int{
		"":                                    1,
		"trust-anchor-updates: all":           1,
		"trust-anchor-updates: off":           0,
		"validation: false":                   0,
		"trust-anchors: [\"" + ownKey + "\"]": 0,
		"trust-anchors: [\"" + ownKey + "\", \"" + ksk2017 + "\"], trust-anchor-updates: all": 2,
		"validation-time: \"2026-12-01T00:00:00Z\"":                                           0,
	} {
		if got := len(newApp(t, "dnssec: {"+dnssec+"}\n").followed.list); got != want {
			t.Errorf("%s: %d, want %d", dnssec, got, want)
		}
	}
}

// recalled is an app that read what was learnt before from a directory, and its log.
func recalled(t *testing.T, dir string) (*App, string) {
	t.Helper()
	var log bytes.Buffer
	a, err := New(Options{Config: config.Default(), Log: slog.New(slog.NewTextHandler(&log, nil)), State: dir})
	if err != nil {
		t.Fatal(err)
	}
	a.makeState()
	a.recallKeys()
	return a, log.String()
}

// TestWhatWasLearnt: a file that cannot be read is told of and stays as it is,
// whatever is learnt; the given anchors count.
func TestWhatWasLearnt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first, log := recalled(t, dir)
	f := first.followed.list[0]
	first.saveKeys(f)
	file := filepath.Join(dir, "trust-anchor-root")
	sound, err := os.ReadFile(file)
	if err != nil || f.failure != "" || strings.Contains(log, "WARN") {
		t.Fatalf("%v, %q, %s", err, f.failure, log)
	}
	if _, log := recalled(t, dir); log != "" {
		t.Errorf("of a sound file it says %s", log)
	}
	for _, c := range []struct{ text, says string }{
		{string(sound[:len(sound)-9]), "the end is missing; delete the file; what it knew is lost"},
		{strings.Replace(string(sound), "zone .", "zone x", 1), "the checksum differs"},
		{"somebody else's\n", "does not begin with"},
		{strings.Replace(string(sound), "version 1", "version 2", 1), "another version of the program"},
		{"", "does not begin with"},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, log := recalled(t, dir)
		if !strings.Contains(log, "was refused") || !strings.Contains(log, c.says) || !strings.Contains(log, file) {
			t.Errorf("of %q it says %s", c.text, log)
		}
		a.saveKeys(a.followed.list[0])
		if now, err := os.ReadFile(file); err != nil || string(now) != c.text {
			t.Errorf("%q became %q, %v", c.text, now, err)
		}
		if tags := a.rootTags(); len(tags) != 2 {
			t.Errorf("trusted are %v", tags)
		}
	}
}

// TestNoStateDirectory: without a place for what is learnt it is said, and all else
// works.
func TestNoStateDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, says := range map[string]string{"": "ends with the program", filepath.Join(file, "state"): "will not outlive a restart"} {
		a, log := recalled(t, dir)
		if !strings.Contains(log, says) || a.followed.list[0].file != "" {
			t.Errorf("%q: %s", dir, log)
		}
		a.saveKeys(a.followed.list[0])
	}
}

// TestStateFiles: each zone has a file of its own, within the directory.
func TestStateFiles(t *testing.T) {
	a := &App{o: Options{State: "/state"}}
	seen := map[string]string{}
	for _, zone := range []string{".", "root.", "example.", `a/b.`, `..\/.`, `%2f.`, `\000x.`, "a.b.", `a\.b.`} {
		name, err := dnsname.Parse(zone)
		if err != nil {
			continue
		}
		got := a.stateFile(name)
		if filepath.Dir(got) != "/state" || seen[got] != "" {
			t.Errorf("%s has %s, as %q", zone, got, seen[got])
		}
		seen[got] = zone
	}
	if len(seen) < 7 {
		t.Errorf("%v", seen)
	}
}

// TestAnchorMistakes are told with file and line.
func TestAnchorMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	for text, want := range map[string]string{
		ksk2017 + "\n. DS 1 8 2 zz\n": file + ":2: no DS record",
		"":                            file + ": no trust anchor; write a record such as",
		". A 192.0.2.1 1 1 1 1\n":     file + ":1: \"A\" is neither a DS nor a DNSKEY record",
		strings.Replace(rootXML, "20326", "x", 1):         file + ":8: KeyDigest \"b\"",
		strings.Repeat(";"+strings.Repeat("x", 99), 11e3): "more than 1048576 octets; keep the trust anchors alone",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse("test", []byte("dnssec: {trust-anchors: ["+file+"]}"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Options{Config: c, Log: slog.New(slog.DiscardHandler)})
		var mistake Mistake
		if !errors.As(err, &mistake) || !strings.HasPrefix(err.Error(), "dnssec.trust-anchors: "+file) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

// TestStartWithAnUnsetClock: a machine that has the time of day from the network has
// to have names before: what the configuration says of moments is no mistake then.
func TestStartWithAnUnsetClock(t *testing.T) {
	xml := filepath.Join(t.TempDir(), "root-anchors.xml")
	err := os.WriteFile(xml, []byte(`<TrustAnchor><Zone>.</Zone><KeyDigest validFrom="2017-02-02T00:00:00+00:00"><KeyTag>20326</KeyTag><Algorithm>8</Algorithm>
<DigestType>2</DigestType><Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest></KeyDigest></TrustAnchor>`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var shift clock.Shift
	shift.Step(-time.Since(time.Unix(0, 0)))
	c := config.Default()
	c.DNSSEC.TrustAnchors = []string{xml}
	c.DNSSEC.NegativeTrustAnchors = []config.NegativeTrustAnchor{{Zone: "\x01c\x00", Until: time.Now().Add(3 * time.Hour)}}
	a, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Clock: clock.Simulated(&shift), Upstream: nowhere{}})
	if err != nil {
		t.Fatal(err)
	}
	if g := a.anchors.Ground("\x01c\x00", a.clock.Wall()); g.Kind != anchor.Negative {
		t.Errorf("%+v", g)
	}
}
