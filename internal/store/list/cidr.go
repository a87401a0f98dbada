package list

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// cidr is a table of networks (cidr_table(5)): the first line whose network has the
// address gives its value.
type cidr struct {
	lines  []cidrLine
	plain  map[netip.Prefix]int // the first line of each network; nil where there are blocks
	v4, v6 [129]bool            // lengths that there are
}

type cidrLine struct {
	net    netip.Prefix
	negate bool
	value  string
	// depth is that of the "if" blocks around it; block marks an "if" itself.
	depth int
	block bool
}

// parseCIDR reads lines "network value", "!network value", "if network" and "endif".
func parseCIDR(path string, b []byte) (matcher, error) {
	c := &cidr{plain: map[netip.Prefix]int{}}
	depth := 0
	err := each(path, b, func(l line) error {
		entry, end, err := parseCIDRLine(l.text)
		switch {
		case err != nil:
			return err
		case end && depth == 0:
			return errors.New("endif without if")
		case end:
			depth--
			return nil
		}
		if entry.depth = depth; entry.block {
			depth++
		}
		c.add(entry)
		return nil
	})
	if err == nil && depth > 0 {
		err = fmt.Errorf("%s: an if has no endif", path)
	}
	return c, err
}

func parseCIDRLine(s string) (entry cidrLine, end bool, err error) {
	word, rest, _ := strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
	switch strings.ToLower(word) {
	case "endif":
		return entry, true, nil
	case "if":
		entry.block, s = true, strings.TrimSpace(rest)
	}
	if bare, is := strings.CutPrefix(s, "!"); is {
		entry.negate, s = true, strings.TrimSpace(bare)
	}
	key, value, err := cutKey(s)
	if err != nil {
		return entry, false, err
	}
	entry.value = value
	entry.net, err = parseNet(key)
	return entry, false, err
}

// add keeps a line. While all are plain, they are found by their lengths.
func (c *cidr) add(l cidrLine) {
	c.lines = append(c.lines, l)
	if c.plain == nil || l.negate || l.block {
		c.plain = nil
		return
	}
	if _, known := c.plain[l.net]; !known {
		c.plain[l.net] = len(c.lines) - 1
		c.lengths(l.net.Addr())[l.net.Bits()] = true
	}
}

func (c *cidr) lengths(a netip.Addr) *[129]bool {
	if a.Is4() {
		return &c.v4
	}
	return &c.v6
}

func (c *cidr) match(key string) (string, bool) {
	a, err := netip.ParseAddr(strings.Trim(key, "[]"))
	if err != nil {
		return "", false
	}
	a = a.Unmap().WithZone("")
	if c.plain != nil {
		return c.quick(a)
	}
	within := 0 // blocks that we are in
	for _, l := range c.lines {
		if l.depth > within {
			continue
		}
		within = l.depth
		switch {
		case l.net.Addr().Is4() != a.Is4() || l.net.Contains(a) == l.negate: // "!" is of one family, too
		case l.block:
			within++
		default:
			return l.value, true
		}
	}
	return "", false
}

// quick finds the first of the lines that fit in one step for each length that there is.
func (c *cidr) quick(a netip.Addr) (string, bool) {
	first := len(c.lines)
	there := c.lengths(a)
	for bits := a.BitLen(); bits >= 0; bits-- {
		if !there[bits] {
			continue
		}
		if i, found := c.plain[netip.PrefixFrom(a, bits).Masked()]; found {
			first = min(first, i)
		}
	}
	if first == len(c.lines) {
		return "", false
	}
	return c.lines[first].value, true
}

// networkValue cuts the value from a line.
func networkValue(text string) (string, bool, error) {
	entry, end, err := parseCIDRLine(text)
	return entry.value, err == nil && !end && !entry.block, err
}
