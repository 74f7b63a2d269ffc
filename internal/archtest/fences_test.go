package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// foreign says where code of others may be used: outside tests, and besides
// those in tests of any package.
var foreign = []struct {
	path    string
	users   []string
	inTests bool
}{
	{"go.yaml.in/yaml/", []string{"config"}, false},
	{"github.com/prometheus/", []string{"control"}, false},
	{"github.com/miekg/dns", []string{"authority"}, true},
	{"github.com/cilium/ebpf", []string{"xdp"}, false},
	{"golang.org/x/sys/", []string{"clock", "listener", "upstream", "xdp"}, true},
	{"golang.org/x/net/", []string{"listener", "upstream"}, true},
	{"golang.org/x/tools/txtar", []string{"scenario"}, true},
}

var foreignRule = rule{
	name: "foreign packages",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			for _, imported := range f.imports {
				first, _, _ := strings.Cut(imported, "/")
				if !strings.Contains(first, ".") {
					continue // ours and the standard library's
				}
				allowed := false
				for _, fence := range foreign {
					if strings.HasPrefix(imported, fence.path) {
						allowed = slices.Contains(fence.users, f.pkg) || fence.inTests && (f.test || slices.Contains(testOnly, f.pkg))
					}
				}
				if !allowed {
					found = append(found, fmt.Sprintf("%s: %s may not import %s", f.path, f.pkg, imported))
				}
			}
		}
		return found
	},
	broken: []map[string]string{
		{"internal/app/a.go": "package app\nimport _ \"go.yaml.in/yaml/v3\""},
		{"internal/cache/a.go": "package cache\nimport _ \"github.com/prometheus/client_golang/prometheus\""},
		{"internal/cache/a_test.go": "package cache\nimport _ \"github.com/prometheus/client_golang/prometheus\""},
		{"internal/wire/a.go": "package wire\nimport _ \"github.com/miekg/dns\""},
		{"internal/wire/a.go": "package wire\nimport _ \"github.com/example/anything\""},
	},
	sound: []map[string]string{
		{"internal/config/a.go": "package config\nimport _ \"go.yaml.in/yaml/v3\""},
		{"internal/wire/a_test.go": "package wire\nimport _ \"github.com/miekg/dns\""},
	},
}

// fences say which packages of the standard library who may not use.
var fences = []struct {
	path string
	ban  func(pkg string) bool
	why  string
}{
	{"net", isPure, "pure packages have no sockets (net/netip is fine)"},
	{"net/http", func(pkg string) bool { return isPure(pkg) || pkg == "resolver" }, "HTTP belongs to the edges"},
	{"os", isPure, "pure packages have no files"},
	{"os/exec", func(string) bool { return true }, "the program starts no other"},
	{"io/ioutil", func(string) bool { return true }, "deprecated"},
	{"syscall", isPure, "pure packages have no sockets and files"},
	{"log", func(string) bool { return true }, "log/slog is what is used"},
	{"log/slog", isPure, "pure packages do not log; they have events"},
	{"math/rand", func(string) bool { return true }, "math/rand/v2 is what is used"},
	{"crypto/rand", isPure, "chance comes from outside"},
	{"unsafe", func(pkg string) bool {
		return !slices.Contains([]string{"clock", "dnsname", "wire", "rrset", "cache", "listener", "upstream", "xdp"}, pkg)
	}, "unsafe belongs to few packages"},
}

var standardRule = rule{
	name: "standard library",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if f.test || slices.Contains(testOnly, f.pkg) {
				continue
			}
			for _, fence := range fences {
				if slices.Contains(f.imports, fence.path) && fence.ban(f.pkg) {
					found = append(found, fmt.Sprintf("%s: %s may not import %s: %s", f.path, f.pkg, fence.path, fence.why))
				}
			}
		}
		return found
	},
	broken: []map[string]string{
		{"internal/stale/a.go": "package stale\nimport _ \"os\""},
		{"internal/iterator/a.go": "package iterator\nimport _ \"net\""},
		{"internal/dnsname/a.go": "package dnsname\nimport _ \"log/slog\""},
		{"internal/app/a.go": "package app\nimport _ \"log\""},
		{"internal/upstream/a.go": "package upstream\nimport _ \"math/rand\""},
		{"internal/app/a.go": "package app\nimport _ \"unsafe\""},
		{"internal/rootzone/a.go": "package rootzone\nimport _ \"crypto/rand\""},
	},
	sound: []map[string]string{
		{"internal/iterator/a.go": "package iterator\nimport _ \"net/netip\""},
		{"internal/clock/a.go": "package clock\nimport _ \"os\""},
		{"internal/resolver/a.go": "package resolver\nimport _ \"log/slog\""},
		{"internal/stale/a_test.go": "package stale\nimport _ \"os\""},
	},
}

