package control

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// fakeCache is a cache of entries that a test gives; it notes what is flushed.
type fakeCache struct {
	entries []Entry
	endless bool          // a dump goes on until nobody listens
	rounds  int           // a dump gives the entries so many times, at least once
	pause   time.Duration // between them
	ended   chan struct{} // closed when a dump ends
	hold    chan struct{} // a dump waits for this

	mu      sync.Mutex
	flushed []string
}

func (c *fakeCache) Entries(name dnsname.Name) []Entry {
	var list []Entry
	for _, e := range c.entries {
		if e.Name == name.String() {
			list = append(list, e)
		}
	}
	return list
}

func (c *fakeCache) Dump(ctx context.Context, f Filter, yield func(Entry) bool) {
	if c.ended != nil {
		defer close(c.ended)
	}
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
		}
	}
	for n := 0; n == 0 || n < c.rounds || c.endless; n++ {
		time.Sleep(c.pause)
		for _, e := range c.entries {
			wanted := e.State == "fresh" && f.Fresh || e.State == "stale" && f.Stale
			if wanted && dnsname.MustParse(e.Name).Under(f.Zone) && (ctx.Err() != nil || !yield(e)) {
				return
			}
		}
	}
}

func (c *fakeCache) note(what string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushed = append(c.flushed, what)
	return n
}

func (c *fakeCache) did() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.flushed)
}

func (c *fakeCache) Flush(name dnsname.Name, t wire.Type) int {
	return c.note("name "+name.String()+" "+t.String(), 1)
}
func (c *fakeCache) FlushZone(zone dnsname.Name) int { return c.note("zone "+zone.String(), 2) }
func (c *fakeCache) FlushStale() int                 { return c.note("stale", 3) }
func (c *fakeCache) FlushNegative() int              { return c.note("negative", 4) }
func (c *fakeCache) Stats() CacheStats {
	return CacheStats{Entries: 7, Stale: 2, Evicted: Evictions{Gone: 5}}
}

type fakeResolver struct{}

func (fakeResolver) Explain(name dnsname.Name, t wire.Type) Explanation {
	return Explanation{Outcome: "stale", Rcode: "NOERROR", Why: "asked for " + name.String() + " " + t.String()}
}
func (fakeResolver) Zones() ZoneList {
	return ZoneList{Zones: []Zone{{Zone: "example.", State: "failing", Samples: 64, ClientTimeout: 300, Learned: 300}}}
}

func someEntries() []Entry {
	return []Entry{
		{Name: "www.example.", Type: "A", Kind: "data", State: "fresh", Data: []string{"192.0.2.1"}},
		{Name: "www.example.", Type: "TXT", Kind: "data", State: "stale", Data: []string{`"<&>"`}},
		{Name: "old.example.net.", Kind: "nxdomain", State: "stale"},
	}
}

func startAPI(t *testing.T, c *fakeCache) string {
	t.Helper()
	return start(t, Options{Cache: c, Resolver: fakeResolver{}})
}

// send sends one request and gives the status and body.
func send(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 400 && strings.Contains(url, "/api/") {
		checkProblem(t, method+" "+url, res, text)
	}
	return res.StatusCode, string(text)
}

// checkProblem: every error says what is wrong and what to do.
func checkProblem(t *testing.T, what string, res *http.Response, text []byte) {
	t.Helper()
	var p Problem
	err := json.Unmarshal(text, &p)
	if err != nil || res.Header.Get("Content-Type") != "application/problem+json" ||
		p.Status != res.StatusCode || p.Title == "" || p.Detail == "" || p.Advice == "" {
		t.Errorf("%s: no proper problem (%v): %s", what, err, text)
	}
}

func TestLookupShowsTheNameAndWhatAClientGets(t *testing.T) {
	base := startAPI(t, &fakeCache{entries: someEntries()})
	code, text := send(t, "GET", base+"/api/v1/cache/lookup?name=WWW.example&type=aaaa", "")
	var l Lookup
	if err := json.Unmarshal([]byte(text), &l); err != nil || code != http.StatusOK {
		t.Fatalf("%d %v: %s", code, err, text)
	}
	if l.Name != "www.example." || l.Type != "AAAA" || len(l.Entries) != 2 || l.Client.Why != "asked for www.example. AAAA" {
		t.Errorf("got %+v", l)
	}
	if code, text = send(t, "GET", base+"/api/v1/cache/lookup?name=other.example", ""); code != http.StatusOK || !strings.Contains(text, `"entries":[]`) || !strings.Contains(text, `"hops":[]`) {
		t.Errorf("a name without entries: %d %s", code, text)
	}
}

