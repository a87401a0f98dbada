package imapd

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/server/listen"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// notice is what NOTIFY asked for (RFC 5465).
type notice struct {
	groups []imap.NotifyGroup // none: NOTIFY NONE
	watch  *namespace.Watch   // nil without groups for other mailboxes
}

func (s *session) notifyCommand(name string) (handler, when) {
	if name == "NOTIFY" {
		return s.notify, afterLogin
	}
	return nil, 0
}

var notifyCapabilities = []string{"NOTIFY"}

// errBadEvent tells which events there are.
const errBadEvent = refusal("[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange " +
	"MailboxMetadataChange ServerMetadataChange)] Some of the events are not known here")

// notify replaces what the client wants to hear of.
func (s *session) notify(ctx context.Context, c imap.Command) (string, error) {
	n := c.Args.(imap.Notify)
	var names []string
	for _, g := range n.Groups {
		if g.Unknown || g.Events&imap.NotifyAnnotation != 0 {
			return "", errBadEvent
		}
		names = append(names, g.Mailboxes...)
	}
	s.forgetNotify()
	s.notices = &notice{groups: n.Groups}
	if slices.ContainsFunc(n.Groups, func(g imap.NotifyGroup) bool { return !selectedFilter(g) }) {
		s.notices.watch = s.space.Watch(ctx, names, s.wire.conn.Nudge)
	}
	if n.Status {
		return "NOTIFY completed", s.notifyStatus(ctx)
	}
	return "NOTIFY completed", nil
}

// forgetNotify is the state before any NOTIFY.
func (s *session) forgetNotify() {
	if s.notices != nil && s.notices.watch != nil {
		s.notices.watch.Close()
	}
	s.notices = nil
}

func selectedFilter(g imap.NotifyGroup) bool {
	return g.Filter == "SELECTED" || g.Filter == "SELECTED-DELAYED"
}

// notifyStatus tells how the mailboxes are whose messages the client wants to
// hear of, but for the selected one.
func (s *session) notifyStatus(ctx context.Context) error {
	infos, err := s.space.List(ctx, func(string) bool { return true })
	if err != nil {
		return err
	}
	for _, f := range infos {
		events := s.notices.wanted(s, f.Name, f.Subscribed)
		if !f.Exists || events&imap.NotifyNew == 0 || s.space.IsSelected(f.Name) {
			continue
		}
		if err := s.sayNotifyStatus(ctx, f.Name, events); err != nil {
			return err
		}
	}
	return nil
}

// sayNotifyStatus is STATUS with what the events are about.
func (s *session) sayNotifyStatus(ctx context.Context, name string, events imap.NotifyEvents) error {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY"}
	if events&imap.NotifyFlags != 0 {
		items = append(items, "UNSEEN")
	}
	if s.enabled(CONDSTORE) {
		items = append(items, "HIGHESTMODSEQ")
	}
	err := s.sayStatus(ctx, name, items)
	if errors.Is(err, mailbox.ErrNoMailbox) || errors.Is(err, mailbox.ErrNoPermission) {
		return nil
	}
	return err
}

// wanted is the events that the client wants of a mailbox: the first group that it is
// in says.
func (n *notice) wanted(s *session, name string, subscribed bool) imap.NotifyEvents {
	for _, g := range n.groups {
		if !selectedFilter(g) && s.covers(g, name, subscribed) {
			return g.Events
		}
	}
	return 0
}

func (s *session) covers(g imap.NotifyGroup, name string, subscribed bool) bool {
	switch g.Filter {
	case "INBOXES":
		return name == "INBOX"
	case "PERSONAL":
		return s.space.IsPersonal(name)
	case "SUBSCRIBED":
		return subscribed
	}
	return slices.ContainsFunc(g.Mailboxes, func(m string) bool {
		return s.space.Same(m, name) || g.Filter == "SUBTREE" && s.space.Below(m, name)
	})
}

// selectedGroup is what the client wants of the selected mailbox; ok is false where no
// NOTIFY changed what is usual.
func (s *session) selectedGroup() (g imap.NotifyGroup, ok bool) {
	if s.notices == nil {
		return g, false
	}
	for _, g := range s.notices.groups {
		if selectedFilter(g) {
			return g, true
		}
	}
	return g, true // of which it wants nothing
}

// filtered is the changes of the selected mailbox that the client wants to hear of.
// Removals and arrivals it must hear of with its own commands: message numbers
// depend on them.
func (s *session) filtered(changes []mailbox.Change) []mailbox.Change {
	g, ok := s.selectedGroup()
	if !ok || g.Events&imap.NotifyFlags != 0 {
		return changes
	}
	return slices.DeleteFunc(changes, func(c mailbox.Change) bool { return c.Kind == mailbox.Reflagged })
}

