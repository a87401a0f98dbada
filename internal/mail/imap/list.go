package imap

// List is LIST with the options of RFC 5258 and what came after it.
type List struct {
	Reference string
	Patterns  []string // in UTF-8; one that is not modified UTF-7 is left out
	// Extended: options or several patterns were given.
	Extended bool

	// Selection options.
	SelectSubscribed, SelectRemote, RecursiveMatch, SelectSpecialUse bool
	// Return options.
	ReturnSubscribed, ReturnChildren, ReturnSpecialUse, ReturnMyRights bool
	// Metadata is the entries that RETURN (METADATA (…)) asks for (RFC 9590).
	Metadata []string
	// Status is what RETURN (STATUS (…)) asks for (RFC 5819), nil if it does not.
	Status []string
}

// LSub is LSUB (RFC 3501 §6.3.9).
type LSub struct {
	Reference string
	Patterns  []string // one, or none if it can't match
}

// Status is STATUS: Items are the names asked for, upper-case.
type Status struct {
	Mailbox string
	Items   []string
}

const maxPatterns = 100

func (d *Decoder) listArgs() any {
	var l List
	if d.peek() == '(' {
		l.Extended = true
		d.list(func() { d.selectOption(&l) })
		d.space()
	}
	l.Reference = d.reference()
	d.space()
	l.patterns(d)
	if d.accept(' ') {
		d.listReturn(&l)
	}
	if l.RecursiveMatch && !l.SelectSubscribed && !l.SelectSpecialUse {
		d.fail("RECURSIVEMATCH needs another selection option")
	}
	return l
}

func (l *List) patterns(d *Decoder) {
	if d.peek() != '(' {
		l.Patterns = d.pattern(l.Patterns)
		return
	}
	l.Extended = true
	n := 0
	d.list(func() {
		l.Patterns = d.pattern(l.Patterns)
		if n++; n > maxPatterns && d.err == nil {
			d.err = &LimitError{"Too many patterns"}
		}
	})
}

func (d *Decoder) selectOption(l *List) {
	switch w := d.word(); w {
	case "SUBSCRIBED":
		l.SelectSubscribed = true
	case "REMOTE":
		l.SelectRemote = true
	case "RECURSIVEMATCH":
		l.RecursiveMatch = true
	case "SPECIAL-USE":
		l.SelectSpecialUse = true
	default:
		d.fail("Unknown selection option %s", clip(w))
	}
}

func (d *Decoder) listReturn(l *List) {
	if !d.acceptWord("RETURN") {
		d.fail("Expected RETURN")
	}
	d.space()
	l.Extended = true
	d.list(func() {
		switch w := d.word(); w {
		case "SUBSCRIBED":
			l.ReturnSubscribed = true
		case "CHILDREN":
			l.ReturnChildren = true
		case "SPECIAL-USE":
			l.ReturnSpecialUse = true
		case "MYRIGHTS":
			l.ReturnMyRights = true
		case "METADATA":
			d.space()
			l.Metadata = d.entries()
		case "STATUS":
			d.space()
			l.Status = d.statusItems()
		default:
			d.fail("Unknown return option %s", clip(w))
		}
	})
}

// reference is a prefix of mailbox names. What is not modified UTF-7 (UTF-8 where that
// was enabled) is kept as it stands, and matches nothing.
func (d *Decoder) reference() string {
	raw := d.astring()
	if name, ok := d.decodeName(raw); ok {
		return name
	}
	return raw
}

// pattern appends a list-mailbox, decoded. A spelling that no name has never
// matches (ATTACKS IMAP-009), so it is left out.
func (d *Decoder) pattern(to []string) []string {
	var raw string
	if c := d.peek(); c == '"' || c == '{' {
		raw = d.str()
	} else {
		raw = d.run("a mailbox pattern", isListChar)
	}
	if name, ok := d.decodeName(raw); ok {
		to = append(to, name)
	}
	return to
}

func (d *Decoder) lsub() any {
	l := LSub{Reference: d.reference()}
	d.space()
	l.Patterns = d.pattern(nil)
	return l
}

func (d *Decoder) status() any {
	s := Status{Mailbox: d.mailbox()}
	d.space()
	s.Items = d.statusItems()
	return s
}

func (d *Decoder) statusItems() []string {
	items := []string{}
	d.list(func() {
		switch w := d.word(); w {
		case "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "DELETED-STORAGE", "SIZE", "APPENDLIMIT",
			"HIGHESTMODSEQ", "MAILBOXID":
			if len(items) < 20 {
				items = append(items, w)
			}
		default:
			d.fail("Unknown status item %s", clip(w))
		}
	})
	return items
}