func TestDumpFiltersAndLimits(t *testing.T) {
	base := startAPI(t, &fakeCache{entries: someEntries()})
	for query, want := range map[string][]string{
		"":                             {"A", "TXT", ""},
		"?state=all":                   {"A", "TXT", ""},
		"?state=fresh":                 {"A"},
		"?state=stale":                 {"TXT", ""},
		"?zone=example.net":            {""},
		"?zone=.":                      {"A", "TXT", ""},
		"?state=stale&zone=example.":   {"TXT"},
		"?limit=2":                     {"A", "TXT"},
		"?limit=9&state=stale&zone=nl": nil,
	} {
		code, text := send(t, "GET", base+"/api/v1/cache/dump"+query, "")
		var got []string
		for line := range strings.Lines(text) {
			var e Entry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Errorf("%s: %v in %s", query, err, line)
			}
			got = append(got, e.Type)
		}
		if code != http.StatusOK || !slices.Equal(got, want) {
			t.Errorf("%s: %d %q, want %q", query, code, got, want)
		}
	}
	if _, text := send(t, "GET", base+"/api/v1/cache/dump", ""); !strings.Contains(text, `"\"<&>\""`) {
		t.Errorf("text is mangled: %s", text)
	}
}

// A reader who goes ends the dump, however much there would be.
func TestDumpEndsWithItsReader(t *testing.T) {
	c := &fakeCache{entries: someEntries(), endless: true, ended: make(chan struct{})}
	base := startAPI(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", base+"/api/v1/cache/dump", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(res.Body)
	for range 10_000 {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	res.Body.Close()
	<-c.ended
}

// Dumps and calls at once are bounded; health and metrics are not touched.
func TestCallsAtOnceAreBounded(t *testing.T) {
	c := &fakeCache{hold: make(chan struct{})}
	base := startAPI(t, c)
	var wg sync.WaitGroup
	codes := make(chan int, maxDumps+1)
	for range maxDumps + 1 {
		wg.Go(func() {
			code, _ := send(t, "GET", base+"/api/v1/cache/dump", "")
			codes <- code
		})
	}
	if code := <-codes; code != http.StatusServiceUnavailable {
		t.Errorf("the first to end got %d", code)
	}
	for _, path := range []string{"/api/v1/cache/stats", "/health/live"} {
		if code, _ := send(t, "GET", base+path, ""); code != http.StatusOK {
			t.Errorf("%s: %d beside the dumps", path, code)
		}
	}
	close(c.hold)
	wg.Wait()
	for range maxDumps {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("a dump within the bound: %d", code)
		}
	}
}

// slowBody is a request's body that comes when its sender likes.
type slowBody struct{ reading, sent chan struct{} }

func (b slowBody) Read(p []byte) (int, error) {
	b.reading <- struct{}{}
	<-b.sent
	return copy(p, `{"stale":true}`), io.EOF
}

// Who sends a body slowly keeps nobody from the API.
func TestSlowBodiesHoldNothingUp(t *testing.T) {
	s := newServer(Options{Cache: &fakeCache{}, Resolver: fakeResolver{}, Gather: func(func(Metric)) {}, Log: slog.New(slog.DiscardHandler)}, nil)
	body := slowBody{make(chan struct{}), make(chan struct{})}
	codes := make(chan int, maxCalls)
	for range maxCalls {
		go func() {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "http://localhost/api/v1/cache/flush", body)
			r.Header.Set("Content-Type", "application/json")
			s.http.Handler.ServeHTTP(w, r)
			codes <- w.Code
		}()
		<-body.reading
	}
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/api/v1/cache/stats", nil))
	if w.Code != http.StatusOK {
		t.Errorf("beside them: %d", w.Code)
	}
	close(body.sent)
	for range maxCalls {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one of them: %d", code)
		}
	}
}

func TestFlushDoesWhatItIsTold(t *testing.T) {
	c := &fakeCache{}
	base := startAPI(t, c)
	for _, f := range []struct{ body, reply, did string }{
		{`{"name":"WWW.Example"}`, `{"flushed":1}`, "name www.example. " + wire.TypeNone.String()},
		{`{"name":"www.example","type":"any"}`, `{"flushed":1}`, "name www.example. " + wire.TypeNone.String()},
		{`{"name":"www.example.","type":"aaaa"}`, `{"flushed":1}`, "name www.example. AAAA"},
		{`{"zone":"example"}`, `{"flushed":2}`, "zone example."},
		{`{"zone":"."}`, `{"flushed":2}`, "zone ."},
		{`{"stale":true}`, `{"flushed":3}`, "stale"},
		{`{"negative":true,"stale":false}`, `{"flushed":4}`, "negative"},
	} {
		code, text := send(t, "POST", base+"/api/v1/cache/flush", f.body, "Content-Type", "application/json; charset=utf-8")
		if code != http.StatusOK || strings.TrimSpace(text) != f.reply || c.did()[len(c.did())-1] != f.did {
			t.Errorf("%s: %d %s, did %q", f.body, code, text, c.did())
		}
	}
}

func TestStatsAndZones(t *testing.T) {
	base := startAPI(t, &fakeCache{})
	if _, text := send(t, "GET", base+"/api/v1/cache/stats", ""); !strings.Contains(text, `"entries":7`) || !strings.Contains(text, `"gone":5`) {
		t.Error(text)
	}
	if _, text := send(t, "GET", base+"/api/v1/zones", ""); !strings.Contains(text, `"state":"failing"`) || strings.Contains(text, "since") {
		t.Error(text)
	}
	if _, text := send(t, "GET", base+"/api/v1/openapi.json", ""); text != string(description) {
		t.Error("the description is not what is served")
	}
}

