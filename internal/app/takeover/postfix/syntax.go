package postfix

import (
	"fmt"
	"strings"
)

// Logical is a line with those that continue it, as all of Postfix's files have them: a
// line that begins with a blank goes on with the one before, over comments and empty lines.
type Logical struct {
	Line int // from 1, of its beginning
	Text string
}

// Lines are the logical lines of a text. Blanks before the first are a mistake that
// Postfix stops at; such a line begins with one here.
func Lines(text string) (out []Logical) {
	number := 0
	var parts []string
	end := func() {
		if parts != nil {
			out[len(out)-1].Text = strings.Join(parts, "\n")
			parts = nil
		}
	}
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n\v\f")
		bare := strings.TrimLeft(line, " \t\v\f")
		switch {
		case bare == "" || bare[0] == '#':
		case len(bare) < len(line) && parts != nil:
			parts = append(parts, line)
		default:
			end()
			out = append(out, Logical{Line: number})
			parts = []string{line}
		}
	}
	end()
	return out
}

// Param is one "name = value" of main.cf, or of -o in master.cf.
type Param struct {
	Name, Value string
	Line        int
	Err         error // what Postfix would stop at
}

// ParseMain reads main.cf. Lines that are none have an Err.
func ParseMain(text string) (out []Param) {
	for _, l := range Lines(text) {
		p := Param{Line: l.Line}
		name, value, found := strings.Cut(l.Text, "=")
		p.Name, p.Value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case l.Text[0] == ' ' || l.Text[0] == '\t':
			p.Err = fmt.Errorf("the first line may not begin with a blank")
		case !found:
			p.Err = fmt.Errorf(`a "=" is missing`)
		case p.Name == "" || strings.ContainsAny(p.Name, " \t\n{}"):
			p.Err = fmt.Errorf("%q is no name of a parameter", p.Name)
		}
		out = append(out, p)
	}
	return out
}

// blanks are what divides words.
const blanks = ", \t\r\n\v\f"

// Words are the words of a list, divided by blanks and commas. Braces keep together what
// stands in them, and stay.
func Words(value string) []string { return fields(value, blanks) }

func fields(value, between string) (out []string) {
	depth, from := 0, -1
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case depth == 0 && strings.IndexByte(between, c) >= 0:
			if from >= 0 {
				out = append(out, value[from:i])
			}
			from = -1
			continue
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		}
		if from < 0 {
			from = i
		}
	}
	if from >= 0 {
		out = append(out, value[from:])
	}
	return out
}

// unbrace takes the braces off a word that is in them.
func unbrace(word string) string {
	if inside, ok := strings.CutPrefix(word, "{"); ok && strings.HasSuffix(inside, "}") {
		return strings.TrimSpace(inside[:len(inside)-1])
	}
	return word
}

// Service is one entry of master.cf.
type Service struct {
	Line                                                        int
	Name, Type, Private, Unprivileged, Chroot, Wakeup, MaxProcs string
	Command                                                     string
	Args                                                        []string // without the options
	Options                                                     []Param  // -o name=value
	Text                                                        string
	Err                                                         error
}

// ParseMaster reads master.cf.
func ParseMaster(text string) (out []Service) {
	for _, l := range Lines(text) {
		s := Service{Line: l.Line, Text: l.Text}
		words := fields(l.Text, " \t\r\n\v\f")
		if len(words) < 8 {
			s.Err = fmt.Errorf("expected service, type, private, unpriv, chroot, wakeup, maxproc and command, found %d words", len(words))
			s.Name = words[0]
			out = append(out, s)
			continue
		}
		for i, to := range []*string{&s.Name, &s.Type, &s.Private, &s.Unprivileged, &s.Chroot, &s.Wakeup, &s.MaxProcs, &s.Command} {
			*to = words[i]
		}
		s.arguments(words[8:])
		out = append(out, s)
	}
	return out
}

// arguments divides options of the form "-o name=value", "-oname=value" and
// "-o { name = value }" from other words.
func (s *Service) arguments(words []string) {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		setting, is := strings.CutPrefix(word, "-o")
		if !is || s.Command == "pipe" || s.Command == "spawn" {
			s.Args = append(s.Args, unbrace(word))
			continue
		}
		if setting == "" && len(words) > 0 {
			setting, words = words[0], words[1:]
		}
		name, value, found := strings.Cut(unbrace(setting), "=")
		p := Param{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value), Line: s.Line}
		if !found || p.Name == "" {
			p.Err = fmt.Errorf(`-o without "name=value"`)
		}
		s.Options = append(s.Options, p)
	}
}

// Option is the last value of -o name, and whether there is one.
func (s Service) Option(name string) (value string, found bool) {
	for _, p := range s.Options {
		if p.Name == name {
			value, found = p.Value, true
		}
	}
	return value, found
}
