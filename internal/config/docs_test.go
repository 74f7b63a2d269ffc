package config

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestDocumentsParse reads every block of YAML in the documentation as a
// configuration file.
func TestDocumentsParse(t *testing.T) {
	root := os.DirFS("../..")
	pages, err := fs.Glob(root, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := fs.Glob(root, "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, page := range append(pages, more...) {
		text, err := fs.ReadFile(root, page)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range strings.Split(string(text), "\n```yaml\n")[1:] {
			block, _, _ := strings.Cut(part, "\n```")
			blocks++
			if _, err := Parse(page, []byte(block)); err != nil {
				t.Errorf("block %d (lines count from its start): %v\n%s", i+1, err, block)
			}
		}
	}
	if blocks == 0 {
		t.Error("no block of YAML found")
	}
}
