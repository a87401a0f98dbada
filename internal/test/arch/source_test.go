package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// room is a package with its parsed files; tests are kept apart.
type room struct {
	dir   string // "internal/mail/address"
	files map[string]*ast.File
	tests map[string]*ast.File
}

// name is the room without "internal/": "mail/address", "cmd/facteur".
func (r room) name() string { return strings.TrimPrefix(r.dir, "internal/") }

// floor is the first step of the name: "mail", "cmd".
func (r room) floor() string {
	floor, _, _ := strings.Cut(r.name(), "/")
	return floor
}

// house parses every Go file of the checkout.
func house(t *testing.T) ([]room, *token.FileSet) {
	t.Helper()
	fset, rooms := token.NewFileSet(), map[string]*room{}
	var order []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(filepath.Dir(p), root), "/"))
		if d.IsDir() {
			return skipDir(p, d)
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		r := rooms[dir]
		if r == nil {
			r = &room{dir: dir, files: map[string]*ast.File{}, tests: map[string]*ast.File{}}
			rooms[dir] = r
			order = append(order, dir)
		}
		if strings.HasSuffix(p, "_test.go") {
			r.tests[p] = file
		} else {
			r.files[p] = file
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []room
	for _, dir := range order {
		out = append(out, *rooms[dir])
	}
	if len(out) < 10 {
		t.Fatalf("only %d packages were found", len(out))
	}
	return out, fset
}

func skipDir(p string, d fs.DirEntry) error {
	switch {
	case p == root:
		return nil
	case strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata":
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// imports lists what a file imports.
func imports(f *ast.File) []string {
	var out []string
	for _, spec := range f.Imports {
		out = append(out, strings.Trim(spec.Path.Value, `"`))
	}
	return out
}

// own is the room that an import path of this module names, else "".
func own(importPath string) string {
	if rest, ok := strings.CutPrefix(importPath, "facteur/"); ok {
		return strings.TrimPrefix(path.Clean(rest), "internal/")
	}
	return ""
}
