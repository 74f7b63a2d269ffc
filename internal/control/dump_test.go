package control

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network of one server, whose deadlines obey simulated time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

// overPipes runs a server in a bubble and begins a dump of its cache.
func overPipes(t *testing.T, c *fakeCache, read func(*http.Response)) {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	s := newServer(Options{Cache: c, Resolver: fakeResolver{}, Gather: func(func(Metric)) {}, Log: slog.New(slog.DiscardHandler)}, p)
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	transport := &http.Transport{DialContext: p.dial}
	res, err := (&http.Client{Transport: transport}).Get("http://127.0.0.1/api/v1/cache/dump")
	if err != nil {
		t.Fatal(err)
	}
	read(res)
	res.Body.Close()
	transport.CloseIdleConnections()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A dump may take longer than any other request, as long as somebody reads it.
func TestDumpMayTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCache{entries: someEntries(), rounds: 2000, pause: 50 * time.Millisecond}
		overPipes(t, c, func(res *http.Response) {
			lines := 0
			for r := bufio.NewReader(res.Body); ; lines++ {
				if _, err := r.ReadString('\n'); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if lines != 6000 {
				t.Errorf("%d lines", lines)
			}
		})
	})
}

// One who stops reading is not waited for, and nothing of the cache is held up.
func TestDumpDoesNotWaitForADeafReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCache{entries: someEntries(), endless: true, ended: make(chan struct{})}
		overPipes(t, c, func(res *http.Response) {
			start := time.Now()
			<-c.ended
			if took := time.Since(start); took > dumpPatience+time.Second {
				t.Errorf("it waited for %v", took)
			}
			if _, err := io.Copy(io.Discard, res.Body); err == nil {
				t.Error("half a dump looks like a whole one")
			}
		})
	})
}

// A client that closes its sending half looks to the server like one that went:
// what it gets is not all, and does not look as if it were. Nothing is said of
// an error of ours.
func TestDumpCutShortIsNotWhole(t *testing.T) {
	c := &fakeCache{entries: someEntries(), hold: make(chan struct{}), rounds: 1000}
	var log safeBuffer
	s, err := New(Options{Listen: "127.0.0.1:0", Cache: c, Resolver: fakeResolver{}, Gather: func(func(Metric)) {},
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /api/v1/cache/dump HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		defer res.Body.Close()
		if text, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%d octets of a dump look like all of it", len(text))
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if log.String() != "" {
		t.Errorf("the log says %s", log.String())
	}
}

// safeBuffer may be written to and read from by many at once.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
