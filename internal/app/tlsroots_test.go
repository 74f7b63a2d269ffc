package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lastgood/internal/config"
)

// A file of certificates that cannot be used stops the start, with its name.
func TestUselessRoots(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		empty:         "forward[].tls-ca: " + empty + " holds no certificate",
		empty + ".no": "forward[].tls-ca: open " + empty + ".no: no such file",
	} {
		c := config.Default()
		c.Forward = []config.Forward{{Zone: "\x06consul\x00", TLSCA: file}}
		_, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The name that a certificate must have reaches those who ask.
func TestTLSTargets(t *testing.T) {
	c, err := config.Parse("test", []byte(`forward: [{zone: x., to: ["tls://192.0.2.1#Dns.Example.", "192.0.2.2"]}]`))
	if err != nil {
		t.Fatal(err)
	}
	list := targets(c.Forward[0].To)
	if s := list[0]; s.TLS != "dns.example" || !s.TCP || s.Addr.Port() != 853 {
		t.Errorf("%+v", s)
	}
	if s := list[1]; s.TLS != "" || s.TCP {
		t.Errorf("%+v", s)
	}
}
