package imapd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// announce tells the client what happened to the selected mailbox.
func (s *session) announce(ctx context.Context, expunges bool) error {
	before := s.view.Len()
	changes, err := s.view.Poll(ctx, expunges)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.Kind == mailbox.Expunged {
			before--
		}
	}
	changes = s.filtered(changes)
	if slices.ContainsFunc(changes, func(c mailbox.Change) bool { return c.Kind == mailbox.KeywordsChanged }) {
		s.sayKeywords() // before the first letter that has a new one
	}
	s.leaveContexts(changes)
	for _, c := range s.sayRemovals(changes) {
		s.sayChange(c)
	}
	return errors.Join(s.sayArrived(ctx, before), s.refreshContexts(ctx))
}

// sayRemovals tells which messages are gone, and gives the changes that are left:
// removals always come first. A client that asked for it is told UIDs, all in
// one response (RFC 7162 §3.2.10).
func (s *session) sayRemovals(changes []mailbox.Change) []mailbox.Change {
	if s.enables&(QRESYNC|UIDONLY) == 0 {
		return changes
	}
	var uids []uint32
	for len(changes) > 0 && changes[0].Kind == mailbox.Expunged {
		uids, changes = append(uids, changes[0].UID), changes[1:]
	}
	s.sayVanished("VANISHED ", imap.Runs(uids))
	return changes
}

func (s *session) sayChange(c mailbox.Change) {
	switch c.Kind {
	case mailbox.Expunged:
		s.untagged(fmt.Sprintf("%d EXPUNGE", c.Seq))
	case mailbox.Arrived:
		s.untagged(fmt.Sprintf("%d EXISTS", c.Seq))
		s.sayRecent()
	case mailbox.Reflagged:
		s.sayFlags(c.Seq, s.view.Letter(c.Seq))
	}
}

// sayFlags tells the flags of a letter. The UID goes with it always: it must in
// the answer to UID STORE, and helps elsewhere.
func (s *session) sayFlags(seq uint32, l mailbox.Letter) {
	s.beginFetch(seq, l.UID)
	s.enc.Raw("UID ")
	s.enc.Number(int64(l.UID))
	s.enc.Raw(" FLAGS ")
	s.enc.Flags(s.flagNames(l))
	if s.enabled(CONDSTORE) {
		s.enc.Raw(" ")
		s.enc.ModSeq(l.ModSeq)
	}
	s.enc.Raw(")\r\n")
}

// beginFetch writes a FETCH response up to its first data item. A client that
// wants no message numbers gets UIDFETCH (RFC 9586 §3.3).
func (s *session) beginFetch(seq, uid uint32) {
	s.enc.Raw("* ")
	if s.enabled(UIDONLY) {
		s.enc.Number(int64(uid))
		s.enc.Raw(" UIDFETCH (")
		return
	}
	s.enc.Number(int64(seq))
	s.enc.Raw(" FETCH (")
}

// sayRecent is for clients that know of \\Recent: RFC 9051 has it no more.
func (s *session) sayRecent() {
	if !s.enabled(IMAP4REV2) {
		s.untagged(fmt.Sprintf("%d RECENT", s.view.Recent()))
	}
}

// sayKeywords tells which flags there are, and which can be set.
func (s *session) sayKeywords() {
	flags := append(imap.SystemFlags(), s.view.Keywords()...)
	s.enc.Raw("* FLAGS ")
	s.enc.Flags(flags)
	s.enc.Raw("\r\n* OK [PERMANENTFLAGS ")
	s.enc.Flags(s.permanent(flags))
	s.enc.Raw("] Flags permitted\r\n")
}

// flagNames are the flags of a letter as IMAP writes them.
func (s *session) flagNames(l mailbox.Letter) []string {
	names := make([]string, 0, 6+len(l.Flags.Keywords))
	for _, f := range imap.SystemFlags() {
		if l.Flags.System&systemFlag(f) != 0 {
			names = append(names, f)
		}
	}
	if l.Recent && !s.enabled(IMAP4REV2) {
		names = append(names, `\Recent`)
	}
	return append(names, l.Flags.Keywords...)
}

// systemFlag is the bit of a flag, 0 for a keyword.
func systemFlag(name string) mailbox.SystemFlags {
	switch name {
	case `\Seen`:
		return mailbox.Seen
	case `\Answered`:
		return mailbox.Answered
	case `\Flagged`:
		return mailbox.Flagged
	case `\Deleted`:
		return mailbox.Deleted
	case `\Draft`:
		return mailbox.Draft
	}
	return 0
}

// toFlags is the set that a client named.
func toFlags(names []string) mailbox.Flags {
	var f mailbox.Flags
	for _, n := range names {
		if bit := systemFlag(n); bit != 0 {
			f.System |= bit
		} else {
			f.Keywords = append(f.Keywords, n)
		}
	}
	slices.Sort(f.Keywords)
	f.Keywords = slices.Compact(f.Keywords)
	return f
}
