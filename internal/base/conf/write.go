package conf

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// encode writes a value as TOML.
func encode(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic(err) // a value of ours that its own type refuses to write
		}
		return Quote(string(text))
	}
	switch v.Kind() {
	case reflect.String:
		return Quote(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = encode(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

// Quote writes a TOML basic string: its escapes are not those of Go.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// WriteSettings writes tables as a settings file without comments.
func WriteSettings(w io.Writer, tables []Table) error {
	p := &printer{w: w}
	for _, t := range tables {
		if t.Example || len(t.Settings) == 0 {
			continue
		}
		p.header(t.Header)
		for _, s := range t.Settings {
			p.printf("%s = %s\n", s.Name, s.Value)
		}
	}
	return p.err
}

// WriteSample writes tables as a settings file that explains itself: each setting
// under its comment. Settings stand behind "#" when off is true, so that the
// file can be copied and only what is to differ be uncommented.
func WriteSample(w io.Writer, tables []Table, off bool) error {
	p := &printer{w: w}
	mark, last := "", ""
	if off {
		mark = "#"
	}
	for _, t := range tables {
		if t.Header != "" {
			if t.Header != last {
				p.printf("\n")
				p.comment(t.Doc)
			}
			p.printf("%s%s\n", exampleMark(mark, t), t.Header)
		}
		for i, s := range t.Settings {
			if t.Header == "" || t.Header != last {
				if i > 0 {
					p.printf("\n")
				}
				p.comment(s.Doc)
			}
			p.printf("%s%s = %s\n", exampleMark(mark, t), s.Name, s.Value)
		}
		last = t.Header
	}
	return p.err
}

// exampleMark keeps tables off that only show a form.
func exampleMark(mark string, t Table) string {
	if t.Example {
		return "#"
	}
	return mark
}

// WriteReference writes tables as a reference page in Markdown. Of a list of
// tables, one entry is shown.
func WriteReference(w io.Writer, tables []Table) error {
	p := &printer{w: w}
	last := "none"
	for _, t := range tables {
		if t.Header == last {
			continue
		}
		last = t.Header
		if t.Header != "" {
			p.printf("\n## `%s`\n\n%s\n", t.Header, t.Doc)
		}
		for _, s := range t.Settings {
			name := strings.Trim(t.Header, "[]") + "." + s.Name
			p.printf("\n### `%s`\n\n%s\n\nExpected: %s.", strings.TrimPrefix(name, "."), s.Doc, s.Form)
			if !strings.HasPrefix(t.Header, "[[") && s.Value != `""` {
				p.printf(" Default: `%s`.", s.Value)
			}
			p.printf("\n")
		}
	}
	return p.err
}

// Differences is the tables with only those settings whose value is not the one
// in base. A list of tables that differs anywhere is whole.
func Differences(tables, base []Table) []Table {
	known := map[string]string{}
	for _, t := range base {
		known[t.Header] += fmt.Sprint(values(t))
		for _, s := range t.Settings {
			known[t.Header+s.Name] = s.Value
		}
	}
	lists := map[string]string{}
	for _, t := range tables {
		lists[t.Header] += fmt.Sprint(values(t))
	}
	var out []Table
	for _, t := range tables {
		if strings.HasPrefix(t.Header, "[[") {
			if lists[t.Header] != known[t.Header] {
				out = append(out, given(t))
			}
			continue
		}
		changed := t
		changed.Settings = nil
		for _, s := range t.Settings {
			if known[t.Header+s.Name] != s.Value {
				changed.Settings = append(changed.Settings, s)
			}
		}
		out = append(out, changed)
	}
	return out
}

// given is an entry of a list without what nobody set: entries have no base.
func given(t Table) Table {
	var set []Setting
	for _, s := range t.Settings {
		if !s.Unset {
			set = append(set, s)
		}
	}
	t.Settings = set
	return t
}

func values(t Table) []string {
	out := make([]string, len(t.Settings))
	for i, s := range t.Settings {
		out[i] = s.Name + "=" + s.Value
	}
	return out
}

// printer keeps the first error of many writes.
type printer struct {
	w     io.Writer
	err   error
	wrote bool
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
	p.wrote = true
}

func (p *printer) header(h string) {
	if h == "" {
		return
	}
	if p.wrote {
		p.printf("\n")
	}
	p.printf("%s\n", h)
}

// comment writes text behind "# ", at most 78 columns wide.
func (p *printer) comment(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		line := "#"
		for word := range strings.FieldsSeq(paragraph) {
			if len(line)+1+len(word) > 78 {
				p.printf("%s\n", line)
				line = "#"
			}
			line += " " + word
		}
		p.printf("%s\n", line)
	}
}
