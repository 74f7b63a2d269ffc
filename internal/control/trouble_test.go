package control

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An address that cannot be had: the message names it, says why and what to do.
func TestAddressThatCannotBeHad(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	dir := t.TempDir()
	file, locked := filepath.Join(dir, "file"), filepath.Join(dir, "locked")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	cases := map[string][]string{
		taken.Addr().String():                    {taken.Addr().String(), "address already in use", "sport = :" + port, "control.listen"},
		"192.0.2.1:8053":                         {"192.0.2.1:8053", "does not have that address"},
		"unix:" + file:                           {file, "no socket"},
		"unix:" + filepath.Join(dir, "no/s"):     {"no/s", "directory does not exist"},
		"unix:" + filepath.Join(locked, "s"):     {"locked/s", "permission denied", "cannot be written"},
		"unix:" + dir + strings.Repeat("x", 120): {"control: cannot listen on " + dir, "control.listen"},
	}
	if os.Getuid() == 0 {
		delete(cases, "unix:"+filepath.Join(locked, "s")) // root may write everywhere
	}
	for listen, want := range cases {
		_, err := New(Options{Listen: listen, Log: slog.New(slog.DiscardHandler)})
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: no %q in: %v", listen, w, err)
			}
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("what was in the way was touched: %v", err)
	}
}

// Whoever holds a socket and does not answer just now, being busy or stopped,
// keeps it; one that nobody holds is replaced.
func TestSocketOfABusyProcessStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	var full error
	for range 8 { // nobody accepts
		var conn net.Conn
		if conn, full = net.Dial("unix", path); full != nil {
			break
		}
		defer conn.Close()
	}
	if full == nil {
		t.Fatal("its queue has no end")
	}
	_, err = New(Options{Listen: "unix:" + path, Log: slog.New(slog.DiscardHandler)})
	for _, w := range []string{path, "in use", "ss -lxp", "control.listen"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("no %q in: %v", w, err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("it was removed: %v", err)
	}
	syscall.Close(fd)
	s, err := New(Options{Listen: "unix:" + path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("nobody holds it now: %v", err)
	}
	s.ln.Close()
}
