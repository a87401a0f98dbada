package imapd

import (
	"context"
	"errors"

	"facteur/internal/mail/imap"
)

// handler acts on a command. It gives what to say after OK.
type handler func(context.Context, imap.Command) (ok string, err error)

// when is the states in which a command is allowed.
type when uint8

const (
	anyTime when = iota
	beforeLogin
	afterLogin
	selected
	writable // selected, and not by EXAMINE
)

var (
	errTooManyBad      = errors.New("too many bad commands")
	errTooManyFailures = errors.New("too many failed log-ins")
)

// dispatch finds the handler of a command and runs it if the state allows.
func (s *session) dispatch(ctx context.Context, c imap.Command) (string, error) {
	h, w := s.handler(c.Name)
	if err := s.allowed(w); err != nil {
		return "", err
	}
	if s.enabled(UIDONLY) && byNumber(c.Name) {
		return "", errUIDRequired
	}
	return h(ctx, c)
}

// handler asks the families of commands one after the other. The Decoder lets no
// name pass that none of them has.
func (s *session) handler(name string) (handler, when) {
	for _, family := range []func(string) (handler, when){
		s.sessionCommand, s.mailboxCommand, s.letterCommand, s.searchCommand,
		s.rightsCommand, s.metadataCommand, s.notifyCommand, s.urlCommand, s.quotaCommand,
	} {
		if h, w := family(name); h != nil {
			return h, w
		}
	}
	return func(context.Context, imap.Command) (string, error) {
		return "", &imap.SyntaxError{Text: "Unknown command"}
	}, anyTime
}

// sessionCommand is the commands about the session itself.
func (s *session) sessionCommand(name string) (handler, when) {
	switch name {
	case "CAPABILITY":
		return s.capability, anyTime
	case "NOOP":
		return done("NOOP completed"), anyTime
	case "LOGOUT":
		return s.logout, anyTime
	case "ID":
		return s.identify, anyTime
	case "STARTTLS":
		return s.startTLS, beforeLogin
	case "LOGIN":
		return s.login, beforeLogin
	case "AUTHENTICATE":
		return s.authenticate, beforeLogin
	case "ENABLE":
		return s.enable, afterLogin
	case "IDLE":
		return s.idle, afterLogin
	case "COMPRESS":
		return s.compress, afterLogin
	case "UNAUTHENTICATE":
		return s.unauthenticate, afterLogin
	}
	return nil, 0
}

// mailboxCommand is the commands about mailboxes, none of which need be selected.
func (s *session) mailboxCommand(name string) (handler, when) {
	switch name {
	case "NAMESPACE":
		return s.namespace, afterLogin
	case "LIST":
		return s.list, afterLogin
	case "LSUB":
		return s.lsub, afterLogin
	case "STATUS":
		return s.status, afterLogin
	case "SELECT", "EXAMINE":
		return s.selectMailbox, afterLogin
	case "CREATE":
		return s.create, afterLogin
	case "DELETE":
		return s.delete, afterLogin
	case "RENAME":
		return s.rename, afterLogin
	case "SUBSCRIBE", "UNSUBSCRIBE":
		return s.subscribe, afterLogin
	case "APPEND":
		return s.append, afterLogin
	}
	return nil, 0
}

// letterCommand is the commands on the letters of the selected mailbox.
func (s *session) letterCommand(name string) (handler, when) {
	switch name {
	case "CHECK":
		return done("CHECK completed"), selected
	case "CLOSE":
		return s.close, selected
	case "UNSELECT":
		return s.unselect, selected
	case "FETCH", "UID FETCH":
		return s.fetch, selected
	case "COPY", "UID COPY":
		return s.copy, selected
	case "MOVE", "UID MOVE":
		return s.move, writable
	case "STORE", "UID STORE":
		return s.store, writable
	case "EXPUNGE", "UID EXPUNGE":
		return s.expunge, writable
	case "REPLACE", "UID REPLACE":
		return s.replace, writable
	}
	return nil, 0
}

// done is a command that has nothing to do.
func done(text string) handler {
	return func(context.Context, imap.Command) (string, error) { return text, nil }
}

// allowed compares a command's states with the session's.
func (s *session) allowed(w when) error {
	switch {
	case w == beforeLogin && s.space != nil:
		return &imap.SyntaxError{Text: "You are logged in already"}
	case w >= afterLogin && s.space == nil:
		return &imap.SyntaxError{Text: "Log in first"}
	case w >= selected && s.view == nil:
		return &imap.SyntaxError{Text: "No mailbox is selected"}
	case w == writable && s.view.ReadOnly():
		return errReadOnly
	case w >= selected:
		return s.view.Readable() // the right to may have been taken away
	}
	return nil
}

// errUIDRequired is what a client hears that uses message numbers after it said
// that it would not (RFC 9586 §3).
var errUIDRequired = &imap.SyntaxError{Text: "[UIDREQUIRED] Message numbers are not to be used after ENABLE UIDONLY"}

// byNumber says whether a command names or gives message numbers.
func byNumber(name string) bool {
	switch name {
	case "FETCH", "STORE", "COPY", "MOVE", "REPLACE", "SEARCH", "SORT", "THREAD":
		return true
	}
	return false
}

// namesNumbers says whether a search asks for message numbers; "$" is none.
func namesNumbers(k *imap.SearchKey) bool {
	for i := range k.Keys {
		if namesNumbers(&k.Keys[i]) {
			return true
		}
	}
	return k.Op == imap.SearchSeq && !k.Set.Saved()
}

// mayExpunge says whether EXPUNGE responses may go with the answer to a command
// (RFC 9051 §7.5.1): a client may have sent message numbers ahead otherwise.
func mayExpunge(name string) bool {
	switch name {
	case "FETCH", "STORE", "SEARCH", "SORT", "THREAD":
		return false
	}
	return true
}
