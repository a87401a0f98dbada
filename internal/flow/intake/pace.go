package intake

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/limit"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Pace is how much one account, or one user of this machine, may send. Each
// recipient counts, and so each message counts once at least. A stolen password is
// noticed by it before the world notices.
type Pace struct {
	// PerHour and PerDay are numbers of recipients, more than 0.
	PerHour, PerDay int
	// Hold keeps what is beyond in the queue until a person has looked at it. It
	// is never more than as much again; what is beyond that, and all of it without
	// Hold, is told to come later.
	Hold bool
	// Text is what the client is told then; empty for our own words.
	Text string
}

// paceCounters count by account or uid.
type paceCounters struct {
	hour, day, told *limit.Counter[string]
}

// senders is for how many accounts that send it is counted exactly.
const senders = 1 << 14

func newPace() *paceCounters {
	return &paceCounters{
		hour: limit.NewCounter[string](time.Hour, senders),
		day:  limit.NewCounter[string](24*time.Hour, senders),
		told: limit.NewCounter[string](24*time.Hour, senders),
	}
}

// submitter is who sends, for counting; "" for those who are not counted.
func (p *Peer) submitter() string {
	switch {
	case p.Account != "":
		if a, err := address.Parse(p.Account); err == nil {
			return a.Key()
		}
		return p.Account
	case p.User != nil && p.User.UID != 0: // root's letters are the machine's own cries
		return fmt.Sprintf("uid:%d", p.User.UID)
	}
	return ""
}

// over tells how much too much is: 0 not at all, 1 less than as much again, 2 more.
func (p *Pace) over(hour, day int) int {
	switch {
	case hour > 2*p.PerHour || day > 2*p.PerDay:
		return 2
	case hour > p.PerHour || day > p.PerDay:
		return 1
	}
	return 0
}

// inPace refuses a recipient beyond what may be sent, while nothing is sent yet.
func (t *Transaction) inPace() *smtp.Reply {
	who := t.peer.submitter()
	if who == "" || t.rules.Pace == nil {
		return nil
	}
	return t.tooMuch(who, t.named+1)
}

// tooMuch refuses to send to n recipients more.
func (t *Transaction) tooMuch(who string, n int) *smtp.Reply {
	c := t.desk.pace
	over := t.rules.Pace.over(c.hour.Sum(who)+n, c.day.Sum(who)+n)
	if over == 0 || over == 1 && t.rules.Pace.Hold {
		return nil
	}
	text := t.rules.Pace.Text
	if text == "" {
		text = "too many messages from this account; try again later, or ask the postmaster"
	}
	return smtp.NewReply(450, "4.7.1", fmt.Sprintf("<%s>: Recipient address rejected: %s", t.peer.sender(), text))
}

// sender is who sends, for people.
func (p *Peer) sender() string {
	if p.Account == "" && p.User != nil {
		return p.User.String()
	}
	return p.Account
}

// String is the name, or the number where there is no name.
func (u *LocalUser) String() string {
	if u.Name != "" {
		return u.Name
	}
	return fmt.Sprintf("uid:%d", u.UID)
}

// keepPace counts the message, holds it where it is too much, and tells the
// postmaster, once a day for each account. It refuses what was not too much at RCPT
// and is now, as other sessions of the account were faster.
func (t *Transaction) keepPace(ctx context.Context) *smtp.Reply {
	who := t.peer.submitter()
	if who == "" || t.rules.Pace == nil {
		return nil
	}
	c, n := t.desk.pace, max(t.named, 1)
	if reply := t.tooMuch(who, n); reply != nil {
		return reply
	}
	hour, day := c.hour.Add(who, n), c.day.Add(who, n)
	if t.rules.Pace.over(hour, day) == 0 || !t.rules.Pace.Hold {
		return nil
	}
	t.hold = fmt.Sprintf("%s has sent to %d recipients in an hour and to %d in a day", t.peer.sender(), hour, day)
	t.desk.events.Emit(Paced{ID: t.id, Peer: t.peer, Hour: hour, Day: day})
	if c.told.Add(who, 1) > 1 {
		return nil
	}
	if err := t.desk.tellPostmaster(ctx, t.rules, t.peer.sender(), hour, day); err != nil {
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "telling the postmaster", Err: err})
	}
	return nil
}

// tellPostmaster queues a letter to the postmaster about an account that sends too
// much.
func (d *Desk) tellPostmaster(ctx context.Context, rules *Rules, who string, hour, day int) error {
	to := address.Address{Local: "postmaster"}
	a := d.router.Resolve(ctx, to)
	if a.State() != lookup.Found {
		return a.Err()
	}
	now, id := time.Now(), d.queue.NextID()
	var b message.Builder
	b.Mailboxes("From", []message.Mailbox{{Name: "Mail system", Local: "postmaster", Host: rules.Hostname}})
	b.Mailboxes("To", []message.Mailbox{{Local: "postmaster", Host: a.Value().Address.Domain}})
	b.Text("Subject", who+" sends more than it may")
	b.Date("Date", now)
	b.Structured("Message-Id", fmt.Sprintf("<%s.pace@%s>", id, rules.Hostname))
	b.Structured("Auto-Submitted", "auto-generated") // RFC 3834 §5.2
	head, err := b.Bytes()
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(fmt.Sprintf(`%s has sent to %d recipients in the last hour and to %d in the last day.
The limits are %d and %d ([submission] in the settings).

What came beyond them is held in the queue. If it is good mail, let it go:

    facteur queue list
    facteur queue release ID

If it is not, somebody else may be at work under this name: change the password
(facteur account passwd), or look at the user's programs.

This is told once a day.
`, who, hour, day, rules.Pace.PerHour, rules.Pace.PerDay), "\n", "\r\n")
	return d.outbox.Commit(ctx, append(head, "\r\n"+text...), &queue.Item{
		ID: id, Arrived: now, Origin: queue.Origin{Local: true, Protocol: "internal"},
		Recipients: []queue.Recipient{{Address: a.Value().Address, Original: to, Route: a.Value().String()}},
	}, "")
}

// Paced: an account sends more than it may, and what it sends is held.
type Paced struct {
	ID        queue.ID
	Peer      Peer
	Hour, Day int // recipients
}

// Level implements event.Event.
func (Paced) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Paced) Record() (string, []slog.Attr) {
	return "account sends too much", []slog.Attr{slog.String("id", e.ID.String()), slog.String("account", e.Peer.sender()),
		slog.Int("recipients_hour", e.Hour), slog.Int("recipients_day", e.Day)}
}

// Line implements event.Event.
func (e Paced) Line() (string, string) {
	return "postfix/smtpd", fmt.Sprintf("warning: %s: held: %s has sent to %d recipients in an hour and to %d in a day",
		e.ID, e.Peer.sender(), e.Hour, e.Day)
}

// Step implements event.Stepper.
func (e Paced) Step() event.Step {
	return event.Step{Kind: event.Held, Item: e.ID.String(), Session: e.Peer.Session, Account: e.Peer.Account,
		Sentence: fmt.Sprintf("The message is held, as %s has sent to %d recipients in an hour and to %d in a day; the postmaster decides.",
			e.Peer.sender(), e.Hour, e.Day)}
}
