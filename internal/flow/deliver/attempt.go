package deliver

import (
	"fmt"
	"runtime/debug"
	"time"

	"facteur/internal/flow/route"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// attempt is recipients of one item that go to the same place at the same time.
type attempt struct {
	item *queue.Item // its Recipients are those of the attempt
	hop  route.Hop
	// route is that of the first recipient when it was made, under which it has its
	// places; "" where all have the same.
	route string
	// choice is the way that it takes.
	choice transport.Choice
	// round is what it shares with the other attempts for the item; nil when it is
	// the only one.
	round *round
	// claimed is when the queue handed it out, begun when its turn came, and
	// connected when the other side was ready for it.
	claimed, begun, connected time.Time
	// putBack is how many times it went back in line without having been made.
	putBack int
}

// turn is that of the attempt among those in line.
func (a *attempt) turn() queue.Turn { return queue.Turn{Since: a.claimed, Priority: a.item.Priority} }

// isRetry tells mail that waits for another attempt from mail that is new.
func (a *attempt) isRetry() bool { return a.item.Recipients[0].Attempts > 0 }

// party is who sent it, for the fair share of each: the account that handed it in, or
// the domain that it came from.
func (a *attempt) party() string {
	if a.item.Origin.Account != "" {
		return a.item.Origin.Account
	}
	return a.item.Sender.Domain
}

// only is the attempt for some of its recipients.
func (a *attempt) only(to ...queue.Recipient) *attempt {
	part, item := *a, *a.item
	item.Recipients = to
	part.item = &item
	return &part
}

// result is what an attempt brought for one recipient. The zero kind is deferred.
type result struct {
	recipient queue.Recipient
	kind      queue.Result
	// reply is what the other side said, or what we say in its place.
	reply *smtp.Reply
	// text is the reply as the log and the notices tell it: who said it, to what.
	text string
	// relay is "host[address]:port", or where the letter was put; host its name
	// only, for Remote-MTA; both empty when nobody was reached.
	relay, host string
	// travelled is how it went there: "under TLS 1.3"; "" when that means nothing.
	travelled string
	// folder is the mailbox that it was put into; "" is INBOX.
	folder string
	// turn counts the messages on the connection up to this one; 0 without one.
	turn int
	// passedOn: the host that took it knows DSN, and was told what the sender wants
	// to hear.
	passedOn bool
	// expired: it failed because its time is over, or a person gave it up; the last
	// attempt would have put it off.
	expired bool
	// again is when it is tried again, if that is not for the schedule to say;
	// notBefore is for the schedule to keep. Zero without.
	again, notBefore time.Time
	// ended is what it is called when it was no mailbox and no other host: expanded, or
	// delivered; "" otherwise.
	ended dsn.Action
	// copied: the postmaster gets a copy of the notice that this was.
	copied bool
	// aside: it is held on purpose, and not because nobody may be told.
	aside bool
	// forward are those who get it in this one's place.
	forward []queue.Recipient
	// agent is which of Postfix's programs would have written it down; "" for that of
	// the way.
	agent string
}

// judge turns a reply into a kind: only a clear yes delivers, only a clear no
// fails, everything else waits.
func judge(r *smtp.Reply) queue.Result {
	switch {
	case r == nil:
		return queue.Deferred
	case r.Code/100 == 2:
		return queue.Delivered
	case r.Permanent():
		return queue.Failed
	}
	return queue.Deferred
}

// dsnStatus is the RFC 3463 code of a result, made up from the reply where the
// other side gave none. What was refused for good and is tried again all the same
// (soft_bounce) has the code of what is tried again, as Postfix writes it.
func (r result) dsnStatus() string {
	if r.reply != nil && r.reply.Enhanced != "" {
		if r.kind == queue.Deferred && r.reply.Enhanced[0] == '5' {
			return "4" + r.reply.Enhanced[1:]
		}
		return r.reply.Enhanced
	}
	switch r.kind {
	case queue.Delivered, queue.Staged:
		return "2.0.0"
	case queue.Failed, queue.Undeliverable:
		return "5.0.0"
	}
	return "4.0.0"
}

// tooLate turns a result into the failure of what had to be delivered by a time
// (RFC 2852 §4.1).
func (r *result) tooLate() {
	text := "delivery time expired: the sender wants it back"
	if r.text != "" {
		text += "; the last attempt: " + r.text
	}
	r.kind, r.reply, r.text, r.host = queue.Failed, smtp.NewReply(554, "5.4.7", "delivery time expired"), text, ""
}

// tooLate are the results of an attempt that is not made because its time is over.
func (a *attempt) tooLate() []result {
	out := make([]result, len(a.item.Recipients))
	for i, r := range a.item.Recipients {
		out[i] = result{recipient: r, text: r.LastReply}
		out[i].tooLate()
	}
	return out
}

// here tells that it goes into a Maildir of this server.
func (a *attempt) here() bool {
	if a.choice.Transport == nil {
		return a.hop.Kind == route.Mailbox
	}
	return a.choice.Transport.Kind == transport.Mailbox
}

// guard runs fn, which works on one item, and turns a panic into an error: one item
// must not stop the others (INV-22).
func guard(fn func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	fn()
	return nil
}

// ours is the reply for a fault of our own.
func ours(text string) *smtp.Reply { return smtp.NewReply(451, "4.3.0", text) }

// all gives every recipient of an attempt the same result.
func (a *attempt) all(reply *smtp.Reply, text string) []result {
	out := make([]result, len(a.item.Recipients))
	for i, r := range a.item.Recipients {
		out[i] = result{recipient: r, kind: judge(reply), reply: reply, text: text}
	}
	return out
}
