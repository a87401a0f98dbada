package control

import (
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
)

// Handled is something that an admin did to an item of the queue.
type Handled struct {
	Action Action
	By     Caller
	ID     queue.ID
	Sender string
	// Recipients are those that it was done to, as they are addressed now.
	Recipients []string
}

func newHandled(a Action, by Caller, it *queue.Item) Handled {
	h := Handled{Action: a, By: by, ID: it.ID, Sender: it.Sender.String()}
	for _, r := range it.Recipients {
		h.Recipients = append(h.Recipients, r.Address.String())
	}
	return h
}

// Level implements event.Event.
func (Handled) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (h Handled) Record() (string, []slog.Attr) {
	return "queue " + string(h.Action), []slog.Attr{slog.String("id", h.ID.String()), slog.String("by", h.By.String()),
		slog.String("from", h.Sender), slog.Int("recipients", len(h.Recipients))}
}

// done are the words of Postfix's postsuper for what is done to a message.
var done = map[Action]string{Hold: "placed on hold", Release: "released from hold", Delete: "removed", Requeue: "requeued",
	Expire: "expired", Retry: "scheduled for delivery"}

// Done is an action that is done, in postsuper's words: "placed on hold".
func (a Action) Done() string { return done[a] }

// Line implements event.Event.
func (h Handled) Line() (string, string) {
	return "postfix/postsuper", h.ID.String() + ": " + h.Action.Done() + ", by=" + h.By.String()
}

// Doomed is an item that was deleted while it was being tried: it has ended when that
// attempt has, if that does not deliver it.
type Doomed struct{ Handled }

// Line implements event.Event.
func (d Doomed) Line() (string, string) {
	return "postfix/postsuper", d.ID.String() + ": is being tried, removed after that, by=" + d.By.String()
}

// Summary is how much an order changed.
type Summary struct {
	Action Action
	By     Caller
	Count  Count
}

// Level implements event.Event.
func (Summary) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (s Summary) Record() (string, []slog.Attr) {
	return "queue changed", []slog.Attr{slog.String("action", string(s.Action)), slog.String("by", s.By.String()),
		slog.Int("items", s.Count.Items), slog.Int("recipients", s.Count.Recipients)}
}

// Line implements event.Event.
func (s Summary) Line() (string, string) {
	return "postfix/postsuper", s.Action.Total(s.Count.Items) + ", by=" + s.By.String()
}

// totals are postsuper's words before how many messages there were.
var totals = map[Action]string{Hold: "Placed on hold", Release: "Released from hold", Delete: "Deleted", Requeue: "Requeued",
	Expire: "Force-expired", Retry: "Scheduled for delivery"}

// Total is what an order did to n messages, as postsuper says it: "Deleted: 3
// messages".
func (a Action) Total(n int) string {
	if n == 1 {
		return totals[a] + ": 1 message"
	}
	return fmt.Sprintf("%s: %d messages", totals[a], n)
}

// Tidied is what an order did to the letters of one mailbox.
type Tidied struct {
	Action  Tidying
	By      Caller
	Account string
	Moved
}

// Tidying is what is done to letters of mailboxes.
type Tidying string

// What an admin can have done to the letters of an account.
const (
	Undeleting Tidying = "undelete" // expunged letters are back in the mailbox
	Expiring   Tidying = "expire"   // what the settings give a time is gone from it, or kept as expunged
	Expunging  Tidying = "expunge"  // gone from it, or kept as expunged
)

// Level implements event.Event.
func (Tidied) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (d Tidied) Record() (string, []slog.Attr) {
	return "mailbox " + string(d.Action), []slog.Attr{slog.String("by", d.By.String()), slog.String("account", d.Account),
		slog.String("mailbox", d.Mailbox), slog.Int("messages", d.Letters)}
}

// Line implements event.Event.
func (d Tidied) Line() (string, string) {
	return "dovecot", event.Clean(fmt.Sprintf("doveadm(%s): %s: messages=%d, by=%s, box=%q", d.Account, d.Action, d.Letters, d.By, d.Mailbox), maxLine)
}

// maxLine bounds a line that has the name of a mailbox in it, in bytes.
const maxLine = 2 << 10

var _ = []event.Event{Handled{}, Doomed{}, Summary{}, Tidied{}}
