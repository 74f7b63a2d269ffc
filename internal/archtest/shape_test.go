package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// Bounds of size. Tables of constants, and files of tests, may be longer.
const (
	maxFunction = 80  // lines, with signature and braces, of tests too
	maxFile     = 500 // lines
)

// maxExported bounds the exported names of a package at its top level.
const maxExported = 25

// exportBudget are the packages that may export more, and why.
var exportBudget = map[string]int{
	"anchor":    35,  // what trust begins with, where it ends, and where it should
	"cache":     30,  // the snapshot, besides what is stored
	"wire":      180, // types, codes and flags of the protocol are names
	"event":     80,  // one type for each event
	"config":    35,  // one type for each section
	"authority": 45,  // faults are data, each kind a name
	"dnssec":    46,  // algorithms, digests, proofs and what they say are names
	"infra":     35,
	"iterator":  40, // the contract with its callers
	"ede":       60, // one name for each code
	"resolver":  30, // what goes in and out, and the hooks of trust
	"control":   40, // one type for each answer of the API
}

var initRule = rule{
	name: "no init",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			functions(f, func(fn *ast.FuncDecl) {
				if fn.Recv == nil && fn.Name.Name == "init" {
					found = append(found, f.at(fn)+": func init")
				}
			})
		}
		return found
	},
	broken: []map[string]string{{"internal/wire/a.go": "package wire\nfunc init() {}"}},
	sound:  []map[string]string{{"internal/wire/a.go": "package wire\ntype t int\nfunc (t) init() {}"}},
}

var contextRule = rule{
	name: "no context values",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			f.uses("context", func(at ast.Node, name string) {
				if name == "WithValue" {
					found = append(found, f.at(at)+": context.WithValue hides a parameter")
				}
			})
		}
		return found
	},
	broken: []map[string]string{{"internal/app/a.go": "package app\nimport \"context\"\nvar _ = context.WithValue"}},
	sound:  []map[string]string{{"internal/app/a.go": "package app\nimport \"context\"\nvar _ = context.Background"}},
}

var printRule = rule{
	name: "no printing",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if f.test {
				continue
			}
			f.uses("fmt", func(at ast.Node, name string) {
				if strings.HasPrefix(name, "Print") {
					found = append(found, f.at(at)+": fmt."+name+" goes to a standard output that nobody passed in")
				}
			})
		}
		return found
	},
	broken: []map[string]string{{"internal/cli/a.go": "package cli\nimport \"fmt\"\nfunc f() { fmt.Println() }"}},
	sound:  []map[string]string{{"internal/cli/a.go": "package cli\nimport \"fmt\"\nvar _ = fmt.Fprintln"}},
}

var sleepRule = rule{
	name: "no sleep outside a bubble",
	check: func(t *tree) (found []string) {
		bubbles := map[string]bool{} // packages whose tests run in bubbles
		for _, f := range t.files {
			if f.test && slices.Contains(f.imports, "testing/synctest") {
				bubbles[f.pkg] = true
			}
		}
		for _, f := range t.files {
			if f.test && bubbles[f.pkg] {
				continue
			}
			f.uses("time", func(at ast.Node, name string) {
				if name == "Sleep" {
					found = append(found, f.at(at)+": time.Sleep where no test runs under testing/synctest")
				}
			})
		}
		return found
	},
	broken: []map[string]string{
		{"internal/app/a_test.go": "package app\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
		{"internal/app/a.go": "package app\nimport \"time\"\nvar nap = time.Sleep", "internal/app/a_test.go": "package app\nimport _ \"testing/synctest\""},
	},
	sound: []map[string]string{
		{"internal/app/a_test.go": "package app\nimport (\"time\"; _ \"testing/synctest\")\nfunc f() { time.Sleep(1) }"},
		{"internal/app/a_test.go": "package app\nimport \"time\"\nfunc f() { time.Sleep(1) }", "internal/app/b_test.go": "package app\nimport _ \"testing/synctest\""},
	},
}

var sizeRule = rule{
	name: "size",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if f.lines > maxFile && !f.test {
				found = append(found, fmt.Sprintf("%s: %d lines, more than %d", f.path, f.lines, maxFile))
			}
			functions(f, func(fn *ast.FuncDecl) {
				if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunction {
					found = append(found, fmt.Sprintf("%s: %s has %d lines, more than %d", f.at(fn), fn.Name.Name, n, maxFunction))
				}
			})
		}
		return found
	},
	broken: []map[string]string{
		{"internal/wire/a.go": "package wire\n" + strings.Repeat("\n", maxFile)},
		{"internal/wire/a.go": "package wire\nfunc f() {" + strings.Repeat("\n", maxFunction) + "}"},
		{"internal/wire/a_test.go": "package wire\nfunc f() {" + strings.Repeat("\n", maxFunction) + "}"},
	},
	sound: []map[string]string{
		{"internal/wire/a.go": "package wire" + strings.Repeat("\n", maxFile)},
		{"internal/wire/a.go": "package wire\nfunc f() {" + strings.Repeat("\n", maxFunction-1) + "}"},
		{"internal/wire/a_test.go": "package wire\n" + strings.Repeat("\n", maxFile)},
	},
}

