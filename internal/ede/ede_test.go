package ede

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestNames holds the names against those of a general DNS library.
func TestNames(t *testing.T) {
	for code, want := range dns.ExtendedErrorCodeToString {
		if got := Code(code).String(); !strings.EqualFold(got, want) {
			t.Errorf("%d is %q, not %q", code, got, want)
		}
	}
	seen := map[string]Code{}
	for code, name := range names {
		if other, twice := seen[name]; twice || name == "" {
			t.Errorf("%d and %d are both %q", code, other, name)
		}
		seen[name] = code
	}
	if got := Code(65000).String(); got != "EDE65000" {
		t.Errorf("an unknown code is %q", got)
	}
}

func TestError(t *testing.T) {
	for _, tc := range []struct {
		e           Error
		extra, want string
	}{
		{Error{Code: Bogus, ID: "ABCD", Text: "no key"}, "no key [ABCD]", "DNSSEC Bogus: no key [ABCD]"},
		{Error{Code: Bogus, ID: "ABCD"}, "[ABCD]", "DNSSEC Bogus: [ABCD]"},
		{Error{Code: Bogus, Text: "no key"}, "no key", "DNSSEC Bogus: no key"},
		{Error{Code: Bogus}, "", "DNSSEC Bogus"},
	} {
		if got := tc.e.ExtraText(); got != tc.extra {
			t.Errorf("%v: extra text %q, want %q", tc.e, got, tc.extra)
		}
		if got := tc.e.Error(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
	wrapped := fmt.Errorf("ask: %w", &Error{Code: Bogus})
	if e, ok := errors.AsType[*Error](wrapped); !ok || e.Code != Bogus {
		t.Error("a wrapped error is not found")
	}
}

// TestIDs reads the program's source: every ID is four capitals and stands
// there once, so that a user's report leads to one line.
func TestIDs(t *testing.T) {
	form, where := regexp.MustCompile(`^[A-Z]{4}$`), map[string]token.Position{}
	files := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for id, pos := range literalIDs(file) {
			at := files.Position(pos)
			if other, twice := where[id]; twice || !form.MatchString(id) {
				t.Errorf("%v: ID %q is malformed or stands at %v too", at, id, other)
			}
			where[id] = at
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(where) == 0 {
		t.Error("no IDs were found: this test looks in the wrong place")
	}
}

// literalIDs gives the IDs in composite literals of type ede.Error.
func literalIDs(file *ast.File) func(func(string, token.Pos) bool) {
	return func(yield func(string, token.Pos) bool) {
		for n := range ast.Preorder(file) {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || !isError(lit.Type) {
				continue
			}
			for _, e := range lit.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				key, _ := kv.Key.(*ast.Ident)
				value, _ := kv.Value.(*ast.BasicLit)
				if key == nil || key.Name != "ID" || value == nil {
					continue
				}
				if id, err := strconv.Unquote(value.Value); err == nil && !yield(id, value.Pos()) {
					return
				}
			}
		}
	}
}

func isError(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Error" {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "ede"
}

func TestFailsValidation(t *testing.T) {
	for code := range Code(40) {
		want := code >= Bogus && code <= NSECMissing || code == SignatureExpiredBefore || code == UnsupportedNSEC3Iter
		if code.FailsValidation() != want {
			t.Errorf("%v: %v", code, !want)
		}
	}
}