// sayArrived fetches what the client wants to be told of new messages.
func (s *session) sayArrived(ctx context.Context, before uint32) error {
	g, ok := s.selectedGroup()
	if !ok || len(g.Fetch) == 0 || s.view.Len() <= before {
		return nil
	}
	items := g.Fetch
	if !slices.ContainsFunc(items, func(it imap.FetchItem) bool { return it.Kind == imap.FetchUID }) {
		items = append([]imap.FetchItem{{Kind: imap.FetchUID, Name: "UID"}}, items...)
	}
	return s.fetchAll(ctx, newFetchJob(items), imap.Ranges{{From: before + 1, To: s.view.Len()}})
}

// pause is what interrupts the wait for a command when NOTIFY asked for something,
// nil without. until is when the client has waited too long.
func (s *session) pause(ctx context.Context) func(error) (time.Duration, error) {
	if s.notices == nil || len(s.notices.groups) == 0 {
		return nil
	}
	end := time.Now().Add(s.wire.patience())
	return func(why error) (time.Duration, error) {
		left := time.Until(end)
		if !errors.Is(why, listen.ErrNudged) || left <= 0 {
			return 0, os.ErrDeadlineExceeded
		}
		return left, s.push(ctx)
	}
}

// push tells between commands what happened.
func (s *session) push(ctx context.Context) error {
	g, ok := s.selectedGroup()
	if s.view != nil && ok && g.Events != 0 {
		if err := s.announce(ctx, g.Filter == "SELECTED"); err != nil {
			return err
		}
	}
	if err := s.sayEvents(ctx); err != nil {
		return err
	}
	return s.enc.Flush()
}

// sayEvents tells what happened to mailboxes that are not selected.
func (s *session) sayEvents(ctx context.Context) error {
	if s.notices == nil || s.notices.watch == nil {
		return nil
	}
	events, lost := s.notices.watch.Next(ctx)
	if lost {
		s.forgetNotify()
		s.notices = &notice{}
		s.untagged("OK [NOTIFICATIONOVERFLOW] Too much happened; this is as after NOTIFY NONE")
		return nil
	}
	if len(events) == 0 {
		return nil
	}
	return s.sayEach(ctx, events)
}

func (s *session) sayEach(ctx context.Context, events []namespace.Event) error {
	subscribed, err := s.space.Subscribed(ctx)
	if err != nil {
		return err
	}
	told := map[string]bool{} // STATUS was told
	for _, e := range events {
		events := s.notices.wanted(s, e.Name, subscribed[e.Name])
		if e.Name == "" {
			events = s.notices.ofServer()
		}
		if err := s.sayEvent(ctx, e, events, subscribed[e.Name], told); err != nil {
			return err
		}
	}
	return nil
}

// ofServer is what the client wants to hear of the server: any group may say.
func (n *notice) ofServer() (events imap.NotifyEvents) {
	for _, g := range n.groups {
		events |= g.Events & imap.NotifyServerMetadata
	}
	return events
}

func (s *session) sayEvent(ctx context.Context, e namespace.Event, wanted imap.NotifyEvents, subscribed bool, told map[string]bool) error {
	switch e.Kind {
	case mailbox.NoticeNew, mailbox.NoticeExpunged, mailbox.NoticeFlags:
		need := imap.NotifyNew
		if e.Kind == mailbox.NoticeFlags {
			need = imap.NotifyFlags
		}
		if wanted&need == 0 || told[e.Name] || s.space.IsSelected(e.Name) {
			return nil
		}
		told[e.Name] = true
		return s.sayNotifyStatus(ctx, e.Name, wanted)
	case mailbox.NoticeCreated, mailbox.NoticeRenamed, mailbox.NoticeDeleted:
		if wanted&imap.NotifyName != 0 {
			s.sayName(e)
		}
	case mailbox.NoticeSubscribed:
		if wanted&imap.NotifySubscription != 0 {
			s.sayList("LIST", e.Name, subscribedAttribute(subscribed))
			s.enc.Raw("\r\n")
		}
	case mailbox.NoticeMetadata:
		if wanted&(imap.NotifyMetadata|imap.NotifyServerMetadata) != 0 {
			return s.sayMetadataNames(ctx, e.Name)
		}
	}
	return nil
}

func subscribedAttribute(on bool) []string {
	if on {
		return []string{`\Subscribed`}
	}
	return nil
}

// sayName tells that a mailbox came, went, or is called otherwise (RFC 5465 §5.4).
func (s *session) sayName(e namespace.Event) {
	var attributes []string
	if e.Kind == mailbox.NoticeDeleted {
		attributes = []string{`\NonExistent`}
	}
	if e.Kind == mailbox.NoticeRenamed && e.Old != "" {
		s.sayOldName(e.Name, e.Old)
		return
	}
	s.sayList("LIST", e.Name, attributes)
	s.enc.Raw("\r\n")
}

// sayMetadataNames tells which annotations there are, as some of them changed
// (RFC 5464 §4.4.2).
func (s *session) sayMetadataNames(ctx context.Context, name string) error {
	entries, err := s.space.Changed(ctx, name)
	if errors.Is(err, mailbox.ErrNoMailbox) || errors.Is(err, mailbox.ErrNoPermission) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	s.enc.Raw("* METADATA ")
	s.enc.Mailbox(name)
	s.enc.Raw(" " + strings.Join(entries, " ") + "\r\n")
	return nil
}
