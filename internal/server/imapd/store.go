package imapd

import (
	"context"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// store changes flags and tells what became of them, unless it is to be silent.
func (s *session) store(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Store)
	seqs, err := s.letters(c.Name, a.Set)
	if err != nil || len(seqs) == 0 {
		return "STORE completed", err
	}
	unchangedSince := uint64(mailbox.Always)
	if a.Conditional {
		s.switchOn(CONDSTORE)
		unchangedSince = a.UnchangedSince
	}
	letters, modified, err := s.view.StoreIf(ctx, s.uids(seqs), flagOp(a.Op), toFlags(a.Flags), unchangedSince)
	if err != nil {
		return "", err
	}
	if a.Op != '-' {
		s.space.Marked(ctx, numbersOf(letters), toFlags(a.Flags).Keywords)
	}
	s.counts.stored(a, len(letters))
	failed := s.modified(c.Name, modified)                      // before message numbers change
	if err := s.announce(ctx, mayExpunge(c.Name)); err != nil { // new keywords go first
		return "", err
	}
	for _, l := range letters {
		s.sayStored(l, a.Silent)
	}
	return failed + "STORE completed", nil
}

// sayStored tells what became of a letter. A client that follows MODSEQs is told
// the new one even where it wants to hear nothing of flags (RFC 7162 §3.1.3).
func (s *session) sayStored(l mailbox.Letter, silent bool) {
	seq := s.view.Seq(l.UID)
	if now := s.view.Letter(seq); now.ModSeq > l.ModSeq {
		l, silent = now, false // changed again meanwhile, and that may be told already
	}
	switch {
	case seq == 0:
	case !silent:
		s.sayFlags(seq, l)
	case s.enabled(CONDSTORE):
		s.beginFetch(seq, l.UID)
		s.enc.Raw("UID ")
		s.enc.Number(int64(l.UID))
		s.enc.Raw(" ")
		s.enc.ModSeq(l.ModSeq)
		s.enc.Raw(")\r\n")
	}
}

// modified is the response code for the letters that were left alone because
// they changed meanwhile (RFC 7162 §3.1.3), with a blank behind it.
func (s *session) modified(command string, uids []uint32) string {
	numbers := make([]uint32, 0, len(uids))
	for _, uid := range uids {
		if byUID(command) {
			numbers = append(numbers, uid)
		} else if seq := s.view.Seq(uid); seq > 0 {
			numbers = append(numbers, seq)
		}
	}
	if len(numbers) == 0 {
		return ""
	}
	return "[MODIFIED " + imap.Runs(numbers).String() + "] "
}

func numbersOf(letters []mailbox.Letter) []uint32 {
	uids := make([]uint32, len(letters))
	for i, l := range letters {
		uids[i] = l.UID
	}
	return uids
}

func flagOp(op byte) mailbox.FlagOp {
	switch op {
	case '+':
		return mailbox.FlagsAdd
	case '-':
		return mailbox.FlagsRemove
	}
	return mailbox.FlagsSet
}

// expunge is EXPUNGE and UID EXPUNGE; the responses are the news that follow.
func (s *session) expunge(ctx context.Context, c imap.Command) (string, error) {
	var uids []uint32
	if a, some := c.Args.(imap.Expunge); some {
		if uids = s.uids(s.uidsToSeqs(a.Set)); len(uids) == 0 {
			return "EXPUNGE completed", nil
		}
	}
	before := s.view.Len()
	if err := s.view.Expunge(ctx, uids); err != nil {
		return "", err
	}
	code, err := s.sayGone(ctx)
	s.counts.expunged += max(0, int64(before)-int64(s.view.Len()))
	return code + "EXPUNGE completed", err
}

// sayGone tells the news, and where the mailbox stands then if letters are gone
// (RFC 7162 §3.2.7).
func (s *session) sayGone(ctx context.Context) (code string, err error) {
	before := s.view.HighestModSeq()
	if err = s.announce(ctx, true); err == nil && s.enabled(CONDSTORE) && s.view.HighestModSeq() > before {
		code = s.highestModSeq()
	}
	return code, err
}
