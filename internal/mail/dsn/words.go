package dsn

import (
	"fmt"
	"strings"
	"time"
)

// vocabulary is what the list of recipients says in one language.
type vocabulary struct {
	tag     string            // RFC 5646
	happens map[Action]string // what became of the recipients that follow
	said    string            // %s: host, text
	ours    string            // %s: text
	link    string            // %s: address of a page
	until   string            // %s: date
	reasons map[string]string // by subject and detail of the status: "1.1"
	months  [12]string
	when    string // %[1]d day, %[2]s month, %[3]d year, %[4]s time of day and zone
}

// date is a date as people write it.
func (w vocabulary) date(t time.Time) string {
	return fmt.Sprintf(w.when, t.Day(), w.months[t.Month()-1], t.Year(), t.Format("15:04 -0700"))
}

// words chooses the language.
func words(language string) vocabulary {
	if Language(language) == "fr" {
		return french()
	}
	return english()
}

// recipients is the list of recipients with what became of each.
func (r Report) recipients() string {
	w := words(r.Language)
	var b letter
	for _, action := range []Action{Failed, Delayed, Delivered, Relayed, Expanded} {
		w.group(&b, r, action)
	}
	return b.String()
}

// group tells of the recipients with one action.
func (w vocabulary) group(b *letter, r Report, action Action) {
	first := true
	for _, to := range r.Recipients {
		if to.action() != action {
			continue
		}
		if first {
			b.say("%s", w.happens[action])
			first = false
		}
		w.recipient(b, to)
	}
}

func (w vocabulary) recipient(b *letter, to Recipient) {
	b.item("<%s>", line(to.Final.String()))
	if !to.Original.IsNull() && to.Original != to.Final {
		b.more("(<%s>)", line(to.Original.String()))
	}
	b.more("%s", w.why(to))
	switch {
	case to.Diagnostic == "":
	case to.RemoteMTA != "":
		b.more(w.said, line(to.RemoteMTA), line(to.Diagnostic))
	default:
		b.more(w.ours, line(to.Diagnostic))
	}
	b.more("%s", line(to.Cure))
	if to.Link != "" {
		b.more(w.link, ascii(to.Link))
	}
	if action := to.action(); action == Delayed && !to.RetryUntil.IsZero() {
		b.more(w.until, w.date(to.RetryUntil))
	}
	b.WriteString("\r\n")
}

// why is the cause in plain words: what the refusal is known to mean, or else what its
// code means.
func (w vocabulary) why(to Recipient) string {
	switch {
	case to.Cause != "":
		return line(to.Cause)
	case to.status()[0] == '2':
		return ""
	}
	return w.reasons[to.status()[2:]]
}

// letter is a text of paragraphs.
type letter struct{ strings.Builder }

func (l *letter) say(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		l.wrap("", text)
		l.WriteString("\r\n")
	}
}

func (l *letter) item(format string, args ...any) { l.wrap("  ", fmt.Sprintf(format, args...)) }

func (l *letter) more(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		l.wrap("    ", text)
	}
}

// punctuation is not to begin a line: French sets blanks before it.
func punctuation(word string) bool { return len(word) == 1 && strings.Contains(":;!?", word) }

// wrap writes a paragraph in lines of 72 characters or so. Every line is
// indented, so none of a quoted text begins where it could mean something.
func (l *letter) wrap(indent, text string) {
	column := 0
	for word := range strings.FieldsSeq(text) {
		if width := len([]rune(word)); column > 0 && column+1+width > 72 && !punctuation(word) {
			l.WriteString("\r\n")
			column = 0
		}
		if column == 0 {
			l.WriteString(indent)
			column = len(indent)
		} else {
			l.WriteString(" ")
			column++
		}
		l.WriteString(word)
		column += len([]rune(word))
	}
	l.WriteString("\r\n")
}
