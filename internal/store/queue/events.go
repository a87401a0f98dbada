package queue

import (
	"log/slog"
	"strconv"

	"facteur/internal/base/event"
)

// Cleaned is what Postfix's cleanup tells of an item: its Message-ID. In the structured
// log what brought the item here tells it.
type Cleaned struct {
	ID        ID
	MessageID string
}

// Level implements event.Event.
func (Cleaned) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (Cleaned) Record() (string, []slog.Attr) { return "", nil }

// Line implements event.Event.
func (e Cleaned) Line() (string, string) {
	return "postfix/cleanup", e.ID.String() + ": message-id=" + e.MessageID
}

// Active is an item that is to be tried: as something new, or after a pause. In the
// structured log the attempts say as much.
type Active struct{ Item *Item }

// Level implements event.Event.
func (Active) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (Active) Record() (string, []slog.Attr) { return "", nil }

// Line implements event.Event.
func (e Active) Line() (string, string) {
	return "postfix/qmgr", e.Item.ID.String() + ": from=<" + e.Item.Sender.String() + ">, size=" +
		strconv.FormatInt(e.Item.Size, 10) + ", nrcpt=" + strconv.Itoa(len(e.Item.Recipients)) + " (queue active)"
}

var _ = []event.Event{Cleaned{}, Active{}}
