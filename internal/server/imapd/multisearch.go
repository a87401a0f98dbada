package imapd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// multiSearch is ESEARCH (RFC 7377): a search of several mailboxes, each of which
// answers for itself, in UIDs. Mailboxes without a hit say nothing, those that may
// not be read say nothing either.
func (s *session) multiSearch(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Search)
	if err := s.mayMultiSearch(a); err != nil {
		return "", err
	}
	key, err := s.readable(ctx, a)
	if err != nil {
		return "", s.notSaved(a, err)
	}
	names, err := s.sources(ctx, a.In)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if err := s.searchIn(ctx, c, a, name, key); err != nil {
			return "", s.notSaved(a, err)
		}
	}
	if a.Return.Update {
		s.enc.Raw("* NO [NOUPDATE ")
		s.enc.String(c.Tag)
		s.enc.Raw("] Only of SEARCH and SORT\r\n")
	}
	return "ESEARCH completed", nil
}

// mayMultiSearch refuses what makes sense in the selected mailbox only: message
// numbers and "$" (RFC 7377 §2.1).
func (s *session) mayMultiSearch(a imap.Search) error {
	here := len(a.In) == 0 || len(a.In) == 1 && a.In[0].Kind == imap.SourceSelected
	asksSelected := len(a.In) == 0 || slices.ContainsFunc(a.In, func(x imap.Source) bool { return x.Kind == imap.SourceSelected })
	switch {
	case asksSelected && s.view == nil:
		return &imap.SyntaxError{Text: "No mailbox is selected"}
	case !here && (a.Return.Save || ofSelected(&a.Key)):
		return &imap.SyntaxError{Text: "SAVE, $ and message numbers are about the selected mailbox"}
	}
	return nil
}

// ofSelected: the key means something in the selected mailbox only.
func ofSelected(k *imap.SearchKey) bool {
	for i := range k.Keys {
		if ofSelected(&k.Keys[i]) {
			return true
		}
	}
	return k.Op == imap.SearchSeq || k.Op == imap.SearchUID && k.Set.Saved()
}

// selectedSource stands for the selected mailbox in the list of names.
const selectedSource = ""

// sources is the names of the mailboxes that are to be searched, each once.
func (s *session) sources(ctx context.Context, in []imap.Source) ([]string, error) {
	if len(in) == 0 {
		return []string{selectedSource}, nil
	}
	all, err := s.space.List(ctx, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	var names []string
	selected := slices.ContainsFunc(in, func(x imap.Source) bool { return x.Kind == imap.SourceSelected })
	if selected {
		names = append(names, selectedSource)
	}
	for _, source := range in {
		for _, info := range all {
			if info.Exists && s.inSource(source, info) && !(selected && s.space.Selected().Wire == info.Name) {
				names = append(names, info.Name)
			}
		}
	}
	return unique(names), nil
}

func unique(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(n string) bool {
		was := seen[n]
		seen[n] = true
		return was
	})
}

func (s *session) inSource(source imap.Source, info mailbox.Info) bool {
	switch source.Kind {
	case imap.SourceInboxes:
		return info.Name == "INBOX"
	case imap.SourcePersonal:
		return s.space.IsPersonal(info.Name)
	case imap.SourceSubscribed:
		return info.Subscribed
	}
	separator := s.space.Separator()
	return slices.ContainsFunc(source.Mailboxes, func(top string) bool {
		rest, below := strings.CutPrefix(info.Name, top+separator)
		switch source.Kind {
		case imap.SourceSubtree:
			below = below || info.Name == top
		case imap.SourceSubtreeOne:
			below = below && !strings.Contains(rest, separator) || info.Name == top
		default:
			below = info.Name == top
		}
		return below
	})
}

// searchIn searches one mailbox, as EXAMINE would see it.
func (s *session) searchIn(ctx context.Context, c imap.Command, a imap.Search, name string, key *imap.SearchKey) error {
	if name == selectedSource {
		if err := s.view.Readable(); err != nil {
			return err
		}
		return s.searchView(ctx, c, a, s.view, s.space.Selected().Wire, key)
	}
	place, _, err := s.space.Enter(ctx, name, mailbox.RightRead)
	if err == nil {
		defer place.Close()
		var view *mailbox.View
		if view, err = place.Account.Select(ctx, place.Name, true); err == nil {
			defer view.Close()
			return s.searchView(ctx, c, a, view, name, key)
		}
	}
	if unseen(err) {
		return nil
	}
	return err
}

// unseen: the mailbox is not there, or not for this user.
func unseen(err error) bool {
	return errors.Is(err, mailbox.ErrNoMailbox) || errors.Is(err, mailbox.ErrMailboxGone) || errors.Is(err, mailbox.ErrNoPermission)
}

func (s *session) searchView(ctx context.Context, c imap.Command, a imap.Search, view *mailbox.View, name string, key *imap.SearchKey) error {
	q := s.query(c.Tag, view, key)
	seqs, err := s.look(ctx, q, nil)
	if err != nil {
		return err
	}
	f := &found{view: view, seqs: seqs, byUID: true, key: key, scores: q.scores, modSeqs: asksModSeq(key)}
	if view == s.view {
		s.save(a, f)
	}
	if len(seqs) > 0 {
		s.sayFoundIn(c, a.Return, name, f)
	}
	return nil
}

// sayFoundIn is the ESEARCH response of one mailbox (RFC 7377 §2.1).
func (s *session) sayFoundIn(c imap.Command, r imap.SearchReturn, name string, f *found) {
	s.enc.Raw("* ESEARCH (TAG ")
	s.enc.String(c.Tag)
	s.enc.Raw(" MAILBOX ")
	s.enc.Mailbox(name)
	s.enc.Raw(fmt.Sprintf(" UIDVALIDITY %d) UID", f.view.UIDValidity()))
	s.sayResults(r, f)
	s.enc.Raw("\r\n")
}
