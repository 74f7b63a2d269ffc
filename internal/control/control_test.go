package control

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, o Options) string {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.Gather == nil {
		o.Gather = func(func(Metric)) {}
	}
	o.Log = slog.New(slog.DiscardHandler)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr()
}

func get(t *testing.T, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestReadinessIsListeningAndLoaded(t *testing.T) {
	ready := false
	base := start(t, Options{Ready: func() bool { return ready }})
	if code, _ := get(t, base+"/health/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("before: %d", code)
	}
	ready = true
	if code, _ := get(t, base+"/health/ready"); code != http.StatusOK {
		t.Errorf("after: %d", code)
	}
	if code, _ := get(t, base+"/health/live"); code != http.StatusOK {
		t.Errorf("live: %d", code)
	}
}

func TestMetricsInBothFormats(t *testing.T) {
	base := start(t, Options{Gather: func(emit func(Metric)) {
		emit(Metric{Name: "lastgood_queries_total", Help: "Questions.", Labels: []string{"rcode", "NOERROR"}, Value: 7})
		emit(Metric{Name: "lastgood_latency_seconds", Help: "Time.", Kind: Histogram,
			Bounds: []float64{0.1, 1}, Counts: []uint64{2, 3}, Count: 4, Sum: 2.5})
	}})
	_, text := get(t, base+"/metrics")
	for _, want := range []string{
		`lastgood_queries_total{rcode="NOERROR"} 7`, `lastgood_latency_seconds_bucket{le="0.1"} 2`,
		`lastgood_latency_seconds_bucket{le="+Inf"} 4`, `lastgood_latency_seconds_sum 2.5`, "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	_, open := get(t, base+"/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
	if !strings.HasSuffix(open, "# EOF\n") {
		t.Error("OpenMetrics was asked for and not given")
	}
}

func TestWebPagesCannotReachIt(t *testing.T) {
	base := start(t, Options{})
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Host", "evil.example", http.StatusForbidden},
		{"Host", "evil.example:8053", http.StatusForbidden},
		{"Origin", "https://evil.example", http.StatusForbidden},
		{"Origin", "null", http.StatusForbidden},
		{"Host", "localhost:8053", http.StatusOK},
		{"Host", "LocalHost:8053", http.StatusOK},
		{"Host", "localhost.:8053", http.StatusOK},
		{"Host", "localhost..:8053", http.StatusForbidden},
		{"Host", "[::1]:8053", http.StatusOK},
		{"Origin", base, http.StatusOK},
	} {
		if code, _ := get(t, base+"/health/live", c.header, c.value); code != c.want {
			t.Errorf("%s: %s: %d, want %d", c.header, c.value, code, c.want)
		}
	}
}

func TestTokenIsRequired(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := ReadToken(file)
	if err != nil {
		t.Fatal(err)
	}
	base := start(t, Options{Token: token})
	for header, want := range map[string]int{
		"": http.StatusUnauthorized, "Bearer 0123456789abcdeF": http.StatusUnauthorized,
		"0123456789abcdef": http.StatusUnauthorized, "Bearer 0123456789abcdef": http.StatusOK,
		"bearer 0123456789abcdef": http.StatusOK, "BEARER  0123456789abcdef": http.StatusOK,
		"Basic 0123456789abcdef": http.StatusUnauthorized, "Bearer0123456789abcdef": http.StatusUnauthorized, "Bearer": http.StatusUnauthorized,
	} {
		if code, _ := get(t, base+"/health/live", "Authorization", header); code != want {
			t.Errorf("%q: %d, want %d", header, code, want)
		}
	}
}

func TestUnixSocketIsTakenOverOnlyWhenDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	start(t, Options{Listen: "unix:" + path})
	if _, err := New(Options{Listen: "unix:" + path, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server on the same socket: %v", err)
	}
}

// A client that never finishes its request does not hold up the end.
func TestShutdownDoesNotWaitForHalfARequest(t *testing.T) {
	s, err := New(Options{
		Listen: "127.0.0.1:0", Ready: func() bool { return true }, Gather: func(func(Metric)) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /metr"); err != nil {
		t.Fatal(err)
	}
	// Connections are accepted in order: once this is answered, the half request is there.
	if code, _ := get(t, "http://"+s.Addr()+"/health/live"); code != http.StatusOK {
		t.Fatal(code)
	}
	begin := time.Now()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
