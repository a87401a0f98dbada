package dsn

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// variableNames are what a template may name, the times once for all units.
func variableNames() []string {
	return []string{"myhostname", "mydomain", "myorigin", "mail_name", "queue_id", "arrival_date", "recipients",
		"delay_warning_time_hours", "maximal_queue_lifetime_days", "bounce_queue_lifetime_days"}
}

// variable is the value of a variable in a notice.
func (r Report) variable(name string) (string, bool) {
	switch name {
	case "myhostname", "myorigin":
		return line(r.Host), true
	case "mydomain":
		if _, domain, found := strings.Cut(r.Host, "."); found {
			return line(domain), true
		}
		return line(r.Host), true
	case "mail_name":
		return "facteur", true
	case "queue_id":
		return line(r.QueueID), true
	case "arrival_date":
		return words(r.Language).date(r.Arrived), true
	case "recipients":
		return "", true
	}
	return r.span(name)
}

// span is a time in units: "delay_warning_time_hours".
func (r Report) span(name string) (string, bool) {
	at := strings.LastIndexByte(name, '_')
	if at < 0 {
		return "", false
	}
	spans := map[string]time.Duration{"delay_warning_time": r.DelayWarning, "maximal_queue_lifetime": r.Lifetime, "bounce_queue_lifetime": r.BounceLifetime}
	units := map[string]time.Duration{"seconds": time.Second, "minutes": time.Minute, "hours": time.Hour, "days": 24 * time.Hour, "weeks": 7 * 24 * time.Hour}
	d, known := spans[name[:at]]
	unit := units[name[at+1:]]
	if !known || unit == 0 {
		return "", false
	}
	return strconv.FormatInt(int64((d+unit/2)/unit), 10), true
}

// unknownVariable is the first name in a line that is none; "" when all are known.
func unknownVariable(text string) (bad string) {
	eachVariable(text, func(string) {}, func(name string) {
		if _, known := (Report{}).variable(name); !known && bad == "" {
			bad = name
		}
	})
	return bad
}

// expand replaces the variables of a line.
func (r Report) expand(text string) string {
	var b strings.Builder
	eachVariable(text, func(s string) { b.WriteString(s) }, func(name string) {
		value, _ := r.variable(name)
		b.WriteString(value)
	})
	return b.String()
}

// eachVariable goes through a line: plain text, and names in $name, ${name} or
// $(name). "$$" is a dollar.
func eachVariable(text string, plain, variable func(string)) {
	for {
		before, rest, found := strings.Cut(text, "$")
		plain(before)
		if !found {
			return
		}
		var name string
		switch {
		case strings.HasPrefix(rest, "$"):
			plain("$")
			text = rest[1:]
			continue
		case strings.HasPrefix(rest, "{"):
			name, text, _ = strings.Cut(rest[1:], "}")
		case strings.HasPrefix(rest, "("):
			name, text, _ = strings.Cut(rest[1:], ")")
		default:
			end := strings.IndexFunc(rest, func(c rune) bool {
				return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
			})
			if end < 0 {
				end = len(rest)
			}
			name, text = rest[:end], rest[end:]
		}
		variable(name)
	}
}

// widest is how wide a line of a template may become.
const widest = 78

// wrapLine writes a line, broken where its variables made it too wide.
func wrapLine(b *bytes.Buffer, text string) {
	text = strings.TrimRight(text, " \t")
	for {
		end := prefix(text, widest)
		at := strings.LastIndexByte(text[:end], ' ')
		if end == len(text) {
			break
		}
		if at <= 0 {
			break
		}
		b.WriteString(text[:at] + "\r\n")
		text = text[at+1:]
	}
	b.WriteString(text + "\r\n")
}

// prefix is the length in bytes of the first n characters.
func prefix(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
