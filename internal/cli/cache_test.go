package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// shelf is a server's cache with a few entries; it notes what is flushed.
type shelf struct {
	mu  sync.Mutex
	did string
}

var shelved = []control.Entry{ // constant in effect
	{Name: "www.example.", Type: "A", Kind: "data", State: "stale", Age: 2760, OriginalTTL: 300, Expires: time.Unix(1000, 0),
		StaleUntil: time.Unix(1000+86400, 0), Rank: "authoritative answer", Security: "unchecked", Cut: "example.", Data: []string{"192.0.2.1", "192.0.2.2"}},
	{Name: "www.example.", Type: "AAAA", Kind: "nodata", State: "fresh", Age: 48, TTL: 252, OriginalTTL: 300, Expires: time.Unix(1000, 0),
		StaleUntil: time.Unix(1000+3600, 0), Rank: "authoritative answer", Security: "unchecked", Cut: "example."},
	{Name: "nope.example.net.", Kind: "nxdomain", State: "fresh", Age: 1, TTL: 9, OriginalTTL: 10, Expires: time.Unix(1000, 0),
		StaleUntil: time.Unix(1000, 0), Rank: "authoritative answer", Security: "unchecked", Cut: "net."},
	{Name: "text.example.net.", Type: "TXT", Kind: "data", State: "fresh", Data: []string{"\"\x1b[31m\u202e\""}, Rank: "answer", Security: "unchecked"},
}

func (s *shelf) Entries(name dnsname.Name) (list []control.Entry) {
	for _, e := range shelved {
		if e.Name == name.String() {
			list = append(list, e)
		}
	}
	return list
}

func (s *shelf) Dump(_ context.Context, f control.Filter, yield func(control.Entry) bool) {
	for _, e := range shelved {
		wanted := e.State == "fresh" && f.Fresh || e.State == "stale" && f.Stale
		if wanted && dnsname.MustParse(e.Name).Under(f.Zone) && !yield(e) {
			return
		}
	}
}

func (s *shelf) note(what string, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = what
	return n
}

func (s *shelf) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.did
}

func (s *shelf) Flush(name dnsname.Name, t wire.Type) int {
	if t == wire.TypeNone {
		return s.note("name "+name.String(), 2)
	}
	return s.note("name "+name.String()+" "+t.String(), 1)
}
func (s *shelf) FlushZone(zone dnsname.Name) int { return s.note("zone "+zone.String(), 1200) }
func (s *shelf) FlushStale() int                 { return s.note("stale", 0) }
func (s *shelf) FlushNegative() int              { return s.note("negative", 3) }
func (s *shelf) Stats() control.CacheStats {
	return control.CacheStats{Size: 4 << 20, Used: 1 << 20, Entries: 12, Stale: 5, Hits: 77}
}
func (s *shelf) Explain(dnsname.Name, wire.Type) control.Explanation {
	return control.Explanation{Outcome: "stale", Rcode: "NOERROR", Wait: 300, Why: "zone example. fails", Hops: []control.Hop{
		{Name: "www.example.", Type: "A", State: "stale", Decision: "serve stale", TTL: 30, Refresh: true, Target: "web.example.", Why: "ns1.example. did not answer"},
		{Name: "web.example.", Type: "A", Kind: "nxdomain", State: "fresh", Decision: "serve", TTL: 9},
	}}
}
func (s *shelf) Zones() control.ZoneList {
	now := time.Now()
	return control.ZoneList{Offline: true, OfflineSince: now.Add(-90 * time.Second), Zones: []control.Zone{
		{Zone: "example.", State: "failing", Cause: "ns1.example. did not answer", Since: now.Add(-41 * time.Minute), LastFailure: now.Add(-2 * time.Second),
			NextRecheck: now.Add(20 * time.Second), ClientTimeout: 240, Learned: 240, Samples: 64},
		{Zone: "consul.", State: "well", ClientTimeout: 500, Learned: 120, Samples: 20},
	}, Suggestions: []control.Suggestion{
		{Zone: "de.", Since: now.Add(-10 * time.Minute), LastFailure: now.Add(-time.Second), Code: 7, Cause: "signature of a.de. DS by key 9 of de. expired",
			Names: 2000, Questions: 71234, StaleNames: 1500, StaleFirst: now.Add(time.Hour), StaleLast: now.Add(20 * time.Hour), Command: "lastgood nta add de. --for 2h"},
		{Zone: "al.", Since: now.Add(-10 * time.Minute), LastFailure: now.Add(-time.Second), Names: 5, Questions: 9, Cause: "no key", Command: "lastgood nta add al. --for 2h"},
		{Zone: "by.", Since: now, LastFailure: now, Names: 5, Questions: 9, StaleNames: 1, StaleLast: now.Add(-time.Minute), Command: "lastgood nta add by. --for 2h"},
	}}
}

