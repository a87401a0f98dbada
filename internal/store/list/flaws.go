package list

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxMistakes is how many mistakes of one file are told one by one.
const maxMistakes = 20

// Mistake is a line of a file of keys that can not be used.
type Mistake struct {
	Path string
	Line int
	// Key is what the line is for: look-ups of it say TryAgain. "": nobody knows.
	Key string
	Err error
}

func (m Mistake) String() string { return fmt.Sprintf("%s:%d: %v", m.Path, m.Line, m.Err) }

// flaws are the lines of a file that can not be used. What they are for is not unknown by
// that: whoever asks for it has to wait until the line is right.
type flaws struct {
	all  []Mistake // at most maxMistakes
	more int       // that are not among them
	keys text      // why each of these can't be told
	// ruined is set where the file has mistakes and nothing else, and so may be another
	// file altogether: then nothing can be told.
	ruined error
}

// read takes the lines of a file of keys. A line with a mistake costs its own key, and no
// other; a right line for the same key counts.
func (t *text) read(path string, b []byte, take func(l line) error, keyOf func(text string) string) {
	good := false
	for l := range lines(b) {
		err := l.sound()
		if err == nil {
			err = take(l)
		}
		if err == nil {
			good = true
			continue
		}
		if t.flaws == nil {
			t.flaws = &flaws{keys: *newText()}
		}
		t.flaws.add(Mistake{Path: path, Line: l.number, Key: keyOf(l.text), Err: err})
	}
	t.flaws.judge(good)
}

func (f *flaws) add(m Mistake) {
	if strings.ContainsRune(m.Key, 0) || !utf8.ValidString(m.Key) {
		m.Key = ""
	}
	if m.Key != "" {
		f.keys.add(m.Key, m.String())
	}
	if len(f.all) == maxMistakes {
		f.more++
		return
	}
	f.all = append(f.all, m)
}

// judge tells one bad line, which may be the only one, from a file that is no table.
func (f *flaws) judge(good bool) {
	if f != nil && !good && (len(f.all) > 1 || f.all[0].Key == "") {
		f.ruined = fmt.Errorf("%v; no line can be used", f.all[0])
	}
}

// about tells why a key can't be told; nil if it can. Of two networks the narrower counts.
func (f *flaws) about(t *text, key string) error {
	if f == nil {
		return nil
	}
	if f.ruined != nil {
		return f.ruined
	}
	lower := strings.ToLower(key)
	if _, known := t.values[lower]; known {
		return nil
	}
	if why, flawed := f.keys.values[lower]; flawed {
		return errors.New(why)
	}
	_, bits, known := t.nets.narrowest(key)
	why, flawedBits, flawed := f.keys.nets.narrowest(key)
	if flawed && (!known || flawedBits > bits) {
		return errors.New(why)
	}
	return nil
}

// pairKey is the key of a line "key value" with a mistake, as far as it can be told.
func pairKey(text string) string {
	text = strings.TrimSpace(text)
	if key, _, err := cutKey(text); err == nil {
		return key
	}
	word, _, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	return strings.Trim(word, `"`)
}

// warnings are the flaws for people.
func (f *flaws) warnings() (out []string) {
	if f == nil {
		return nil
	}
	for _, m := range f.all {
		switch {
		case f.ruined != nil:
			out = append(out, m.String())
		case m.Key == "":
			out = append(out, m.String()+"; this line is nobody's")
		default:
			out = append(out, fmt.Sprintf("%v; until it is right, what is for %q has to wait", m, m.Key))
		}
	}
	if f.more > 0 {
		out = append(out, fmt.Sprintf("%s: %d more lines with mistakes", f.all[0].Path, f.more))
	}
	if f.ruined != nil {
		out = append(out, fmt.Sprintf("%s: no line can be used; whoever asks this table has to wait", f.all[0].Path))
	}
	return out
}

// Mistakes are the lines that can not be used in the files of all lists, at most 20 of
// each, by the names of the lists and in the order of the lines.
func (s *Set) Mistakes() (all []Mistake) {
	var names []string
	for name := range s.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, mistakesIn(s.tables[name])...)
	}
	return all
}

func mistakesIn(t table) (all []Mistake) {
	var inner []table
	switch t := t.(type) {
	case *file:
		if m, ok := (*t.table.Load()).(*text); ok && m.flaws != nil {
			return m.flaws.all
		}
	case union:
		inner = t.tables
	case pipe:
		inner = t.tables
	}
	for _, t := range inner {
		all = append(all, mistakesIn(t)...)
	}
	return all
}
