package namespace

import (
	"slices"
	"strings"
)

// kind is whose a mailbox is.
type kind uint8

const (
	personal kind = iota
	users
	public
)

// name is a mailbox's name taken apart.
type name struct {
	kind  kind
	owner string // of kind users: an address
	inner string // within the account, "/" between levels; "" for the account itself
}

// parse reads a name of the wire, in UTF-8. ok is false for what no mailbox can
// be called.
func (s *Settings) parse(wire string) (n name, ok bool) {
	wire = strings.TrimSuffix(wire, s.sep())
	if strings.EqualFold(wire, "INBOX") {
		return name{inner: "INBOX"}, true
	}
	if rest, is := s.below(wire, s.Users); is {
		level, inner, deeper := strings.Cut(rest, s.sep())
		if owner, ok := s.readAddress(level); ok && strings.Contains(owner, "@") {
			n = name{kind: users, owner: key(owner)}
			n.inner, ok = s.inner(inner)
			return n, ok || !deeper
		}
	}
	if rest, is := s.below(wire, s.Public); is && len(s.PublicMailboxes) > 0 {
		n.inner, ok = s.inner(rest)
		n.kind = public
		return n, ok
	}
	rest, is := cutPrefixFold(wire, s.Personal)
	if !is {
		return name{}, false
	}
	n.inner, ok = s.inner(rest)
	if s.Personal != "" && strings.EqualFold(n.inner, "INBOX") {
		return name{}, false // INBOX has one name
	}
	return n, ok
}

// reserved tells whether a name lies where others' or public mailboxes stand, or would
// if there were any: an own mailbox that was made there could not be reached any
// more from the day that there are. Those that exist are served until then.
func (s *Settings) reserved(wire string) bool {
	_, users := s.below(wire, s.Users)
	_, public := s.below(wire, s.Public)
	return users || public
}

// below takes the prefix of a namespace off.
func (s *Settings) below(wire, prefix string) (string, bool) {
	if prefix == "" {
		return "", false
	}
	return strings.CutPrefix(wire, prefix)
}

// cutPrefixFold knows that INBOX is INBOX in any case.
func cutPrefixFold(wire, prefix string) (string, bool) {
	if len(wire) >= len(prefix) && strings.EqualFold(prefix[:min(5, len(prefix))], "INBOX") && strings.EqualFold(wire[:len(prefix)], prefix) {
		return wire[len(prefix):], true
	}
	return strings.CutPrefix(wire, prefix)
}

// inner reads the levels of a name, none of which may be empty.
func (s *Settings) inner(wire string) (string, bool) {
	levels := strings.Split(wire, s.sep())
	if slices.Contains(levels, "") {
		return "", false
	}
	if s.Separator == '/' {
		return wire, true
	}
	for i, l := range levels {
		levels[i] = readLevel(l)
	}
	inner := strings.Join(levels, "/")
	return inner, s.outer(inner) == wire
}

// outer writes the levels of a name.
func (s *Settings) outer(inner string) string {
	if s.Separator == '/' {
		return inner
	}
	levels := strings.Split(inner, "/")
	for i, l := range levels {
		levels[i] = writeLevel(l)
	}
	return strings.Join(levels, s.sep())
}

// writeLevel writes a level where the separator is ".": dots are hidden, hidden
// slashes shown, and what looks like either is marked.
func writeLevel(inner string) string {
	return strings.NewReplacer(`\2f`, `/`, `\2e`, `\5c2e`, `\5c`, `\5c5c`, `.`, `\2e`).Replace(inner)
}

// readLevel is the reverse; only what writeLevel gives back is a name.
func readLevel(wire string) string {
	return strings.NewReplacer(`\2e`, `.`, `\5c`, `\`, `/`, `\2f`).Replace(wire)
}

// wire is the one name that a mailbox has on the wire.
func (s *Settings) wire(n name) string {
	switch {
	case n.kind == users && n.inner == "":
		return s.Users + s.address(n.owner)
	case n.kind == users:
		return s.Users + s.address(n.owner) + s.sep() + s.outer(n.inner)
	case n.kind == public:
		return s.Public + s.outer(n.inner)
	case n.inner == "INBOX":
		return "INBOX"
	}
	return s.Personal + s.outer(n.inner)
}

func (s *Settings) sep() string { return string(rune(s.Separator)) }

// address writes an address as one level; readAddress is the reverse.
func (s *Settings) address(a string) string {
	return s.outer(strings.NewReplacer(`\2f`, `\5c2f`, `\5c`, `\5c5c`, `/`, `\2f`).Replace(a))
}

func (s *Settings) readAddress(level string) (string, bool) {
	inner, ok := s.inner(level)
	a := strings.NewReplacer(`\2f`, `/`, `\5c`, `\`).Replace(inner)
	return a, ok && s.address(a) == level
}
