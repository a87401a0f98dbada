package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// binder copies a tree into a struct and gathers the mistakes on the way.
type binder struct {
	positions *Positions
	errs      Errors
	schema    []string // every known key, for "it belongs in [table]"
}

func (b *binder) fail(at Pos, key, format string, args ...any) {
	b.errs = append(b.errs, &Error{File: b.positions.file, Pos: at, Key: key, Text: fmt.Sprintf(format, args...)})
}

func (b *binder) table(n *node, into reflect.Value, path string) {
	fields := fieldsOf(into.Type())
	for _, name := range n.names {
		child := n.fields[name]
		i, ok := fields.index[name]
		if !ok {
			b.unknown(child, name, path, fields.names)
			continue
		}
		b.value(child, into.Field(i), join(path, name))
	}
}

func (b *binder) unknown(n *node, name, path string, siblings []string) {
	text := fmt.Sprintf("unknown key %q", join(path, name))
	home, near := homeOf(name, b.schema), Nearest(name, siblings)
	switch {
	case home != "" && near != "":
		text += fmt.Sprintf("; did you mean %q, or does it belong in %s?", near, home)
	case home != "":
		text += fmt.Sprintf("; it belongs in %s", home)
	case near != "":
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	b.fail(n.key, "", "%s", text)
}

func (b *binder) value(n *node, into reflect.Value, path string) {
	b.positions.at[path] = place{value: n.pos, text: n.from}
	if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		b.text(n, text, into, path)
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		if n.kind != unstable.Table {
			b.wrong(n, into.Type(), path)
			return
		}
		b.table(n, into, path)
	case reflect.Slice:
		b.list(n, into, path)
	default:
		b.scalar(n, into, path)
	}
}

// truth is the form of what is true or false.
const truth = "true or false"

// text hands strings and numbers to the type, and what is true or false where that is its
// form; the type knows its form.
func (b *binder) text(n *node, u encoding.TextUnmarshaler, into reflect.Value, path string) {
	if n.kind != unstable.String && n.kind != unstable.Integer && n.kind != unstable.Float && (n.kind != unstable.Bool || expected(into.Type()) != truth) {
		b.wrong(n, into.Type(), path)
		return
	}
	if err := u.UnmarshalText([]byte(n.text)); err != nil {
		b.fail(n.pos, path, "%v", err)
	}
}

func (b *binder) list(n *node, into reflect.Value, path string) {
	if n.kind == unstable.String && isOneOrMore(into.Type()) {
		n = &node{kind: unstable.Array, pos: n.pos, key: n.key, items: []*node{n}}
	}
	if n.kind != unstable.Array {
		b.wrong(n, into.Type(), path)
		return
	}
	list := reflect.MakeSlice(into.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		b.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	into.Set(list)
}

func (b *binder) scalar(n *node, into reflect.Value, path string) {
	switch {
	case into.Kind() == reflect.String && n.kind == unstable.String:
		into.SetString(n.text)
	case into.Kind() == reflect.Bool && n.kind == unstable.Bool:
		into.SetBool(n.text == "true")
	case into.CanInt() && n.kind == unstable.Integer:
		v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, into.Type().Bits())
		if err != nil {
			b.fail(n.pos, path, "%s does not fit", clip(n.text))
			return
		}
		into.SetInt(v)
	case into.CanUint() && n.kind == unstable.Integer:
		v, err := strconv.ParseUint(strings.ReplaceAll(n.text, "_", ""), 0, into.Type().Bits())
		if err != nil {
			b.fail(n.pos, path, "%s does not fit", clip(n.text))
			return
		}
		into.SetUint(v)
	default:
		b.wrong(n, into.Type(), path)
	}
}

func (b *binder) wrong(n *node, want reflect.Type, path string) {
	b.fail(n.pos, path, "expected %s, found %s", expected(want), n.found())
}

// isOneOrMore tells lists of which a single entry needs no brackets.
func isOneOrMore(t reflect.Type) bool {
	texts := t.Name() != "" && t.Elem() == reflect.TypeFor[string]() // Strings, and its kin elsewhere
	return texts || t == reflect.TypeFor[HostPorts]()
}

// Strings is a list of texts; a single one needs no brackets.
type Strings []string

// Form implements Form.
func (Strings) Form() string { return "text in quotes, or a list of such in brackets" }

// Form is implemented by types that say what they accept: "a size such as …".
type Form interface{ Form() string }

// expected describes a type to people.
func expected(t reflect.Type) string {
	if f, ok := reflect.Zero(t).Interface().(Form); ok {
		return f.Form()
	}
	switch t.Kind() {
	case reflect.Bool:
		return truth
	case reflect.String:
		return "text in quotes"
	case reflect.Struct:
		return "a table"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct && !isText(t.Elem()) {
			return "a list of tables"
		}
		return "a list in brackets, each entry " + expected(t.Elem())
	}
	return "a whole number"
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// fields is what a struct type knows: keys in order, and the field of each.
type fields struct {
	names []string
	index map[string]int
}

func fieldsOf(t reflect.Type) fields {
	f := fields{index: map[string]int{}}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("toml"); name != "" && name != "-" {
			f.names = append(f.names, name)
			f.index[name] = i
		}
	}
	return f
}

// keysOf lists every key below a struct type, tables and lists of tables written
// as in a file: "hostname", "[outbound].port", "[[listen]].service".
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, name := range fieldsOf(t).names {
		keys = append(keys, name)
		ft := t.Field(fieldsOf(t).index[name]).Type
		form := "[%s].%s"
		if ft.Kind() == reflect.Slice {
			ft, form = ft.Elem(), "[[%s]].%s"
		}
		if ft.Kind() != reflect.Struct || isText(ft) {
			continue
		}
		for _, inner := range fieldsOf(ft).names {
			keys = append(keys, fmt.Sprintf(form, name, inner))
		}
	}
	return keys
}

// homeOf is where in the schema a key of that name lives: "[outbound]", or "the
// top of the file, before the first [table]". Empty if nowhere.
func homeOf(name string, schema []string) string {
	for _, key := range schema {
		if key == name {
			return "the top of the file, before the first [table]"
		}
		if table, ok := strings.CutSuffix(key, "."+name); ok {
			return table
		}
	}
	return ""
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
