package control

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever is sent, the reply is one of the described ones, an error is a
// problem, and nothing is flushed but by what is answered with success.
func FuzzRequests(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "cache/lookup?name=www.example&type=MX", "", ""}, {"GET", "cache/dump?state=stale&zone=a.b&limit=3", "", ""},
		{"POST", "cache/flush", "application/json", `{"name":"\\000.example","type":"TYPE65280"}`}, {"POST", "cache/flush", "application/json", `{"zone":".","stale":true}`},
		{"GET", "zones", "", ""}, {"GET", "cache/stats?%", "", ""}, {"HEAD", "cache/dump", "", ""}, {"GET", "../metrics", "", ""},
		{"GET", "nta/list", "", ""}, {"POST", "nta/add", "application/json", `{"zone":"a.b","for_seconds":60,"reason":"x","forced":true}`}, {"POST", "nta/remove", "application/json", `{"zone":"a"}`},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, target, kind, body string) {
		req, err := http.NewRequest(method, "http://127.0.0.1/api/v1/"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", kind)
		c := &fakeCache{entries: someEntries()}
		s := newServer(Options{Cache: c, Resolver: fakeResolver{}, NTAs: new(fakeNTAs), Gather: func(func(Metric)) {}, Log: slog.New(slog.DiscardHandler)}, nil)
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, req)
		switch w.Code {
		case 200:
		case 400, 404, 405, 409, 413, 415:
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Advice == "" {
				t.Errorf("no problem: %s", w.Body)
			}
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if len(c.did()) > 0 && (w.Code != 200 || method != "POST") {
			t.Errorf("%s flushed %q with status %d", method, c.did(), w.Code)
		}
	})
}
