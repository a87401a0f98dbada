package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
)

// field is one thing that a policy may say, under the key that it has in facteur.toml and
// on the command line.
type field struct {
	key string
	// said tells whether a policy says it; check what is wrong with that.
	said  func(*Policy) bool
	check func(*Policy) error
	// read takes it from text, and unset has it inherited.
	read  func(*Policy, string) error
	unset func(*Policy)
	// apply puts it into an Effective, and show writes it from there.
	apply func(*Policy, *Effective)
	show  func(*Effective) string
}

// fields are all of them, in the order of listings.
var fields = slices.Concat([]field{
	level("mark", func(p *Policy) **float64 { return &p.Mark }, func(e *Effective) *float64 { return &e.Mark }),
	level("junk", func(p *Policy) **float64 { return &p.Junk }, func(e *Effective) *float64 { return &e.Junk }),
	level("kill", func(p *Policy) **float64 { return &p.Kill }, func(e *Effective) *float64 { return &e.Kill }),
	level("cutoff", func(p *Policy) **float64 { return &p.Cutoff }, func(e *Effective) *float64 { return &e.Cutoff }),
}, destinyFields(), []field{subjectTag, quarantineTo, notify, greylist, languages, testOnly})

// Keys are the keys of all fields: "mark", "destinies.spam", …
func Keys() []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

func fieldOf(key string) (field, error) {
	key = strings.ReplaceAll(key, "destiny.", "destinies.")
	for _, f := range fields {
		if f.key == key {
			return f, nil
		}
	}
	return field{}, fmt.Errorf("%q is nothing that a policy says; expected %s", key, strings.Join(Keys(), ", "))
}

