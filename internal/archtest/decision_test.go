package archtest

import (
	"go/ast"
	"go/token"
	"slices"
)

// cacheAsks are the functions of package stale that say what something is at a
// moment. The cache asks them on behalf of everybody.
var cacheAsks = []string{"StateOf", "PrefetchDue"}

// reckoning are the functions and methods that compare moments or move them.
var reckoning = []string{"Add", "Sub", "Compare", "Less", "Before", "After", "min", "max"}

// comparing are the operators that compare.
var comparing = []token.Token{token.LSS, token.LEQ, token.GTR, token.GEQ, token.EQL, token.NEQ}

// adding are the operators that move a moment.
var adding = []token.Token{token.ADD, token.SUB, token.ADD_ASSIGN, token.SUB_ASSIGN}

var decisionRule = rule{
	name: "one decision point",
	check: func(t *tree) (found []string) {
		for _, f := range t.files {
			if f.test || f.pkg == "stale" || slices.Contains(testOnly, f.pkg) {
				continue
			}
			asks := slices.Contains(f.imports, module+"/internal/stale") && f.pkg != "cache"
			ast.Inspect(f.ast, func(n ast.Node) bool {
				switch {
				case n == nil:
					return false
				case reckons(f, n):
					found = append(found, f.at(n)+": compares or moves a stale limit: package stale is the only place that does")
					return false
				case asks && setsLimit(n):
					found = append(found, f.at(n)+": reckons a stale limit: the cache stores the one that package stale gave")
				}
				return true
			})
			if !asks {
				continue
			}
			f.uses(module+"/internal/stale", func(at ast.Node, name string) {
				if slices.Contains(cacheAsks, name) {
					found = append(found, f.at(at)+": stale."+name+": ask the entry, the cache asks package stale")
				}
			})
		}
		return found
	},
	broken: []map[string]string{
		{"internal/resolver/a.go": "package resolver\nfunc f() bool { return now < h.StaleUntil() }"},
		{"internal/resolver/a.go": "package resolver\nfunc f() bool { return ok && (e.StaleUntil) >= now.Add(d) }"},
		{"internal/iterator/a.go": "package iterator\nfunc f() bool { return h.StaleUntil().Sub(now) > 0 }"},
		{"internal/control/a.go": "package control\nvar left = e.StaleUntil.Sub(now)"},
		{"internal/control/a.go": "package control\nvar left = now.Sub(e.StaleUntil)"},
		{"internal/control/a.go": "package control\nvar left = time.Duration(e.StaleUntil - now)"},
		{"internal/app/a.go": "package app\nvar end = min(h.StaleUntil(), deadline)"},
		{"internal/app/a.go": "package app\nfunc f() { e.StaleUntil += clock.Mono(time.Hour) }"},
		{"internal/resolver/a.go": "package resolver\nimport s \"lastgood/internal/stale\"\nvar state = s.StateOf(now, e.Expiry, e.StaleUntil)"},
		{"internal/resolver/a.go": "package resolver\nimport \"lastgood/internal/stale\"\nvar due = stale.PrefetchDue(now, e.Stored, e.Expiry)"},
		{"internal/resolver/a.go": "package resolver\nimport \"lastgood/internal/stale\"\nvar p *stale.Policy\nvar until = p.Until(e.Stored, e.Expiry, false)"},
		{"internal/cache/a.go": "package cache\nfunc f() bool { return now >= h.until }"},
		{"internal/cache/a.go": "package cache\nfunc f() bool { return s.staleUntil(r) <= now }"},
		{"internal/cache/a.go": "package cache\nfunc f() bool { return now >= e.StaleUntil }"},
	},
	sound: []map[string]string{
		{"internal/cache/a.go": "package cache\nimport \"lastgood/internal/stale\"\nvar state = stale.StateOf(now, h.expiry, h.until)\nfunc f() { e.StaleUntil = p.Until(a, b, c) }"},
		{"internal/cache/a.go": "package cache\nvar millis = s.until.Sub(s.expiry()).Milliseconds()"}, // how it is stored
		{"internal/control/a.go": "package control\nvar shown = timeOf(e.StaleUntil)"},
		{"internal/resolver/a.go": "package resolver\nimport \"lastgood/internal/stale\"\nfunc f() bool { return h.State(now) == stale.Fresh && now < d.Until && now.Sub(e.Expiry) > 0 }"},
		{"internal/stale/a.go": "package stale\nfunc f() bool { return now < e.StaleUntil }"},
		{"internal/resolver/a_test.go": "package resolver\nfunc f() bool { return now < e.StaleUntil }"},
		{"world/a.go": "package world\nfunc f() bool { return now < e.StaleUntil }"},
	},
}

// reckons tells whether a node compares a stale limit with something, or moves
// one.
func reckons(f *file, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if slices.Contains(comparing, n.Op) {
			inCache := f.pkg == "cache"
			return givesLimit(n.X, inCache) || givesLimit(n.Y, inCache)
		}
		return slices.Contains(adding, n.Op) && (givesLimit(n.X, false) || givesLimit(n.Y, false))
	case *ast.AssignStmt:
		return slices.Contains(adding, n.Tok) && (givesLimit(n.Lhs[0], false) || givesLimit(n.Rhs[0], false))
	case *ast.CallExpr:
		name := ""
		switch fun := n.Fun.(type) {
		case *ast.Ident:
			name = fun.Name
		case *ast.SelectorExpr:
			name = fun.Sel.Name
		}
		takes := func(e ast.Expr) bool { return givesLimit(e, false) }
		return slices.Contains(reckoning, name) && (givesLimit(n.Fun, false) || slices.ContainsFunc(n.Args, takes))
	}
	return false
}

// givesLimit tells whether an expression is made of a stale limit, by one of
// the names that the cache has for it.
func givesLimit(e ast.Expr, inCache bool) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			name := sel.Sel.Name
			found = found || name == "StaleUntil" || inCache && (name == "until" || name == "staleUntil")
		}
		return !found
	})
	return found
}

// setsLimit tells whether a node calls Policy.Until.
func setsLimit(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 3 {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Until"
}
