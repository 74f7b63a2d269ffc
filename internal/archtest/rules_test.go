package archtest

import (
	"os"
	"testing"
	"testing/fstest"
)

// loadModule parses the source that the tests run in.
func loadModule(t *testing.T) *tree {
	t.Helper()
	source, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(source.files) < 20 {
		t.Fatalf("only %d files found", len(source.files))
	}
	return source
}

// TestRules sees each rule fail on the samples that break it, once for each,
// and hold on the others.
func TestRules(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if len(r.broken) == 0 || len(r.sound) == 0 {
				t.Error("the rule lacks a sample")
			}
			for i, sample := range r.broken {
				if found := r.check(sampleTree(t, sample)); len(found) != 1 {
					t.Errorf("broken sample %d: found %q", i, found)
				}
			}
			for i, sample := range r.sound {
				if found := r.check(sampleTree(t, sample)); len(found) != 0 {
					t.Errorf("sound sample %d: found %q", i, found)
				}
			}
		})
	}
}

func sampleTree(t *testing.T, sample map[string]string) *tree {
	t.Helper()
	root := fstest.MapFS{}
	for name, text := range sample {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	source, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	return source
}
