package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"testing"
)

// module is the path that all our imports begin with.
const module = "lastgood"

// file is one parsed source file.
type file struct {
	path    string // from the module's root, with slashes
	pkg     string // its folder without "internal/": "wire", "cmd/lastgood"
	test    bool
	lines   int
	ast     *ast.File
	imports []string
	fset    *token.FileSet
}

// tree is the module's source.
type tree struct {
	files []*file
}

// load parses every Go file of the module. Folders with a go.mod of their own
// are other modules.
func load(root fs.FS) (*tree, error) {
	t := new(tree)
	fset := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := fs.Stat(root, path.Join(name, "go.mod"))
			if base := d.Name(); name != "." && (err == nil || base == "testdata" || strings.HasPrefix(base, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		f := &file{path: name, pkg: strings.TrimPrefix(path.Dir(name), "internal/"), test: strings.HasSuffix(name, "_test.go"),
			lines: strings.Count(string(text), "\n"), ast: parsed, fset: fset}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		t.files = append(t.files, f)
		return nil
	})
	return t, err
}

// at writes a place of the file for a message.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

// uses visits what the file uses of an imported package, whatever name it was
// imported by: visit gets the identifier after the dot.
func (f *file) uses(pkg string, visit func(at ast.Node, name string)) {
	local := ""
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != strconv.Quote(pkg) {
			continue
		}
		local = path.Base(strings.TrimSuffix(pkg, "/v2"))
		if spec.Name != nil {
			local = spec.Name.Name
		}
	}
	if local == "" {
		return
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == local {
			visit(sel, sel.Sel.Name)
		}
		return true
	})
}

// rule is one thing that has to hold. check returns what does not, one line
// each with its place.
type rule struct {
	name  string
	check func(*tree) []string
	// broken are sources that break the rule, sound ones that do not; file
	// name -> text.
	broken []map[string]string
	sound  []map[string]string
}

// TestSource holds every rule against the module.
func TestSource(t *testing.T) {
	source := loadModule(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, finding := range r.check(source) {
				t.Error(finding)
			}
		})
	}
}

func rules() []rule {
	return []rule{
		layerRule, testOnlyRule, cgoRule,
		foreignRule, standardRule, clockRule, pureTimeRule, chanceRule,
		decisionRule, initRule, contextRule, printRule, sleepRule, sizeRule, exportRule, commentRule,
	}
}
