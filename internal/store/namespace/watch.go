package namespace

import (
	"context"

	"facteur/internal/store/mailbox"
)

// maxWatched is how many accounts of others one session watches.
const maxWatched = 16

// Event is a mailbox.Notice in the words of the wire.
type Event struct {
	Name, Old string // "" is the server itself
	Kind      mailbox.NoticeKind
}

// Watch tells a session what happens to mailboxes that it sees: all of the user's
// own, and those of other accounts that it was asked to look into.
type Watch struct {
	space   *Space
	nudge   func()
	own     *mailbox.Watch
	foreign map[string]*watched // by owner
}

// watched is an account of another.
type watched struct {
	place *Place
	watch *mailbox.Watch
}

// Watch begins to watch; nudge is called when Next has something, under a lock: it
// must neither wait nor call back. names are mailboxes that may be in other
// accounts; those that the user may not look into, or that are too many, are passed
// over.
func (s *Space) Watch(ctx context.Context, names []string, nudge func()) *Watch {
	w := &Watch{space: s, nudge: nudge, own: s.own.Watch(), foreign: map[string]*watched{}}
	w.own.OnNotice(nudge)
	for _, wire := range names {
		if n, ok := s.settings.parse(wire); ok && n.kind != personal {
			w.add(ctx, wire, n)
		}
	}
	return w
}

func (w *Watch) add(ctx context.Context, wire string, n name) {
	owner := key(n.owner)
	if w.foreign[owner] != nil || len(w.foreign) >= maxWatched {
		return
	}
	p, err := w.space.Resolve(ctx, wire)
	if err != nil {
		return
	}
	watch := p.Account.Watch()
	watch.OnNotice(w.nudge)
	w.foreign[owner] = &watched{p, watch}
}

// Close ends the watching.
func (w *Watch) Close() {
	w.own.Close()
	for _, f := range w.foreign {
		f.watch.Close()
		f.place.Close()
	}
}

// Next gives what happened since the last call; lost says that it is not all.
func (w *Watch) Next(ctx context.Context) (out []Event, lost bool) {
	for _, n := range w.own.Next() {
		lost = lost || n.Kind == mailbox.NoticeLost
		out = append(out, w.event(n))
	}
	for _, f := range w.foreign {
		for _, n := range f.watch.Next() {
			lost = lost || n.Kind == mailbox.NoticeLost
			if e, ok := w.foreignEvent(ctx, f.place, n); ok {
				out = append(out, e)
			}
		}
	}
	return out, lost
}

// event is a notice of the user's own account. Subscriptions may be to others'.
func (w *Watch) event(n mailbox.Notice) Event {
	e := Event{Kind: n.Kind}
	if n.Mailbox != "" {
		named, _ := w.space.settings.subscribedName(n.Mailbox)
		e.Name = w.space.settings.wire(named)
	}
	if n.Old != "" {
		e.Old = w.space.settings.wire(name{inner: n.Old})
	}
	return e
}

// foreignEvent is a notice of another's account, if the user may know of it: he has to
// be allowed to look the mailbox up, and to read what messages it is about. Of
// mailboxes that are gone nobody can tell any more.
func (w *Watch) foreignEvent(ctx context.Context, p *Place, n mailbox.Notice) (Event, bool) {
	want := mailbox.RightLookup
	switch n.Kind {
	case mailbox.NoticeNew, mailbox.NoticeExpunged, mailbox.NoticeFlags, mailbox.NoticeMetadata:
		want |= mailbox.RightRead
	case mailbox.NoticeSubscribed, mailbox.NoticeLost, mailbox.NoticeDeleted:
		return Event{}, false
	}
	named := p.name
	named.inner = n.Mailbox
	rights, err := p.Account.Rights(ctx, n.Mailbox, p.Subject)
	if err != nil || !rights.Has(want) || !w.space.visible(named) {
		return Event{}, false
	}
	e := Event{Kind: n.Kind, Name: w.space.settings.wire(named)}
	return e, true // Old would tell a name that may have been hidden
}
