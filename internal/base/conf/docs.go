package conf

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
)

// Docs is the doc comments of struct fields by "Type.Field", in paragraphs
// without line breaks.
type Docs map[string]string

// ReadDocs reads the doc comments of all structs in the Go source src. It is work
// for a command that prints settings, not for a start.
func ReadDocs(src []byte) (Docs, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "settings", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("conf: %w", err)
	}
	docs := Docs{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			docs.add(spec.Name.Name, s)
		}
		return false
	})
	return docs, nil
}

func (d Docs) add(typeName string, s *ast.StructType) {
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			text := strings.TrimSpace(field.Doc.Text())
			paragraphs := strings.Split(text, "\n\n")
			for i, p := range paragraphs {
				paragraphs[i] = strings.Join(strings.Fields(p), " ")
			}
			d[typeName+"."+name.Name] = strings.Join(paragraphs, "\n\n")
		}
	}
}

// Table is one table of a settings file with what is set in it.
type Table struct {
	// Header is "[outbound]" or "[[listen]]"; empty for the top of the file.
	Header string
	Doc    string
	// Example: the list of tables is empty, and this entry only shows its form.
	Example  bool
	Settings []Setting
}

// Setting is one key with its value.
type Setting struct {
	Name  string
	Value string // as TOML
	Form  string // what is expected, for people
	Doc   string
	Unset bool // the value is what the type begins with
}

// Tables lists the settings in a struct (or in what a pointer points to) in the
// order of its fields: the top of the file first, then its tables.
func Tables(docs Docs, settings any) []Table {
	v := reflect.Indirect(reflect.ValueOf(settings))
	top, rest := Table{}, []Table(nil)
	for _, f := range fieldsIn(v) {
		doc := docs[v.Type().Name()+"."+f.field]
		switch {
		case isTables(f.value.Type()):
			rest = append(rest, tableList(docs, f, doc)...)
		case isTable(f.value.Type()):
			rest = append(rest, oneTable(docs, "["+f.name+"]", doc, f.value))
		default:
			top.Settings = append(top.Settings, setting(f, doc))
		}
	}
	return append([]Table{top}, rest...)
}

func tableList(docs Docs, f namedField, doc string) []Table {
	header := "[[" + f.name + "]]"
	if f.value.Len() == 0 {
		t := oneTable(docs, header, doc, reflect.Zero(f.value.Type().Elem()))
		t.Example = true
		return []Table{t}
	}
	var out []Table
	for i := range f.value.Len() {
		out = append(out, oneTable(docs, header, doc, f.value.Index(i)))
	}
	return out
}

func oneTable(docs Docs, header, doc string, v reflect.Value) Table {
	t := Table{Header: header, Doc: doc}
	for _, f := range fieldsIn(v) {
		t.Settings = append(t.Settings, setting(f, docs[v.Type().Name()+"."+f.field]))
	}
	return t
}

func setting(f namedField, doc string) Setting {
	return Setting{Name: f.name, Value: encode(f.value), Form: expected(f.value.Type()), Doc: doc, Unset: isUnset(f.value)}
}

// isUnset tells a value that nobody gave.
func isUnset(v reflect.Value) bool { return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 }

func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

func isTables(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

// namedField is a field with its key and its name in Go.
type namedField struct {
	name, field string
	value       reflect.Value
}

func fieldsIn(v reflect.Value) []namedField {
	known := fieldsOf(v.Type())
	out := make([]namedField, len(known.names))
	for i, name := range known.names {
		n := known.index[name]
		out[i] = namedField{name, v.Type().Field(n).Name, v.Field(n)}
	}
	return out
}
