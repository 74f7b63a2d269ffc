package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// keeping is an app that keeps its cache in a file, and what it logs.
type keeping struct {
	*App
	log bytes.Buffer
}

func startKeeping(t *testing.T, file, text string) *keeping {
	t.Helper()
	c, err := config.Parse("test", []byte("listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"off\"}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	k := new(keeping)
	k.App, err = New(Options{Config: c, Log: slog.New(slog.NewTextHandler(&k.log, nil)), Snapshot: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keeping) stop(t *testing.T) {
	t.Helper()
	if err := k.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func (k *keeping) put(n string, ttl uint32) {
	owner := dnsname.MustParse(n)
	k.cache.Put(k.clock.Now(), &cache.Entry{
		Kind: cache.Data, Name: owner, Type: wire.TypeA, Rank: cache.RankAuthAnswer, TTL: ttl,
		Set: rrset.Set{Name: owner, Type: wire.TypeA, TTL: ttl, Data: rrset.Packed(nil).Append([]byte{192, 0, 2, 1})},
	})
}

// state is what the cache has for a name; Gone without anything.
func (k *keeping) state(n string) stale.State {
	var r cache.Reader
	now := k.clock.Now()
	h, ok := k.cache.Lookup(&r, now, dnsname.MustParse(n), wire.TypeA)
	if !ok {
		return stale.Gone
	}
	return h.State(now)
}

// metric is the value of a metric with labels.
func (k *keeping) metric(name string, labels ...string) float64 {
	v := -1.0
	k.gather(func(m control.Metric) {
		if m.Name == name && strings.Join(m.Labels, " ") == strings.Join(labels, " ") {
			v = m.Value
		}
	})
	return v
}

// A clean stop loses nothing, and what is in the file is there when the first
// question comes.
func TestRestartLosesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "made", "cache.snapshot")
	k := startKeeping(t, file, "")
	k.put("www.example.", 3600)
	k.stop(t)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	k = startKeeping(t, file, "")
	if k.state("www.example.") != stale.Fresh {
		t.Error("the answer is lost")
	}
	if n := k.metric("lastgood_snapshot_loaded", "result", "fresh"); n != 1 {
		t.Errorf("%v entries counted as loaded", n)
	}
	k.stop(t)
	if text := k.log.String(); !strings.Contains(text, "the cache is back") || !strings.Contains(text, "fresh=1") {
		t.Errorf("the log says %s", text)
	}
	if n := k.metric("lastgood_snapshot_entries"); n != 1 {
		t.Errorf("%v entries counted as saved", n)
	}
	// What the configuration says otherwise now is dropped.
	k = startKeeping(t, file, `forward: [{zone: example., to: ["192.0.2.1"]}]`)
	if k.state("www.example.") != stale.Gone || k.metric("lastgood_snapshot_loaded", "result", "changed") != 1 {
		t.Error("an answer of other servers was kept")
	}
	k.stop(t)
}

// A smaller cache than the one that was saved says how much of it is back.
func TestSmallerCacheSaysWhatItHolds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache.snapshot")
	k := startKeeping(t, file, "cache: {size: 64MiB}")
	const entries = 60_000
	for i := range entries {
		k.put(fmt.Sprintf("n%d.example.", i), 3600)
	}
	k.stop(t)
	k = startKeeping(t, file, "cache: {size: 4MiB}")
	for !k.snapshots.loaded.Load() {
		runtime.Gosched()
	}
	k.stop(t)
	held := float64(k.cache.Stats().Entries)
	fresh, displaced := k.metric("lastgood_snapshot_loaded", "result", "fresh"), k.metric("lastgood_snapshot_loaded", "result", "displaced")
	if held >= entries || displaced <= 0 || fresh-displaced != held {
		t.Errorf("%v are held, %v of %v were displaced", held, displaced, fresh)
	}
	if text := k.log.String(); !strings.Contains(text, fmt.Sprintf("held=%.0f", held)) || !strings.Contains(text, "raise cache.size") {
		t.Errorf("the log says %s", text)
	}
}

// The cache is saved every interval: whatever ends the program, no more than
// what was learnt since is lost.
func TestSavedEveryInterval(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache.snapshot")
	k := startKeeping(t, file, "")
	k.stop(t)
	synctest.Test(t, func(t *testing.T) {
		c := config.Default()
		a, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Snapshot: file})
		if err != nil {
			t.Fatal(err)
		}
		k := &keeping{App: a}
		ctx, end := contextWithEnd(t)
		k.startSnapshots(ctx)
		k.put("one.example.", 3600)
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(c.Cache.SnapshotInterval - time.Second)
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
			t.Errorf("saved too early (%v)", err)
		}
		if age := k.metric("lastgood_snapshot_age_seconds"); age != 59 {
			t.Errorf("age %v", age)
		}
		for i := range 3 {
			time.Sleep(c.Cache.SnapshotInterval)
			synctest.Wait()
			if n := k.metric("lastgood_snapshot_saves_total"); n != float64(i+1) {
				t.Errorf("%v saves, want %d", n, i+1)
			}
		}
		if age := k.metric("lastgood_snapshot_age_seconds"); age != 59 {
			t.Errorf("age %v", age)
		}
		end()
		k.tasks.Wait()
		// As after a kill: nothing more was saved.
		later := &keeping{}
		if later.App, err = New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Snapshot: file}); err != nil {
			t.Fatal(err)
		}
		ctx, end = contextWithEnd(t)
		later.startSnapshots(ctx)
		if later.state("one.example.") != stale.Fresh {
			t.Error("what was saved is lost")
		}
		end()
		later.tasks.Wait()
	})
}

