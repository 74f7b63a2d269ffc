package app

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/rootzone"
)

// nowhere is a network in which nobody can be reached.
type nowhere struct{}

func (nowhere) DialUDP(context.Context, netip.AddrPort) (net.Conn, error) {
	return nil, syscall.ENETUNREACH
}

func (nowhere) DialTCP(context.Context, netip.AddrPort) (net.Conn, error) {
	return nil, syscall.ENETUNREACH
}

// journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// keeper is an App whose negative trust anchors a test reads and adds, without a
// network.
func keeper(t *testing.T, dir string, log *journal) (*App, func()) {
	t.Helper()
	c := config.Default()
	c.DNSSEC.Validation = true
	a, err := New(Options{Config: c, Log: slog.New(slog.NewTextHandler(log, nil)), State: dir, Upstream: nowhere{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	a.startNegatives(ctx)
	return a, func() {
		end()
		a.tasks.Wait()
		a.resolver.Close()
		a.upstream.Close()
	}
}

func zonesOf(list []control.NTA) (zones string) {
	for _, n := range list {
		zones += n.Zone
	}
	return zones
}

// TestNegativesOutliveARun: what was added is there in the next run, as it was, and a
// removed one is not.
func TestNegativesOutliveARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, log := t.TempDir(), new(journal)
		a, stop := keeper(t, dir, log)
		until := a.clock.Wall().Add(3 * time.Hour).UTC().Truncate(time.Second)
		for _, zone := range []string{"a.", "b."} {
			n, err := a.NTAs().AddNTA(dnsname.MustParse(zone), until, "key lost", true)
			if err != nil || !n.Kept || !n.Until.Equal(until) || n.Configured || !n.Forced {
				t.Errorf("%+v, %v", n, err)
			}
		}
		if n, err := a.NTAs().RemoveNTA("\x01b\x00"); err != nil || n.Zone != "b." {
			t.Errorf("%+v, %v", n, err)
		}
		stop()
		time.Sleep(time.Hour)
		a, stop = keeper(t, dir, log)
		defer stop()
		list := a.NTAs().NTAs()
		if len(list) != 1 || list[0].Zone != "a." || !list[0].Until.Equal(until) || list[0].Reason != "key lost" || !list[0].Forced || !list[0].Kept {
			t.Errorf("%+v", list)
		}
		if info, err := os.Stat(filepath.Join(dir, ntaFile)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		if !strings.Contains(log.String(), "level=WARN msg=\"negative trust anchor added: nothing at or below the zone is validated until it ends\" zone=a.") {
			t.Error(log)
		}
	})
}

// TestRefusedNegatives: a file that is torn or somebody else's is refused with what to
// do, and nothing of it is lost; what is added then is kept.
func TestRefusedNegatives(t *testing.T) {
	for name, c := range map[string]struct{ text, aside, says string }{
		"torn":    {"lastgood negative trust anchors, version 1\na. 2026-", "", "the end is missing"},
		"foreign": {"example. IN A 192.0.2.1\n", "", "does not begin with"},
		"newer":   {"lastgood negative trust anchors, version 7\n", "", "another version of the program wrote"},
		"again":   {"x", "x", "does not begin with"},
		"twice":   {"x", "y", "holds another one"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, log := t.TempDir(), new(journal)
			path := filepath.Join(dir, ntaFile)
			os.WriteFile(path, []byte(c.text), 0o600)
			if c.aside != "" {
				os.WriteFile(path+".refused", []byte(c.aside), 0o600)
			}
			a, stop := keeper(t, dir, log)
			n, err := a.NTAs().AddNTA("\x01b\x00", time.Time{}, "", false)
			stop()
			aside, _ := os.ReadFile(path + ".refused")
			now, _ := os.ReadFile(path)
			lost := string(aside) != c.text && string(now) != c.text
			if err != nil || lost || n.Kept != (c.aside != "y") || n.Kept != strings.Contains(string(now), "\nb. ") || !strings.Contains(log.String(), c.says) {
				t.Errorf("%+v, %v\n%s\nfile %q, aside %q", n, err, log, now, aside)
			}
		})
	}
}

