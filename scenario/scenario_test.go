package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// seedVariable replaces the seed of every scenario: the number that a failure
// printed, or another one, to see whether chance matters.
const seedVariable = "SCENARIO_SEED"

// traceVariable, when set, shows the packets of scenarios that pass too.
const traceVariable = "SCENARIO_TRACE"

// files lists the scenarios, by path from here.
func files(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".txtar" {
			list = append(list, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("no scenarios")
	}
	return list
}

func load(t *testing.T, file string) *script {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestScenarios plays every scenario.
func TestScenarios(t *testing.T) {
	for _, file := range files(t) {
		t.Run(strings.TrimSuffix(file, ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := load(t, file)
			if folder, _, _ := strings.Cut(file, "/"); strings.HasPrefix(folder, "rfc") && !strings.Contains(s.about, "RFC "+folder[3:]) {
				t.Errorf("%s:1: the comment does not name RFC %s", file, folder[3:])
			}
			seed := seedOf(file)
			if text := os.Getenv(seedVariable); text != "" {
				n, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				seed = n
			}
			synctest.Test(t, func(t *testing.T) {
				w, err := play(t, s, seed, false)
				if err != nil {
					t.Errorf("%v\n\n%s\n%s=%d\n%s", err, s.about, seedVariable, seed, w.trace)
				}
				if os.Getenv(traceVariable) != "" {
					t.Logf("\n%s", w.trace)
				}
				if w.groups == 0 {
					t.Errorf("%s: nothing is expected", file)
				}
			})
		})
	}
}

// TestBite plays every scenario with each expectation turned into its contrary,
// which must not hold: an expectation that cannot fail says nothing.
func TestBite(t *testing.T) {
	for _, file := range files(t) {
		t.Run(strings.TrimSuffix(file, ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := load(t, file)
			synctest.Test(t, func(t *testing.T) {
				if _, err := play(t, s, seedOf(file), true); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
