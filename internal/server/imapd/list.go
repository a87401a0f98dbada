package imapd

import (
	"context"
	"errors"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// list is LIST, plain and extended (RFC 9051 §6.3.9, RFC 5258, RFC 5819).
func (s *session) list(ctx context.Context, c imap.Command) (string, error) {
	l := c.Args.(imap.List)
	if !l.Extended && len(l.Patterns) == 1 && l.Patterns[0] == "" {
		s.untagged(`LIST (\Noselect) "/" ""`) // asks for the separator only
		return "LIST completed", nil
	}
	infos, err := s.account.List(ctx)
	if err != nil {
		return "", err
	}
	match := matcher(l.Reference, l.Patterns)
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
	children := l.RecursiveMatch && childChosen(l, f, all)
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

func childChosen(l imap.List, f mailbox.Info, all []mailbox.Info) bool {
	for _, other := range all {
		if strings.HasPrefix(other.Name, f.Name+"/") && chosen(l, other) {
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
	s.enc.Raw(` "/" `)
	s.enc.Mailbox(name)
}

// matcher says whether a name is covered by one of the patterns, each put
// behind the reference. INBOX is matched in any case.
func matcher(reference string, patterns []string) func(name string) bool {
	var exact, upper []imap.Pattern
	for _, p := range patterns {
		exact = append(exact, imap.NewPattern(imap.CanonicalInbox(reference+p)))
		upper = append(upper, imap.NewPattern(strings.ToUpper(reference+p)))
	}
	return func(name string) bool {
		if name == "INBOX" {
			return anyMatch(upper, name)
		}
		return anyMatch(exact, name)
	}
}

func anyMatch(patterns []imap.Pattern, name string) bool {
	for _, p := range patterns {
		if p.Match(name) {
			return true
		}
	}
	return false
}

// lsub is the old way to ask for subscriptions (RFC 3501 §6.3.9): a parent that
// is not subscribed stands, as \Noselect, for children that "%" does not reach.
func (s *session) lsub(ctx context.Context, c imap.Command) (string, error) {
	l := c.Args.(imap.LSub)
	infos, err := s.account.List(ctx)
	if err != nil {
		return "", err
	}
	match := matcher(l.Reference, l.Patterns)
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
	for name := parent(f.Name); parents && name != ""; name = parent(name) {
		if match(name) && !said[name] {
			said[name] = true
			s.sayList("LSUB", name, []string{`\Noselect`})
			s.enc.Raw("\r\n")
		}
	}
}

// parent of a name, "" at the top.
func parent(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '/'))]
}
