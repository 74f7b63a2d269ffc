package control

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
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