// TestNegativesThatCannotBeSaved count all the same, and whoever adds one is told.
func TestNegativesThatCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, log := filepath.Join(t.TempDir(), "none"), new(journal)
		a, stop := keeper(t, dir, log)
		defer stop()
		if n, err := a.NTAs().AddNTA("\x01b\x00", time.Time{}, "", false); err != nil || n.Kept {
			t.Errorf("%+v, %v", n, err)
		}
		if g := a.anchors.Ground("\x01a\x01b\x00", a.clock.Wall()); g.Kind != anchor.Negative {
			t.Errorf("%+v", g)
		}
		time.Sleep(5 * time.Minute)
		if n := strings.Count(log.String(), "the negative trust anchors were not saved"); n != 1 {
			t.Errorf("said %d times\n%s", n, log)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ntaLook)
		synctest.Wait()
		if list := a.NTAs().NTAs(); len(list) != 1 || !list[0].Kept {
			t.Errorf("%+v", list)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if n, err := a.NTAs().RemoveNTA("\x01b\x00"); err != nil || n.Kept {
			t.Errorf("what could not be saved is said to last: %+v, %v", n, err)
		}
	})
}

// TestNegativesEnd: at its moment, though nobody asks, and when the time of day is set.
func TestNegativesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shift clock.Shift
		var ended []string
		c := config.Default()
		c.DNSSEC.Validation = true
		c.DNSSEC.NegativeTrustAnchors = []config.NegativeTrustAnchor{{Zone: "\x01c\x00", Until: time.Now().Add(3 * time.Hour)}}
		a, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Clock: clock.Simulated(&shift), Upstream: nowhere{}, Events: func(e event.Event) {
			if n, ok := e.(event.NegativeAnchor); ok && n.What == event.NegativeExpired {
				ended = append(ended, n.Zone.String())
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		a.startNegatives(ctx)
		defer func() {
			end()
			a.tasks.Wait()
			a.resolver.Close()
			a.upstream.Close()
		}()
		add := func(zone dnsname.Name, lasts time.Duration) {
			if _, err := a.NTAs().AddNTA(zone, a.clock.Wall().Add(lasts), "", true); err != nil {
				t.Error(err)
			}
		}
		add("\x01a\x00", time.Hour)
		add("\x01b\x00", 2*time.Hour)
		add("\x01c\x00", time.Hour)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := zonesOf(a.NTAs().NTAs()); got != "b.c." || strings.Join(ended, "") != "a.c." {
			t.Errorf("%s are left, %v ended", got, ended)
		}
		shift.Step(time.Hour)
		time.Sleep(ntaLook)
		synctest.Wait()
		if got := zonesOf(a.NTAs().NTAs()); got != "c." {
			t.Errorf("%s are left", got)
		}
		if _, err := a.NTAs().RemoveNTA("\x01c\x00"); err == nil || err == control.ErrNoNTA {
			t.Errorf("one of the configuration was removed: %v", err)
		}
		if _, err := a.NTAs().RemoveNTA("\x01x\x00"); err != control.ErrNoNTA {
			t.Error(err)
		}
	})
}

// TestNegativesChangeTheSnapshot: a snapshot that was written under other ones is no
// longer taken for the truth at their zones.
func TestNegativesChangeTheSnapshot(t *testing.T) {
	a, stop := keeper(t, "", new(journal))
	defer stop()
	now := a.clock.Wall()
	before := a.snapshots.said.fingerprints(now)
	if _, err := a.NTAs().AddNTA("\x01b\x00", time.Time{}, "", false); err != nil {
		t.Fatal(err)
	}
	during, after := a.snapshots.said.fingerprints(now), a.snapshots.said.fingerprints(now.Add(2*time.Hour))
	if _, ok := during["\x01b\x00"]; !ok || len(during) != len(before)+1 || len(after) != len(before) {
		t.Errorf("%d zones before, %d during, %d after", len(before), len(during), len(after))
	}
}

