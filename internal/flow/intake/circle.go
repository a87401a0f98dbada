package intake

import (
	"cmp"
	"slices"

	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// mailboxesMax is how many mailboxes a message is remembered to have been in: a loop
// names the one that it comes back to again and again.
const mailboxesMax = 50

// noteMailbox remembers that the message was in a mailbox.
func (h *head) noteMailbox(f message.Field) {
	if len(h.mailboxes) >= mailboxesMax {
		return
	}
	if a, err := address.Parse(f.Text()); err == nil {
		h.mailboxes = append(h.mailboxes, a.Key())
	}
}

// place is the address that Delivered-To names when a message has been there: that of a
// mailbox, or the one from which it was sent on. It is null for others, which are in no
// list.
func (r *recipient) place() address.Address {
	if r.dest.Kind == route.Mailbox {
		return r.dest.Address
	}
	return r.forwarder
}

// wasAt tells that a message has been there where the recipient would have it: in the
// mailbox, or at the address that sends it on. Whom else that address leads to has it from
// the first time.
func (r *recipient) wasAt(mailboxes []string) bool {
	return slices.Contains(mailboxes, r.place().Key()) || !r.beside.IsNull() && slices.Contains(mailboxes, r.beside.Key())
}

// circles refuses a message that says by Delivered-To that it was in the mailbox which
// it goes to, or was forwarded from the address that would forward it (LOOP-002). Found at
// delivery, it would be a bounce to whoever wrote it, or a letter that is held for nobody.
// Where one answer serves all recipients, refused is only what would reach no other:
// delivery sees to the rest.
func (t *Transaction) circles(h *head) *smtp.Reply {
	if len(h.mailboxes) == 0 {
		return nil
	}
	var first *smtp.Reply
	others := false
	for i := range t.recipients {
		r := &t.recipients[i]
		switch {
		case r.removed, r.isWord():
		case r.added || !r.wasAt(h.mailboxes):
			others = true
		default:
			reply := smtp.NewReply(554, "5.4.6", "<"+r.original.String()+">: mail forwarding loop: the message has been delivered to this mailbox before")
			if t.peer.PerRecipient {
				r.refused = reply
			}
			first = cmp.Or(first, reply)
		}
	}
	if t.peer.PerRecipient {
		t.spare()
	}
	if others || t.peer.PerRecipient {
		return nil
	}
	return first
}
