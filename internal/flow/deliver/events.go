package deliver

import (
	"cmp"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/store/queue"
)

// Times are where the time of an attempt went: Postfix's delays=a/b/c/d, before
// the queue manager, in it, connecting, and sending.
type Times struct {
	Total, Before, Waiting, Connecting, Sending time.Duration
}

func newTimes(a *attempt, now time.Time) Times {
	begun, connected := a.begun, a.connected
	if begun.IsZero() {
		begun = now
	}
	if connected.IsZero() {
		connected = now
	}
	return Times{
		Total: max(0, now.Sub(a.item.Arrived)), Before: max(0, a.claimed.Sub(a.item.Arrived)), Waiting: begun.Sub(a.claimed),
		Connecting: connected.Sub(begun), Sending: now.Sub(connected),
	}
}

// String is the delay= and delays= of Postfix's log, in seconds.
func (t Times) String() string {
	b := make([]byte, 0, 64)
	b = appendSeconds(append(b, "delay="...), t.Total)
	b = appendSeconds(append(b, ", delays="...), t.Before)
	for _, d := range [...]time.Duration{t.Waiting, t.Connecting, t.Sending} {
		b = appendSeconds(append(b, '/'), d)
	}
	return string(b)
}

// appendSeconds keeps two significant digits, as Postfix does.
func appendSeconds(b []byte, d time.Duration) []byte {
	s := d.Seconds()
	switch {
	case s < 0.01:
		return append(b, '0')
	case s < 1:
		return strconv.AppendFloat(b, s, 'g', 2, 64)
	case s < 10:
		return strconv.AppendFloat(b, s, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, s, 'f', 0, 64)
}

// Tried is what an attempt brought for one recipient.
type Tried struct {
	Attempt Times
	ID      queue.ID
	Sender  address.Address
	Account string // that handed it in, or ""
	Hop     route.Hop
	// Agent is which of Postfix's programs would say it: "smtp", "virtual", "error", …
	// and LogName what stands before it; "" is "postfix".
	Agent, LogName string
	Recipient      queue.Recipient
	// Aside: it is held on purpose, and not because nobody may be told.
	Aside  bool
	Result queue.Result
	Relay  string // "none" in the log when empty
	// Travelled is how it went to the relay: "under TLS 1.3", "in clear"; "" when that
	// means nothing.
	Travelled string
	// Folder is the mailbox that it was put into, if that was not INBOX.
	Folder string
	// Turn counts the messages on the connection up to this one.
	Turn   int
	Status string // RFC 3463
	Text   string
	// Expired: it failed as its time is over; the attempt itself was put off.
	Expired bool
	// Last: it is a letter to the postmaster, and nobody is told of what becomes of it.
	Last bool
	// Copied: it is a notice, and the postmaster has got it in place of its reader.
	Copied bool
}

// Level implements event.Event.
func (e Tried) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Tried) Record() (string, []slog.Attr) {
	return e.status(), []slog.Attr{
		slog.String("id", e.ID.String()), slog.String("to", e.Recipient.Address.String()),
		slog.String("relay", e.relay()), slog.Duration("delay", e.Attempt.Total),
		slog.String("dsn", e.Status), slog.String("reply", e.Text), slog.Int("attempt", e.Recipient.Attempts+1),
	}
}

// Line implements event.Event.
func (e Tried) Line() (string, string) {
	to := "to=<" + e.Recipient.Address.String() + ">"
	if e.Recipient.Original != e.Recipient.Address {
		to += ", orig_to=<" + e.Recipient.Original.String() + ">"
	}
	return logger(e.LogName, e.Agent), e.ID.String() + ": " + to + ", relay=" + e.relay() + e.reuse() + ", " + e.Attempt.String() +
		", dsn=" + e.Status + ", status=" + e.status() + " (" + e.Text + e.into() + ")"
}

// into is the mailbox, for the log.
func (e Tried) into() string {
	if e.Folder == "" {
		return ""
	}
	return ", into " + strconv.Quote(e.Folder)
}

// reuse is told of what went over a connection that others had used.
func (e Tried) reuse() string {
	if e.Turn < 2 {
		return ""
	}
	return ", conn_use=" + strconv.Itoa(e.Turn)
}

