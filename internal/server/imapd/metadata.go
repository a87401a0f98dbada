package imapd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// metadataCommand is METADATA (RFC 5464).
func (s *session) metadataCommand(name string) (handler, when) {
	switch name {
	case "GETMETADATA":
		return s.getMetadata, afterLogin
	case "SETMETADATA":
		return s.setMetadata, afterLogin
	}
	return nil, 0
}

var metadataCapabilities = []string{"METADATA", "LIST-METADATA"}

// getMetadata tells values that are not too large for the client, and how long the
// longest of the others is.
func (s *session) getMetadata(ctx context.Context, c imap.Command) (string, error) {
	g := c.Args.(imap.GetMetadata)
	all, err := s.space.Annotations(ctx, g.Mailbox)
	if err != nil {
		return "", err
	}
	wanted, longest := []mailbox.Annotation{}, 0
	for _, a := range pick(all, g.Entries, g.Depth) {
		if g.MaxSize >= 0 && int64(len(a.Value)) > g.MaxSize {
			longest = max(longest, len(a.Value))
			continue
		}
		wanted = append(wanted, a)
	}
	s.sayMetadata(g.Mailbox, wanted)
	if longest > 0 {
		return fmt.Sprintf("[METADATA LONGENTRIES %d] GETMETADATA completed", longest), nil
	}
	return "GETMETADATA completed", nil
}

// pick gives the annotations with these names, and those at most depth levels below.
// A name that has nothing is told without a value, unless more than it is asked for.
func pick(all []mailbox.Annotation, names []string, depth int) (out []mailbox.Annotation) {
	said := map[string]bool{}
	for _, name := range names {
		found := depth > 0
		for _, a := range all {
			if said[a.Entry] || !within(a.Entry, name, depth) {
				continue
			}
			said[a.Entry], found = true, true
			out = append(out, a)
		}
		if !found && !said[name] {
			said[name] = true
			out = append(out, mailbox.Annotation{Entry: name})
		}
	}
	return out
}

// within says whether an entry is name, or at most depth levels below it.
func within(entry, name string, depth int) bool {
	rest, ok := strings.CutPrefix(entry, strings.TrimSuffix(name, "/"))
	return ok && (rest == "" || rest[0] == '/' && strings.Count(rest, "/") <= depth)
}

func (s *session) sayMetadata(name string, list []mailbox.Annotation) {
	if len(list) == 0 {
		return
	}
	s.enc.Raw("* METADATA ")
	s.enc.Mailbox(name)
	sep := " ("
	for _, a := range list {
		s.enc.Raw(sep)
		s.enc.AString(a.Entry)
		s.enc.Raw(" ")
		s.sayValue(a.Value)
		sep = " "
	}
	s.enc.Raw(")\r\n")
}

// sayValue writes any octets: as a literal8 where a NUL is among them.
func (s *session) sayValue(v []byte) {
	switch text := string(v); {
	case v == nil:
		s.enc.Raw("NIL")
	case strings.IndexByte(text, 0) >= 0:
		s.enc.Raw("~")
		s.enc.Literal(int64(len(text)))
		s.enc.Raw(text)
	default:
		s.enc.String(text)
	}
}

func (s *session) setMetadata(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.SetMetadata)
	list := make([]mailbox.Annotation, len(a.Entries))
	for i, e := range a.Entries {
		list[i] = mailbox.Annotation{Entry: e.Name, Value: e.Value}
	}
	err := s.space.Annotate(ctx, a.Mailbox, list)
	switch {
	case errors.Is(err, mailbox.ErrNoteName):
		return "", &imap.SyntaxError{Text: "Bad entry name"}
	case errors.Is(err, mailbox.ErrNoteTooLong):
		return "", refusal(fmt.Sprintf("[METADATA MAXSIZE %d] Value too long", mailbox.MaxAnnotation))
	case errors.Is(err, mailbox.ErrTooManyNotes):
		return "", refusal("[METADATA TOOMANY] Too many entries, or too much in them")
	}
	return "SETMETADATA completed", err
}
