package imap

// SourceKind is a way to name mailboxes (RFC 5465 §6, RFC 7377 §2.2).
type SourceKind uint8

// The ways.
const (
	SourceSelected   SourceKind = iota + 1
	SourceInboxes               // where mail is delivered
	SourcePersonal              // all of the user's own
	SourceSubscribed            //
	SourceSubtree               // Mailboxes and all below them
	SourceSubtreeOne            // Mailboxes and those right below them
	SourceMailboxes             // Mailboxes
)

// Source is mailboxes where ESEARCH is to look.
type Source struct {
	Kind      SourceKind
	Mailboxes []string
}

// maxSources bounds the names in one command.
const maxSources = 1000

// esearch is ESEARCH (RFC 7377 §2.1). The answer is ESEARCH always.
func (d *Decoder) esearch() any {
	var s Search
	if d.acceptWord("IN") {
		d.space()
		s.In = d.sources()
		d.space()
	}
	s.Return, _ = d.returnOptions()
	s.Extended = true
	d.searchProgram(&s)
	return s
}

func (d *Decoder) sources() (all []Source) {
	names := 0
	d.list(func() {
		if d.peek() == '(' {
			d.fail("No scope options are known") // RFC 7377 §2.1 defines none
		}
		all = append(all, d.source())
		if names += 1 + len(all[len(all)-1].Mailboxes); names > maxSources && d.err == nil {
			d.err = &LimitError{"Too many mailboxes"}
		}
	})
	if len(all) == 0 {
		d.fail("Search where?")
	}
	return all
}

func (d *Decoder) source() Source {
	w := d.word()
	switch w {
	case "SELECTED":
		return Source{Kind: SourceSelected}
	case "INBOXES":
		return Source{Kind: SourceInboxes}
	case "PERSONAL":
		return Source{Kind: SourcePersonal}
	case "SUBSCRIBED":
		return Source{Kind: SourceSubscribed}
	case "SUBTREE":
		return Source{SourceSubtree, d.oneOrMore()}
	case "SUBTREE-ONE":
		return Source{SourceSubtreeOne, d.oneOrMore()}
	case "MAILBOXES":
		return Source{SourceMailboxes, d.oneOrMore()}
	}
	d.fail("Unknown source %s", clip(w))
	return Source{}
}

// oneOrMore reads a mailbox, or several in parentheses.
func (d *Decoder) oneOrMore() (names []string) {
	d.space()
	if d.peek() != '(' {
		return []string{d.mailbox()}
	}
	d.list(func() { names = append(names, d.mailbox()) })
	if len(names) == 0 {
		d.fail("Search where?")
	}
	return names
}
