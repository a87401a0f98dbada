package dovecot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what is read.
const (
	maxDepth = 10
	maxBytes = 16 << 20
	// maxValue is the longest value that a $name may stand for.
	maxValue = 1 << 10
)

// Setting is one line "name = value", or the head of a section.
type Setting struct {
	File string
	Line int
	// Text is the line as it stands there.
	Text string
	// Path are the sections that it stands in, from the outside: "service imap-login",
	// "inet_listener imaps". A head of a section is the last of its own Path.
	Path  []string
	Name  string // "" for the head of a section
	Value string
	// FromFile: the value is what a file contains, "<path"; Value is the path.
	FromFile bool
	// Scope is a number of the innermost section, so that two passdbs stay two.
	Scope int
	// Err is what is wrong with the line; then there is no Name.
	Err error
}

// parser reads files into settings.
type parser struct {
	out    []Setting
	left   int
	scope  int
	values map[string]string // by path and name, for $name
	open   func(path string) ([]byte, error)
}

// Parse reads a text as it would stand in file; includes are read by open.
func Parse(file, text string, open func(path string) ([]byte, error)) []Setting {
	p := &parser{left: maxBytes, values: map[string]string{}, open: open}
	var sections frames
	p.text(file, text, &sections, 0)
	return p.out
}

// frames are the sections that are open.
type frames []frame

type frame struct {
	name  string
	scope int
}

func (f frames) path() []string {
	var out []string
	for _, s := range f {
		out = append(out, s.name)
	}
	return out
}

func (f frames) scope() int {
	if len(f) == 0 {
		return 0
	}
	return f[len(f)-1].scope
}

func (p *parser) text(file, text string, sections *frames, depth int) {
	if p.left -= len(text); p.left < 0 {
		p.add(Setting{File: file, Err: fmt.Errorf("the files are larger than %d MiB", maxBytes>>20)}, *sections)
		return
	}
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); n++ {
		first := n
		var whole strings.Builder
		for {
			part := bare(lines[n])
			joined, more := strings.CutSuffix(part, `\`)
			whole.WriteString(strings.TrimSpace(joined))
			if !more || n+1 >= len(lines) {
				break
			}
			whole.WriteByte(' ')
			n++
		}
		if line := strings.TrimSpace(whole.String()); line != "" {
			p.line(Setting{File: file, Line: first + 1, Text: line}, sections, depth)
		}
	}
}

// bare is a line without its comment: "#" begins one at the start and after a blank,
// outside of quotes.
func bare(line string) string {
	line = strings.TrimSpace(line)
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '"' || c == '\'':
			if i > 0 && (line[i-1] == ' ' || line[i-1] == '=' || line[i-1] == '\t') {
				quote = c
			}
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return strings.TrimSpace(line[:i])
		}
	}
	return line
}

func (p *parser) line(s Setting, sections *frames, depth int) {
	s.Path, s.Scope = sections.path(), sections.scope()
	name, value, isSetting := strings.Cut(s.Text, "=")
	switch {
	case strings.HasPrefix(s.Text, "!"):
		p.include(s, sections, depth)
	case s.Text == "}":
		if len(*sections) == 0 {
			s.Err = errors.New("a section ends that did not begin")
			p.add(s, nil)
			return
		}
		*sections = (*sections)[:len(*sections)-1]
	case strings.HasSuffix(s.Text, "{") && (!isSetting || strings.Contains(name, "{")):
		p.section(s, strings.TrimSpace(strings.TrimSuffix(s.Text, "{")), sections)
	case strings.HasSuffix(s.Text, "}") && strings.Contains(s.Text, "{") && (!isSetting || strings.Contains(name, "{")): // "passdb { }"
		head, _, _ := strings.Cut(s.Text, "{")
		p.section(s, strings.TrimSpace(head), sections)
		*sections = (*sections)[:len(*sections)-1]
	case !isSetting:
		s.Err = errors.New(`expected "name = value"`)
		p.add(s, *sections)
	default:
		s.Name = strings.TrimSpace(name)
		if s.Value, s.FromFile, s.Err = p.value(strings.TrimSpace(value), s.Path); s.Err != nil {
			s.Name = ""
			p.add(s, *sections)
			return
		}
		p.values[strings.Join(append(slices.Clone(s.Path), s.Name), "/")] = s.Value
		p.out = append(p.out, s)
	}
}

func (p *parser) section(s Setting, head string, sections *frames) {
	if len(*sections) >= maxDepth {
		s.Err = errors.New("sections are nested too deep")
		p.add(s, *sections)
		return
	}
	kind, name, _ := strings.Cut(head, " ")
	head = strings.TrimSpace(kind + " " + unquote(strings.TrimSpace(name)))
	p.scope++
	*sections = append(*sections, frame{head, p.scope})
	s.Path, s.Scope = sections.path(), p.scope
	p.out = append(p.out, s)
}

func (p *parser) add(s Setting, sections frames) {
	s.Path, s.Scope = sections.path(), sections.scope()
	p.out = append(p.out, s)
}

// value takes off quotes, and puts in what $names stand for.
func (p *parser) value(text string, path []string) (value string, fromFile bool, err error) {
	if rest, ok := strings.CutPrefix(text, "<"); ok {
		return strings.TrimSpace(rest), true, nil
	}
	if quoted := unquote(text); quoted != text {
		return quoted, false, nil
	}
	words := strings.Split(text, " ")
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "$"); ok && name != "" {
			if words[i] = p.before(name, path); len(words[i]) > maxValue {
				return "", false, fmt.Errorf("$%s is longer than %d bytes", name, maxValue)
			}
		}
	}
	return strings.TrimSpace(strings.Join(words, " ")), false, nil
}

// before is the value that a setting had, here or further out.
func (p *parser) before(name string, path []string) string {
	for n := len(path); n >= 0; n-- {
		if v, ok := p.values[strings.Join(append(slices.Clone(path[:n]), name), "/")]; ok {
			return v
		}
	}
	return ""
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' && s[0] != '\'' || s[len(s)-1] != s[0] {
		return s
	}
	return strings.NewReplacer(`\"`, `"`, `\'`, `'`, `\\`, `\`).Replace(s[1 : len(s)-1])
}

// include reads the files that a pattern names, in their order.
func (p *parser) include(s Setting, sections *frames, depth int) {
	word, pattern, _ := strings.Cut(s.Text, " ")
	pattern = unquote(strings.TrimSpace(pattern))
	s.Name, s.Value = word, pattern
	if word != "!include" && word != "!include_try" || pattern == "" {
		s.Name, s.Err = "", errors.New("that is no command that Dovecot knows")
		p.add(s, *sections)
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(s.File), pattern)
	}
	p.out = append(p.out, s)
	if p.open == nil || depth >= maxDepth {
		return
	}
	files, _ := filepath.Glob(pattern)
	slices.Sort(files)
	if len(files) == 0 && word == "!include" && !strings.ContainsAny(pattern, "*?[") {
		files = []string{pattern} // for the error
	}
	for _, file := range files {
		text, err := p.open(file)
		if err != nil {
			if word == "!include" || !errors.Is(err, os.ErrNotExist) {
				p.add(Setting{File: file, Err: err}, *sections)
			}
			continue
		}
		p.text(file, string(text), sections, depth+1)
	}
}
