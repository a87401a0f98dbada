package list

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

// shape is what Postfix's tables of servers have in common: which keys are worth a
// question, and what becomes of the values.
type shape struct {
	domains *domains // whose addresses are asked for; nil: every key
	result  phrase   // result_format
	keys    []byte   // the places for the key, in the question and in the result
	values  []byte   // the places for the value
	limit   int      // expansion_limit; 0: what the kind of table bounds
}

// newShape reads the parameters that all have. wants are the places of the question.
func newShape(c *cf, wants []byte, events event.Sink, depth int) (*shape, error) {
	s := &shape{keys: wants}
	var err error
	if s.result, err = parsePhrase(c.get("result_format", c.get("result_filter", "%s"))); err != nil {
		return nil, c.errorf("result_format", "%v", err)
	}
	for _, slot := range s.result.wants() {
		if strings.IndexByte("sud", slot) >= 0 {
			s.values = append(s.values, slot)
		} else {
			s.keys = append(s.keys, slot)
		}
	}
	if s.limit, err = c.number("expansion_limit", 0, 0, 1<<20); err != nil {
		return nil, err
	}
	s.domains, err = newDomains(c.get("domain", ""), events, depth)
	if err != nil {
		return nil, c.errorf("domain", "%v", err)
	}
	return s, nil
}

// admit gives the key as it is asked for: in lower case. An error says that nobody
// knows whether it would be; ok is false where nobody has to be asked.
func (s *shape) admit(ctx context.Context, key string) (folded string, ok bool, err error) {
	if s == nil {
		return key, true, nil
	}
	key = strings.ToLower(key)
	k := cutParts(key)
	if !k.has(s.keys) {
		return key, false, nil
	}
	if s.domains == nil {
		return key, true, nil
	}
	if k.user == "" || !k.qualified {
		return key, false, nil
	}
	ok, err = s.domains.has(ctx, k.domain)
	return key, ok, err
}

// join makes the answer of the values for a key.
func (s *shape) join(key string, values []string) (string, bool, error) {
	if s == nil {
		return strings.Join(values, ","), true, nil
	}
	k := cutParts(key)
	var out []string
	for _, v := range values {
		made, ok, err := s.format(k, v)
		switch {
		case err != nil:
			return "", false, err
		case !ok:
		case s.limit > 0 && len(out) == s.limit:
			return "", false, complaint{fmt.Errorf("%q has more than %d values, which is the table's expansion_limit", key, s.limit)}
		default:
			out = append(out, made)
		}
	}
	return strings.Join(out, ","), len(out) > 0, nil
}

// errPadded says that a value grew beyond all measure.
var errPadded = complaint{fmt.Errorf("result_format makes more than %d bytes of a value", maxExpanded)}

// format puts a value, and parts of the key, into result_format. Values that lack a
// part are left out, and so are empty ones.
func (s *shape) format(k keyed, value string) (string, bool, error) {
	v := cutParts(value)
	if value == "" || !v.has(s.values) {
		return "", false, nil
	}
	var b strings.Builder
	for _, x := range s.result {
		text := x.text
		switch {
		case x.slot == 0:
		case strings.IndexByte("sud", x.slot) >= 0:
			text, _ = v.part(x.slot)
		default:
			text, _ = k.part(x.slot)
		}
		if b.WriteString(text); b.Len() > max(maxExpanded, len(value)) {
			return "", false, errPadded
		}
	}
	return b.String(), b.Len() > 0, nil
}

// domains is the parameter "domain": names, files of names, and tables.
type domains struct{ members []domainMember }

type domainMember struct {
	name   string // "" for a table
	table  table
	negate bool
}

// newDomains reads "example.org, hash:/etc/postfix/searchdomains, !example.net".
func newDomains(text string, events event.Sink, depth int) (*domains, error) {
	words := strings.FieldsFunc(text, isSeparator)
	if len(words) == 0 {
		return nil, nil
	}
	d := &domains{}
	for _, w := range words {
		if err := d.add(w, events, depth); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

func (d *domains) add(word string, events event.Sink, depth int) error {
	bare := strings.TrimLeft(word, "!")
	m := domainMember{negate: (len(word)-len(bare))%2 == 1}
	var err error
	switch {
	case strings.HasPrefix(bare, "/"):
		return d.file(bare, m.negate)
	case strings.Contains(bare, ":"):
		m.table, err = openAt(Source{Name: bare, From: bare}, events, depth+1)
	default:
		m.name = strings.ToLower(bare)
	}
	d.members = append(d.members, m)
	return err
}

// file reads names from a file; what it says counts until the list is read again.
func (d *domains) file(path string, negate bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return each(path, text, func(l line) error {
		for _, name := range strings.FieldsFunc(l.text, isSeparator) {
			d.members = append(d.members, domainMember{name: strings.ToLower(name), negate: negate})
		}
		return nil
	})
}

func isSeparator(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }

// has tells whether a domain is among them. The first member that fits decides.
func (d *domains) has(ctx context.Context, domain string) (bool, error) {
	for _, m := range d.members {
		if m.table == nil {
			if m.name == domain {
				return !m.negate, nil
			}
			continue
		}
		switch a := m.table.find(ctx, domain); a.State() {
		case lookup.Found:
			return !m.negate, nil
		case lookup.TryAgain:
			return false, a.Err()
		}
	}
	return false, nil
}

func (d *domains) close() error {
	if d == nil {
		return nil
	}
	var errs []error
	for _, m := range d.members {
		if m.table != nil {
			errs = append(errs, m.table.close())
		}
	}
	return errors.Join(errs...)
}

func (s *shape) close() error {
	if s == nil {
		return nil
	}
	return s.domains.close()
}
