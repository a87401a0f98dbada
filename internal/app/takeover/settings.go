package takeover

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/base/conf"
)

// width is where comments are broken.
const width = 86

// Settings is a facteur.toml that is being written. Tables stand in the order of the
// reference, keys in that in which they were set.
type Settings struct {
	about  string
	tables []*Table
}

// Table is one table of the file: [outbound], or one of several [[domain]].
type Table struct {
	name    string
	several bool
	about   string
	entries []entry
}

type entry struct {
	key, value, why string
	given           any
}

// NewSettings is an empty file; about is the comment at its top.
func NewSettings(about string) *Settings { return &Settings{about: about} }

// Table is the table of a name, "" for the top of the file.
func (s *Settings) Table(name string) *Table {
	at := slices.IndexFunc(s.tables, func(t *Table) bool { return t.name == name && !t.several })
	if at < 0 {
		s.tables = append(s.tables, &Table{name: name})
		at = len(s.tables) - 1
	}
	return s.tables[at]
}

// Append is one more [[name]].
func (s *Settings) Append(name string) *Table {
	t := &Table{name: name, several: true}
	s.tables = append(s.tables, t)
	return t
}

// All are the tables [[name]], in their order.
func (s *Settings) All(name string) (out []*Table) {
	for _, t := range s.tables {
		if t.name == name && t.several {
			out = append(out, t)
		}
	}
	return out
}

// Find is the first table [[name]] whose key has a value, or nil.
func (s *Settings) Find(name, key, value string) *Table {
	for _, t := range s.All(name) {
		if t.Get(key) == encode(value) {
			return t
		}
	}
	return nil
}

// About sets the comment above the table.
func (t *Table) About(text string) { t.about = text }

// Set sets a key to text, []string, a bool or an int; why is the comment above it.
// What was set before goes.
func (t *Table) Set(key string, value any, why string) {
	e := entry{key, encode(value), why, value}
	if at := t.index(key); at >= 0 {
		t.entries[at] = e
		return
	}
	t.entries = append(t.entries, e)
}

// Has tells whether a key is set.
func (t *Table) Has(key string) bool { return t.index(key) >= 0 }

// Get is the value of a key as TOML has it, or "".
func (t *Table) Get(key string) string {
	if at := t.index(key); at >= 0 {
		return t.entries[at].value
	}
	return ""
}

// List is the value of a key that is a list, or nil.
func (t *Table) List(key string) []string {
	if at := t.index(key); at >= 0 {
		items, _ := t.entries[at].given.([]string)
		return items
	}
	return nil
}

func (t *Table) index(key string) int {
	return slices.IndexFunc(t.entries, func(e entry) bool { return e.key == key })
}

func encode(value any) string {
	switch v := value.(type) {
	case string:
		return text(v)
	case []string:
		return list(v)
	case bool, int:
		return fmt.Sprint(v)
	}
	panic(fmt.Sprintf("takeover: a setting of the type %T", value))
}

// text is a string in TOML: in single quotes where that spares escapes.
func text(s string) string {
	if strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\'' || r == 0x7f }) {
		return "'" + s + "'"
	}
	return conf.Quote(s)
}

// list is a list in TOML; a long one has a line for each entry.
func list(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = text(item)
	}
	if line := "[" + strings.Join(quoted, ", ") + "]"; len(line) <= width {
		return line
	}
	return "[\n  " + strings.Join(quoted, ",\n  ") + ",\n]"
}

// Text is the file.
func (s *Settings) Text() []byte {
	var b strings.Builder
	comment(&b, s.about)
	order := tableOrder()
	rank := func(t *Table) int {
		if at := slices.Index(order, t.name); at >= 0 || t.name == "" {
			return at
		}
		return len(order)
	}
	tables := slices.Clone(s.tables)
	slices.SortStableFunc(tables, func(x, y *Table) int { return rank(x) - rank(y) })
	for _, t := range tables {
		t.write(&b)
	}
	return []byte(b.String())
}

// tableOrder is the tables of the settings in the order of the reference.
func tableOrder() (names []string) {
	for f := range reflect.TypeFor[config.Config]().Fields() {
		if name := f.Tag.Get("toml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (t *Table) write(b *strings.Builder) {
	if len(t.entries) == 0 && !t.several {
		return
	}
	b.WriteByte('\n')
	comment(b, t.about)
	switch {
	case t.several:
		fmt.Fprintf(b, "[[%s]]\n", t.name)
	case t.name != "":
		fmt.Fprintf(b, "[%s]\n", t.name)
	}
	for _, e := range t.entries {
		comment(b, e.why)
		fmt.Fprintf(b, "%s = %s\n", e.key, e.value)
	}
}

// comment writes text behind "# ", broken at blanks. Each of its lines begins anew.
func comment(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := "#"
		for word := range strings.FieldsSeq(printable(paragraph)) {
			if len(line)+1+len(word) > width && line != "#" {
				b.WriteString(line + "\n")
				line = "#"
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
}

// First puts the table [[name]] whose key has a value before the others of its name.
func (s *Settings) First(name, key, value string) {
	first, found := -1, -1
	for n, t := range s.tables {
		if t.name != name || !t.several {
			continue
		}
		if first < 0 {
			first = n
		}
		if t.Get(key) == encode(value) {
			found = n
		}
	}
	if found > first {
		t := s.tables[found]
		s.tables = slices.Insert(slices.Delete(s.tables, found, found+1), first, t)
	}
}

// Add puts a table that was made by itself, as &Table{}, behind the others [[name]].
func (s *Settings) Add(name string, t *Table) {
	t.name, t.several = name, true
	s.tables = append(s.tables, t)
}

// Len is how many keys are set.
func (t *Table) Len() int { return len(t.entries) }
