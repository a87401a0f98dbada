package namespace

import (
	"context"
	"strings"

	"facteur/internal/store/mailbox"
)

// serverEntries are what the settings say of the server itself (RFC 5464 §6.2).
func (s *Settings) serverEntries() (out []mailbox.Annotation) {
	for _, e := range []struct{ entry, value string }{{"/shared/admin", s.Admin}, {"/shared/comment", s.Comment}} {
		if e.value != "" {
			out = append(out, mailbox.Annotation{Entry: e.entry, Value: []byte(e.value)})
		}
	}
	return out
}

// Annotations is METADATA of a mailbox, or with the name "" of the server: what the
// user may see. That needs "l" and "r" (RFC 5464 §3.3).
func (s *Space) Annotations(ctx context.Context, wire string) ([]mailbox.Annotation, error) {
	if wire == "" {
		own, err := s.own.Annotations(ctx, "", mailbox.Subject{Address: s.user, Owner: true})
		return append(own, s.settings.serverEntries()...), err
	}
	p, _, err := s.Enter(ctx, wire, mailbox.RightRead)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Account.Annotations(ctx, p.Name, p.Subject)
}

// Annotate sets METADATA, all or none of it. Private entries need "l" and "r",
// shared ones "w" as well; those of the server belong to the settings.
func (s *Space) Annotate(ctx context.Context, wire string, list []mailbox.Annotation) error {
	want := mailbox.RightRead
	for _, a := range list {
		if strings.HasPrefix(a.Entry, "/shared/") {
			want |= mailbox.RightWrite
		}
	}
	if wire != "" {
		p, _, err := s.Enter(ctx, wire, want)
		if err != nil {
			return err
		}
		defer p.Close()
		return p.Account.Annotate(ctx, p.Name, p.Subject, list)
	}
	if want.Has(mailbox.RightWrite) {
		return mailbox.ErrNoPermission
	}
	return s.own.Annotate(ctx, "", mailbox.Subject{Address: s.user, Owner: true}, list)
}

// Changed is the names of annotations that were changed lately, as far as the user may
// see them.
func (s *Space) Changed(ctx context.Context, wire string) ([]string, error) {
	if wire == "" {
		return s.own.ChangedEntries(ctx, "", mailbox.Subject{Address: s.user, Owner: true})
	}
	p, _, err := s.Enter(ctx, wire, mailbox.RightRead)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Account.ChangedEntries(ctx, p.Name, p.Subject)
}
