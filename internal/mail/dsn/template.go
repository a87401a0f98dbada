package dsn

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// MaxTemplates is the size of the largest file of templates, in bytes.
const MaxTemplates = 256 << 10

// Templates are the texts of the notices of one language, as a file in the form of
// Postfix's bounce(5) has them.
type Templates struct{ byName map[string]*template }

// template is the text of one kind of notice.
type template struct {
	sender            string // the name shown for MAILER-DAEMON
	subject           string
	postmasterSubject string
	body              []string // lines
}

// templateNames are those of a file. Postfix knows the first four.
var templateNames = []string{"failure_template", "delay_template", "success_template", "verify_template", "relayed_template", "expanded_template"}

// TemplateError says what is wrong in a file of templates, and in which line.
type TemplateError struct {
	Line int // from 1
	What string
}

// Error implements error.
func (e *TemplateError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

// ParseTemplates reads a file of templates. Those that it does not have are taken from
// the built-in ones. The error is a *TemplateError.
func ParseTemplates(text []byte) (*Templates, error) {
	if len(text) > MaxTemplates {
		return nil, &TemplateError{1, fmt.Sprintf("the file has more than %d bytes", MaxTemplates)}
	}
	p := templateParser{templates: &Templates{byName: map[string]*template{}}}
	for text := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		p.number++
		if err := p.line(strings.TrimSuffix(text, "\r")); err != nil {
			return nil, err
		}
	}
	if p.name != "" {
		return nil, p.errorf("the text of %s does not end: there is no line %q", p.name, p.mark)
	}
	return p.templates, nil
}

// templateParser reads a file line by line.
type templateParser struct {
	templates *Templates
	number    int
	name      string // of the template that is being read; "" between them
	mark      string // the line that ends it
	begun     int
	lines     []string
}

func (p *templateParser) errorf(format string, args ...any) error {
	return &TemplateError{p.number, fmt.Sprintf(format, args...)}
}

func (p *templateParser) line(text string) error {
	switch {
	case p.name != "" && text == p.mark:
		return p.end()
	case p.name != "":
		p.lines = append(p.lines, text)
		return nil
	case strings.TrimSpace(text) == "" || text[0] == '#':
		return nil
	}
	return p.begin(text)
}

