package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// startControlled starts an app with a control address and gives its base URL.
func startControlled(t *testing.T, text string) (*App, string) {
	t.Helper()
	a := newApp(t, "listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"127.0.0.1:0\"}\ncache: {snapshot: \"off\"}\ndnssec: {validation: false}\n"+text)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return a, "http://" + a.ControlAddr() + "/api/v1/"
}

// call sends a request, wants success and reads the reply.
func call(t *testing.T, method, url, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	reflect.ValueOf(into).Elem().SetZero() // nothing of an earlier reply
	if err := json.Unmarshal(data, into); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %v\n%s", method, url, res.StatusCode, err, data)
	}
}

// store puts a record as if it had been stored some time ago.
func store(t *testing.T, a *App, name string, typ wire.Type, data string, ttl uint32, ago time.Duration) {
	t.Helper()
	n := dnsname.MustParse(name)
	e := cache.Entry{
		Kind: cache.Data, Name: n, Type: typ, Rank: cache.RankAuthAnswer, Cut: dnsname.MustParse("example."), TTL: ttl,
		Set: rrset.Set{Name: n, Type: typ, TTL: ttl, Data: rrset.Packed(nil).Append([]byte(data))},
	}
	if !a.cache.Put(a.clock.Now().Add(-ago), &e) {
		t.Fatalf("%s was not stored", name)
	}
}

const loopbackA = "\xc0\x00\x02\x01" // 192.0.2.1

// The API of a running resolver, from what is in its cache to what is gone from it.
func TestControlAPI(t *testing.T) {
	a, base := startControlled(t, "local-data: [\"own.example.net. A 192.0.2.9\"]\n")
	store(t, a, "www.example.", wire.TypeCNAME, string(dnsname.MustParse("web.example.")), 300, 10*time.Minute)
	store(t, a, "web.example.", wire.TypeA, loopbackA, 3600, 10*time.Minute)
	store(t, a, "fresh.example.", wire.TypeA, loopbackA, 3600, time.Second)
	store(t, a, "other.example.net.", wire.TypeA, loopbackA, 60, 10*time.Minute)
	no := cache.Entry{Kind: cache.NXDomain, Name: dnsname.MustParse("no.example."), TTL: 60, Rank: cache.RankAuthority}
	a.cache.Put(a.clock.Now(), &no)

	var l control.Lookup
	call(t, "GET", base+"cache/lookup?name=www.example", "", &l)
	if len(l.Entries) != 1 {
		t.Fatalf("entries: %+v", l.Entries)
	}
	e := l.Entries[0]
	if e.State != "stale" || e.Type != "CNAME" || e.Age < 600 || e.Age > 620 || e.TTL != 0 || e.OriginalTTL != 300 || e.Cut != "example." ||
		e.Rank != "authoritative answer" || e.Data[0] != "web.example." || e.StaleUntil.Sub(e.Expires) != 24*time.Hour {
		t.Errorf("entry: %+v", e)
	}
	if x := l.Client; x.Outcome != "stale" || x.Wait != 500 || len(x.Hops) != 2 || x.Hops[0].Decision != "wait" || x.Hops[0].TTL != 30 ||
		x.Hops[1].State != "fresh" || x.Hops[1].TTL < 2980 || x.Hops[1].TTL > 3000 {
		t.Errorf("an expired alias of something fresh: %+v", x)
	}
	call(t, "GET", base+"cache/lookup?name=fresh.example&type=A", "", &l)
	if l.Client.Outcome != "fresh" || l.Client.Wait != 0 || l.Client.Rcode != "NOERROR" {
		t.Errorf("fresh: %+v", l.Client)
	}
	call(t, "GET", base+"cache/lookup?name=no.example", "", &l)
	if l.Client.Outcome != "fresh" || l.Client.Rcode != "NXDOMAIN" || l.Client.Hops[0].Kind != "nxdomain" || l.Entries[0].Kind != "nxdomain" || l.Entries[0].Type != "" {
		t.Errorf("denied: %+v", l)
	}
	call(t, "GET", base+"cache/lookup?name=own.example.net", "", &l)
	if l.Client.Outcome != "local" {
		t.Errorf("local data: %+v", l.Client)
	}
	call(t, "GET", base+"cache/lookup?name=absent.example", "", &l)
	if l.Client.Outcome != "resolve" || len(l.Entries) != 0 || l.Client.Hops[0].Kind != "" {
		t.Errorf("absent: %+v", l.Client)
	}

	if got := dumped(t, base+"cache/dump"); got != 5 {
		t.Errorf("%d entries in all", got)
	}
	if got := dumped(t, base+"cache/dump?state=stale&zone=example."); got != 1 {
		t.Errorf("%d stale entries", got)
	}
	var s control.CacheStats
	call(t, "GET", base+"cache/stats", "", &s)
	if s.Entries != 5 || s.Puts != 5 {
		t.Errorf("stats: %+v", s)
	}
	for _, f := range []struct {
		body string
		want int
	}{{`{"negative":true}`, 1}, {`{"stale":true}`, 2}, {`{"name":"fresh.example","type":"AAAA"}`, 0}, {`{"name":"fresh.example","type":"A"}`, 1}, {`{"zone":"example"}`, 1}} {
		var done control.Flushed
		if call(t, "POST", base+"cache/flush", f.body, &done); done.Flushed != f.want {
			t.Errorf("flush %s: %d, want %d", f.body, done.Flushed, f.want)
		}
	}
	if got := dumped(t, base+"cache/dump"); got != 0 {
		t.Errorf("%d entries are left", got)
	}
	if call(t, "GET", base+"cache/stats", "", &s); s.Entries != 0 || s.Evicted.Flushed != 5 {
		t.Errorf("stats after that: %+v", s)
	}
}

