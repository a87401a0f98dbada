package list

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

// constant is static:VALUE: every key has the same value.
type constant string

func (c constant) match(string) (string, bool) { return string(c), true }

// braced is what stands between "{" and "}", which belong together.
func braced(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return "", fmt.Errorf("expected { and } around %q", s)
	}
	return strings.TrimSpace(s[1 : len(s)-1]), nil
}

// Split cuts several tables, as a setting of Postfix has them: "hash:/a, inline:{b=c, d=e}".
// One that is in braces itself loses them.
func Split(s string) ([]string, error) { return members(s) }

// members cuts "a, {b c}, d{e,f}" at commas and blanks that are in no braces. A member
// that is in braces itself loses them.
func members(s string) (out []string, err error) {
	depth, begin := 0, -1
	end := func(i int) {
		if begin >= 0 {
			out = append(out, s[begin:i])
		}
		begin = -1
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case depth == 0 && isSeparator(rune(c)):
			end(i)
			continue
		}
		if depth < 0 {
			return nil, errBraces
		}
		if begin < 0 {
			begin = i
		}
	}
	if depth != 0 {
		return nil, errBraces
	}
	end(len(s))
	for i, m := range out {
		if bare, err := braced(m); err == nil {
			out[i] = bare
		}
	}
	return out, nil
}

var errBraces = errors.New("the { and } do not belong together")

// parseInline reads "{key = value, {key = value with blanks}}" (postconf(5), inline:).
func parseInline(rest string) (matcher, error) {
	inside, err := braced(rest)
	if err != nil {
		return nil, err
	}
	all, err := members(inside)
	if err != nil {
		return nil, err
	}
	t := newText()
	for _, m := range all {
		key, value, found := strings.Cut(m, "=")
		if key = strings.TrimSpace(key); !found || key == "" {
			return nil, fmt.Errorf(`expected "key = value", found %q; blanks want braces around it: { %s }`, m, m)
		}
		t.values[strings.ToLower(key)] = strings.TrimSpace(value)
	}
	return t, nil
}

// maxNested is how deep tables may stand in tables, maxMembers how many in one.
const (
	maxNested  = 4
	maxMembers = 32
)

// openMembers opens the tables of a unionmap or a pipemap.
func openMembers(rest string, events event.Sink, depth int) (m []table, err error) {
	inside, err := braced(rest)
	if err != nil {
		return nil, err
	}
	names, err := members(inside)
	if err == nil && (len(names) == 0 || len(names) > maxMembers) {
		err = fmt.Errorf("expected 1 to %d tables in the braces", maxMembers)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := openAt(Source{Name: name, From: name}, events, depth+1)
		if err != nil {
			return nil, errors.Join(err, closeAll(m))
		}
		m = append(m, t)
	}
	return m, nil
}

func closeAll(tables []table) error {
	var errs []error
	for _, t := range tables {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

// union is unionmap: the values of all tables that have the key, with commas between.
type union struct{ tables []table }

func (u union) find(ctx context.Context, key string) lookup.Answer[string] {
	var all []string
	for _, t := range u.tables {
		switch a := t.find(ctx, key); a.State() {
		case lookup.Found:
			all = append(all, a.Value())
		case lookup.TryAgain:
			return a
		}
	}
	return answer(strings.Join(all, ","), len(all) > 0)
}

func (u union) close() error { return closeAll(u.tables) }

func (u union) whole() bool { return anyWhole(u.tables) }

// anyWhole tells that one of the tables wants whole keys.
func anyWhole(tables []table) bool {
	for _, t := range tables {
		if t.whole() {
			return true
		}
	}
	return false
}

// pipe is pipemap: the value of each table is the key for the next one.
type pipe struct{ tables []table }

func (p pipe) find(ctx context.Context, key string) lookup.Answer[string] {
	var a lookup.Answer[string]
	for _, t := range p.tables {
		if len(key) > maxKey {
			return lookup.No[string](nil)
		}
		if a = t.find(ctx, key); a.State() != lookup.Found {
			return a
		}
		key = a.Value()
	}
	return a
}

func (p pipe) close() error { return closeAll(p.tables) }

func (p pipe) whole() bool { return anyWhole(p.tables) }
