package intake

import (
	"context"
	"io"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/smtp"
)

// Sign lets the desk sign mail of insiders, and its own letters. It comes before the
// first visit.
func (d *Desk) Sign(s *sign.Signer) {
	d.signer, d.outbox = s, sign.NewOutbox(d.queue, s)
}

// signs tells a peer whose mail bears our signature. What a trusted server hands over by
// LMTP it has from anybody.
func (p *Peer) signs() bool {
	return p.insider() && (p.Account != "" || !p.PerRecipient)
}

// hash begins to hash the body for our signature, if there is to be one; nil if not.
func (t *Transaction) hash() io.Writer {
	if t.desk.signer == nil || !t.peer.signs() {
		return nil
	}
	body := dkim.NewBody()
	t.letter = t.desk.signer.Open(t.header, body)
	return body
}

// sign puts our signature above the message as it is now: nothing is changed after it.
func (t *Transaction) sign(ctx context.Context) *smtp.Reply {
	if t.desk.signer == nil || !t.peer.signs() || t.headCut || t.discard {
		return nil
	}
	signature := t.letter.Sign(t.header, t.openBody, t.arrived)
	if len(signature.By) > 0 {
		why, reply := t.speaks(ctx, signature.Author)
		if reply != nil {
			return reply
		}
		if why != "" {
			signature.Fields, signature.By, signature.Why = nil, nil, why
		}
	}
	t.signature = signature
	if signature.Ours && len(signature.By) == 0 && t.letter.Required() {
		t.desk.signer.Tell(t.id, signature, t.arrived)
		return smtp.NewReply(451, "4.7.5", "Error: the message can't be signed now")
	}
	if err := t.spool.Prepend(signature.Fields); err != nil {
		return t.notKept("signing", err)
	}
	t.bodyAt += int64(len(signature.Fields))
	return nil
}

// speaks tells why an account may not have our word for an author: he is of another
// domain here, and the account may not send as him. Within a domain people are free, as
// far as the admin lets them (submission.header_from).
func (t *Transaction) speaks(ctx context.Context, author address.Address) (why string, reply *smtp.Reply) {
	if t.peer.Account == "" {
		return "", nil
	}
	if self, err := address.Parse(t.peer.Account); err == nil && self.Domain == author.Domain {
		return "", nil
	}
	owned := t.desk.owns(ctx, t.rules, t.peer.Account, author)
	switch {
	case owned.State() == lookup.TryAgain:
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "whether the author may be used", Err: owned.Err()})
		return "", later()
	case owned.Value():
		return "", nil
	}
	return "its author <" + headerSafe(author.String()) + "> is not one that " + t.peer.Account + " may send as", nil
}