// serveControl runs a control address and gives where it is.
func serveControl(t *testing.T, s *shelf, listen, token string) string {
	t.Helper()
	c, err := control.New(control.Options{
		Listen: listen, Token: token, Ready: func() bool { return true }, Gather: func(func(control.Metric)) {},
		Log: slog.New(slog.DiscardHandler), Cache: s, Resolver: s, NTAs: s,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Serve() }()
	t.Cleanup(func() {
		c.Shutdown(context.Background())
		<-ended
	})
	return c.Addr()
}

// expect runs a command and wants its exit code and, in this order, some texts.
func expect(t *testing.T, code int, args string, texts ...string) outcome {
	t.Helper()
	got := lastgood(t, strings.Fields(args)...)
	if got.code != code {
		t.Errorf("%s: exit %d, want %d\n%s%s", args, got.code, code, got.out, got.errors)
	}
	rest := got.out + got.errors
	for _, text := range texts {
		_, after, ok := strings.Cut(rest, text)
		if !ok {
			t.Errorf("%s: no %q (in order) in:\n%s%s", args, text, got.out, got.errors)
			break
		}
		rest = after
	}
	return got
}

func TestCacheLookup(t *testing.T) {
	at := " --control " + serveControl(t, new(shelf), "127.0.0.1:0", "")
	expect(t, 0, "cache lookup WWW.example"+at,
		"www.example.\t0\tIN\tA\t192.0.2.1 ; stale for 41m, servable for 23h19m more; authoritative answer of zone example., unchecked, stored 46m ago",
		"www.example.\t0\tIN\tA\t192.0.2.2 ;",
		";www.example.\t252\tIN\tAAAA\t; no data, fresh, 4m12s of 5m left, then servable for 1h;",
		";; a client who asks for www.example. A now gets the last good answer, NOERROR, after at most 300ms: zone example. fails",
		";;   www.example. A is stale: serve stale (TTL 30; leads to web.example.; refreshed behind the answer; ns1.example. did not answer)",
		";;   web.example. NXDOMAIN is fresh: serve (TTL 9)")
	expect(t, 0, "cache lookup other.example MX"+at, "nothing is cached at other.example.", "asks for other.example. MX now")
	var l control.Lookup
	got := expect(t, 0, "cache lookup www.example --json"+at)
	if err := json.Unmarshal([]byte(got.out), &l); err != nil || len(l.Entries) != 2 || l.Client.Outcome != "stale" {
		t.Errorf("%v in %s", err, got.out)
	}
}

func TestCacheDump(t *testing.T) {
	at := " --control " + serveControl(t, new(shelf), "127.0.0.1:0", "")
	for flags, want := range map[string][]string{
		"":                           {"192.0.2.1", "192.0.2.2", "AAAA", "NXDOMAIN", "TXT"},
		" --stale":                   {"192.0.2.1", "192.0.2.2"},
		" --fresh":                   {"AAAA", "NXDOMAIN", "TXT"},
		" --zone example.net":        {"NXDOMAIN", "TXT"},
		" --zone example. --fresh":   {"AAAA"},
		" --limit 2":                 {"192.0.2.1", "192.0.2.2", "AAAA"},
		" --zone nothing.example.nl": nil,
	} {
		got := expect(t, 0, "cache dump"+flags+at, want...)
		if n := strings.Count(got.out, "\n"); n != len(want) {
			t.Errorf("dump%s: %d lines, want %d:\n%s", flags, n, len(want), got.out)
		}
		if strings.ContainsAny(got.out, "\x1b\u202e") {
			t.Errorf("text of the network reaches the terminal: %q", got.out)
		}
	}
	got := expect(t, 0, "cache dump --json"+at)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	for _, line := range lines {
		var e control.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Name == "" {
			t.Errorf("%v in %s", err, line)
		}
	}
	if len(lines) != len(shelved) {
		t.Errorf("%d lines", len(lines))
	}
	expect(t, 0, "cache dump --zone example.net --fresh"+at, ";nope.example.net.\t9\tIN\tANY\t; NXDOMAIN, fresh, 9s of 10s left, never served stale")
}

func TestCacheFlush(t *testing.T) {
	s := new(shelf)
	at := " --control " + serveControl(t, s, "127.0.0.1:0", "")
	for _, f := range [][3]string{
		{"www.Example", "name www.example.", "2 entries flushed"},
		{"www.example aaaa", "name www.example. AAAA", "1 entry flushed"},
		{"--zone example.com", "zone example.com.", "1200 entries flushed"},
		{"--zone .", "zone .", "1200 entries flushed"},
		{"--stale", "stale", "0 entries flushed"},
		{"--negative", "negative", "3 entries flushed"},
		{"--negative --json", "negative", `{"flushed":3}`},
	} {
		expect(t, 0, "cache flush "+f[0]+at, f[2])
		if s.last() != f[1] {
			t.Errorf("flush %s: the server did %q", f[0], s.last())
		}
	}
}

func TestCacheStatsAndZones(t *testing.T) {
	at := " --control " + serveControl(t, new(shelf), "127.0.0.1:0", "")
	expect(t, 0, "cache stats"+at, "entries       12, of them 5 stale", "1.0 MiB of 4.0 MiB (25 %)", "77 fresh")
	expect(t, 0, "cache stats --json"+at, `"entries": 12`)
	expect(t, 0, "zones"+at, "no name server that was asked has answered for 1m30s",
		"de. does not validate any more, since 10m ago, the last time 1s ago:\n  signature of a.de. DS by key 9 of de. expired",
		"2000 names and 71234 questions are hit; for 1500 of the names clients get the last good answer, the first until 20", "the last until 20",
		"what would end it: lastgood nta add de. --for 2h", "al. does", "there are no last good answers for them", "by. does", "1 of the names had last good answers until 1m ago",
		"ZONE", "CLIENT TIMEOUT", "NEXT RECHECK",
		"example.", "failing", "41m ago", "240ms (64 samples)", "2s ago", "in ", "s", "did not answer", "consul.", "well", "-", "500ms (configured)", "-")
	expect(t, 0, "zones --json"+at, `"zone": "example."`, `"next_recheck"`)
}

// Where the server is and what its token is may come from its configuration.
func TestControlAddressAndToken(t *testing.T) {
	dir := t.TempDir()
	token, socket := filepath.Join(dir, "token"), filepath.Join(dir, "c.sock")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wrong := config("wrong-token", "fedcba9876543210\n")
	at := serveControl(t, new(shelf), "127.0.0.1:0", "0123456789abcdef")
	_, port, _ := strings.Cut(at, ":")
	serveControl(t, new(shelf), "unix:"+socket, "")
	all := fmt.Sprintf("control: {listen: \"0.0.0.0:%s\", token-file: %s}\n", port, token)

	expect(t, 1, "cache stats --control "+at, at+" wants a token", "--token-file FILE")
	expect(t, 1, "cache stats --control "+at+" --token-file "+wrong, "does not accept this token")
	expect(t, 2, "cache stats --control "+at+" --token-file "+dir+"/none", "control.token-file: open "+dir+"/none")
	expect(t, 0, "cache stats --control "+at+" --token-file "+token, "entries")
	expect(t, 0, "cache stats --control localhost:"+port+" --token-file "+token, "entries")
	expect(t, 0, "cache stats --config "+config("all.yaml", all), "entries")
	expect(t, 0, "cache stats --control unix:"+socket, "entries")
	expect(t, 0, "zones --config "+config("socket.yaml", "control: {listen: \"unix:"+socket+"\"}\n"), "example.")
	expect(t, 2, "zones --config "+config("off.yaml", "control: {listen: \"off\"}\n"), "control.listen is off in "+dir+"/off.yaml")
	expect(t, 2, "zones --config "+dir+"/none.yaml", "no configuration file at")
}

// A server that is not there, not ours, or of another version: the message says
// which and what to do.
func TestServersThatCannotBeAsked(t *testing.T) {
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	newer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(control.VersionHeader, "2")
		io.WriteString(w, "{}")
	}))
	defer newer.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(control.VersionHeader, control.APIVersion)
		io.WriteString(w, "{\"name\":\"a.example.\",\"kind\":\"nxdomain\"}\n{\"na")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer broken.Close()
	picky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(control.VersionHeader, control.APIVersion)
		w.WriteHeader(map[string]int{"/api/v1/zones": 400, "/api/v1/cache/stats": 503}[r.URL.Path])
		io.WriteString(w, `{"detail":"not so","advice":"do it otherwise"}`)
	}))
	defer picky.Close()
	expect(t, 2, "zones --control "+picky.URL, "not so: do it otherwise")
	expect(t, 1, "cache stats --control "+picky.URL, "not so: do it otherwise")
	nobody := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	expect(t, 1, "zones --control "+nobody, "nobody listens at "+nobody, "lastgood serve", "--control")
	expect(t, 1, "cache flush --stale --control "+nobody, "nobody listens")
	expect(t, 1, "zones --control unix:"+t.TempDir()+"/none.sock", "there is no socket unix:", "lastgood serve")
	expect(t, 1, "zones --control "+stranger.URL, "is not lastgood, or a version without this API (HTTP status 404)")
	expect(t, 1, "zones --control "+newer.URL, "another version (its API is 2, this program's is 1)")
	expect(t, 1, "cache dump --control "+broken.URL, "a.example.", "is not complete")
	expect(t, 1, "cache stats --control "+broken.URL, "asking ")
}