// What is flushed is gone from the file a second later: a kill does not bring it
// back. One who flushes all the time does not put that off.
func TestFlushIsSavedSoon(t *testing.T) {
	for _, every := range []time.Duration{0, 300 * time.Millisecond} {
		file := filepath.Join(t.TempDir(), "cache.snapshot")
		synctest.Test(t, func(t *testing.T) {
			o := Options{Config: config.Default(), Log: slog.New(slog.DiscardHandler), Snapshot: file}
			a, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			k := &keeping{App: a}
			ctx, end := contextWithEnd(t)
			k.startSnapshots(ctx)
			k.put("bad.example.", 3600)
			k.put("good.example.", 3600)
			time.Sleep(o.Config.Cache.SnapshotInterval + 10*time.Second)
			if n := (controlAPI{a}).Flush(dnsname.MustParse("bad.example."), wire.TypeNone); n != 1 {
				t.Errorf("%d entries flushed", n)
			}
			for since := time.Now(); every > 0 && time.Since(since) < 1200*time.Millisecond; time.Sleep(every) {
				controlAPI{a}.FlushStale()
			}
			if every == 0 {
				time.Sleep(1200 * time.Millisecond)
			}
			synctest.Wait()
			if n := k.metric("lastgood_snapshot_saves_total"); n != 2 {
				t.Errorf("%v saves, want that of the interval and that of the flush", n)
			}
			end()
			k.tasks.Wait() // as after a kill: nothing more was saved
			if k.App, err = New(o); err != nil {
				t.Fatal(err)
			}
			ctx, end = contextWithEnd(t)
			k.startSnapshots(ctx)
			if k.state("bad.example.") != stale.Gone || k.state("good.example.") != stale.Fresh {
				t.Error("what was flushed is back, or what was not is gone")
			}
			end()
			k.tasks.Wait()
		})
	}
}

// A file that cannot be used is refused with its name and the reason; one of
// somebody else's is not overwritten, one that is torn is.
func TestRefusedSnapshots(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	k := startKeeping(t, good, "")
	k.put("www.example.", 3600)
	k.stop(t)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(whole)
	other[8]++
	for name, v := range map[string]struct {
		content []byte
		says    string
		kept    bool
	}{
		"torn":    {whole[:len(whole)-3], "ends too early", false},
		"empty":   {nil, "ends too early", false},
		"version": {other, "has version", false},
		"damaged": {append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1), "checksum", false},
		"foreign": {[]byte("nameserver 192.0.2.1\n"), "no snapshot", true},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, v.content, 0o600); err != nil {
			t.Fatal(err)
		}
		k := startKeeping(t, file, "")
		if k.state("www.example.") != stale.Gone || !k.ready.Load() {
			t.Errorf("%s: it was used, or nothing runs", name)
		}
		if n := k.metric("lastgood_snapshot_failures_total", "what", "load"); n != 1 {
			t.Errorf("%s: counted as %v", name, n)
		}
		k.stop(t)
		if text := k.log.String(); !strings.Contains(text, v.says) || !strings.Contains(text, "file="+file) {
			t.Errorf("%s: the log says %s", name, text)
		}
		after, err := os.ReadFile(file)
		if err != nil || bytes.Equal(after, v.content) != v.kept {
			t.Errorf("%s: overwritten %v, %v", name, !bytes.Equal(after, v.content), err)
		}
	}
}