// TestNTAsOverTheControlAddress: they are there where something is validated.
func TestNTAsOverTheControlAddress(t *testing.T) {
	_, base := startControlled(t, "")
	if res, err := http.Get(base + "nta/list"); err != nil || res.StatusCode != http.StatusConflict {
		t.Errorf("without validation: %v, %v", res, err)
	}
	a := newApp(t, "listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"127.0.0.1:0\"}\ncache: {snapshot: \"off\"}\n")
	a.o.Config.DNSSEC.Validation = true
	a.validator = a.validation(nil)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	defer a.Stop(context.WithoutCancel(t.Context()))
	base = "http://" + a.ControlAddr() + "/api/v1/"
	var n control.NTA
	call(t, "POST", base+"nta/add", `{"zone":"broken.example","for_seconds":600}`, &n)
	if left := time.Until(n.Until); n.Zone != "broken.example." || left < 9*time.Minute || left > 10*time.Minute || n.Kept {
		t.Errorf("%+v", n)
	}
	var list control.NTAList
	call(t, "GET", base+"nta/list", "", &list)
	if zonesOf(list.NTAs) != "broken.example." {
		t.Errorf("%+v", list)
	}
	call(t, "POST", base+"nta/remove", `{"zone":"broken.example"}`, &n)
	call(t, "GET", base+"nta/list", "", &list)
	if list.NTAs == nil || len(list.NTAs) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestSuggestions: what the watch finds is logged, told as an event, and listed.
func TestSuggestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a, stop := keeper(t, "", log)
		defer stop()
		var told []event.Incident
		a.events = func(e event.Event) { told = append(told, e.(event.Incident)) }
		zone := dnsname.MustParse("tld.")
		cause := &ede.Error{Code: ede.SignatureExpired, ID: "SEXP", Text: "signature by key 7 of tld. expired", Zone: string(zone)}
		names := []dnsname.Name{"\x01a\x03tld\x00", "\x01b\x03tld\x00", "\x01c\x03tld\x00", "\x01d\x03tld\x00", "\x01e\x03tld\x00"}
		for _, name := range names {
			a.watchZones(event.Judged{Question: event.Question{Name: name, Type: 1}, Zone: zone, Secure: true})
		}
		for _, name := range names {
			q := event.Question{Name: name, Type: 1}
			a.watchZones(event.Judged{At: a.clock.Now(), Question: q, Zone: zone, Bogus: true, Failure: cause})
			a.watchZones(event.Failed{At: a.clock.Now(), Question: q, Cause: cause})
			a.watchZones(event.StaleServed{At: a.clock.Now(), Question: q, Cause: cause, Until: a.clock.Now().Add(time.Hour)})
		}
		list := controlAPI{a}.Zones().Suggestions
		if len(list) != 1 || list[0].Zone != "tld." || list[0].Names != 5 || list[0].Questions != 10 || list[0].StaleNames != 5 || list[0].Code != 7 ||
			list[0].Command != `lastgood nta add tld. --for 2h --reason "signature expired"` || time.Until(list[0].StaleLast) < 59*time.Minute {
			t.Errorf("%+v", list)
		}
		metrics := map[string]float64{}
		a.gather(func(m control.Metric) { metrics[m.Name] += m.Value })
		if metrics["lastgood_validation_incidents"] != 1 || metrics["lastgood_validation_incident_questions"] != 10 || metrics["lastgood_validation_incident_names"] != 5 {
			t.Errorf("%v", metrics)
		}
		a.events = func(e event.Event) {
			if i, ok := e.(event.Incident); ok {
				told = append(told, i)
			}
		}
		if _, err := a.NTAs().AddNTA(zone, time.Time{}, "", false); err != nil {
			t.Fatal(err)
		}
		a.lookAtZones()
		if len(told) != 2 || told[0].Ended != "" || told[1].Ended != "it has a negative trust anchor" || told[1].Questions != 10 {
			t.Errorf("%+v", told)
		}
		for _, want := range []string{
			`level=WARN msg="many names of a zone that validated before do not any more" zone=tld. cause="Signature Expired: signature by key 7 of tld. expired [SEXP]"`,
			"lastgood nta add tld. --for 2h", `level=INFO msg="the zone whose names did not validate: that is over" zone=tld. why="it has a negative trust anchor"`,
		} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("no %s in\n%s", want, log)
			}
		}
	})
}

