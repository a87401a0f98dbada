package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// recipientAllowed is the relay decision and the look-up of the user, in this
// order: a stranger learns nothing about domains that are not ours. to is who was named,
// meant who that is. An alias leads to several recipients.
func (t *Transaction) recipientAllowed(ctx context.Context, to address.Address, m meant) ([]recipient, *smtp.Reply) {
	if t.peer.Device != nil {
		if reply := t.peer.Device.recipient(to); reply != nil {
			return nil, reply
		}
	}
	if people, reply := t.forLessons(ctx, to, m); people != nil || reply != nil {
		return people, reply
	}
	if reply := t.mayRelay(ctx, to, m); reply != nil {
		return nil, reply
	}
	a := t.desk.router.Expand(ctx, route.Question{Recipient: m.Address, Sender: t.mail.Sender})
	switch a.State() {
	case lookup.TryAgain:
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "recipient look-up", Err: a.Err()})
		return nil, later()
	case lookup.NotFound:
		return nil, unknownTo(to, a.Err())
	}
	people := make([]recipient, 0, len(a.Value().Destinations))
	for _, dest := range a.Value().Destinations {
		r := recipient{original: to, dest: dest}
		switch {
		case dest.Forwarded:
			r.forwarder = m.Address
		case dest.Kind == route.Remote && m.rewritten && m.ours: // a canonical address elsewhere
			r.forwarder = to
		case dest.Kind == route.Remote && m.returned:
			r.returned = m.Address
		}
		people = append(people, r)
	}
	noteBeside(people)
	return people, nil
}

// mayRelay refuses addresses in domains that are not ours, but to those who may send
// anywhere. It comes before aliases: one of a domain elsewhere is for our own users'
// mail, and what it leads to is no stranger's business.
func (t *Transaction) mayRelay(ctx context.Context, to address.Address, m meant) *smtp.Reply {
	denied := smtp.NewReply(554, "5.7.1", fmt.Sprintf("<%s>: Relay access denied", to))
	switch {
	case m.foreign && !t.peer.insider():
		return denied
	// LMTP hands over mail for our mailboxes; it has no way to say that mail is on its
	// way to somewhere else (RFC 2033 §1).
	case t.peer.insider() && !t.peer.PerRecipient, m.ours, m.Address.Domain == "":
		return nil
	}
	hosted := t.desk.router.Hosts(ctx, m.Address.Domain)
	switch hosted.State() {
	case lookup.TryAgain:
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "recipient look-up", Err: hosted.Err()})
		return later()
	case lookup.NotFound:
		return denied
	}
	return nil
}

// noteBeside notes of all whom an address leads to that it sends mail on.
func noteBeside(people []recipient) {
	if i := slices.IndexFunc(people, func(r recipient) bool { return !r.forwarder.IsNull() }); i >= 0 {
		for n := range people {
			people[n].beside = people[i].forwarder
		}
	}
}

// unknownTo is the refusal of an address that leads nowhere.
func unknownTo(to address.Address, why error) *smtp.Reply {
	var r *route.Refusal
	if errors.As(why, &r) {
		return r.Reply(to.String())
	}
	return smtp.NewReply(550, "5.1.1", fmt.Sprintf("<%s>: Recipient address rejected: %s", to, why))
}

// haveRoom refuses full mailboxes. Of several that an alias leads to, the full ones do
// not keep the others from their mail: who answers for the alias hears of them.
func (t *Transaction) haveRoom(ctx context.Context, people []recipient) *smtp.Reply {
	var refused []*recipient
	var first *smtp.Reply
	for i := range people {
		r := &people[i]
		reply := t.hasRoom(ctx, r)
		switch {
		case reply == nil:
		case reply.Code == 451 || len(people) == 1:
			return reply
		default:
			refused, first = append(refused, r), cmp.Or(first, reply)
		}
	}
	if len(refused) == len(people) {
		return first
	}
	for _, r := range refused {
		if !t.rules.FullLater {
			r.dest = t.desk.router.Refuse(r.dest, t.mail.Sender, "5.2.2 mailbox is full")
		}
	}
	return nil
}

// hasRoom refuses a full mailbox, and one in which a message of the announced
// size finds no place. The announcement is the peer's word; what counts in the
// end is weighed in Receive. A figure that can't be had in time is no refusal for
// good.
func (t *Transaction) hasRoom(ctx context.Context, r *recipient) *smtp.Reply {
	if t.isNamed(r) || r.dest.Kind != route.Mailbox {
		return nil
	}
	free, err := t.desk.room(ctx, r.dest.Account, t.mail.Size)
	if err != nil {
		t.desk.events.Emit(Trouble{Peer: t.peer, What: "quota of " + r.dest.Account.Address, Err: err})
		return later()
	}
	r.free = free
	if t.mail.Size > free || free == 0 {
		return t.full(r)
	}
	return nil
}

// full is the refusal for a mailbox that has no room now. Its sender is to hear of it
// at once, unless the admin would rather have his server try on.
func (t *Transaction) full(r *recipient) *smtp.Reply {
	if t.rules.FullLater {
		return smtp.NewReply(452, "4.2.2", fmt.Sprintf("<%s>: Recipient address rejected: mailbox is full", r.original))
	}
	return smtp.NewReply(552, "5.2.2", fmt.Sprintf("<%s>: Recipient address rejected: mailbox is full", r.original))
}

func neverFits(r *recipient) *smtp.Reply {
	return smtp.NewReply(552, "5.2.2", fmt.Sprintf("<%s>: Message does not fit into the mailbox", r.original))
}
