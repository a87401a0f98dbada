package mailbox

import (
	"errors"
	"slices"
	"sort"
	"strings"

	"facteur/internal/mail/address"
)

// ErrBadIdentifier is a name in an ACL that nobody can have.
var ErrBadIdentifier = errors.New("no such identifier")

// Subject is somebody who wants something of a mailbox.
type Subject struct {
	Address string // "" for a client without an account
	Owner   bool   // of the account that the mailbox is in
}

// Entry is a line of an ACL: who has, or with Negative has not, which rights.
type Entry struct {
	// Who is "anyone", "authenticated", "owner", "user=ADDRESS", "group=NAME" or
	// "group-override=NAME".
	Who      string
	Negative bool
	Rights   Rights
	named    string // Dovecot's named rights behind the letters; kept as they are
}

// ACL is the entries of a mailbox, sorted by Who, positive before negative.
type ACL []Entry

const (
	aclFile     = "dovecot-acl" // Dovecot's name and form
	maxACLFile  = 256 << 10     // bytes
	maxEntries  = 1000          // of one mailbox
	maxWho      = 512           // bytes
	ownerAlways = RightLookup | RightAdmin
)

// ParseACL reads the file dovecot-acl of a mailbox: an entry a line, letters
// behind a blank, "-" in front of negative ones, names with blanks in quotes.
// Lines that are none grant nothing and are left out; a negative one whose letters
// can't be read takes everything away. Of lines for the same name the last counts.
func ParseACL(text string) ACL {
	var list ACL
	type id struct {
		who      string
		negative bool
	}
	at := map[id]int{}
	for line := range strings.Lines(text) {
		e, ok := ParseEntry(strings.TrimRight(line, "\r\n"))
		if !ok && e.Negative && e.Who != "" {
			e.Rights, ok = AllRights, true
		}
		i, again := at[id{e.Who, e.Negative}]
		switch {
		case !ok:
		case again:
			list[i] = e
		default:
			at[id{e.Who, e.Negative}] = len(list)
			list = append(list, e)
		}
	}
	return slices.DeleteFunc(list, Entry.empty).sort()
}

// ParseEntry reads a line of the file.
func ParseEntry(line string) (e Entry, ok bool) {
	who, rest, ok := cutWho(line)
	if !ok {
		return e, false
	}
	if e.Negative = strings.HasPrefix(who, "-"); e.Negative {
		who = who[1:]
	}
	letters, named, some := strings.Cut(strings.TrimSpace(rest), ":")
	if some {
		e.named = ":" + named
	}
	e.Who, ok = canonicalWho(who)
	var err error
	e.Rights, err = ParseRights(strings.TrimSpace(letters))
	return e, ok && err == nil
}

