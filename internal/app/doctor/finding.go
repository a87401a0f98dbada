package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Level is how bad a finding is.
type Level string

// The levels, from good to bad. Unknown is neither: it could not be told.
const (
	OK      Level = "ok"
	Note    Level = "note"    // could be better, or is good to know
	Unknown Level = "unknown" // nobody answered
	Warning Level = "warning" // some mail may be lost or refused
	Failure Level = "failure" // mail is lost or refused
)

// levels are in the order in which people should read them.
var levels = []Level{Failure, Warning, Unknown, Note, OK}

// Finding is what one check found of one subject.
type Finding struct {
	// Check is its name, "mx"; docs/DOCTOR.md has a chapter of that name.
	Check string `json:"check"`
	// Domain is the domain that was looked at; "" for the house.
	Domain string `json:"domain,omitempty"`
	// Subject is a domain, a host, an address or a file.
	Subject string `json:"subject,omitempty"`
	Level   Level  `json:"level"`
	// What is a sentence; Why says what depends on it.
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	// Do is ready to paste: records, settings or commands, one a line.
	Do []string `json:"do,omitempty"`
	// Link is where to read on, or to ask somebody for something.
	Link string `json:"link,omitempty"`
}

// job and key tell the same check, and the same finding, of another day.
func (f Finding) job() string { return f.Check + " " + f.Domain }
func (f Finding) key() string { return f.job() + " " + f.Subject }

// isBad: somebody should do something.
func (f Finding) isBad() bool { return f.Level == Warning || f.Level == Failure }

// report gathers the findings of one check about one subject.
type report struct {
	check, domain, subject string
	list                   []Finding
}

// add adds a finding about the subject of the report; what are its words.
func (r *report) add(level Level, format string, args ...any) *Finding {
	r.list = append(r.list, Finding{Check: r.check, Domain: r.domain, Subject: r.subject, Level: level, What: fmt.Sprintf(format, args...)})
	return &r.list[len(r.list)-1]
}

// about is add for a part of the subject, such as one of its addresses.
func (r *report) about(subject string, level Level, format string, args ...any) *Finding {
	f := r.add(level, format, args...)
	f.Subject = subject
	return f
}

// untold adds that something could not be told.
func (r *report) untold(what string, err error) *Finding {
	return r.add(Unknown, "It could not be told %s: %v.", what, err)
}

// because, do and link fill in the rest.
func (f *Finding) because(format string, args ...any) *Finding {
	f.Why = fmt.Sprintf(format, args...)
	return f
}

func (f *Finding) do(lines ...string) *Finding {
	f.Do = append(f.Do, lines...)
	return f
}

func (f *Finding) link(url string) *Finding {
	f.Link = url
	return f
}

// listed is a list for people.
func listed[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = x.String()
	}
	return strings.Join(words, ", ")
}

// Worst is the level of the worst finding.
func Worst(list []Finding) Level {
	for _, level := range levels {
		for _, f := range list {
			if f.Level == level {
				return level
			}
		}
	}
	return OK
}

// Exit is the exit code that says it: 0, 1 (warnings, or what could not be told) or 2.
func Exit(list []Finding) int {
	switch Worst(list) {
	case Failure:
		return 2
	case Warning, Unknown:
		return 1
	}
	return 0
}

// sortFindings puts the worst first, and else keeps an order that is the same every day.
func sortFindings(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(a.Subject, b.Subject))
	})
}
