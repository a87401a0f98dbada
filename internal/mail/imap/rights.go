package imap

// SetACL is SETACL and DELETEACL (RFC 4314 §3.1, §3.2).
type SetACL struct {
	Mailbox    string
	Identifier string
	// Op is '+' or '-' where the rights are added or taken away, else 0: they are
	// replaced. Rights are letters, not yet checked; none for DELETEACL.
	Op     byte
	Rights string
}

// ListRights is LISTRIGHTS (RFC 4314 §3.4).
type ListRights struct{ Mailbox, Identifier string }

// rightsGrammar is the commands about who may do what with a mailbox.
func (d *Decoder) rightsGrammar(name string) (read func() any, known bool) {
	switch name {
	case "GETACL", "MYRIGHTS":
		return func() any { return Mailbox(d.mailbox()) }, true
	case "SETACL":
		return func() any { return d.setACL(true) }, true
	case "DELETEACL":
		return func() any { return d.setACL(false) }, true
	case "LISTRIGHTS":
		return d.listRights, true
	}
	return nil, false
}

func (d *Decoder) setACL(rights bool) any {
	a := SetACL{Mailbox: d.mailbox()}
	d.space()
	a.Identifier = d.astring()
	if !rights {
		return a
	}
	d.space()
	a.Rights = d.astring()
	if a.Rights != "" && (a.Rights[0] == '+' || a.Rights[0] == '-') {
		a.Op, a.Rights = a.Rights[0], a.Rights[1:]
	}
	return a
}

func (d *Decoder) listRights() any {
	l := ListRights{Mailbox: d.mailbox()}
	d.space()
	l.Identifier = d.astring()
	return l
}
