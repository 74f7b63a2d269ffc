package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/config"
)

// outcome is what a command printed and how it ended.
type outcome struct {
	code        int
	out, errors string
}

func lastgood(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := Run(t.Context(), args, &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

func TestExitCodesAndRemedies(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("listen: []\nchache: {size: 1MiB}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	anchors := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(anchors, []byte("; of the root\n. DS 20326 8 2 E06D44B8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := func(key, file string) string {
		path := filepath.Join(t.TempDir(), "lastgood.yaml")
		text := "listen: [\"127.0.0.1:0\"]\n" + key[:strings.Index(key, ".")] + ": {" + key[strings.Index(key, ".")+1:] + ": " + file + "}\n"
		if strings.HasPrefix(key, "control.") {
			text = strings.Replace(text, "{", "{listen: \"127.0.0.1:0\", ", 1)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		args string
		code int
		says string // in either stream
	}{
		{"", 2, "which command?"},
		{"--version", 0, "lastgood "},
		{"version extra", 2, "no argument \"extra\""},
		{"config example extra", 2, "no argument"},
		{"lab list extra", 2, "no argument"},
		{"help qeury", 2, "unknown command \"qeury\""},
		{"query example.com --timeout 0s", 2, "--timeout"},
		{"query example.com --config x.yaml", 2, "--config goes with --trace"},
		{"serve --config " + names("recursion.root-hints", "/nonexistent/hints"), 2, "recursion.root-hints: open /nonexistent/hints"},
		{"serve --config " + names("server.cookie-secret-file", bad), 2, bad + ":1: a secret is 32"},
		{"serve --config " + names("dnssec.trust-anchors", "["+anchors+"]"), 2, "lastgood: dnssec.trust-anchors: " + anchors + ":2: 4 octets are no digest of type 2; write a record such as"},
		{"config check " + names("dnssec.trust-anchors", "[/nonexistent/key]"), 2, "lastgood.yaml: dnssec.trust-anchors: stat /nonexistent/key: no such file or directory: name a file of DS or DNSKEY records"},
		{"config check " + names("dnssec.trust-anchors", "[/dev/null]"), 2, "dnssec.trust-anchors: read /dev/null: that is no file"},
		{"serve --config " + names("control.token-file", "/dev/null"), 2, "control.token-file: /dev/null"},
		{"help", 0, "serve"},
		{"help query", 0, "--trace"},
		{"query --help", 0, "--server"},
		{"qeury example.com", 2, "unknown command \"qeury\""},
		{"ser", 2, "did you mean \"serve\"?"},
		{"query", 2, "give a name"},
		{"query a..b", 2, "no domain name"},
		{"query example.com BOGUS", 2, "unknown record type"},
		{"query example.com --server nowhere", 2, "--server"},
		{"query example.com --lab", 2, "--lab goes with --trace"},
		{"query example.com --wrong", 2, "query --help"},
		{"config check", 2, "config check FILE"},
		{"config check " + bad, 2, bad + ":2:"},
		{"config check " + bad, 2, "did you mean \"cache\""},
		{"config check " + names("recursion.root-hints", "/nonexistent/hints"), 2, "lastgood.yaml: recursion.root-hints: open /nonexistent/hints"},
		{"config check " + names("control.token-file", "/nonexistent/token"), 2, "lastgood.yaml: control.token-file: open /nonexistent/token"},
		{"serve --config " + bad, 2, bad + ":2:"},
		{"serve --config /nonexistent/lastgood.yaml", 2, "config example"},
		{"serve extra", 2, "no arguments"},
		{"lab fault example.com", 2, "ZONE"},
		{"lab elsewhere", 2, "fault and list"},
		{"completion tcsh", 2, "bash, zsh or fish"},
		{"config example", 0, "cache:"},
		{"config schema", 0, "\"$schema\""},
		{"version", 0, "lastgood "},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := lastgood(t, strings.Fields(c.args)...)
			if got.code != c.code || !strings.Contains(got.out+got.errors, c.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s%s", got.code, c.code, c.says, got.out, got.errors)
			}
		})
	}
}

func TestExampleConfigurationIsFine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lastgood.yaml")
	if err := os.WriteFile(path, []byte(lastgood(t, "config", "example").out), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lastgood(t, "config", "check", path); got.code != 0 {
		t.Errorf("exit %d: %s", got.code, got.errors)
	}
}

func TestTraceTellsEveryStep(t *testing.T) {
	got := lastgood(t, "query", "--trace", "--lab", "one.alias.example.com")
	if got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.errors)
	}
	rest := got.out
	for _, want := range []string{
		"resolve one.alias.example.com. A", "zone .: ask", "for com. A (minimised)", "that is for the servers of com.",
		"zone com.: ask", "zone example.com.: ask", "an alias of", "NOERROR after", "status: NOERROR", ";; ANSWER SECTION:", "CNAME",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q (in order) in:\n%s", want, got.out)
		}
		rest = after
	}
}