// Set has a policy say something, in text: "junk" = "4.5".
func (p *Policy) Set(key, value string) error {
	f, err := fieldOf(key)
	if err != nil {
		return err
	}
	if value == "" {
		return fmt.Errorf("%s: an empty value says nothing; unset it, or say %q for nothing at all", key, None)
	}
	if err := f.read(p, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// Unset has a policy inherit something.
func (p *Policy) Unset(key string) error {
	f, err := fieldOf(key)
	if err == nil {
		f.unset(p)
	}
	return err
}

// Said are the values that a policy says, as text, by their keys.
func (p *Policy) Said() map[string]string {
	said := make(map[string]string)
	for _, f := range fields {
		if f.said(p) {
			var e Effective
			f.apply(p, &e)
			said[f.key] = f.show(&e)
		}
	}
	return said
}

// Text is a value as text, by its key; "" for a key that is none.
func (e *Effective) Text(key string) string {
	f, err := fieldOf(key)
	if err != nil {
		return ""
	}
	return f.show(e)
}

func level(key string, at func(*Policy) **float64, to func(*Effective) *float64) field {
	return field{
		key:  key,
		said: func(p *Policy) bool { return *at(p) != nil }, check: func(p *Policy) error { return checkLevel(*at(p)) },
		read: func(p *Policy, text string) error {
			l, err := ParseLevel(text)
			*at(p) = &l
			return err
		},
		unset: func(p *Policy) { *at(p) = nil },
		apply: func(p *Policy, e *Effective) { *to(e) = **at(p) },
		show:  func(e *Effective) string { return LevelText(*to(e)) },
	}
}

// ParseLevel reads a score, "never" or "always".
func ParseLevel(text string) (float64, error) {
	switch text {
	case "never":
		return Never, nil
	case "always":
		return Always, nil
	}
	l, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf(`%q: expected a score such as 5.0, "never" or "always"`, text)
	}
	return l, checkLevel(&l)
}

// LevelText is what ParseLevel reads.
func LevelText(l float64) string {
	switch l {
	case Never:
		return "never"
	case Always:
		return "always"
	}
	return strconv.FormatFloat(l, 'f', -1, 64)
}

func destinyFields() (list []field) {
	for _, c := range Categories() {
		list = append(list, field{
			key:   "destinies." + string(c),
			said:  func(p *Policy) bool { return p.Destinies[c] != "" },
			check: func(p *Policy) error { return checkDestiny(p.Destinies[c]) },
			read: func(p *Policy, text string) error {
				p.Destinies = maps.Clone(p.Destinies)
				if p.Destinies == nil {
					p.Destinies = make(map[Category]Destiny)
				}
				p.Destinies[c] = Destiny(text)
				return checkDestiny(p.Destinies[c])
			},
			unset: func(p *Policy) { delete(p.Destinies, c) },
			apply: func(p *Policy, e *Effective) {
				e.Destinies = maps.Clone(e.Destinies)
				if e.Destinies == nil {
					e.Destinies = make(map[Category]Destiny)
				}
				e.Destinies[c] = p.Destinies[c]
			},
			show: func(e *Effective) string { return string(e.Destinies[c]) },
		})
	}
	return list
}

func checkDestiny(d Destiny) error {
	switch {
	case d == "bounce":
		return errors.New("bounce is not offered: a notice to a forged sender is spam itself; expected pass, reject, quarantine or discard")
	case d != "" && !slices.Contains(Destinies(), d):
		return fmt.Errorf("%q is no destiny; expected pass, reject, quarantine or discard", d)
	}
	return nil
}

var subjectTag = field{
	key:   "subject_tag",
	said:  func(p *Policy) bool { return p.SubjectTag != "" },
	check: func(p *Policy) error { return checkText(p.SubjectTag) },
	read: func(p *Policy, text string) error {
		p.SubjectTag = text
		return checkText(text)
	},
	unset: func(p *Policy) { p.SubjectTag = "" },
	apply: func(p *Policy, e *Effective) {
		if e.SubjectTag = p.SubjectTag; p.SubjectTag == None {
			e.SubjectTag = ""
		}
	},
	show: func(e *Effective) string { return orNone(e.SubjectTag) },
}

var quarantineTo = field{
	key:  "quarantine_to",
	said: func(p *Policy) bool { return p.QuarantineTo != "" },
	check: func(p *Policy) error {
		_, err := readQuarantineTo(p.QuarantineTo)
		return err
	},
	read: func(p *Policy, text string) error {
		a, err := readQuarantineTo(text)
		if err == nil {
			p.QuarantineTo = orNone(a.String())
		}
		return err
	},
	unset: func(p *Policy) { p.QuarantineTo = "" },
	apply: func(p *Policy, e *Effective) { e.QuarantineTo, _ = readQuarantineTo(p.QuarantineTo) },
	show:  func(e *Effective) string { return orNone(e.QuarantineTo.String()) },
}

func readQuarantineTo(text string) (address.Address, error) {
	if text == "" || text == None {
		return address.Address{}, nil
	}
	a, err := address.Parse(text)
	if err != nil || a.Domain == "" {
		return a, fmt.Errorf("%q: expected an address, or %q for the shelf of the quarantine", text, None)
	}
	return a, nil
}

var notify = field{
	key:   "notify",
	said:  func(p *Policy) bool { return len(p.Notify) > 0 },
	check: checkNotify,
	read: func(p *Policy, text string) error {
		p.Notify = words(text)
		return checkNotify(p)
	},
	unset: func(p *Policy) { p.Notify = nil },
	apply: func(p *Policy, e *Effective) {
		e.Notify = nil
		for _, c := range p.Notify {
			if c != None {
				e.Notify = append(e.Notify, Category(c))
			}
		}
	},
	show: func(e *Effective) string {
		names := make([]string, len(e.Notify))
		for i, c := range e.Notify {
			names[i] = string(c)
		}
		return orNone(strings.Join(names, ","))
	},
}

func checkNotify(p *Policy) error {
	if len(p.Notify) == 1 && p.Notify[0] == None {
		return nil
	}
	for _, c := range p.Notify {
		if !slices.Contains(Categories(), Category(c)) {
			return fmt.Errorf("%q is no category; expected virus, banned, bad_header, spam, or %q alone", c, None)
		}
	}
	return nil
}

// words are what stands between commas or blanks.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

var greylist = field{
	key:   "greylist",
	said:  func(p *Policy) bool { return p.Greylist != nil },
	check: func(*Policy) error { return nil },
	read: func(p *Policy, text string) error {
		yes, err := parseBool(text)
		p.Greylist = &yes
		return err
	},
	unset: func(p *Policy) { p.Greylist = nil },
	apply: func(p *Policy, e *Effective) { e.Greylist = *p.Greylist },
	show:  func(e *Effective) string { return strconv.FormatBool(e.Greylist) },
}

// languagesMax is how many languages an account uses at most.
const languagesMax = 50

var languages = field{
	key:   "languages",
	said:  func(p *Policy) bool { return len(p.Languages) > 0 },
	check: checkLanguages,
	read: func(p *Policy, text string) error {
		p.Languages = words(text)
		return checkLanguages(p)
	},
	unset: func(p *Policy) { p.Languages = nil },
	apply: func(p *Policy, e *Effective) {
		if e.Languages = p.Languages; p.Languages[0] == None {
			e.Languages = nil
		}
	},
	show: func(e *Effective) string { return orNone(strings.Join(e.Languages, ",")) },
}

func checkLanguages(p *Policy) error {
	if len(p.Languages) == 1 && p.Languages[0] == None {
		return nil
	}
	if len(p.Languages) > languagesMax {
		return fmt.Errorf("more than %d languages", languagesMax)
	}
	for _, code := range p.Languages {
		if !content.IsLanguage(code) {
			return fmt.Errorf("%q: expected codes of two letters (ISO 639-1), such as \"fr\" or \"ja\", or %q alone", code, None)
		}
	}
	return nil
}

func parseBool(text string) (bool, error) {
	yes, err := strconv.ParseBool(text)
	if err != nil {
		err = fmt.Errorf("%q: expected true or false", text)
	}
	return yes, err
}

var testOnly = field{
	key:   "test_only",
	said:  func(p *Policy) bool { return p.TestOnly != nil },
	check: func(*Policy) error { return nil },
	read: func(p *Policy, text string) error {
		yes, err := parseBool(text)
		p.TestOnly = &yes
		return err
	},
	unset: func(p *Policy) { p.TestOnly = nil },
	apply: func(p *Policy, e *Effective) { e.TestOnly = *p.TestOnly },
	show:  func(e *Effective) string { return strconv.FormatBool(e.TestOnly) },
}

func orNone(text string) string {
	if text == "" {
		return None
	}
	return text
}
