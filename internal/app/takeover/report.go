package takeover

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Verdict says what became of a line of the old configuration.
type Verdict string

// The verdicts.
const (
	Understood   Verdict = "understood"    // it is in facteur.toml, at Key
	Replaced     Verdict = "replaced"      // something else does it
	NotNeeded    Verdict = "not needed"    // facteur has no use for it
	Waits        Verdict = "waits"         // understood; facteur can't do it yet
	NotSupported Verdict = "not supported" // somebody has to do something about it
	Unknown      Verdict = "unknown"       // nobody knows what it means
)

// verdicts in the order in which they are counted.
var verdicts = [...]Verdict{Understood, Replaced, NotNeeded, Waits, NotSupported, Unknown}

// Line is what is said of one line, which may go on over several in its file.
type Line struct {
	File    string  `json:"file"`
	Line    int     `json:"line,omitempty"` // from 1; 0: the file as a whole
	Text    string  `json:"text,omitempty"` // without secrets
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"` // a sentence for people
	Key     string  `json:"key,omitempty"` // the setting of facteur.toml, "outbound.smarthost"
}

// Report is everything that is said, in the order of reading.
type Report struct {
	From  string // what was read: "/etc/postfix"
	Lines []Line
}

// Add says something of a line.
func (r *Report) Add(l Line) { r.Lines = append(r.Lines, l) }

// Count is how many lines have a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for _, l := range r.Lines {
		if l.Verdict == v {
			n++
		}
	}
	return n
}

// Summary is one line of counts.
func (r *Report) Summary() string {
	counts := []string{}
	for _, v := range verdicts {
		if n := r.Count(v); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return fmt.Sprintf("%s: %d lines: %s", r.From, len(r.Lines), strings.Join(counts, ", "))
}

// WriteJSON writes one object a line.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, l := range r.Lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// WriteText writes the report for people: first what somebody has to look at, then
// every line, file by file.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.Summary())
	r.section(&b, "To be looked at", func(l Line) bool { return l.Verdict == NotSupported || l.Verdict == Unknown })
	r.section(&b, "Understood, and to be set when facteur can do it", func(l Line) bool { return l.Verdict == Waits })
	r.section(&b, "Every line", func(Line) bool { return true })
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) section(b *strings.Builder, title string, which func(Line) bool) {
	file, begun := "", false
	for _, l := range r.Lines {
		if !which(l) {
			continue
		}
		if !begun {
			fmt.Fprintf(b, "\n== %s\n", title)
			begun = true
		}
		if l.File != file {
			fmt.Fprintf(b, "\n%s\n", printable(l.File))
			file = l.File
		}
		l.write(b)
	}
}

func (l Line) write(b *strings.Builder) {
	number := "-"
	if l.Line > 0 {
		number = fmt.Sprint(l.Line)
	}
	fmt.Fprintf(b, "%5s  %-13s  %s\n", number, l.Verdict, printable(l.Text))
	switch {
	case l.Key != "" && l.Why != "":
		fmt.Fprintf(b, "%22s→ %s: %s\n", "", l.Key, printable(l.Why))
	case l.Key != "" || l.Why != "":
		fmt.Fprintf(b, "%22s→ %s\n", "", printable(l.Key+l.Why))
	}
}

// printable keeps what an old file has from moving the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return '?'
		}
		return r
	}, s)
}
