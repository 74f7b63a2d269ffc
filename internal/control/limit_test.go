package control

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
)

// Connections are bounded before anybody has shown a token: those beyond are
// closed at once and counted, and there is room again when others have gone.
func TestConnectionsAreBounded(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0", Token: "0123456789abcdef", Gather: func(func(Metric)) {}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	ask := func(conn net.Conn) error {
		if _, err := io.WriteString(conn, "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	conns := make([]net.Conn, MaxConns)
	for i := range conns {
		conns[i] = dial()
		defer conns[i].Close()
	}
	const more = 5
	for range more {
		conn := dial()
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("a connection beyond the bound got %d octets", n)
		}
		conn.Close()
	}
	if n := s.Refused(); n != more {
		t.Errorf("%d counted, want %d", n, more)
	}
	if err := ask(conns[MaxConns-1]); err != nil {
		t.Errorf("one within the bound: %v", err)
	}
	conns[0].Close()
	for ok := false; !ok; { // the server has to see that first
		conn := dial()
		ok = ask(conn) == nil
		conn.Close()
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
