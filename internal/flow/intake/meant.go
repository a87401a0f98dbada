package intake

import (
	"context"
	"errors"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rewrite"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// meant is who is meant by a forward-path.
type meant struct {
	address.Address
	// ours: strangers may write there, wherever it leads, for they named an address of
	// ours. foreign: they may not, wherever it leads, for they did not.
	ours, foreign bool
	// rewritten: a table gave another address for the one that was named.
	rewritten bool
	// returned: it was an address of SRS.
	returned bool
}

// meantBy takes off what we once put to an address, and rewrites it. What was no address
// of ours does not become one that a stranger may write to.
func (t *Transaction) meantBy(ctx context.Context, to address.Address) (meant, *smtp.Reply) {
	if t.rules.Forward.IsRewritten(to) {
		return t.backTo(ctx, to)
	}
	if reply := t.markAllowed(ctx, to); reply != nil {
		return meant{}, reply
	}
	m := meant{Address: t.complete(t.rules.Forward.Bare(ctx, to))}
	answer := t.rules.Rewrite.Address(ctx, rewrite.EnvelopeRecipient, m.Address)
	if answer.State() != lookup.Found {
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "rewriting the recipient", Err: answer.Err()})
		return m, later()
	}
	if answer.Value() == m.Address {
		return m, nil
	}
	ours := m.Domain == "" // the bare postmaster
	if !ours {
		hosts := t.desk.router.Hosts(ctx, m.Domain)
		if hosts.State() == lookup.TryAgain {
			t.desk.events.Emit(Trouble{Peer: t.peer, What: "recipient look-up", Err: hosts.Err()})
			return m, later()
		}
		ours = hosts.State() == lookup.Found
	}
	return meant{Address: answer.Value(), ours: ours, foreign: !ours, rewritten: true}, nil
}

// complete adds the domain, or the end of it, to an address that our own user named. The
// bare postmaster is known to everybody.
func (t *Transaction) complete(a address.Address) address.Address {
	if !t.peer.insider() || a.Domain == "" && strings.EqualFold(a.Local, "postmaster") {
		return a
	}
	return t.rules.Rewrite.Complete(a)
}

// backTo brings a bounce of a forwarded message to its sender. Nothing else may take this
// way: our word for an address is no leave to write to it.
func (t *Transaction) backTo(ctx context.Context, to address.Address) (meant, *smtp.Reply) {
	if !t.peer.insider() {
		if reply := forward.OnlyNotices(to, t.mail.Sender); reply != nil {
			return meant{}, reply
		}
	}
	back, reply := t.rules.Forward.Return(ctx, to, time.Now())
	return meant{Address: back, ours: true, returned: true}, reply
}

// markAllowed refuses notices about mail that never left here (REL-015). One notice is for
// one sender: others wait for a transaction of their own.
func (t *Transaction) markAllowed(ctx context.Context, to address.Address) *smtp.Reply {
	if !t.mail.Sender.IsNull() || t.peer.insider() || t.rules.Forward == nil || t.rules.Forward.Marks == nil {
		return nil
	}
	if t.named > 0 {
		return smtp.NewReply(452, "4.5.3", "Error: one recipient at a time for mail from the null sender")
	}
	answer := t.rules.Forward.Unmarked(ctx, to, time.Now())
	if answer.State() != lookup.Found {
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "recipient look-up", Err: answer.Err()})
		return later()
	}
	return answer.Value()
}

// tableError is a table that did not answer while a message was being taken.
type tableError struct{ err error }

func (e tableError) Error() string { return e.err.Error() }

// rewriteHeader rewrites the addresses in the header, where it is whole.
func (t *Transaction) rewriteHeader(ctx context.Context) error {
	if t.headCut {
		return nil
	}
	h, err := t.rules.Rewrite.Header(ctx, t.header, t.peer.insider())
	if err == nil && t.mail.Sender.IsNull() && t.rules.Rewrite.Changes(t.peer.insider()) {
		h, err = t.backInHeader(h)
	}
	if err != nil {
		return tableError{err}
	}
	t.header = h
	return nil
}

// backInHeader shows the reader of a bounce himself, and not what stood for him.
func (t *Transaction) backInHeader(h []byte) ([]byte, error) {
	if t.rules.Forward == nil || t.rules.Forward.SRS == nil {
		return h, nil
	}
	return rewrite.EachAddress(h, func(in rewrite.Class, a address.Address) lookup.Answer[address.Address] {
		if in == rewrite.HeaderRecipient && t.rules.Forward.IsRewritten(a) {
			if back, err := t.rules.Forward.Back(a, time.Now()); err == nil {
				a = back
			}
		}
		return lookup.Yes(a)
	})
}

// readdressed is what is done to the envelope when nobody else has a word to say: the
// sender is rewritten, spam goes no further, and copies are made.
func (t *Transaction) readdressed(ctx context.Context) *smtp.Reply {
	answer := t.rules.Rewrite.Address(ctx, rewrite.EnvelopeSender, t.mail.Sender)
	if answer.State() != lookup.Found {
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "rewriting the sender", Err: answer.Err()})
		return later()
	}
	t.mail.Sender = answer.Value()
	if reply := t.keepSpam(); reply != nil {
		return reply
	}
	if err := t.copy(ctx); err != nil {
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "making copies", Err: err})
		return later()
	}
	return nil
}

// copy adds who gets a copy by the settings. One who is unknown does not keep the others
// from their mail; the log tells of him.
func (t *Transaction) copy(ctx context.Context) error {
	if !t.rules.Rewrite.Copies() {
		return nil
	}
	to, err := t.rules.Rewrite.CopiesFor(ctx, t.mail.Sender, t.meant)
	if err != nil {
		return err
	}
	for _, a := range to {
		err := t.addRecipient(ctx, a)
		if unknown, is := errors.AsType[unknownError](err); is {
			t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "making a copy", Err: unknown})
		} else if err != nil {
			return err
		}
	}
	return nil
}