func TestCacheCommandMistakes(t *testing.T) {
	for args, says := range map[string]string{
		"cache":                                 "which command?",
		"cache loup":                            "did you mean \"lookup\"?",
		"cache lookup":                          "lastgood cache lookup NAME [TYPE]",
		"cache lookup a..b":                     "no domain name",
		"cache lookup example.com BOGUS":        "unknown record type",
		"cache dump example.com":                "behind --zone",
		"cache dump --zone a..b":                "no domain name",
		"cache dump --stale --fresh":            "leave both out",
		"cache dump --limit -1":                 "--limit",
		"cache flush":                           "say what to flush",
		"cache flush --stale --negative":        "say what to flush",
		"cache flush example.com --stale":       "say what to flush",
		"cache flush example.com A B":           "say what to flush",
		"cache flush example.com BOGUS":         "unknown record type",
		"cache flush --zone example.com A":      "say what to flush",
		"cache flush a..b":                      "no domain name",
		"cache stats now":                       "no argument \"now\"",
		"zones example.com":                     "no argument \"example.com\"",
		"zones --control nowhere":               "--control: \"nowhere\" is no address",
		"zones --control unix:":                 "is no address",
		"cache dump --wrong":                    "cache dump --help",
		"cache stats --control 192.0.2.1:99999": "is no address",
	} {
		expect(t, 2, args, says)
	}
	expect(t, 0, "cache help", "lookup", "dump", "flush", "stats")
	expect(t, 0, "cache help flush", "--negative", "Examples:")
	expect(t, 0, "zones --help", "--token-file")
}

// Completion offers the commands beneath a command and their options.
func TestCompletionKnowsTheCacheCommands(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for words, want := range map[string]string{
		"cache ''": "lookup", "cache dump --st": "--stale", "cache flush --ne": "--negative", "nta ''": "remove", "nta add --r": "--reason", "zones --con": "--control", "'' ": "zones",
	} {
		script := lastgood(t, "completion", "bash").out + "COMP_WORDS=(lastgood " + words + ")\nCOMP_CWORD=$((${#COMP_WORDS[@]}-1))\n_lastgood\necho \"${COMPREPLY[@]}\"\n"
		out, err := exec.Command(bash, "-c", script).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: no %s in %s %v", words, want, out, err)
		}
	}
	if fish := lastgood(t, "completion", "fish").out; !strings.Contains(fish, "'__fish_seen_subcommand_from cache; and __fish_seen_subcommand_from dump' -l stale") {
		t.Errorf("fish:\n%s", fish)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 45 * time.Second: "45s", 12*time.Minute + 5*time.Second: "12m5s", 3 * time.Hour: "3h",
		3*time.Hour + 5*time.Second: "3h", 25 * time.Hour: "1d1h", 24 * time.Hour: "1d", 59*time.Second + 600*time.Millisecond: "1m",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
