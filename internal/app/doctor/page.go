package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"facteur/internal/app/records"
)

// Page is findings for people: the sum first, then what is worst.
type Page struct {
	Findings []Finding
	// All: what is well is told with what it means, too.
	All bool
	// Color is for terminals.
	Color bool
	// Records are printed at the end, as what is to be published.
	Records []records.Record
}

// headings stand above the findings of a level.
func heading(l Level) string {
	return map[Level]string{Failure: "FAILURES: mail is lost or refused", Warning: "WARNINGS: some mail may be lost or refused",
		Unknown: "UNKNOWN: nobody answered", Note: "NOTES", OK: "WELL"}[l]
}

// colors are of a terminal.
func color(l Level) string {
	return map[Level]string{Failure: "\x1b[1;31m", Warning: "\x1b[33m", Unknown: "\x1b[35m", Note: "\x1b[36m", OK: "\x1b[32m"}[l]
}

// Write prints the page.
func (p Page) Write(w io.Writer) error {
	var b strings.Builder
	b.WriteString(p.sum() + "\n")
	for _, level := range levels {
		p.level(&b, level)
	}
	if len(p.Records) > 0 {
		b.WriteString("\nRecords to publish (" + records.Placeholder + " is the public address of this machine):\n\n")
		records.Write(&b, p.Records) //nolint:errcheck // a strings.Builder takes all
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sum is the first line.
func (p Page) sum() string {
	count := map[Level]int{}
	for _, f := range p.Findings {
		count[f.Level]++
	}
	var parts []string
	for _, x := range []struct {
		level     Level
		one, many string
	}{{Failure, "failure", "failures"}, {Warning, "warning", "warnings"}, {Unknown, "unknown", "unknown"}, {Note, "note", "notes"}, {OK, "well", "well"}} {
		if n := count[x.level]; n > 0 || x.level == Failure {
			word := x.many
			if n == 1 {
				word = x.one
			}
			parts = append(parts, p.paint(x.level, fmt.Sprintf("%d %s", n, word)))
		}
	}
	return strings.Join(parts, ", ")
}

func (p Page) paint(l Level, text string) string {
	if !p.Color {
		return text
	}
	return color(l) + text + "\x1b[0m"
}

// level prints the findings of one level.
func (p Page) level(b *strings.Builder, level Level) {
	first := true
	for _, f := range p.Findings {
		if f.Level != level {
			continue
		}
		if first {
			b.WriteString("\n" + p.paint(level, heading(level)) + "\n\n")
			first = false
		}
		p.finding(b, f)
	}
}

// finding prints one: a line for what is well, a paragraph for the others.
func (p Page) finding(b *strings.Builder, f Finding) {
	if f.Level == OK && !p.All {
		fmt.Fprintf(b, "  %-12s %s\n", f.Check, plain(f.What))
		return
	}
	b.WriteString(wrapped(fmt.Sprintf("%-12s ", f.Check), f.What))
	if f.Why != "" {
		b.WriteString(wrapped("", f.Why))
	}
	if f.Link != "" {
		b.WriteString(wrapped("", "See "+f.Link))
	}
	if len(f.Do) > 0 {
		b.WriteString("\n")
	}
	for _, line := range f.Do {
		b.WriteString("      " + plain(line) + "\n")
	}
	b.WriteString("\n")
}

const (
	margin = "  "
	indent = 15 // of what follows the name of a check
	width  = 96
)

// wrapped is a text in lines that a screen has room for.
func wrapped(label, text string) string {
	var b strings.Builder
	if label == "" {
		label = strings.Repeat(" ", indent-len(margin))
	}
	line := margin + label
	for word := range strings.FieldsSeq(plain(text)) {
		if len(line) > indent && len(line)+1+len(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.Repeat(" ", indent)
		}
		if len(line) > indent {
			line += " "
		}
		line += word
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// plain keeps what strangers wrote into their records from steering a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
}
