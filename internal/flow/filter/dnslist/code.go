package dnslist

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Code is what an answer of a list weighs.
type Code struct {
	pattern string
	octets  [4]octet
	// Score is what the answer adds; negative where it speaks for the client.
	Score float64
}

// scoreMax bounds what anybody may write as a score.
const scoreMax = 100

// Any is the pattern of all answers that no other code names.
const Any = "any"

// octet is a set of values.
type octet [4]uint64

func (o *octet) add(v int)       { o[v/64] |= 1 << (v % 64) }
func (o *octet) has(v byte) bool { return o[v/64]&(1<<(v%64)) != 0 }

// ParseCode reads "PATTERN = SCORE". The pattern is an answer, "127.0.0.2"; or an octet of
// it is a set in Postfix's form, "127.0.0.[2..4;9]", or one with a certain bit, as in
// "127.0.0.&8", of lists that are several in one; or it is "any".
func ParseCode(text string) (Code, error) {
	pattern, score, ok := strings.Cut(text, "=")
	if !ok {
		return Code{}, fmt.Errorf(`expected an answer and its score, such as "127.0.0.2 = 3.5", found %q`, text)
	}
	c := Code{pattern: strings.TrimSpace(pattern)}
	var err error
	if c.Score, err = strconv.ParseFloat(strings.TrimSpace(score), 64); err != nil || math.IsNaN(c.Score) || math.Abs(c.Score) > scoreMax {
		return Code{}, fmt.Errorf("expected a score such as 3.5 after the =, at most %d, found %q", scoreMax, strings.TrimSpace(score))
	}
	if c.pattern == Any {
		return c, nil
	}
	parts, err := octets(c.pattern)
	if err != nil {
		return Code{}, err
	}
	for i, part := range parts {
		if c.octets[i], err = readOctet(part); err != nil {
			return Code{}, fmt.Errorf("%q is no answer of a list: %w", c.pattern, err)
		}
	}
	if !c.octets[0].has(127) {
		return Code{}, fmt.Errorf("%q is no answer of a list: all of them begin with 127", c.pattern)
	}
	return c, nil
}

// octets divides a pattern at the dots that are outside of brackets.
func octets(pattern string) (parts []string, err error) {
	start, inside := 0, false
	for i, r := range pattern {
		switch {
		case r == '[':
			inside = true
		case r == ']':
			inside = false
		case r == '.' && !inside:
			parts = append(parts, pattern[start:i])
			start = i + 1
		}
	}
	parts = append(parts, pattern[start:])
	if len(parts) != 4 || inside {
		return nil, fmt.Errorf(`expected an answer such as "127.0.0.2", "127.0.0.[2..4]", "127.0.0.&8" or %q, found %q`, Any, pattern)
	}
	return parts, nil
}

func readOctet(text string) (o octet, err error) {
	if bits, ok := strings.CutPrefix(text, "&"); ok {
		mask, err := number(bits)
		if err != nil || mask == 0 {
			return o, fmt.Errorf("expected a number from 1 to 255 after &, found %q", bits)
		}
		for v := range 256 {
			if v&mask != 0 {
				o.add(v)
			}
		}
		return o, nil
	}
	if set, ok := strings.CutPrefix(text, "["); ok {
		for part := range strings.SplitSeq(strings.TrimSuffix(set, "]"), ";") {
			from, to, ranged := strings.Cut(part, "..")
			if !ranged {
				to = from
			}
			if err := o.addRange(from, to); err != nil {
				return o, err
			}
		}
		return o, nil
	}
	return o, o.addRange(text, text)
}

func (o *octet) addRange(from, to string) error {
	low, err := number(from)
	if err != nil {
		return err
	}
	high, err := number(to)
	if err != nil {
		return err
	}
	if low > high {
		return fmt.Errorf("%s..%s goes backwards", from, to)
	}
	for v := low; v <= high; v++ {
		o.add(v)
	}
	return nil
}

func number(text string) (int, error) {
	v, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("expected a number from 0 to 255, found %q", text)
	}
	return int(v), nil
}

// String is the code as it is written.
func (c Code) String() string {
	return c.pattern + " = " + strconv.FormatFloat(c.Score, 'f', -1, 64)
}

// means tells whether the code names an answer.
func (c Code) means(a netip.Addr) bool {
	if c.pattern == Any {
		return true
	}
	for i, v := range a.Unmap().As4() {
		if !c.octets[i].has(v) {
			return false
		}
	}
	return true
}

// weigh is the score of what a list answered: of several answers the one that weighs most,
// of several codes that name one answer too, as of lists with bits. "any" is for answers
// that no other code names. known is false if there are answers that no code names.
func weigh(codes []Code, answers []netip.Addr) (score float64, counted []netip.Addr, known bool) {
	known = true
	for _, a := range answers {
		best, ok := weight(codes, a)
		if !ok {
			known = false
			continue
		}
		counted = append(counted, a)
		if math.Abs(best) > math.Abs(score) {
			score = best
		}
	}
	return score, counted, known
}

func weight(codes []Code, a netip.Addr) (best float64, ok bool) {
	var rest *Code
	for i, c := range codes {
		switch {
		case c.pattern == Any:
			rest = &codes[i]
		case c.means(a):
			ok = true
			if math.Abs(c.Score) > math.Abs(best) {
				best = c.Score
			}
		}
	}
	if !ok && rest != nil {
		return rest.Score, true
	}
	return best, ok
}

// Pattern is which answers the code is about, as it is written.
func (c Code) Pattern() string { return c.pattern }