func TestTraceAsJSON(t *testing.T) {
	got := lastgood(t, "query", "--trace", "--lab", "--json", "www.example.com", "AAAA")
	var m message
	if err := json.Unmarshal([]byte(got.out), &m); err != nil {
		t.Fatalf("%v in:\n%s", err, got.out)
	}
	asked := 0
	for _, s := range m.Steps {
		if s.What == "ask" && s.Server != "" && s.Outcome != "" && s.Zone != "" {
			asked++
		}
	}
	if m.Status != "NOERROR" || asked < 4 || m.Question[0].Type != "AAAA" {
		t.Errorf("status %s, %d servers asked, question %v", m.Status, asked, m.Question)
	}
}

// buffer is a bytes.Buffer that one goroutine writes while another reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestLabFromStartToEnd runs the lab as a person would: ask, break, ask, mend.
func TestLabFromStartToEnd(t *testing.T) {
	dir := t.TempDir()
	socket, cfg, port := filepath.Join(dir, "lab.sock"), filepath.Join(dir, "lab.yaml"), freePort(t)
	text := fmt.Sprintf("listen: [\"dns://127.0.0.1:%d\"]\ncontrol: {listen: \"off\"}\n", port)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var out, errs buffer
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, []string{"lab", "--config", cfg, "--socket", socket}, &out, &errs) }()
	server := fmt.Sprintf("127.0.0.1:%d", port)
	waitListening(t, server, ended)

	ask := func(name string) outcome { return lastgood(t, "query", "--server", server, name) }
	if got := ask("www.example.com"); got.code != 0 || !strings.Contains(got.out, "203.0.113.10") {
		t.Errorf("healthy: exit %d\n%s%s", got.code, got.out, got.errors)
	}
	if got := lastgood(t, "lab", "fault", "--socket", socket, "example.net", "refused"); got.code != 0 {
		t.Errorf("fault: %s", got.errors)
	}
	if got := ask("www.example.net"); got.code != 1 || !strings.Contains(got.out, "status: REFUSED") || !strings.Contains(got.out, "EDE: 23") {
		t.Errorf("faulty: exit %d\n%s%s", got.code, got.out, got.errors)
	}
	if got := lastgood(t, "lab", "list", "--socket", socket); !strings.Contains(got.out, "refused") {
		t.Errorf("the fault isn't listed:\n%s", got.out)
	}
	lastgood(t, "lab", "fault", "--socket", socket, "example.net", "off")
	if got := ask("mail.example.net"); got.code != 0 {
		t.Errorf("mended: exit %d\n%s%s", got.code, got.out, got.errors)
	}
	if got := lastgood(t, "lab", "fault", "--socket", socket, "exmaple.net", "off"); got.code != 1 || !strings.Contains(got.errors, "example.net") {
		t.Errorf("no nearest name: exit %d %s", got.code, got.errors)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("the lab ended with %d: %s", code, errs.String())
	}
	if !strings.Contains(out.String(), "dig @127.0.0.1") {
		t.Errorf("no dig lines:\n%s", out.String())
	}
}

// freePort gives a port that nobody listens on, below those that the system gives
// to connections: one of those could be that of whoever dials it to see whether
// somebody listens yet, and would then be taken.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no free port")
	return 0
}

func waitListening(t *testing.T, addr string, ended <-chan int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		select {
		case code := <-ended:
			t.Fatalf("ended with %d before it listened", code)
		case <-deadline:
			t.Fatal("does not listen")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAskExplainsThatNobodyListens(t *testing.T) {
	got := lastgood(t, "query", "--server", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "example.com")
	if got.code != 1 || !strings.Contains(got.errors, "--trace") {
		t.Errorf("exit %d: %s", got.code, got.errors)
	}
}

func TestCompletionScriptsAreShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := lastgood(t, "completion", shell).out
		if !strings.Contains(script, "serve") || !strings.Contains(script, "trace") {
			t.Errorf("%s: commands or options are missing:\n%s", shell, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // not installed here
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not take it: %v\n%s", shell, err, out)
		}
	}
}

func TestPrintableTameText(t *testing.T) {
	for in, want := range map[string]string{
		"ns1.example": "ns1.example", "zürich": "zürich", "\x1b[31m": ".[31m", "a\u009b31mb": "a.31mb", "a\u202eb": "a.b", "\xff\x00": "ff00",
	} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestMetricsURL(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8053": "http://127.0.0.1:8053/metrics", "unix:/run/control.sock": "--unix-socket /run/control.sock http://localhost/metrics",
	} {
		if got := metricsURL(in); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}

// What the greeting says to try works where a token is wanted.
func TestGreetingNamesTheToken(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("test", fmt.Appendf(nil, "listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"127.0.0.1:0\", token-file: %s}\n", token))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: c, Log: quietLog()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	defer a.Stop(t.Context())
	var said strings.Builder
	greet(&said, a, token)
	if want := "lastgood zones --control " + a.ControlAddr() + " --token-file " + token + "\n"; !strings.Contains(said.String(), want) {
		t.Errorf("no %q in %s", want, said.String())
	}
	if want := `-H "Authorization: Bearer $(head -n1 ` + token + `)"`; !strings.Contains(said.String(), want) {
		t.Errorf("no %q in %s", want, said.String())
	}
	expect(t, 0, "zones --control "+a.ControlAddr()+" --token-file "+token)
}
