package archtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// layers is the table of docs/architecture.md: a package imports only packages
// on lines above its own.
//
// DO NOT CHANGE THIS TABLE TO MAKE A TEST PASS.
const layers = `clock  dnsname  ede
wire
rrset
event  stale
infra  cache  dnssec
anchor  rootzone
iterator  validator
resolver
authority  durable
upstream  listener  xdp  control  flatten  observatory
dashboard  config  lab
app
cli
cmd/lastgood
`

// lastPure is the line down to which packages are pure; clock alone is not.
const lastPure = "iterator  validator"

// testOnly packages are for tests; no other code may import them, and they may
// import everything below app.
var testOnly = []string{"archtest", "simnet", "simauth", "scenario", "world"}

// lines gives each package its line in the table.
func lines() map[string]int {
	at := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(layers), "\n") {
		for _, pkg := range strings.Fields(line) {
			at[pkg] = i
		}
	}
	return at
}

// isPure tells whether a package may know nothing of the world around it.
func isPure(pkg string) bool {
	for _, line := range strings.Split(layers, "\n") {
		if slices.Contains(strings.Fields(line), pkg) {
			return pkg != "clock"
		}
		if line == lastPure {
			break
		}
	}
	return false
}

var layerRule = rule{
	name: "layers",
	check: func(t *tree) (found []string) {
		at := lines()
		missing := map[string]bool{}
		for _, f := range t.files {
			line, listed := at[f.pkg]
			if !listed && !slices.Contains(testOnly, f.pkg) && !missing[f.pkg] {
				missing[f.pkg] = true
				found = append(found, f.path+": package "+f.pkg+" is missing from the layer table")
			}
			if !listed || f.test {
				continue
			}
			for _, imported := range f.imports {
				pkg, ours := strings.CutPrefix(imported, module+"/")
				pkg = strings.TrimPrefix(pkg, "internal/")
				if theirs, known := at[pkg]; ours && known && theirs >= line {
					found = append(found, fmt.Sprintf("%s: %s imports %s, which is not above it in the layer table", f.path, f.pkg, pkg))
				}
			}
		}
		return found
	},
	broken: []map[string]string{
		{"internal/wire/a.go": "package wire\nimport _ \"lastgood/internal/cache\""},
		{"internal/cache/a.go": "package cache\nimport _ \"lastgood/internal/infra\""}, // the same line
		{"internal/util/a.go": "package util"},
		{"internal/util/a_test.go": "package util"},
		{"internal/app/a.go": "package app\nimport _ \"lastgood/cmd/lastgood\""},
	},
	sound: []map[string]string{
		{"internal/cache/a.go": "package cache\nimport _ \"lastgood/internal/wire\"", "cmd/lastgood/main.go": "package main\nimport _ \"lastgood/internal/cli\""},
		{"internal/wire/a_test.go": "package wire\nimport _ \"lastgood/internal/app\""},
		{"internal/simnet/a.go": "package simnet"},
		{"conformance/go.mod": "module conformance", "conformance/a.go": "package conformance"},
	},
}

var testOnlyRule = rule{
	name: "test-only packages",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if f.test || slices.Contains(testOnly, f.pkg) {
				continue
			}
			for _, pkg := range testOnly {
				if slices.Contains(f.imports, module+"/internal/"+pkg) || slices.Contains(f.imports, module+"/"+pkg) {
					found = append(found, f.path+": imports "+pkg+", which is for tests")
				}
			}
		}
		return found
	},
	broken: []map[string]string{
		{"internal/app/a.go": "package app\nimport _ \"lastgood/internal/simnet\""},
		{"internal/lab/a.go": "package lab\nimport _ \"lastgood/internal/simauth\""},
	},
	sound: []map[string]string{
		{"internal/app/a_test.go": "package app\nimport _ \"lastgood/internal/simnet\""},
		{"internal/simauth/a.go": "package simauth\nimport _ \"lastgood/internal/simnet\""},
	},
}

// TestTableIsDocumented compares the table with the page that explains it.
func TestTableIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("docs/architecture.md is missing")
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := documentedTable(string(text)); got != layers {
		t.Errorf("docs/architecture.md has the table\n%s\nthe test has\n%s", got, layers)
	}
	if documentedTable("\n## Layers\n```\nclock\n```\n") == layers {
		t.Error("the comparison finds no difference where there is one")
	}
}

// documentedTable is the first block of code below the heading "Layers".
func documentedTable(page string) string {
	_, section, _ := strings.Cut(page, "\n## Layers")
	_, block, _ := strings.Cut(section, "\n```\n")
	table, _, _ := strings.Cut(block, "```")
	return table
}
