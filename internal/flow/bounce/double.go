package bounce

import (
	"context"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/store/queue"
)

// What the house itself writes has a protocol of its own in the queue: a notice, and
// what is for the postmaster. The latter is the end: nothing is ever written because it
// could not be delivered.
const (
	fromHouse      = "internal"
	fromPostmaster = "double-bounce"
	// FromReport is that of reports to other servers: nobody hears what becomes of them
	// either, and nothing is counted because of them (LOOP-013).
	FromReport = "report"
)

// IsReport tells a report to another server.
func IsReport(it *queue.Item) bool { return it.Origin.Local && it.Origin.Protocol == FromReport }

// IsLast tells an item that nobody is told about, whatever becomes of it.
func IsLast(it *queue.Item) bool {
	return it.Origin.Local && it.Origin.Protocol == fromPostmaster || IsReport(it)
}

// Double says whether the postmaster is to get what could not be delivered to a
// recipient of an item, as nobody else can be told: it is a notice that we wrote
// ourselves. Who writes to us with the null sender is not believed that much: his mail
// would be a way to fill the postmaster's mailbox.
func (w *Writer) Double(it *queue.Item, now time.Time) bool {
	if !it.Sender.IsNull() || !it.Origin.Local || it.Origin.Protocol != fromHouse {
		return false
	}
	_, wanted := w.settings().Topics[event.DoubleBounce]
	return wanted && w.postmasters.count("", now) < perPostmaster
}

// ForPostmaster writes the notice for the postmaster about a notice that could not be
// delivered. It is false where there is no postmaster, or where he is who could not be
// reached.
func (w *Writer) ForPostmaster(ctx context.Context, it *queue.Item, told []Recipient, now time.Time) (queue.Draft, bool, error) {
	s := w.settings()
	to, err := w.postmaster(ctx, s, event.DoubleBounce)
	if err != nil || to.Address.IsNull() {
		return queue.Draft{}, false, err
	}
	for _, r := range told {
		if r.Address.Key() == to.Address.Key() {
			return queue.Draft{}, false, nil
		}
	}
	original, _ := w.beginning(ctx, it, s)
	report := w.report(it, s, to.Address, s.language(to.Address, nil), told, original, now)
	report.Postmaster = true
	w.postmasters.add("", now)
	d, err := w.draft(report, to, fromPostmaster, it.RequireTLS, now)
	return d, err == nil, err
}

// postmaster is who gets letters about a topic, and where they go; the zero Destination
// where there is nobody.
func (w *Writer) postmaster(ctx context.Context, s Settings, t event.Topic) (route.Destination, error) {
	a := w.router.Resolve(ctx, s.reader(t))
	switch a.State() {
	case lookup.Found:
		return a.Value(), nil
	case lookup.NotFound:
		return route.Destination{}, nil
	}
	return route.Destination{}, a.Err()
}
