package imapd

import (
	"context"
	"errors"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// refusal is an answer that a handler worded itself: NO and the text.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

const errReadOnly = refusal("[NOPERM] Mailbox is open read-only")

// explain is the one place where errors become answers. What it does not know
// is our fault: the client gets the id of the session, the log gets the error.
func (s *session) explain(command string, err error) string {
	var syntax *imap.SyntaxError
	var limit *imap.LimitError
	var no refusal
	switch {
	case errors.As(err, &syntax):
		s.countBad()
		return "BAD " + syntax.Text
	case errors.As(err, &limit):
		s.countBad()
		return "NO [LIMIT] " + limit.Text
	case errors.As(err, &no):
		return "NO " + string(no)
	}
	if text, known := storeError(command, err); known {
		return "NO " + text
	}
	if !ended(err) && !errors.Is(err, context.Canceled) {
		s.emit(Failed{Who: s.who(), Command: command, Err: err})
	}
	if text, known := s.fault(err); known {
		return "NO " + text
	}
	return "NO [UNAVAILABLE] Something went wrong here; ask about session " + s.id
}

// storeError is the answers to the errors of the store.
func storeError(command string, err error) (text string, known bool) {
	switch {
	case errors.Is(err, mailbox.ErrNoMailbox):
		return noMailbox(command), true
	case errors.Is(err, mailbox.ErrExists):
		return "[ALREADYEXISTS] Mailbox exists already", true
	case errors.Is(err, mailbox.ErrBadName):
		return "[CANNOT] Mailbox name not allowed", true
	case errors.Is(err, mailbox.ErrOverQuota):
		return "[OVERQUOTA] Quota exceeded (mailbox for user is full)", true
	case errors.Is(err, mailbox.ErrUse):
		return "[USEATTR] Special use not supported", true
	case errors.Is(err, mailbox.ErrNoPermission):
		return "[NOPERM] Permission denied", true
	case errors.Is(err, mailbox.ErrReadOnly):
		return string(errReadOnly), true
	case errors.Is(err, mailbox.ErrGone):
		return "[EXPUNGEISSUED] Some of the messages are gone", true
	case errors.Is(err, mailbox.ErrMailboxGone):
		return "[NONEXISTENT] Mailbox is gone", true
	case errors.Is(err, mailbox.ErrLimit):
		return "[LIMIT] Limit reached", true
	}
	return "", false
}

// fault is what is said of faults of ours that a client can make something of. The log
// has them too.
func (s *session) fault(err error) (text string, known bool) {
	switch {
	case mailbox.IsFull(err):
		return "[OVERQUOTA] Not enough disk space", true
	case mailbox.IsLocked(err):
		return "[INUSE] Timeout while waiting for lock", true
	case mailbox.IsDamaged(err):
		return "[CORRUPTION] Something that is stored here is damaged; ask about session " + s.id, true
	}
	return "", false
}

// noMailbox tells the commands that could have gone on after a CREATE.
func noMailbox(command string) string {
	switch command {
	case "APPEND", "REPLACE", "UID REPLACE", "COPY", "MOVE", "UID COPY", "UID MOVE":
		return "[TRYCREATE] No such mailbox"
	}
	return "[NONEXISTENT] No such mailbox"
}

// countBad ends the session of a client that does not speak IMAP.
func (s *session) countBad() {
	most := maxBad
	if s.space == nil {
		most = maxBadBeforeLogin
	}
	if s.bad++; s.bad >= most && s.over == nil {
		s.over = errTooManyBad
	}
}

// isSyntax says whether err is answered with BAD.
func isSyntax(err error) bool {
	var syntax *imap.SyntaxError
	return errors.As(err, &syntax)
}