var exportRule = rule{
	name: "exported names",
	check: func(t *tree) (found []string) {
		count := map[string]int{}
		for _, f := range t.files {
			if !f.test {
				count[f.pkg] += len(exported(f))
			}
		}
		for _, pkg := range slices.Sorted(maps.Keys(count)) {
			budget := max(maxExported, exportBudget[pkg])
			if count[pkg] > budget {
				found = append(found, fmt.Sprintf("%s exports %d names, more than %d", pkg, count[pkg], budget))
			}
		}
		return found
	},
	broken: []map[string]string{{"internal/stale/a.go": "package stale\nvar (" + strings.Repeat("A, ", maxExported) + "B int)"}},
	sound: []map[string]string{
		{"internal/stale/a.go": "package stale\nvar (" + strings.Repeat("A, ", maxExported-1) + "B, c, d int)"},
		{"internal/wire/a.go": "package wire\nconst (" + strings.Repeat("A, ", maxExported) + "B = 1)"},
	},
}

var commentRule = rule{
	name: "package comments and documented names",
	check: func(t *tree) (found []string) {
		packages := map[string]bool{}
		for _, f := range t.files {
			if f.test {
				continue
			}
			packages[f.pkg] = packages[f.pkg] || f.ast.Doc != nil
			for _, decl := range f.ast.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.IsExported() && d.Doc == nil {
						found = append(found, f.at(d)+": "+d.Name.Name+" has no comment")
					}
				case *ast.GenDecl:
					found = append(found, undocumented(f, d)...)
				}
			}
		}
		for _, pkg := range slices.Sorted(maps.Keys(packages)) {
			if !packages[pkg] {
				found = append(found, pkg+": no package comment")
			}
		}
		return found
	},
	broken: []map[string]string{
		{"internal/wire/a.go": "package wire"},
		{"internal/wire/a.go": "// Package wire is.\npackage wire\nfunc F() {}"},
		{"internal/wire/a.go": "// Package wire is.\npackage wire\ntype T int"},
		{"internal/wire/a.go": "// Package wire is.\npackage wire\nvar V int"},
	},
	sound: []map[string]string{
		{"internal/wire/a.go": "// Package wire is.\npackage wire\n// F is.\nfunc F() {}\n// These are.\nconst (\nA = 1\nB = 2\n)", "internal/wire/b.go": "package wire"},
		{"internal/wire/a.go": "// Package wire is.\npackage wire\nconst (\nA = 1 // is one\n)\nfunc (t) F() {}"},
	},
}

// undocumented finds exported types, constants and variables that neither have
// a comment nor stand in a group that has one.
func undocumented(f *file, d *ast.GenDecl) (found []string) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				found = append(found, f.at(s)+": "+s.Name.Name+" has no comment")
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				found = append(found, f.at(s)+": "+s.Names[0].Name+" has no comment")
			}
		}
	}
	return found
}

// functions visits the functions and methods of a file.
func functions(f *file, visit func(*ast.FuncDecl)) {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			visit(fn)
		}
	}
}

// exported lists the exported names at the top level of a file, without
// methods.
func exported(f *file) (names []string) {
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id)
					}
				}
			}
		}
	}
	return names
}