// TestKeepAside: a file with other content is not written over.
func TestKeepAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := keepAside(path, []byte("a")); err != nil {
		t.Error(err)
	}
	if err := keepAside(path, []byte("a")); err != nil {
		t.Error(err)
	}
	if err := keepAside(path, []byte("b")); err == nil {
		t.Error("it was written over")
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&fs.ModePerm != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestStateThatIsNoFile: a pipe in place of a file of the state directory holds up
// neither the start nor the end.
func TestStateThatIsNoFile(t *testing.T) {
	dir, log := t.TempDir(), new(journal)
	for _, name := range []string{ntaFile, rootFile} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Skip(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a, stop := keeper(t, dir, log)
		defer stop()
		if n, err := a.NTAs().AddNTA("\x01b\x00", time.Time{}, "", false); err != nil || n.Kept {
			t.Errorf("%+v, %v", n, err)
		}
		r := &rootCopy{clock: a.clock, log: a.o.Log, file: filepath.Join(dir, rootFile), keeper: rootzone.NewKeeper(1, nil)}
		r.restore()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for whoever writes to the pipe")
	}
	if n := strings.Count(log.String(), "that is no file"); n != 2 {
		t.Errorf("%d warnings\n%s", n, log)
	}
}

// TestSlowDisk: while a disk takes long, the list and the metrics are there, and say
// that it is not saved yet.
func TestSlowDisk(t *testing.T) {
	a, stop := keeper(t, t.TempDir(), new(journal))
	defer stop()
	a.ntas.saving.Lock() // as while a file is written
	added, seen := make(chan control.NTA, 1), make(chan []control.NTA, 1)
	go func() {
		n, err := a.NTAs().AddNTA("\x01b\x00", time.Time{}, "", false)
		if err != nil {
			t.Error(err)
		}
		added <- n
	}()
	go func() {
		for !a.negatives.Has("\x01b\x00") {
			runtime.Gosched()
		}
		a.gather(func(control.Metric) {})
		seen <- a.NTAs().NTAs()
	}()
	select {
	case list := <-seen:
		if len(list) != 1 || list[0].Kept {
			t.Errorf("%+v", list)
		}
	case <-time.After(10 * time.Second):
		t.Error("the list waits for the disk")
	}
	a.ntas.saving.Unlock()
	if n := <-added; !n.Kept {
		t.Errorf("%+v", n)
	}
}

// TestAddedWhileItIsLookedAt: what a look found is of the negative trust anchor that
// was there when it began: another one, which was added for what else fails, stays.
func TestAddedWhileItIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, stop := keeper(t, "", new(journal))
		defer stop()
		zone := dnsname.Name("\x01b\x00")
		for range 2 {
			if _, err := a.NTAs().AddNTA(zone, time.Time{}, "", false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		a.ntas.mu.Lock()
		was := a.ntas.checks[zone]
		a.ntas.mu.Unlock()
		a.looked(zone, was.next.Add(-time.Second), ntaCheck{})
		if !a.negatives.Has(zone) {
			t.Error("it was dropped")
		}
		if a.looked(zone, was.next, ntaCheck{}); a.negatives.Has(zone) {
			t.Error("it was not dropped")
		}
	})
}

// TestEachIsLookedAt: where a round of looks takes longer than the time between two,
// the last have their turn before the first have another.
func TestEachIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := New(Options{Config: config.Default(), Log: slog.New(slog.DiscardHandler), Upstream: nowhere{}})
		if err != nil {
			t.Fatal(err)
		}
		a.ntas.checks = map[dnsname.Name]ntaCheck{}
		for _, zone := range []dnsname.Name{"\x01a\x00", "\x01b\x00", "\x01c\x00"} {
			if _, err := a.negatives.Add(anchor.Against{Zone: zone, Forced: true}, a.clock.Wall()); err != nil {
				t.Fatal(err)
			}
		}
		a.tend()
		time.Sleep(ntaRecheck)
		var order string
		for range 6 {
			zone, due := a.tend()
			if !due {
				t.Fatal("none is due")
			}
			time.Sleep(ntaRecheck)
			a.looked(zone, a.ntas.checks[zone].next, ntaCheck{trouble: "still"})
			order += zone.String()
			time.Sleep(ntaRecheck)
		}
		if order != "a.b.c.a.b.c." {
			t.Error(order)
		}
	})
}