// Where no file can be, the resolver runs and says so.
func TestNoRoomForSnapshots(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	if err := os.WriteFile(foreign, []byte("nameserver 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]struct{ says, failed string }{
		filepath.Join(text, "cache.snapshot"): {"not outlive a restart", "save"},
		dir:                                   {"not the path of a file", "load"},
		"/dev/null":                           {"not the path of a file", "load"},
		foreign:                               {"no snapshot", "load"},
	} {
		k := startKeeping(t, file, "")
		k.stop(t)
		if !strings.Contains(k.log.String(), want.says) {
			t.Errorf("%s: the log says %s", file, k.log.String())
		}
		if n := k.metric("lastgood_snapshot_failures_total", "what", want.failed); n != 1 {
			t.Errorf("%s: %v failures to %s", file, n, want.failed)
		}
		if age := k.metric("lastgood_snapshot_age_seconds"); age <= 0 {
			t.Errorf("%s: an age of %v", file, age)
		}
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Fatal("/dev/null was replaced")
	}
	// A directory that goes while it runs: counted, said once.
	file := filepath.Join(dir, "sub", "cache.snapshot")
	k := startKeeping(t, file, "")
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	k.saveSnapshot(nil)
	k.saveSnapshot(nil)
	if n := k.metric("lastgood_snapshot_failures_total", "what", "save"); n != 2 || strings.Count(k.log.String(), "was not saved") != 1 {
		t.Errorf("%v failures; the log says %s", n, k.log.String())
	}
	k.stop(t)
}

// Where the configuration wants a file and there is no place for one, it is said
// and counted, and its age grows; where it wants none, nothing is wrong.
func TestNoPlaceForSnapshots(t *testing.T) {
	for reason, want := range map[error]float64{errors.New("HOME is not set"): 1, nil: 0} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			a, err := New(Options{Config: config.Default(), Log: slog.New(slog.NewTextHandler(&log, nil)), NoSnapshot: reason})
			if err != nil {
				t.Fatal(err)
			}
			k := &keeping{App: a}
			ctx, end := contextWithEnd(t)
			defer end()
			k.startSnapshots(ctx)
			time.Sleep(time.Hour)
			if age := k.metric("lastgood_snapshot_age_seconds"); age != want*3600 {
				t.Errorf("%v: an age of %v", reason, age)
			}
			if n := k.metric("lastgood_snapshot_failures_total", "what", "save"); n != want {
				t.Errorf("%v: %v failures", reason, n)
			}
			if said := strings.Contains(log.String(), "not outlive a restart"); said != (reason != nil) {
				t.Errorf("%v: the log says %s", reason, log.String())
			}
		})
	}
}

// An app that cannot listen leaves the file to whoever does.
func TestNoSnapshotOfAnAppThatDidNotStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache.snapshot")
	first := startKeeping(t, file, "")
	first.put("www.example.", 3600)
	first.saveSnapshot(nil)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Control = config.Control{}
	c.Listen = []config.Endpoint{{Scheme: "dns", Addr: first.Listening()[0]}}
	second, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Snapshot: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); err == nil {
		t.Fatal("two listen at one address")
	}
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced (%v)", err)
	}
	first.stop(t)
}

// Two that were given the same file do each other no harm, but are told.
func TestTwoWithOneFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache.snapshot")
	one, two := startKeeping(t, file, ""), startKeeping(t, file, "")
	one.put("one.example.", 3600)
	two.put("two.example.", 3600)
	for range 3 {
		one.saveSnapshot(nil)
		one.saveSnapshot(nil)
		if strings.Contains(one.log.String(), "another program") {
			t.Fatal("took itself for another program")
		}
	}
	two.saveSnapshot(nil)
	one.stop(t)
	two.stop(t)
	for _, k := range []*keeping{one, two} {
		if n := strings.Count(k.log.String(), "another program writes the snapshot"); n != 1 {
			t.Errorf("told %d times: %s", n, k.log.String())
		}
	}
	last := startKeeping(t, file, "")
	if last.state("one.example.") != stale.Gone || last.state("two.example.") != stale.Fresh {
		t.Error("it is not the file of the one that was last")
	}
	last.stop(t)
}