// cutWho takes the identifier off a line.
func cutWho(line string) (who, rest string, ok bool) {
	if !strings.HasPrefix(line, `"`) {
		who, rest, _ = strings.Cut(line, " ")
		return who, rest, who != "" && who[0] != '#'
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return b.String(), line[i+1:], true
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// canonicalWho is the one form of an identifier of the file.
func canonicalWho(who string) (string, bool) {
	kind, name, named := strings.Cut(who, "=")
	switch {
	case len(who) > maxWho || strings.ContainsFunc(who, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", false
	case who == "anonymous": // another word of Dovecot's for it
		return "anyone", true
	case !named:
		return kind, kind == "anyone" || kind == "authenticated" || kind == "owner"
	case kind == "user":
		return "user=" + accountKey(name), name != ""
	case kind == "group" || kind == "group-override":
		return who, name != ""
	}
	return "", false
}

// accountKey is the form in which addresses are compared.
func accountKey(text string) string {
	if a, err := address.Parse(text); err == nil {
		return a.Key()
	}
	return text
}

// String writes the file.
func (list ACL) String() string {
	var b strings.Builder
	for _, e := range list {
		who := e.Who
		if e.Negative {
			who = "-" + who
		}
		if strings.ContainsAny(who, " \"\\") {
			who = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(who) + `"`
		}
		b.WriteString(who + " " + e.Rights.String() + e.named + "\n")
	}
	return b.String()
}

// with is the list with an entry in the place of the one for the same name. An
// entry without rights is one that is not there.
func (list ACL) with(e Entry) ACL {
	out := slices.DeleteFunc(slices.Clone(list), func(old Entry) bool { return old.Who == e.Who && old.Negative == e.Negative })
	if !e.empty() {
		out = append(out, e)
	}
	return out.sort()
}

// empty says that the entry is as good as none.
func (e Entry) empty() bool {
	return e.Rights == 0 && e.named == "" && (e.Who != "owner" || e.Negative)
}

func (list ACL) sort() ACL {
	sort.Slice(list, func(i, j int) bool {
		if list[i].Who != list[j].Who {
			return list[i].Who < list[j].Who
		}
		return !list[i].Negative && list[j].Negative
	})
	return list
}

// entry is what stands for a name now.
func (list ACL) entry(who string, negative bool) Entry {
	for _, e := range list {
		if e.Who == who && e.Negative == negative {
			return e
		}
	}
	return Entry{Who: who, Negative: negative}
}

// Rights is what somebody has. As in Dovecot, the most particular entry that
// fits counts and takes the place of the more general ones: anyone, then
// authenticated, then owner, then user. Negative entries take away on their
// level. Accounts have no groups, so that entries for groups fit nobody. Who
// owns the account has everything unless an entry for owner says less, and keeps
// "l" and "a" always: nobody can lock himself out.
func (list ACL) Rights(s Subject) Rights {
	var r Rights
	if s.Owner {
		r = AllRights
	}
	for _, who := range s.names() {
		for _, e := range list {
			switch {
			case e.Who != who || s.Owner && (who == "anyone" || who == "authenticated"):
			case e.Negative:
				r &^= e.Rights
			default:
				r = e.Rights
			}
		}
	}
	if s.Owner {
		r |= ownerAlways
	}
	return r
}

// names are the identifiers that fit somebody, the most general first.
func (s Subject) names() []string {
	if s.Address == "" {
		return []string{"anyone"}
	}
	names := []string{"anyone", "authenticated"}
	if s.Owner {
		names = append(names, "owner")
	}
	return append(names, "user="+accountKey(s.Address))
}

// Identifier writes who an entry is for in IMAP's words: addresses bare, "$" in
// front of groups and "!$" of those that override, as Dovecot does, "-" in front
// of negative entries. owner is the address that "owner" stands for, or "".
func (e Entry) Identifier(owner string) string {
	name := e.Who
	switch kind, rest, _ := strings.Cut(e.Who, "="); {
	case kind == "user":
		name = rest
	case kind == "group":
		name = "$" + rest
	case kind == "group-override":
		name = "!$" + rest
	case kind == "owner" && owner != "":
		name = owner
	}
	if e.Negative {
		return "-" + name
	}
	return name
}

// ParseIdentifier is the reverse of Identifier.
func ParseIdentifier(text, owner string) (who string, negative bool, err error) {
	if negative = strings.HasPrefix(text, "-"); negative {
		text = text[1:]
	}
	switch {
	case text == "anyone" || text == "authenticated" || text == "owner":
		who = text
	case strings.HasPrefix(text, "!$"):
		who = "group-override=" + text[2:]
	case strings.HasPrefix(text, "$"):
		who = "group=" + text[1:]
	case owner != "" && accountKey(text) == accountKey(owner):
		who = "owner"
	default:
		a, err := address.Parse(text)
		if err != nil || a.Domain == "" {
			return "", false, ErrBadIdentifier
		}
		who = "user=" + a.Key()
	}
	who, ok := canonicalWho(who)
	if !ok {
		return "", false, ErrBadIdentifier
	}
	return who, negative, nil
}

// Grants is who may look up a mailbox with this list beside its owner: keys of
// addresses, and "anyone" for everybody.
func (list ACL) Grants() []string {
	var out []string
	for _, e := range list {
		if e.Negative || !e.Rights.Has(RightLookup) {
			continue
		}
		switch kind, name, _ := strings.Cut(e.Who, "="); kind {
		case "anyone", "authenticated":
			out = append(out, "anyone")
		case "user":
			out = append(out, name)
		}
	}
	return out
}
