// Package conf reads a settings file in TOML into a struct, strictly, and tells
// of every mistake in it at once, by line and column.
//
// The struct is the schema: the `toml:"name"` tag of a field is its key, its
// present value is the default, and its doc comment is the reference page.
// What the file does not mention keeps its default; what it mentions replaces
// the default whole, lists included.
//
// Nothing is guessed. An unknown key, a wrong type, a value that its own type
// refuses (a network, a duration, a size) and a key given twice are errors, one
// clear line each:
//
//	facteur.toml:12:3: unknown key "hostnam"; did you mean "hostname"?
//	facteur.toml:14:22: message_size_limit: expected a size such as 52428800 or "50M", found true
//
// Decode either succeeds or leaves the caller with errors and a struct that is
// not to be used; a program that reloads decodes into a new struct.
//
// Types of values that carry a unit or a form live here too: Duration, Size,
// Prefix, Addr, HostPort. Any other type that implements
// encoding.TextUnmarshaler works in the same way.
package conf

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Decode reads the TOML document text, which came from the file called name,
// into the struct that into points to. The positions of all keys come back with
// it, so that later checks can point at lines too. All mistakes come back in
// one Errors value, in the order of the file.
func Decode(name string, text []byte, into any) (*Positions, error) {
	if err := syntax(name, text); err != nil {
		return nil, Errors{err}
	}
	root, err := parse(text)
	if err != nil {
		return nil, Errors{&Error{File: name, Pos: Pos{Line: 1, Column: 1}, Text: err.Error()}}
	}
	b := binder{positions: &Positions{file: name, at: map[string]place{}}}
	target := reflect.ValueOf(into).Elem()
	b.schema = keysOf(target.Type())
	b.table(root, target, "")
	if len(b.errs) > 0 {
		slices.SortStableFunc(b.errs, func(x, y *Error) int { return x.Pos.compare(y.Pos) })
		return b.positions, b.errs
	}
	return b.positions, nil
}

// syntax lets the TOML library judge the document: grammar and keys given twice.
func syntax(name string, text []byte) *Error {
	var doc map[string]any
	err := toml.Unmarshal(text, &doc)
	if err == nil {
		return nil
	}
	e := &Error{File: name, Pos: Pos{Line: 1, Column: 1}, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		e.Pos.Line, e.Pos.Column = at.Position()
	}
	return e
}

// Pos is a place in a file. Line and Column count from 1, columns in bytes; the
// zero Pos is no place: a value that the file does not mention.
type Pos struct{ Line, Column int }

func (p Pos) compare(q Pos) int {
	if p.Line != q.Line {
		return p.Line - q.Line
	}
	return p.Column - q.Column
}

// Error is one mistake in a settings file.
type Error struct {
	File string
	Pos  Pos
	// Key is the setting meant, "outbound.port"; empty when the text says all.
	Key  string
	Text string
}

// Error is the line for people: "file:line:column: key: text".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Pos.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Pos.Line, e.Pos.Column)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	return b.String() + ": " + e.Text
}

// Errors is every mistake of a file, in its order. Error gives one line each.
type Errors []*Error

// Error joins the lines of all.
func (list Errors) Error() string {
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single mistakes to errors.As.
func (list Errors) Unwrap() []error {
	out := make([]error, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}

// Positions knows where each key of a file stands. A nil *Positions knows none.
type Positions struct {
	file string
	at   map[string]place
}

// place is where a value stands, and where its text begins if it is a string.
type place struct{ value, text Pos }

// Has says whether the file mentions key ("outbound.port", "domain[0].name").
func (p *Positions) Has(key string) bool {
	if p == nil {
		return false
	}
	_, ok := p.at[key]
	return ok
}

// Errorf makes the Error of a check made after decoding. It points at the value
// of key or, if the file does not mention it, at the table around it.
func (p *Positions) Errorf(key, format string, args ...any) *Error {
	e := &Error{Key: key, Text: fmt.Sprintf(format, args...), File: "settings"}
	if p == nil {
		return e
	}
	e.File = p.file
	for at := key; at != ""; at = outer(at) {
		if found, ok := p.at[at]; ok {
			e.Pos = found.value
			break
		}
	}
	return e
}

// Inside is Errorf for a place inside of the text of key: line and column count
// from 1 there. What stands escaped before it is not counted.
func (p *Positions) Inside(key string, line, column int, format string, args ...any) *Error {
	e := p.Errorf(key, format, args...)
	if p == nil {
		return e
	}
	from := p.at[key].text
	switch {
	case from == Pos{} || line < 1:
	case line == 1:
		e.Pos = Pos{Line: from.Line, Column: from.Column + column - 1}
	default:
		e.Pos = Pos{Line: from.Line + line - 1, Column: column}
	}
	return e
}

// outer drops the last step of a key: "domain[0].name" → "domain[0]" → "domain" → "".
func outer(key string) string {
	if i := strings.LastIndexAny(key, ".["); i >= 0 {
		return key[:i]
	}
	return ""
}
