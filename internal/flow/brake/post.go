package brake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/store/brake"
	"facteur/internal/store/queue"
)

// Post writes to people about accounts. What it writes does not pass the brake.
type Post struct {
	Router *route.Router
	Queue  *queue.Queue
	Outbox *sign.Outbox
}

// Braked tells the postmaster, the owner and Rules.Notify that an account is braked. All of
// them are tried; the error is for those of our own.
func (p *Post) Braked(ctx context.Context, r *Rules, a brake.Account) error {
	subject := a.Name + " is braked"
	err := p.send(ctx, r, postmaster, subject, forPostmaster(r, a))
	for _, to := range r.Notify {
		if other, bad := address.Parse(to); bad == nil {
			err = errors.Join(err, p.send(ctx, r, other, subject, forPostmaster(r, a)))
		}
	}
	if owner, bad := address.Parse(a.Name); bad == nil && owner.Domain != "" {
		err = errors.Join(err, p.send(ctx, r, owner, "Mail from your account is held", forOwner(r, a)))
	}
	return err
}

// Over tells the postmaster that letters are held as they are beyond a quota.
func (p *Post) Over(ctx context.Context, r *Rules, who Who, why string) error {
	return p.send(ctx, r, postmaster, who.String()+" sends more than it may", fmt.Sprintf(`%s.

What came beyond that is held in the queue. If it is good mail, let it go:

    facteur queue list
    facteur queue release ID

If it is not, somebody else may be at work under this name: change the password
(facteur account passwd), or look at the user's programs.

This is told once a day.
`, why))
}

var postmaster = address.Address{Local: "postmaster"}

func forPostmaster(r *Rules, a brake.Account) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s was braked on %s:\n%s.\n", a.Name, a.Since.Format(time.RFC1123Z), a.Why)
	if len(a.Signs) > 0 {
		fmt.Fprintf(&b, "\nWhat speaks for it that somebody else is at work under this name:\n\n    %s\n", strings.Join(a.Signs, "\n    "))
	}
	b.WriteString("\nWhat it sends is held in the queue.")
	if r.Cut {
		b.WriteString(" Its sessions were cut.")
	}
	if r.SuspendApps {
		b.WriteString(" Its app passwords do not\ncount for now.")
	}
	fmt.Fprintf(&b, `

    facteur brake show %[1]s

If all is well, let its mail go:

    facteur brake release %[1]s

If its password was stolen, change it, delete what the thief has written, and lift the
brake then:

    facteur account passwd %[1]s
    facteur brake delete %[1]s
    facteur brake forgive %[1]s

This is told once.
`, a.Name)
	return b.String()
}

func forOwner(r *Rules, a brake.Account) string {
	return fmt.Sprintf(`Since %s, mail that is sent from your account is held back:
%s.

If that was you, nothing is lost: tell the postmaster (postmaster@%s), who lets it go.
If it was not, somebody else knows your password. Change it, also where you use the
same one elsewhere, and tell the postmaster.
`, a.Since.Format(time.RFC1123Z), a.Why, r.Home)
}

// send queues a letter. Who is not there is not told; that nobody can find out is an error.
func (p *Post) send(ctx context.Context, r *Rules, to address.Address, subject, text string) error {
	found := p.Router.Resolve(ctx, to)
	switch found.State() {
	case lookup.NotFound:
		return nil
	case lookup.TryAgain:
		return found.Err()
	}
	now, id, d := time.Now(), p.Queue.NextID(), found.Value()
	domain := to.Domain
	if domain == "" {
		domain = d.Address.Domain
	}
	var b message.Builder
	b.Mailboxes("From", []message.Mailbox{{Name: "Mail system", Local: "postmaster", Host: r.Hostname}})
	b.Mailboxes("To", []message.Mailbox{{Local: to.Local, Host: domain}})
	b.Text("Subject", subject)
	b.Date("Date", now)
	b.Structured("Message-Id", fmt.Sprintf("<%s.brake@%s>", id, r.Hostname))
	b.Structured("Auto-Submitted", "auto-generated") // RFC 3834 §5.2
	head, err := b.Bytes()
	if err != nil {
		return err
	}
	return p.Outbox.Commit(ctx, append(head, "\r\n"+strings.ReplaceAll(text, "\n", "\r\n")...), &queue.Item{
		ID: id, Arrived: now, Origin: queue.Origin{Local: true, Protocol: "internal"},
		Recipients: []queue.Recipient{{Address: d.Address, Original: to, Route: d.String()}},
	}, "")
}