// What cannot be understood is refused, and changes nothing.
func TestMistakesAreRefused(t *testing.T) {
	c := &fakeCache{entries: someEntries()}
	base := startAPI(t, c)
	const asJSON = "application/json"
	for _, m := range []struct {
		method, path, body, kind string
		want                     int
	}{
		{"GET", "/api/v1/cache/lookup", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a..b", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a&type=BOGUS", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a&name=b", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a&type=TYPE0", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a&type=tsig", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a&type=AXFR", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=a&type=IXFR", "", "", 400},
		{"GET", "/api/v1/cache/lookup?nmae=a", "", "", 400},
		{"GET", "/api/v1/cache/lookup?name=%zz", "", "", 400},
		{"GET", "/api/v1/cache/dump?state=old", "", "", 400},
		{"GET", "/api/v1/cache/dump?zone=", "", "", 400},
		{"GET", "/api/v1/cache/dump?limit=0", "", "", 400},
		{"GET", "/api/v1/cache/dump?limit=-1", "", "", 400},
		{"GET", "/api/v1/cache/dump?staet=stale", "", "", 400},
		{"GET", "/api/v1/cache/stats?x=1", "", "", 400},
		{"GET", "/api/v1/nothing", "", "", 404},
		{"GET", "//api/v1/zones", "", "", 404},
		{"GET", "/api/v1/../v1/zones", "", "", 404},
		{"GET", "/api/v1/zones/", "", "", 404},
		{"GET", "/api/v2/cache/stats", "", "", 404},
		{"POST", "/api/v1/cache/stats", "{}", asJSON, 405},
		{"DELETE", "/api/v1/cache/dump", "", "", 405},
		{"OPTIONS", "/api/v1/cache/flush", "", "", 405},
		{"GET", "/api/v1/cache/flush", "", "", 405},
		{"PUT", "/api/v1/cache/flush", `{"stale":true}`, asJSON, 405},
		{"POST", "/api/v1/cache/flush", `{"stale":true}`, "", 415},
		{"POST", "/api/v1/cache/flush", `{"stale":true}`, "text/plain", 415},
		{"POST", "/api/v1/cache/flush", `{"stale":true}`, "application/x-www-form-urlencoded", 415},
		{"POST", "/api/v1/cache/flush", `{"stale":true}`, "text/plain; x=application/json", 415},
		{"POST", "/api/v1/cache/flush", `{}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", ``, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"stale":false}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"stale":true,"negative":true}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"name":"a","zone":"b"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"zone":"b","type":"A"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"type":"A"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"name":"a..b"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"name":"a","type":"BOGUS"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"name":"a","type":"TYPE0"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"Stale":true}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"\u017ftale":true}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"name":"a","name":"b"}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"stale":true,"stale":true}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `null`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `[]`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"zones":"example."}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"stale":true,"really":false}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"stale":true}{"negative":true}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"stale":true`, asJSON, 400},
		{"POST", "/api/v1/cache/flush?stale=true", `{"stale":true}`, asJSON, 400},
		{"POST", "/api/v1/cache/flush", `{"name":"` + strings.Repeat("a", maxBody) + `"}`, asJSON, 413},
	} {
		var headers []string
		if m.kind != "" {
			headers = []string{"Content-Type", m.kind}
		}
		if code, text := send(t, m.method, base+m.path, m.body, headers...); code != m.want {
			t.Errorf("%s %s %.40s (%s): %d, want %d: %s", m.method, m.path, m.body, m.kind, code, m.want, text)
		}
	}
	if did := c.did(); len(did) > 0 {
		t.Errorf("something was flushed: %q", did)
	}
}

// Without a cache to show there is no API, and nothing that pretends to be one.
func TestNoCacheNoAPI(t *testing.T) {
	base := start(t, Options{})
	if code, _ := send(t, "GET", base+"/api/v1/cache/stats", ""); code != http.StatusNotFound {
		t.Error(code)
	}
}

// No error gives back more of a request than a line of it.
func TestErrorsEchoLittle(t *testing.T) {
	base := startAPI(t, &fakeCache{})
	long := strings.Repeat("x", 4000)
	for _, c := range [][3]string{
		{"GET", "/" + long, "localhost"}, {"GET", "/", long + ".example"}, {strings.ToUpper(long), "/api/v1/zones", "localhost"},
		{"GET", "/api/v1/zones?" + long, "localhost"}, {"GET", "/api/v1/cache/lookup?name=" + long, "localhost"},
	} {
		code, text := send(t, c[0], base+c[1], "", "Host", c[2])
		if code < 400 || len(text) > 700 {
			t.Errorf("%.20s %.30s: %d, %d octets", c[0], c[1], code, len(text))
		}
	}
}
