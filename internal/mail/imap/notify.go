package imap

// Notify is NOTIFY (RFC 5465 §3.1). No Groups is NOTIFY NONE.
type Notify struct {
	Status bool // the client wants to know how the mailboxes are now
	Groups []NotifyGroup
}

// NotifyGroup is what a client wants to hear of some mailboxes.
type NotifyGroup struct {
	// Filter is SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or
	// MAILBOXES; the last two go with Mailboxes.
	Filter    string
	Mailboxes []string
	Events    NotifyEvents // none for NONE
	// Unknown says that an event is asked for that we have never heard of.
	Unknown bool
	// Fetch is what is told of new messages in the selected mailbox.
	Fetch []FetchItem
}

// NotifyEvents is a set of events.
type NotifyEvents uint16

// The events of RFC 5465 §5.
const (
	NotifyNew NotifyEvents = 1 << iota
	NotifyExpunge
	NotifyFlags
	NotifyAnnotation
	NotifyName
	NotifySubscription
	NotifyMetadata
	NotifyServerMetadata
)

const (
	maxGroups          = 50
	maxNotifyMailboxes = 1000
)

// notifyGrammar is NOTIFY.
func (d *Decoder) notifyGrammar(name string) (read func() any, known bool) {
	if name == "NOTIFY" {
		return d.notify, true
	}
	return nil, false
}

func (d *Decoder) notify() any {
	var n Notify
	if d.acceptWord("NONE") {
		return n
	}
	if !d.acceptWord("SET") {
		d.fail("Expected SET or NONE")
	}
	d.space()
	if d.acceptWord("STATUS") {
		n.Status = true
		d.space()
	}
	for {
		n.Groups = append(n.Groups, d.notifyGroup())
		if len(n.Groups) > maxGroups && d.err == nil {
			d.err = &LimitError{"Too many event groups"}
		}
		if d.err != nil || !d.accept(' ') {
			return n
		}
	}
}

func (d *Decoder) notifyGroup() NotifyGroup {
	d.expect('(')
	g := NotifyGroup{Filter: d.word()}
	switch g.Filter {
	case "SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED":
	case "SUBTREE", "MAILBOXES":
		d.space()
		g.Mailboxes = d.notifyMailboxes()
	default:
		d.fail("Unknown mailboxes %s", clip(g.Filter))
	}
	d.space()
	if !d.acceptWord("NONE") {
		d.notifyEvents(&g)
	}
	d.expect(')')
	return g
}

func (d *Decoder) notifyMailboxes() (names []string) {
	if d.peek() != '(' {
		return []string{d.mailbox()}
	}
	d.list(func() {
		if names = append(names, d.mailbox()); len(names) > maxNotifyMailboxes && d.err == nil {
			d.err = &LimitError{"Too many mailboxes"}
		}
	})
	return names
}

// notifyEvents reads the events. Those of messages hang together (RFC 5465 §5).
func (d *Decoder) notifyEvents(g *NotifyGroup) {
	selected := g.Filter == "SELECTED" || g.Filter == "SELECTED-DELAYED"
	d.list(func() {
		e := notifyEvent(d.word())
		g.Events |= e
		g.Unknown = g.Unknown || e == 0
		if e == NotifyNew && len(d.line) > d.pos+1 && d.peek() == ' ' && d.line[d.pos+1] == '(' {
			d.space()
			g.Fetch = d.notifyFetch(selected)
		}
	})
	both := g.Events & (NotifyNew | NotifyExpunge)
	switch {
	case g.Events == 0 && !g.Unknown:
		d.fail("Expected an event")
	case both != 0 && both != NotifyNew|NotifyExpunge:
		d.fail("MessageNew and MessageExpunge go together")
	case g.Events&(NotifyFlags|NotifyAnnotation) != 0 && both == 0:
		d.fail("FlagChange and AnnotationChange need MessageNew and MessageExpunge")
	case selected && g.Events&^(NotifyNew|NotifyExpunge|NotifyFlags|NotifyAnnotation) != 0:
		d.fail("Only events of messages are told of the selected mailbox")
	}
}

func (d *Decoder) notifyFetch(selected bool) (items []FetchItem) {
	if !selected {
		d.fail("Data items are told of the selected mailbox only")
	}
	d.list(func() {
		if items = append(items, d.fetchItem()); len(items) > maxItems && d.err == nil {
			d.err = &LimitError{"Too many data items"}
		}
	})
	return items
}

func notifyEvent(word string) NotifyEvents {
	switch word {
	case "MESSAGENEW":
		return NotifyNew
	case "MESSAGEEXPUNGE":
		return NotifyExpunge
	case "FLAGCHANGE":
		return NotifyFlags
	case "ANNOTATIONCHANGE":
		return NotifyAnnotation
	case "MAILBOXNAME":
		return NotifyName
	case "SUBSCRIPTIONCHANGE":
		return NotifySubscription
	case "MAILBOXMETADATACHANGE":
		return NotifyMetadata
	case "SERVERMETADATACHANGE":
		return NotifyServerMetadata
	}
	return 0
}
