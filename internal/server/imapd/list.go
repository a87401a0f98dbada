package imapd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// list is LIST, plain and extended (RFC 9051 §6.3.9, RFC 5258, RFC 5819).
func (s *session) list(ctx context.Context, c imap.Command) (string, error) {
	l := c.Args.(imap.List)
	if !l.Extended && len(l.Patterns) == 1 && l.Patterns[0] == "" {
		s.sayList("LIST", "", []string{`\Noselect`}) // asks for the separator only
		s.enc.Raw("\r\n")
		return "LIST completed", nil
	}
	if slices.Contains(l.Status, "HIGHESTMODSEQ") {
		s.switchOn(CONDSTORE) // as in STATUS
	}
	wanted := s.patterns(l.Reference, l.Patterns)
	infos, err := s.space.List(ctx, wanted.begins)
	if err != nil {
		return "", err
	}
	above := s.above(l, infos)
	for _, f := range infos {
		if wanted.match(f.Name) && (chosen(l, f) || above[f.Name]) {
			err = errors.Join(err, s.listOne(ctx, l, f, above[f.Name]))
		}
		delete(above, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(above)) { // no mailboxes, and none below them: subscriptions only
		if wanted.match(name) {
			err = errors.Join(err, s.listOne(ctx, l, mailbox.Info{Name: name}, true))
		}
	}
	return "LIST completed", err
}

// above is the names above those that are chosen, if the client asks for them
// (RFC 5258 §3.1), whether or not what is below is covered by a pattern.
func (s *session) above(l imap.List, infos []mailbox.Info) map[string]bool {
	out := map[string]bool{}
	if !l.RecursiveMatch {
		return out
	}
	for _, f := range infos {
		if !chosen(l, f) {
			continue
		}
		for name := s.parent(f.Name); name != "" && !out[name]; name = s.parent(name) {
			out[name] = true
		}
	}
	return out
}

// listOne writes the lines of one name; children says that some below are chosen.
func (s *session) listOne(ctx context.Context, l imap.List, f mailbox.Info, children bool) error {
	s.sayList("LIST", f.Name, attributes(l, f))
	if children {
		s.enc.Raw(childInfo(l))
	}
	s.enc.Raw("\r\n")
	if !f.Exists {
		return nil
	}
	for _, say := range []func(context.Context, imap.List, string) error{s.listRightsOf, s.listMetadata, s.listStatus} {
		// What was deleted a moment ago, or may not be read, has its LIST line only
		// (RFC 5819 §2).
		if err := say(ctx, l, f.Name); err != nil && !errors.Is(err, mailbox.ErrNoMailbox) && !errors.Is(err, mailbox.ErrNoPermission) {
			return err
		}
	}
	return nil
}

// childInfo says by which options mailboxes below were chosen (RFC 5258 §3.5).
func childInfo(l imap.List) string {
	var by []string
	if l.SelectSubscribed {
		by = append(by, `"SUBSCRIBED"`)
	}
	if l.SelectSpecialUse {
		by = append(by, `"SPECIAL-USE"`)
	}
	return ` ("CHILDINFO" (` + strings.Join(by, " ") + `))`
}

// listStatus is RETURN (STATUS …) (RFC 5819).
func (s *session) listStatus(ctx context.Context, l imap.List, name string) error {
	if l.Status == nil {
		return nil
	}
	return s.sayStatus(ctx, name, l.Status)
}

// listRightsOf is RETURN (MYRIGHTS) (RFC 8440).
func (s *session) listRightsOf(ctx context.Context, l imap.List, name string) error {
	if !l.ReturnMyRights {
		return nil
	}
	rights, err := s.space.Rights(ctx, name)
	if err == nil {
		s.sayRights(name, rights)
	}
	return err
}

// listMetadata is RETURN (METADATA …) (RFC 9590).
func (s *session) listMetadata(ctx context.Context, l imap.List, name string) error {
	if l.Metadata == nil {
		return nil
	}
	all, err := s.space.Annotations(ctx, name)
	if err == nil {
		s.sayMetadata(name, pick(all, l.Metadata, 0))
	}
	return err
}

// chosen applies the selection options. REMOTE adds nothing: all mailboxes are here.
func chosen(l imap.List, f mailbox.Info) bool {
	switch {
	case l.SelectSubscribed && !f.Subscribed:
		return false
	case l.SelectSpecialUse && f.SpecialUse == "":
		return false
	}
	return f.Exists || f.HasChildren || l.SelectSubscribed
}

// attributes of a name. Special uses and children are told always, as most
// clients want them and no option forbids it.
func attributes(l imap.List, f mailbox.Info) []string {
	var a []string
	switch {
	case f.Exists:
	case l.Extended:
		a = append(a, `\NonExistent`)
	default:
		a = append(a, `\Noselect`)
	}
	if f.Subscribed && (l.ReturnSubscribed || l.SelectSubscribed) {
		a = append(a, `\Subscribed`)
	}
	if f.HasChildren {
		a = append(a, `\HasChildren`)
	} else {
		a = append(a, `\HasNoChildren`)
	}
	return append(a, uses(f)...)
}

// sayList writes a LIST or LSUB line without its end.
func (s *session) sayList(kind, name string, attributes []string) {
	s.enc.Raw("* " + kind + " ")
	s.enc.Flags(attributes)
	s.enc.Raw(" ")
	s.enc.String(s.space.Separator())
	s.enc.Raw(" ")
	s.enc.Mailbox(name)
}

// patterns is what LIST asks for, each pattern put behind the reference.
type patterns struct {
	exact []*imap.Pattern
	upper []*imap.Pattern // for INBOX, which is meant in any case
}

func (s *session) patterns(reference string, texts []string) (p patterns) {
	sep := s.space.Separator()
	for _, text := range texts {
		text = reference + text
		p.upper = append(p.upper, imap.NewPattern(strings.ToUpper(text), sep[0]))
		if first, rest, deeper := strings.Cut(text, sep); deeper && strings.EqualFold(first, "INBOX") {
			text = "INBOX" + sep + rest
		}
		p.exact = append(p.exact, imap.NewPattern(text, sep[0]))
	}
	return p
}

// match says whether a name is covered.
func (p patterns) match(name string) bool {
	if name == "INBOX" {
		return slices.ContainsFunc(p.upper, func(one *imap.Pattern) bool { return one.Match(name) })
	}
	return slices.ContainsFunc(p.exact, func(one *imap.Pattern) bool { return one.Match(name) })
}

// begins says whether a name that begins so may be covered.
func (p patterns) begins(prefix string) bool {
	return slices.ContainsFunc(p.exact, func(one *imap.Pattern) bool { return one.Begins(prefix) })
}

// lsub is the old way to ask for subscriptions (RFC 3501 §6.3.9): a parent that
// is not subscribed stands, as \Noselect, for children that "%" does not reach.
func (s *session) lsub(ctx context.Context, c imap.Command) (string, error) {
	l := c.Args.(imap.LSub)
	wanted := s.patterns(l.Reference, l.Patterns)
	match := wanted.match
	infos, err := s.space.List(ctx, wanted.begins)
	if err != nil {
		return "", err
	}
	said := map[string]bool{}
	for _, f := range infos {
		if f.Subscribed {
			s.lsubOne(f, match, said, strings.HasSuffix(strings.Join(l.Patterns, ""), "%"))
		}
	}
	return "LSUB completed", nil
}

func (s *session) lsubOne(f mailbox.Info, match func(string) bool, said map[string]bool, parents bool) {
	if match(f.Name) {
		if !said[f.Name] {
			s.sayList("LSUB", f.Name, nil)
			s.enc.Raw("\r\n")
		}
		said[f.Name] = true
		return
	}
	for name := s.parent(f.Name); parents && name != ""; name = s.parent(name) {
		if match(name) && !said[name] {
			said[name] = true
			s.sayList("LSUB", name, []string{`\Noselect`})
			s.enc.Raw("\r\n")
		}
	}
}

// parent of a name, "" at the top.
func (s *session) parent(name string) string {
	return name[:max(0, strings.LastIndex(name, s.space.Separator()))]
}
