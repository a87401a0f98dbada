package postfix

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
)

// The bounds of macros: a main.cf of a few lines could else ask for any amount of memory.
const (
	expandDepth = 50
	expandSize  = 1 << 20 // bytes, of all that one value reads
)

var (
	errNests = errors.New("macros refer to each other without end")
	errGrows = errors.New("macros grow beyond all bounds")
	errBrace = errors.New("a brace or parenthesis is not closed")
	errMacro = errors.New("a macro has a form that nobody knows")
)

// Expand replaces the macros of a value, as mac_expand of Postfix does: $name, ${name},
// $(name), ${name?text}, ${name:text}, ${name?{x}:{y}}, ${{a} == {b} ? {x} : {y}}, and $$.
// get has the values of names, which may have macros in turn.
func Expand(value string, get func(name string) string) (string, error) {
	e := expander{get: get, left: expandSize}
	return e.expand(value, expandDepth)
}

type expander struct {
	get  func(string) string
	left int
}

func (e *expander) expand(s string, depth int) (string, error) {
	if depth == 0 {
		return "", errNests
	}
	if e.left -= len(s) + 1; e.left < 0 {
		return "", errGrows
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '$')
		if at < 0 || at+1 == len(s) {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:at])
		s = s[at+1:]
		text, rest, err := e.macro(s, depth)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		s = rest
	}
	if b.Len() > expandSize {
		return "", errGrows
	}
	return b.String(), nil
}

// macro replaces what stands at the beginning of s, behind the "$".
func (e *expander) macro(s string, depth int) (text, rest string, err error) {
	switch s[0] {
	case '$':
		return "$", s[1:], nil
	case '{', '(':
		end := closing(s)
		if end < 0 {
			return "", "", errBrace
		}
		text, err = e.inside(strings.TrimSpace(s[1:end]), depth)
		return text, s[end+1:], err
	}
	n := nameLength(s)
	if n == 0 {
		return "$", s, nil
	}
	text, err = e.expand(e.get(s[:n]), depth-1)
	return text, s[n:], err
}

// closing is where the brace or parenthesis at the beginning of s closes, or -1.
func closing(s string) int {
	pair, depth := byte('}'), 0
	if s[0] == '(' {
		pair = ')'
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case s[0]:
			depth++
		case pair:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func nameLength(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return n
}

// inside is the value of what stands in ${…}.
func (e *expander) inside(s string, depth int) (string, error) {
	if strings.HasPrefix(s, "{") {
		return e.comparison(s, depth)
	}
	n := nameLength(s)
	value, err := e.expand(e.get(s[:n]), depth-1)
	if err != nil || n == len(s) {
		return value, err
	}
	return e.choice(value != "", strings.TrimSpace(s[n:]), depth)
}

// comparison is {a} op {b} ? {x} : {y}.
func (e *expander) comparison(s string, depth int) (string, error) {
	left, s, err := e.braced(s, depth)
	if err != nil {
		return "", err
	}
	n := strings.IndexByte(s, '{')
	if n < 0 {
		return "", errMacro
	}
	op := strings.TrimSpace(s[:n])
	right, s, err := e.braced(s[n:], depth)
	if err != nil {
		return "", err
	}
	holds, err := compare(left, op, right)
	if err != nil {
		return "", err
	}
	if s == "" { // a condition by itself is its truth
		return map[bool]string{true: "bool:true"}[holds], nil
	}
	return e.choice(holds, s, depth)
}

// braced expands {…} at the beginning of s.
func (e *expander) braced(s string, depth int) (text, rest string, err error) {
	end := closing(s)
	if end < 0 {
		return "", "", errBrace
	}
	text, err = e.expand(strings.TrimSpace(s[1:end]), depth-1)
	return text, strings.TrimSpace(s[end+1:]), err
}

// choice is what stands behind "?" or ":", whichever counts.
func (e *expander) choice(holds bool, s string, depth int) (string, error) {
	kind, s := s[0], strings.TrimSpace(s[1:])
	if kind != '?' && kind != ':' {
		return "", errMacro
	}
	if !strings.HasPrefix(s, "{") { // all up to the end
		if holds == (kind == '?') {
			return e.expand(s, depth-1)
		}
		return "", nil
	}
	end := closing(s)
	if end < 0 {
		return "", errBrace
	}
	first, rest := strings.TrimSpace(s[1:end]), strings.TrimSpace(s[end+1:])
	if holds == (kind == '?') {
		return e.expand(first, depth-1)
	}
	if rest == "" {
		return "", nil
	}
	if kind != '?' || rest[0] != ':' {
		return "", errMacro
	}
	return e.expand(unbrace(strings.TrimSpace(rest[1:])), depth-1)
}

// compare compares numbers as numbers, levels ("<level") by their parts, all else as text.
func compare(left, op, right string) (bool, error) {
	op, level := strings.CutSuffix(op, "level")
	order := strings.Compare(left, right)
	l, errL := strconv.ParseInt(left, 10, 64)
	r, errR := strconv.ParseInt(right, 10, 64)
	switch {
	case level:
		order = compareLevels(left, right)
	case errL == nil && errR == nil:
		order = cmp.Compare(l, r)
	}
	switch op {
	case "==":
		return order == 0, nil
	case "!=":
		return order != 0, nil
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	case ">=":
		return order >= 0, nil
	}
	return false, errMacro
}

// compareLevels compares compatibility levels, "3.6" and "2".
func compareLevels(left, right string) int {
	l, r := strings.Split(left, "."), strings.Split(right, ".")
	for i := range max(len(l), len(r)) {
		x, y := 0, 0
		if i < len(l) {
			x, _ = strconv.Atoi(strings.TrimSpace(l[i]))
		}
		if i < len(r) {
			y, _ = strconv.Atoi(strings.TrimSpace(r[i]))
		}
		if x != y {
			return x - y
		}
	}
	return 0
}