func TestSnapshotPath(t *testing.T) {
	parse := func(text string) *config.Config {
		c, err := config.Parse("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	plain := parse("{}")
	for _, v := range []struct {
		what string
		c    *config.Config
		env  func(string) string
		dir  string
	}{
		{"systemd", plain, env("STATE_DIRECTORY", "/var/lib/lastgood", "HOME", "/root"), "/var/lib/lastgood"},
		{"systemd, two directories", plain, env("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), "/var/lib/a"},
		{"XDG", plain, env("XDG_STATE_HOME", "/home/x/state", "HOME", "/home/x"), "/home/x/state/lastgood"},
		{"XDG, relative: to be ignored", plain, env("XDG_STATE_HOME", "state", "HOME", "/home/x"), "/home/x/.local/state/lastgood"},
		{"home", plain, env("HOME", "/home/x"), "/home/x/.local/state/lastgood"},
		{"off", parse(`cache: {snapshot: off}`), env("HOME", "/home/x"), ""},
		{"any port", parse(`listen: ["127.0.0.1:0"]`), env("HOME", "/home/x"), ""},
	} {
		file, err := SnapshotPath(v.c, v.env)
		if err != nil || v.dir == "" && file != "" || v.dir != "" && filepath.Dir(file) != v.dir {
			t.Errorf("%s: %q, %v; want it in %q", v.what, file, err, v.dir)
		}
	}
	if file, err := SnapshotPath(parse(`cache: {snapshot: /srv/x}`), env()); err != nil || file != "/srv/x" {
		t.Errorf("%q, %v", file, err)
	}
	if _, err := SnapshotPath(plain, env()); err == nil || !strings.Contains(err.Error(), "STATE_DIRECTORY") {
		t.Errorf("without any directory: %v", err)
	}
	path := func(listen string) string {
		file, err := SnapshotPath(parse(listen), env("HOME", "/home/x"))
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	one, two := path(`listen: ["192.0.2.1", "192.0.2.2"]`), path(`listen: ["192.0.2.2", "192.0.2.1:53"]`)
	if one != two || one == path(`listen: ["192.0.2.1"]`) || one == path("{}") {
		t.Errorf("%s, %s and %s", one, two, path("{}"))
	}
}

// Each statement about a zone changes that zone's fingerprint, and no other's;
// what says nothing of zones, and the order of servers, changes none.
func TestFingerprints(t *testing.T) {
	dir := t.TempDir()
	hints := filepath.Join(dir, "hints")
	if err := os.WriteFile(hints, []byte(". 3600 NS ns.example.\nns.example. 3600 A 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	anchors := filepath.Join(dir, "anchors")
	if err := os.WriteFile(anchors, []byte("x. DS 1 8 1 "+strings.Repeat("00", 20)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	prints := func(text string) map[dnsname.Name][8]byte {
		t.Helper()
		a := newApp(t, text)
		return a.snapshots.said.fingerprints(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	}
	const base = "forward: [{zone: corp.example., to: [\"192.0.2.1\", \"192.0.2.2\"]}]\n"
	plain := prints(base)
	for _, v := range []struct{ text, changes string }{
		{base + "cache: {size: 2MiB}\nlisten: [\"192.0.2.99\"]", ""},
		{"forward: [{zone: corp.example., to: [\"192.0.2.2\", \"192.0.2.1\"]}]", ""},
		{"forward: [{zone: corp.example., to: [\"192.0.2.1\"]}]", "corp.example."},
		{"forward: [{zone: corp.example., to: [\"192.0.2.1\", \"192.0.2.2\"], fallback: true}]", "corp.example."},
		{"forward: [{zone: corp.example., to: [\"192.0.2.1\", \"tls://192.0.2.2#ns.example\"]}]", "corp.example."},
		{"stub: [{zone: corp.example., servers: [\"192.0.2.1\", \"192.0.2.2\"]}]", "corp.example."},
		{"{}", "corp.example."},
		{base + "stub: [{zone: x., servers: [\"192.0.2.1\"]}]", "x."},
		{base + "dnssec: {insecure: [\"x.\"]}", "x."},
		{base + "dnssec: {insecure: [\"corp.example.\"]}", "corp.example."},
		{base + "dnssec: {trust-anchors: [\"x. IN DS 1 8 1 " + strings.Repeat("00", 20) + "\"]}", "x."},
		{base + "dnssec: {trust-anchors: [\"" + anchors + "\"]}", "."},
		{base + "recursion: {root-hints: \"" + hints + "\"}", "."},
	} {
		var changed []string
		got := prints(v.text)
		for zone, sum := range got {
			if old, ok := plain[zone]; !ok || old != sum {
				changed = append(changed, zone.String())
			}
		}
		for zone := range plain {
			if _, ok := got[zone]; !ok {
				changed = append(changed, zone.String())
			}
		}
		if strings.Join(changed, " ") != v.changes {
			t.Errorf("%s changes %v, want %q", v.text, changed, v.changes)
		}
	}
	// A negative trust anchor speaks until its time is over.
	end := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	s := statements{nta: []config.NegativeTrustAnchor{{Zone: dnsname.MustParse("broken.example."), Until: end}}}
	if during, after := s.fingerprints(end.Add(-1)), s.fingerprints(end); len(during) != 1 || len(after) != 0 {
		t.Errorf("%v before its end, %v after", during, after)
	}
}

// Whoever may sign a forwarder's certificate decides what is believed: another
// content of the file is another statement, another place of it is none.
func TestFingerprintOfIssuers(t *testing.T) {
	dir := t.TempDir()
	zone := dnsname.MustParse("consul.")
	print := func(file, text string) [8]byte {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := config.Default()
		c.Forward = []config.Forward{{Zone: zone, TLSCA: file}}
		s := statementsOf(c, nil)
		return s.fingerprints(time.Time{})[zone]
	}
	one := print("ca.pem", "one")
	if print("ca.pem", "two") == one {
		t.Error("another issuer is the same")
	}
	if print("moved.pem", "one") != one {
		t.Error("the same issuer is another one")
	}
}

func contextWithEnd(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// What is known of zones' health and speed comes back, but for failures that are
// long ago, or were those of other servers.
func TestMemoryOutlivesRestart(t *testing.T) {
	odd, err := dnsname.FromWire([]byte("\x03a\xff.\x07example\x00"))
	if err != nil {
		t.Fatal(err)
	}
	wall, now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), clock.Mono(time.Hour)
	list := []infra.CutMemory{
		{
			Cut: odd, Failing: true, Silent: true, Cause: ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE", Text: "ns1 did not answer"},
			Since: now.Add(-time.Minute), Samples: []time.Duration{time.Millisecond, 2 * time.Second},
		},
		{Cut: dnsname.MustParse("refused.example."), Failing: true, Refused: true, Cause: ede.Error{Code: ede.NetworkError}, Since: now},
		{Cut: dnsname.MustParse("fine.example."), Samples: []time.Duration{3 * time.Microsecond}},
	}
	servers := []infra.SilentServer{
		{Addr: netip.MustParseAddrPort("192.0.2.1:53"), Since: now.Add(-time.Second)},
		{Addr: netip.MustParseAddrPort("[2001:db8::1]:853"), Unreachable: "connection refused", Since: now},
	}
	b := encodeMemory(memory{list, servers}, moments{now, wall})
	later := clock.Mono(time.Second)
	got := decodeMemory(b, &cache.LoadReport{Elapsed: 4 * time.Minute}, moments{later, wall.Add(4 * time.Minute)})
	want := memory{slices.Clone(list), slices.Clone(servers)}
	want.cuts[0].Since, want.cuts[1].Since = later.Add(-5*time.Minute), later.Add(-4*time.Minute)
	want.servers[0].Since, want.servers[1].Since = later.Add(-4*time.Minute-time.Second), later.Add(-4*time.Minute)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for what, about := range map[string]*cache.LoadReport{"long ago": {Elapsed: 5 * time.Minute}, "the clock was set back": {Backwards: true}} {
		got := decodeMemory(b, about, moments{later, wall})
		if len(got.cuts) != 3 || got.cuts[0].Failing || got.cuts[1].Failing || len(got.cuts[0].Samples) != 2 || len(got.servers) > 0 {
			t.Errorf("%s: %+v", what, got)
		}
	}
	for _, bad := range []string{"", "x", `{"z":"..","s":[1]}`, `[{"z":"example.","s":[1]}]`, `{}`, `{"a":"x:53"}`, strings.Repeat("{}", keptMost) + `{"z":"example."}`} {
		if got := decodeMemory([]byte(bad), &cache.LoadReport{}, moments{later, wall}); len(got.cuts)+len(got.servers) != 0 {
			t.Errorf("%.30q: %+v", bad, got)
		}
	}
	// In a whole app.
	file := filepath.Join(t.TempDir(), "cache.snapshot")
	k := startKeeping(t, file, "")
	k.infra.Restore(list)
	k.infra.RestoreSilent(k.clock.Now(), servers)
	k.stop(t)
	k = startKeeping(t, file, `stub: [{zone: refused.example., servers: ["192.0.2.1"]}]`)
	defer k.stop(t)
	failing := map[dnsname.Name]bool{}
	for _, m := range k.infra.Memory() {
		failing[m.Cut] = m.Failing
	}
	if _, known := failing["\x07refused\x07example\x00"]; known || !failing[odd] || len(failing) != 2 {
		t.Errorf("after a restart: %v", failing)
	}
	if silent := k.infra.SilentServers(k.clock.Now()); len(silent) != 2 {
		t.Errorf("silent after a restart: %v", silent)
	}
}
