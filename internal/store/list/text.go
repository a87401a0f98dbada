package list

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"facteur/internal/base/lookup"
)

// text is keys and their values, and networks that hold a key which is an address.
type text struct {
	values map[string]string
	nets   networks
	flaws  *flaws // nil: every line is right
}

func newText() *text { return &text{values: make(map[string]string)} }

// add takes an entry. The first of several for a key counts, as with postmap.
func (t *text) add(key, value string) {
	if strings.Contains(key, "/") {
		if p, err := parseNet(key); err == nil {
			t.nets.add(p, value)
			return
		}
	}
	key = strings.ToLower(key)
	if _, known := t.values[key]; !known {
		t.values[key] = value
	}
}

// find is match for who has to know of lines with mistakes.
func (t *text) find(key string) lookup.Answer[string] {
	if err := t.flaws.about(t, key); err != nil {
		return lookup.Later[string](err)
	}
	return answer(t.match(key))
}

// take takes a line.
func (t *text) take(l line) error {
	key, value, err := cutKey(l.text)
	if err == nil {
		t.add(key, value)
	}
	return err
}

func (t *text) match(key string) (string, bool) {
	if value, found := t.values[strings.ToLower(key)]; found {
		return value, true
	}
	value, _, found := t.nets.narrowest(key)
	return value, found
}

// parseText reads lines "key value".
func parseText(path string, b []byte) (matcher, error) {
	t := newText()
	t.read(path, b, t.take, pairKey)
	return t, nil
}

// parsePairs is parseText for Postfix's own kinds: a key without a value is none, as
// with postmap, and a network is a text like any other.
func parsePairs(path string, b []byte) (matcher, error) {
	t := newText()
	t.read(path, b, func(l line) error {
		key, value, err := cutKey(l.text)
		key = strings.ToLower(key)
		if _, known := t.values[key]; err == nil && !known && value != "" {
			t.values[key] = value
		}
		return err
	}, pairKey)
	return t, nil
}

// parseNet reads "192.0.2.0/24", "2001:db8::/32" or one address.
func parseNet(s string) (netip.Prefix, error) {
	s = strings.NewReplacer("[", "", "]", "").Replace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("expected a network such as 192.0.2.0/24, found %q", s)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%s has bits beyond its length; did you mean %s?", p, p.Masked())
	}
	return p, nil
}

// networks finds the narrowest of its networks that an address is in, in one step
// for each length that there is.
type networks struct {
	values map[netip.Prefix]string
	v4, v6 [129]bool // lengths that there are
}

func (n *networks) add(p netip.Prefix, value string) {
	if n.values == nil {
		n.values = make(map[netip.Prefix]string)
	}
	if _, known := n.values[p]; known {
		return
	}
	n.values[p] = value
	n.lengths(p.Addr())[p.Bits()] = true
}

func (n *networks) lengths(a netip.Addr) *[129]bool {
	if a.Is4() {
		return &n.v4
	}
	return &n.v6
}

// narrowest is the value of the narrowest network that has an address, and its length.
func (n *networks) narrowest(key string) (value string, bits int, found bool) {
	if len(n.values) == 0 {
		return "", 0, false
	}
	a, err := netip.ParseAddr(key)
	if err != nil {
		return "", 0, false
	}
	a = a.Unmap().WithZone("")
	there := n.lengths(a)
	for bits = a.BitLen(); bits >= 0; bits-- {
		if there[bits] {
			if value, found = n.values[netip.PrefixFrom(a, bits).Masked()]; found {
				return value, bits, true
			}
		}
	}
	return "", 0, false
}

// fixed is a table that never changes.
type fixed struct{ matcher }

func (f fixed) find(_ context.Context, key string) lookup.Answer[string] { return answer(f.match(key)) }
func (fixed) whole() bool                                                { return false }
func (fixed) close() error                                               { return nil }

// inline makes a table of entries in the settings.
func inline(entries []string) (table, error) {
	t := newText()
	for i, entry := range entries {
		l := line{number: i + 1, text: strings.TrimSpace(entry)}
		err := l.sound()
		if err == nil {
			err = t.take(l)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", l.number, err)
		}
	}
	return fixed{t}, nil
}
