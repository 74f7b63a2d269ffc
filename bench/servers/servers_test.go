package servers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every configuration can be written, with validation and without, and says nothing
// of a thing that it was not told.
func TestFiles(t *testing.T) {
	for _, validate := range []bool{false, true} {
		setup := Setup{Dir: "/dir", Port: 5999, Validate: validate, CacheMiB: 384, Cores: 1, Connections: 1000, Raised: true, Hints: "/hints", Anchor: ". IN DS 1 13 2 abcd"}
		for _, s := range known() {
			files, err := s.Files(setup)
			if err != nil {
				t.Fatal(err)
			}
			var all string
			for name, text := range files {
				if strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
					t.Errorf("%s: %s", name, text)
				}
				all += text
			}
			if !strings.Contains(all, "5999") || !strings.Contains(all, "/hints") || strings.Contains(all, "abcd") != validate {
				t.Errorf("%s, validation %t:\n%s", s.Name, validate, all)
			}
		}
	}
}

// A folder is emptied for a server, a file is not taken for one.
func TestStartKeepsFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lastgood")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := known()[0].Start(t.Context(), Setup{Dir: file, Anchor: ". IN DS 1 13 2 abcd"}, "0"); err == nil {
		t.Error("it started")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