// begin reads "failure_template = <<EOF".
func (p *templateParser) begin(text string) error {
	name, value, found := strings.Cut(text, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	mark, isText := strings.CutPrefix(value, "<<")
	mark = strings.TrimSpace(mark)
	switch {
	case !found || !isText || mark == "":
		return p.errorf(`expected a line such as "failure_template = <<EOF"`)
	case !slices.Contains(templateNames, name):
		return p.errorf("there is no template %q; expected one of %s", name, strings.Join(templateNames, ", "))
	case p.templates.byName[name] != nil:
		return p.errorf("%s is there twice", name)
	}
	p.name, p.mark, p.begun, p.lines = name, mark, p.number, nil
	return nil
}

// end takes what has been collected.
func (p *templateParser) end() error {
	t := &template{}
	rest, err := t.header(p.lines, p.begun)
	if err == nil {
		t.body = p.lines[rest:]
		err = t.checkBody(p.name, p.begun+rest+1)
	}
	if err != nil {
		return err
	}
	p.templates.byName[p.name], p.name = t, ""
	return nil
}

// header reads the header lines, decodes what follows in their charset, and tells at
// which line the body begins.
func (t *template) header(lines []string, before int) (body int, err error) {
	charset := "us-ascii"
	fields := map[string]*string{"charset": &charset, "from": &t.sender, "subject": &t.subject, "postmaster-subject": &t.postmasterSubject}
	for ; body < len(lines) && lines[body] != ""; body++ {
		name, value, found := strings.Cut(lines[body], ":")
		field := fields[strings.ToLower(strings.TrimSpace(name))]
		if !found || field == nil {
			return 0, &TemplateError{before + body + 1, fmt.Sprintf("%q is no header of a template; expected Charset, From, Subject or Postmaster-Subject, then an empty line", lines[body])}
		}
		*field = strings.TrimSpace(value)
	}
	if t.sender == "" || t.subject == "" {
		return 0, &TemplateError{before + 1, "the template needs the headers From and Subject"}
	}
	if bad := decode(lines, charset); bad >= 0 {
		return 0, &TemplateError{before + bad + 1, fmt.Sprintf("the line is not of the charset %q; expected a header such as \"Charset: utf-8\"", charset)}
	}
	if bad := decodeHeader(charset, &t.sender, &t.subject, &t.postmasterSubject); bad {
		return 0, &TemplateError{before + 1, fmt.Sprintf("a header is not of the charset %q", charset)}
	}
	t.sender = displayName(t.sender)
	return min(body+1, len(lines)), nil
}

// decode turns lines into UTF-8; it tells the first that it can not, or -1.
func decode(lines []string, charset string) (bad int) {
	for i := range lines {
		text, ok := toUTF8(lines[i], charset)
		if !ok {
			return i
		}
		lines[i] = text
	}
	return -1
}

func decodeHeader(charset string, values ...*string) (bad bool) {
	for _, v := range values {
		text, ok := toUTF8(*v, charset)
		if !ok {
			return true
		}
		*v = text
	}
	return false
}

func toUTF8(s, charset string) (string, bool) {
	switch strings.ToLower(charset) {
	case "us-ascii", "ascii":
		return s, !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
	case "utf-8", "utf8":
		return s, utf8.ValidString(s)
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return "", false
	}
	text, err := e.NewDecoder().String(s)
	return text, err == nil
}

// displayName is the name in "MAILER-DAEMON (Name)" or "Name <MAILER-DAEMON>". The
// address is always ours.
func displayName(from string) string {
	if before, after, found := strings.Cut(from, "("); found {
		name, _, _ := strings.Cut(after, ")")
		if strings.TrimSpace(name) != "" {
			return strings.TrimSpace(name)
		}
		return strings.TrimSpace(before)
	}
	name, _, _ := strings.Cut(from, "<")
	return strings.Trim(strings.TrimSpace(name), `"`)
}

func (t *template) checkBody(name string, first int) error {
	text := false
	for i, line := range t.body {
		text = text || strings.TrimSpace(line) != ""
		if bad := unknownVariable(line); bad != "" {
			return &TemplateError{first + i, fmt.Sprintf("there is no $%s; expected one of %s", bad, strings.Join(variableNames(), ", "))}
		}
	}
	if !text {
		return &TemplateError{first, name + " has no text after its headers and an empty line"}
	}
	return nil
}

// template is the one for a notice.
func (r Report) template() *template {
	names := map[Action][]string{Failed: {"failure_template"}, Delayed: {"delay_template"}, Delivered: {"success_template"},
		Relayed: {"relayed_template", "success_template"}, Expanded: {"expanded_template", "success_template"}}[r.worst()]
	for _, all := range []*Templates{r.Templates, builtin(r.Language)} {
		for _, name := range names {
			if all != nil && all.byName[name] != nil {
				return all.byName[name]
			}
		}
	}
	return &template{sender: "MAILER-DAEMON", subject: string(r.worst())} // the built-in ones are whole; see the tests
}

// title is the subject of a notice.
func (r Report) title() string {
	t := r.template()
	if r.Postmaster && t.postmasterSubject != "" {
		return t.postmasterSubject
	}
	return t.subject
}

// letter is the text for people: the template with its variables replaced.
func (r Report) letter() []byte {
	var b bytes.Buffer
	told := false
	for _, paragraph := range r.paragraphs() {
		if len(paragraph) == 1 && strings.TrimSpace(paragraph[0]) == "$recipients" {
			b.WriteString(r.recipients())
			told = true
			continue
		}
		for _, line := range paragraph {
			wrapLine(&b, r.expand(line))
		}
		b.WriteString("\r\n")
	}
	if !told {
		b.WriteString(r.recipients())
	}
	return b.Bytes()
}

// paragraphs are those of the template, without those that have nothing to say.
func (r Report) paragraphs() (all [][]string) {
	var one []string
	for _, line := range append(slices.Clone(r.template().body), "") {
		if strings.TrimSpace(line) != "" {
			one = append(one, line)
			continue
		}
		if len(one) > 0 && !r.lacks(strings.Join(one, "\n")) {
			all = append(all, one)
		}
		one = nil
	}
	return all
}

// lacks tells whether a paragraph speaks of what is not known.
func (r Report) lacks(paragraph string) bool {
	return r.QueueID == "" && strings.Contains(paragraph, "queue_id") || r.Arrived.IsZero() && strings.Contains(paragraph, "arrival_date")
}
