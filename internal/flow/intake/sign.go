package intake

import (
	"context"
	"fmt"
	"io"
	"slices"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// Sign lets the desk sign mail of insiders, and its own letters. It comes before the
// first visit.
func (d *Desk) Sign(s *sign.Signer) {
	d.signer, d.outbox = s, sign.NewOutbox(d.queue, s)
}

// signs tells a peer whose mail bears our signature. What a trusted server hands over by
// LMTP it has from anybody, and so has a content filter that gives back what we gave it:
// that was signed when it first came, if it was to be.
func (p *Peer) signs() bool {
	return p.insider() && (p.Account != "" || !p.PerRecipient && !p.returns())
}

// returns tells a content filter of ours, which gives back what came before.
func (p *Peer) returns() bool { return p.Trusted && p.Forwarded != nil }

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
	// What rules put above it belongs to it: a signature that says how many fields of a
	// name there are would break by one more.
	header := message.Header(slices.Concat(t.above, t.header))
	signature, err := t.letter.Sign(header, t.openBody, t.desk.barred(ctx, t.rules, t.peer.Account), t.arrived)
	if err != nil {
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "whether the author may be used", Err: err})
		return later()
	}
	t.signature = signature
	if reply := t.unsigned(); reply != nil {
		t.desk.signer.Tell(t.id, signature, t.arrived)
		return reply
	}
	if err := t.spool.Prepend(signature.Fields); err != nil {
		return t.notKept("signing", err)
	}
	t.bodyAt += int64(len(signature.Fields))
	return nil
}

// unsigned refuses a letter that should be signed and is not, where the admin wants no such
// letter to leave. Who has no right to a signature needs not come again.
func (t *Transaction) unsigned() *smtp.Reply {
	g := &t.signature
	switch {
	case !g.Ours || len(g.By) > 0 || !t.letter.Required():
		return nil
	case g.Barred:
		return smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: Author address rejected: not owned by user %s", g.Author, t.peer.Account))
	}
	return smtp.NewReply(451, "4.7.5", "Error: the message can't be signed now")
}

// Barred is the rule of whose author's signature a letter of an account may bear, for who
// signs it after it has come; see barred.
func (d *Desk) Barred(ctx context.Context, account string) sign.Barred {
	return d.barred(ctx, d.rules(), account)
}

// barred tells why an account may not have our word for an author: he is of another
// domain here, and the account may not send as him. Within a domain people are free, as
// far as the admin lets them (submission.header_from).
func (d *Desk) barred(ctx context.Context, rules *Rules, account string) sign.Barred {
	if account == "" {
		return nil
	}
	self, err := address.Parse(account)
	return func(author address.Address) (string, error) {
		if err == nil && self.Domain == author.Domain {
			return "", nil
		}
		switch owned := d.owns(ctx, rules, account, author); {
		case owned.State() == lookup.TryAgain:
			return "", owned.Err()
		case owned.Value():
			return "", nil
		}
		return "its author <" + headerSafe(author.String()) + "> is not one that " + account + " may send as", nil
	}
}