var cgoRule = rule{
	name: "no C",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if slices.Contains(f.imports, "C") {
				found = append(found, f.path+": imports C")
			}
		}
		return found
	},
	broken: []map[string]string{{"internal/wire/a.go": "package wire\nimport \"C\""}},
	sound:  []map[string]string{{"internal/wire/a.go": "package wire"}},
}

// readsClock are the functions of package time that read it.
var readsClock = []string{"Now", "Since", "Until"}

var clockRule = rule{
	name: "one clock",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			// cli times its own questions to a server, which are none of the
			// resolver's business.
			if f.test || f.pkg == "clock" || f.pkg == "cli" || slices.Contains(testOnly, f.pkg) {
				continue
			}
			f.uses("time", func(at ast.Node, name string) {
				if slices.Contains(readsClock, name) {
					found = append(found, f.at(at)+": time."+name+": package clock is the only place that reads the time")
				}
			})
		}
		return found
	},
	broken: []map[string]string{
		{"internal/resolver/a.go": "package resolver\nimport \"time\"\nvar _ = time.Now"},
		{"internal/app/a.go": "package app\nimport t \"time\"\nvar _ = t.Since(t.Time{})"},
	},
	sound: []map[string]string{
		{"internal/clock/a.go": "package clock\nimport \"time\"\nvar _ = time.Now"},
		{"internal/app/a.go": "package app\nimport \"time\"\nvar _ = time.Second"},
		{"internal/app/a_test.go": "package app\nimport \"time\"\nvar _ = time.Now"},
	},
}

// waits are the functions of package time that wait for it.
var waits = []string{"Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

var pureTimeRule = rule{
	name: "pure packages do not wait",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			// iterator is ordinary blocking Go: it waits for replies with a timer.
			if f.test || !isPure(f.pkg) || f.pkg == "iterator" {
				continue
			}
			f.uses("time", func(at ast.Node, name string) {
				if slices.Contains(waits, name) {
					found = append(found, f.at(at)+": time."+name+" in a pure package")
				}
			})
		}
		return found
	},
	broken: []map[string]string{
		{"internal/stale/a.go": "package stale\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
		{"internal/cache/a.go": "package cache\nimport \"time\"\nvar _ = time.NewTicker"},
	},
	sound: []map[string]string{
		{"internal/resolver/a.go": "package resolver\nimport \"time\"\nvar _ = time.NewTimer(1)"},
		{"internal/cache/a.go": "package cache\nimport \"time\"\nvar d time.Duration"},
	},
}

// seeded are the names of math/rand/v2 that do not reach for its global source.
var seeded = []string{"Rand", "New", "NewPCG", "NewChaCha8", "PCG", "ChaCha8", "Source", "Zipf", "NewZipf"}

var chanceRule = rule{
	name: "pure packages are given chance",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if f.test || !isPure(f.pkg) {
				continue
			}
			f.uses("math/rand/v2", func(at ast.Node, name string) {
				if !slices.Contains(seeded, name) {
					found = append(found, f.at(at)+": rand."+name+" of the global source in a pure package")
				}
			})
		}
		return found
	},
	broken: []map[string]string{
		{"internal/infra/a.go": "package infra\nimport \"math/rand/v2\"\nvar _ = rand.IntN(3)"},
		{"internal/infra/a.go": "package infra\nimport r \"math/rand/v2\"\nvar _ = r.Float64"},
	},
	sound: []map[string]string{
		{"internal/infra/a.go": "package infra\nimport \"math/rand/v2\"\nfunc f(r *rand.Rand) int { return r.IntN(3) }"},
		{"internal/upstream/a.go": "package upstream\nimport \"math/rand/v2\"\nvar _ = rand.IntN(3)"},
	},
}
