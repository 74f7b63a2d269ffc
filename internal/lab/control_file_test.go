package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// A lab removes the socket of a lab that died, never somebody's file.
func TestControlSocketSparesFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letter")
	if err := os.WriteFile(path, []byte("dear reader"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listenControl(path); err == nil {
		l.Close()
		t.Error("took a file for a socket")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "dear reader" {
		t.Errorf("the file is %q now, %v", text, err)
	}
}
