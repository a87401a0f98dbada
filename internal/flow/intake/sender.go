package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// senderAllowed is our own word about MAIL.
func (t *Transaction) senderAllowed(ctx context.Context) *smtp.Reply {
	m := &t.mail
	if m.Size > t.rules.SizeLimit {
		return tooLarge(t.rules)
	}
	if t.peer.Device != nil {
		if reply := t.peer.Device.begin(t.peer, *m); reply != nil {
			return reply
		}
	}
	if reply := t.termsAllowed(); reply != nil {
		return reply
	}
	if reply := t.senderOwned(ctx); reply != nil {
		return reply
	}
	if reply := t.senderListed(ctx); reply != nil {
		return reply
	}
	if t.desk.queue.Free() < t.rules.MinFree+m.Size {
		return noRoom()
	}
	return nil
}

// termsAllowed: strangers may not keep their mail here for later. For how long our
// own users may is the door's to say, which announces it.
func (t *Transaction) termsAllowed() *smtp.Reply {
	if t.mail.Hold != (smtp.Hold{}) && !t.peer.insider() {
		return smtp.NewReply(550, "5.7.1", "Mail is held for later for users who logged in only")
	}
	return nil
}

// senderOwned checks the reverse-path: whoever logged in sends as himself or as
// whom he was granted (RFC 6409 §6.1), else one stolen password forges everybody
// here.
func (t *Transaction) senderOwned(ctx context.Context) *smtp.Reply {
	if t.peer.Account == "" || t.mail.Sender.IsNull() {
		return nil
	}
	a := t.desk.owns(ctx, t.rules, t.peer.Account, t.mail.Sender)
	if a.State() == lookup.TryAgain {
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "whether the sender may be used", Err: a.Err()})
		return later()
	}
	if a.Value() {
		return nil
	}
	return smtp.NewReply(553, "5.7.1", fmt.Sprintf("<%s>: Sender address rejected: not owned by user %s", t.mail.Sender, t.peer.Account))
}

// owns tells whether an account may send as an address: its own, with or without an
// extension ("alice+list@"), one that it was granted, one that the list of logins
// gives it.
func (d *Desk) owns(ctx context.Context, rules *Rules, account string, a address.Address) lookup.Answer[bool] {
	self, err := address.Parse(account)
	if err != nil {
		return lookup.Yes(false) // nothing that a name without a domain could own
	}
	if a.Key() == self.Key() {
		return lookup.Yes(true)
	}
	for _, stem := range d.router.Stems(a) {
		if stem.Key() == self.Key() {
			return d.isNobody(ctx, a)
		}
	}
	if granted := d.directory.Granted(ctx, self, a); granted.State() != lookup.Found || granted.Value() {
		return granted
	}
	if rules.SenderLogins == nil {
		return lookup.Yes(false)
	}
	return d.inLogins(ctx, rules, self.Key(), a)
}

// isNobody tells that an address with an extension is not an account of its own.
func (d *Desk) isNobody(ctx context.Context, a address.Address) lookup.Answer[bool] {
	other := d.directory.Account(ctx, a)
	switch {
	case other.State() == lookup.TryAgain:
		return lookup.Later[bool](other.Err())
	case other.State() == lookup.NotFound:
		return lookup.Yes(true)
	}
	return lookup.Yes(false)
}

// inLogins looks a sender up in the list of logins: as it is, without its
// extension, by its domain. A login without domain is a user of this machine.
func (d *Desk) inLogins(ctx context.Context, rules *Rules, account string, a address.Address) lookup.Answer[bool] {
	keys := []string{a.Key()}
	for _, stem := range d.router.Stems(a) {
		keys = append(keys, stem.Key())
	}
	for _, key := range append(keys, "@"+a.Domain) {
		answer := rules.SenderLogins(ctx, key)
		switch answer.State() {
		case lookup.TryAgain:
			return lookup.Later[bool](answer.Err())
		case lookup.Found:
			owners := strings.FieldsFunc(strings.ToLower(answer.Value()), func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
			return lookup.Yes(slices.ContainsFunc(owners, func(owner string) bool { // the most special entry counts
				return owner == account || owner+"@"+d.router.Origin() == account
			}))
		}
	}
	return lookup.Yes(false)
}

// senderListed refuses a sender in a domain of ours whom nobody is: a forgery, or a
// slip of a user's pen, and no notice would ever arrive.
func (t *Transaction) senderListed(ctx context.Context) *smtp.Reply {
	if !t.rules.UnlistedSender || t.mail.Sender.IsNull() || t.peer.User != nil { // www-data has no mailbox, and may write
		return nil
	}
	a := t.desk.router.Resolve(ctx, t.mail.Sender)
	switch a.State() {
	case lookup.TryAgain:
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "sender look-up", Err: a.Err()})
		return later()
	case lookup.NotFound:
		return smtp.NewReply(550, "5.1.0", fmt.Sprintf("<%s>: Sender address rejected: %s", t.mail.Sender, a.Err()))
	}
	return nil
}

// fromAllowed holds what a user wrote into From against what he may send as, where
// the admin wants that (RFC 6409 §6.1 allows it; the envelope is always checked).
func (t *Transaction) fromAllowed(ctx context.Context) *smtp.Reply {
	if !t.rules.CheckFrom || t.peer.Account == "" {
		return nil
	}
	authors := t.written.All("From")
	if len(authors) == 0 {
		return smtp.NewReply(550, "5.7.1", "The message has no From field, by which its author is known")
	}
	for _, value := range authors {
		if reply := t.authorsAllowed(ctx, message.ParseAddresses(value)); reply != nil {
			return reply
		}
	}
	return nil
}

func (t *Transaction) authorsAllowed(ctx context.Context, authors []message.Mailbox) *smtp.Reply {
	if len(authors) >= message.MaxAddresses { // there may be more
		return smtp.NewReply(550, "5.7.1", "The From field of the message has too many addresses")
	}
	found := false
	for _, m := range authors {
		if m.GroupStart || m.GroupEnd {
			continue
		}
		found = true
		if reply := t.authorAllowed(ctx, m.Address()); reply != nil {
			return reply
		}
	}
	if !found {
		return smtp.NewReply(550, "5.7.1", "The From field of the message has no address, by which its author is known")
	}
	return nil
}

func (t *Transaction) authorAllowed(ctx context.Context, author string) *smtp.Reply {
	refused := smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: From address rejected: not owned by user %s", headerSafe(author), t.peer.Account))
	a, err := address.Parse(author)
	if err != nil {
		return refused
	}
	owned := t.desk.owns(ctx, t.rules, t.peer.Account, a)
	switch {
	case owned.State() == lookup.TryAgain:
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "whether the author may be used", Err: owned.Err()})
		return later()
	case owned.Value():
		return nil
	}
	return refused
}
