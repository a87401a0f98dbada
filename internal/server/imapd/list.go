package imapd

import (
	"context"
	"errors"
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
	wanted := s.patterns(l.Reference, l.Patterns)
	match := wanted.match
	infos, err := s.space.List(ctx, wanted.begins)
	if err != nil {
		return "", err
	}
	for _, f := range infos {
		if !match(f.Name) {
			continue
		}
		if err := s.listOne(ctx, l, f, infos); err != nil {
			return "", err
		}
	}
	return "LIST completed", nil
}

// listOne writes the lines of one name, if it is wanted.
func (s *session) listOne(ctx context.Context, l imap.List, f mailbox.Info, all []mailbox.Info) error {
	wanted := chosen(l, f)
	children := l.RecursiveMatch && s.childChosen(l, f, all)
	if !wanted && !children {
		return nil
	}
	s.sayList("LIST", f.Name, attributes(l, f))
	if children && l.SelectSubscribed {
		s.enc.Raw(` ("CHILDINFO" ("SUBSCRIBED"))`)
	}
	s.enc.Raw("\r\n")
	if l.Status == nil || !f.Exists {
		return nil
	}
	err := s.sayStatus(ctx, f.Name, l.Status)
	if errors.Is(err, mailbox.ErrNoMailbox) {
		return nil // deleted a moment ago: the LIST line without its STATUS is right (RFC 5819 §2)
	}
	return err
}

// chosen applies the selection options.
func chosen(l imap.List, f mailbox.Info) bool {
	switch {
	case l.SelectSubscribed && !f.Subscribed:
		return false
	case l.SelectSpecialUse && f.SpecialUse == "":
		return false
	}
	return f.Exists || f.HasChildren || l.SelectSubscribed
}

func (s *session) childChosen(l imap.List, f mailbox.Info, all []mailbox.Info) bool {
	for _, other := range all {
		if strings.HasPrefix(other.Name, f.Name+s.space.Separator()) && chosen(l, other) {
			return true
		}
	}
	return false
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
	if f.SpecialUse != "" {
		a = append(a, f.SpecialUse)
	}
	return a
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
	exact []imap.Pattern
	upper []imap.Pattern // for INBOX, which is meant in any case
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
		return slices.ContainsFunc(p.upper, func(one imap.Pattern) bool { return one.Match(name) })
	}
	return slices.ContainsFunc(p.exact, func(one imap.Pattern) bool { return one.Match(name) })
}

// begins says whether a name that begins so may be covered.
func (p patterns) begins(prefix string) bool {
	return slices.ContainsFunc(p.exact, func(one imap.Pattern) bool { return one.Begins(prefix) })
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