// dumped counts the entries of a dump.
func dumped(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n := 0
	for dec := json.NewDecoder(res.Body); ; n++ {
		var e control.Entry
		if err := dec.Decode(&e); err == io.EOF {
			return n
		} else if err != nil || e.Name == "" {
			t.Fatalf("%v %+v", err, e)
		}
	}
}

// A zone that fails is told with its cause, and what that means for a client.
func TestControlAPIInAnOutage(t *testing.T) {
	a, base := startControlled(t, "stale: {zones: [{zone: \"consul.\", client-timeout: 250ms}]}\n")
	example, consul := dnsname.MustParse("example."), dnsname.MustParse("consul.")
	store(t, a, "www.example.", wire.TypeA, loopbackA, 300, 10*time.Minute)
	now := a.clock.Now()
	server := netip.MustParseAddr("192.0.2.53")
	a.cache.PutDelegation(now, &cache.Delegation{Cut: example, Parent: dnsname.Root, TTL: 3600,
		Servers: []cache.NameServer{{Name: dnsname.MustParse("ns1.example."), Addrs: []netip.Addr{server}}}})
	a.infra.CutFailed(now, example, &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST", Text: "ns1.example. did not answer"},
		infra.Blame{Silent: []infra.Candidate{{Addr: netip.AddrPortFrom(server, 53)}}})
	a.infra.Resolved(now, consul, 10*time.Millisecond)

	var z control.ZoneList
	call(t, "GET", base+"zones", "", &z)
	if len(z.Zones) != 2 || z.Zones[0].Zone != "consul." || z.Zones[1].Zone != "example." {
		t.Fatalf("zones: %+v", z)
	}
	if c := z.Zones[0]; c.State != "well" || c.ClientTimeout != 250 || c.Learned != 500 || c.Samples != 1 || !c.Since.IsZero() {
		t.Errorf("a zone that is well: %+v", c)
	}
	if f := z.Zones[1]; f.State != "failing" || !strings.Contains(f.Cause, "ns1.example. did not answer") || time.Since(f.Since) > time.Minute || f.ClientTimeout != 500 {
		t.Errorf("a zone that fails: %+v", f)
	}
	var l control.Lookup
	call(t, "GET", base+"cache/lookup?name=www.example", "", &l)
	if x := l.Client; x.Outcome != "stale" || x.Wait != 0 || x.Hops[0].Decision != "serve stale" || !strings.Contains(x.Why, "stale 5m, ns1.example. did not answer") {
		t.Errorf("its last good answer: %+v", x)
	}
	call(t, "GET", base+"cache/lookup?name=www.example&type=MX", "", &l)
	if x := l.Client; x.Outcome != "failure" || x.Rcode != "SERVFAIL" || !strings.Contains(x.Why, "zone example. is in trouble") {
		t.Errorf("what it never answered: %+v", x)
	}
	a.cache.Fail(now, cache.Question{Name: dnsname.MustParse("www.example."), Type: wire.TypeMX}, &ede.Error{Text: "was refused"}, true)
	call(t, "GET", base+"cache/lookup?name=www.example&type=MX", "", &l)
	if x := l.Client; x.Outcome != "failure" || x.Rcode != "REFUSED" || !strings.Contains(x.Why, "was refused") {
		t.Errorf("a failure that is remembered: %+v", x)
	}
}

// A dump that nobody waits for any more ends soon, also when nothing of the
// cache is what was asked for.
func TestControlAPIDumpEnds(t *testing.T) {
	a := newApp(t, "{}")
	const entries = 3 * dumpStride
	for i := range entries {
		store(t, a, fmt.Sprintf("n%d.example.", i), wire.TypeA, loopbackA, 3600, 0)
	}
	for want, ctx := range map[int]func(context.Context) (context.Context, context.CancelFunc){
		entries: context.WithCancel,
		dumpStride - 1: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		},
	} {
		ctx, cancel := ctx(t.Context())
		got := 0
		controlAPI{a}.Dump(ctx, control.Filter{Fresh: true, Stale: true, Zone: dnsname.Root}, func(control.Entry) bool { got++; return true })
		cancel()
		if got != want {
			t.Errorf("%d entries, want %d", got, want)
		}
	}
}

// A token that every user can read is none: that is said, with the remedy.
func TestExposedTokenIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o602: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse("test", []byte("listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"127.0.0.1:0\", token-file: "+file+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a, err := New(Options{Config: c, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if said := strings.Contains(log.String(), "chmod o-rwx "+file); said != want {
			t.Errorf("%o: the log says %s", mode, log.String())
		}
	}
}
