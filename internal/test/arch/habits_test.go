package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// selectors lists what a file uses of a package, by its usual name.
func selectors(f *ast.File, pkg string) []string {
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				out = append(out, s.Sel.Name)
			}
		}
		return true
	})
	return out
}

func TestEveryPackageHasItsManPage(t *testing.T) {
	t.Parallel()
	rooms, _ := house(t)
	for _, r := range rooms {
		if len(r.files) == 0 {
			continue // tests only
		}
		docs := 0
		for _, f := range r.files {
			want := "Package " + f.Name.Name + " "
			if f.Name.Name == "main" {
				want = "Facteur "
			}
			if strings.HasPrefix(f.Doc.Text(), want) {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("%s has %d package docs; one file has one", r.dir, docs)
		}
	}
}

func TestNoPackageIsADrawer(t *testing.T) {
	t.Parallel()
	drawers := []string{"util", "utils", "common", "helper", "helpers", "types", "core", "manager", "misc", "shared", "lib", "model", "models"}
	rooms, _ := house(t)
	for _, r := range rooms {
		for _, part := range strings.Split(r.dir, "/") {
			// A helper is what the design calls the process that works for a Unix user.
			if slices.Contains(drawers, part) && r.name() != "net/helper" {
				t.Errorf("%s: the name says nothing of what is in it", r.dir)
			}
		}
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	t.Parallel()
	rooms, fset := house(t)
	for _, r := range rooms {
		for _, f := range r.files {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s: init()", fset.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR && r.floor() != "test" {
						mutable(t, fset, d)
					}
				}
			}
		}
	}
}

// mutable complains of package variables that begin empty: somebody fills them
// later. Tables, errors and embedded files are made at once and stay.
func mutable(t *testing.T, fset *token.FileSet, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		embedded := strings.Contains(comments(d.Doc)+comments(v.Doc), "//go:embed")
		if len(v.Values) == 0 && !embedded {
			t.Errorf("%s: the package variable %s is state", fset.Position(v.Pos()), v.Names[0].Name)
		}
	}
}

func comments(g *ast.CommentGroup) string {
	var b strings.Builder
	if g != nil {
		for _, c := range g.List {
			b.WriteString(c.Text + "\n")
		}
	}
	return b.String()
}

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	rooms, fset := house(t)
	for _, r := range rooms {
		for _, f := range r.files {
			if f.Name.Name == "main" {
				continue
			}
			for _, d := range f.Decls {
				for _, name := range undocumented(d) {
					t.Errorf("%s: %s has no doc comment", fset.Position(d.Pos()), name)
				}
			}
		}
	}
}

// undocumented lists the exported names of a declaration that nothing explains.
func undocumented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		// String is explained by fmt.Stringer.
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && d.Name.Name != "String" {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		return undocumentedSpecs(d)
	}
	return nil
}

func undocumentedSpecs(d *ast.GenDecl) (names []string) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				names = append(names, s.Name.Name)
			}
		case *ast.ValueSpec:
			// One comment above a group explains the group.
			for _, n := range s.Names {
				if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// exportedReceiver is true for functions and for methods of exported types.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return unicode.IsUpper(rune(x.Name[0]))
		default:
			return false
		}
	}
}

// The rules find what they are there for.
func TestHabitsBite(t *testing.T) {
	t.Parallel()
	const source = `package x
import "time"
type T struct{}
func (T) Exported() {}
func (t *T) String() string { return time.Now().String() }
func hidden() {}
// Documented is.
func Documented() {}
const C = 1
// Group.
const (
	D = 1
	E = 2
)
`
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		names = append(names, undocumented(d)...)
	}
	if got := strings.Join(names, " "); got != "T Exported C" {
		t.Errorf("undocumented: %s", got)
	}
	if got := selectors(f, "time"); len(got) != 1 || got[0] != "Now" {
		t.Errorf("time is used as %v", got)
	}
}