// logger is the name that a line of the log begins with.
func logger(logName, agent string) string {
	return cmp.Or(logName, "postfix") + "/" + cmp.Or(agent, "smtp")
}

// status is the word of status=. What is landing has been delivered for the
// reader of a log: the letter is durable, and it will be in the mailbox.
func (e Tried) status() string {
	switch {
	case e.Result == queue.Staged:
		return queue.Delivered.String()
	case e.Expired:
		return queue.Deferred.String() // and Expired follows
	}
	return e.Result.String()
}

// Topic implements event.Topical.
func (e Tried) Topic() event.Topic {
	switch {
	case e.Result == queue.Deferred && e.Relay == "" && strings.HasPrefix(e.Status, "4.3."):
		return event.Data // something of ours that delivery needs: the disk, the directory
	case e.Result != queue.Failed || e.Last || e.Copied:
		return event.NoTopic
	case e.Sender.IsNull():
		return event.DoubleBounce
	}
	return event.Bounce
}

func (e Tried) relay() string {
	if e.Relay == "" {
		return "none"
	}
	return e.Relay
}

// Notified is a notice that was made because of an item.
type Notified struct {
	ID     queue.ID
	Notice *queue.Item
	// Action is what it tells, the worst if it is about several recipients.
	Action dsn.Action
	// Postmaster: it is for the postmaster, about a notice.
	Postmaster bool
}

// Topic implements event.Topical.
func (e Notified) Topic() event.Topic {
	if e.Action == dsn.Delayed {
		return event.Delay
	}
	return event.NoTopic
}

// Level implements event.Event.
func (Notified) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Notified) Record() (string, []slog.Attr) {
	return "notice", []slog.Attr{slog.String("id", e.ID.String()), slog.String("notice", e.Notice.ID.String()), slog.String("action", string(e.Action))}
}

// Line implements event.Event.
func (e Notified) Line() (string, string) {
	what := "delivery status"
	switch e.Action {
	case dsn.Failed:
		what = "non-delivery"
	case dsn.Delayed:
		what = "delay"
	}
	reader := "sender"
	if e.Postmaster {
		reader = "postmaster"
	}
	return "postfix/bounce", fmt.Sprintf("%s: %s %s notification: %s", e.ID, reader, what, e.Notice.ID)
}

// Expired is an item whose time is over for some of its recipients.
type Expired struct {
	ID     queue.ID
	Sender address.Address
}

// Level implements event.Event.
func (Expired) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Expired) Record() (string, []slog.Attr) {
	return "expired", []slog.Attr{slog.String("id", e.ID.String()), slog.String("from", e.Sender.String())}
}

// Line implements event.Event.
func (e Expired) Line() (string, string) {
	return "postfix/qmgr", e.ID.String() + ": from=<" + e.Sender.String() + ">, status=expired, returned to sender"
}

// Removed is an item that has come to its end.
type Removed struct{ ID queue.ID }

// Level implements event.Event.
func (Removed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Removed) Record() (string, []slog.Attr) { return "", nil }

// Line implements event.Event.
func (e Removed) Line() (string, string) { return "postfix/qmgr", e.ID.String() + ": removed" }

// Trouble is a fault of ours, or of our disk.
type Trouble struct {
	ID   queue.ID
	What string
	Err  error
}

// Level implements event.Event.
func (Trouble) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Trouble) Record() (string, []slog.Attr) {
	return "delivery trouble", []slog.Attr{slog.String("what", e.What), slog.String("id", e.ID.String()), slog.String("error", e.Err.Error())}
}

// Topic implements event.Topical.
func (e Trouble) Topic() event.Topic { return event.Fault(e.Err) }

// Line implements event.Event.
func (e Trouble) Line() (string, string) {
	return "postfix/qmgr", fmt.Sprintf("error: %s: %s: %v", e.ID, e.What, e.Err)
}

var _ = []event.Topical{Tried{}, Notified{}, Trouble{}}

var _ = []event.Event{Tried{}, Notified{}, Expired{}, Removed{}, Trouble{}}
