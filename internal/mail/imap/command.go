package imap

// Command is one command of a client.
type Command struct {
	Tag  string // "" if it could not be read
	Name string // upper-case; "UID FETCH" and the like are one name
	Args any    // nil, or the struct that belongs to the name
}

// The arguments of commands. A command that takes none, or one that this
// package does not know, has Args nil.
type (
	// Login is LOGIN.
	Login struct{ User, Password string }
	// Authenticate is AUTHENTICATE. Initial is the base64 text that came along
	// (RFC 4959), "=" for an empty response.
	Authenticate struct {
		Mechanism  string
		Initial    string
		HasInitial bool
	}
	// ID is what the client says of itself (RFC 2971): field, value, field, …
	ID []string
	// Enable is the names of ENABLE, upper-case.
	Enable []string
	// Compress is the algorithm of COMPRESS (RFC 4978), upper-case.
	Compress string
	// Mailbox is the one argument of DELETE, SUBSCRIBE and UNSUBSCRIBE, in UTF-8.
	Mailbox string
	// Create is CREATE with the special uses asked for (RFC 6154 §3).
	Create struct {
		Mailbox    string
		SpecialUse []string
	}
	// Rename is RENAME.
	Rename struct{ From, To string }
	// Copy is COPY and MOVE, with or without UID.
	Copy struct {
		Set     SequenceSet
		Mailbox string
	}
	// Expunge is UID EXPUNGE (RFC 4315 §2.1).
	Expunge struct{ Set SequenceSet }
)

// errUnknown marks a command that is none of ours.
var errUnknown = &SyntaxError{"Unknown command"}

// Next reads a command. With an error the Tag is set if it could be read, so
// that the answer can carry it. If the Args are an *Append or a *Replace, it is to
// be read to its end, or refused, before Next is called again.
func (d *Decoder) Next() (Command, error) {
	d.reset()
	d.readLine(d.limits.Line)
	if d.err != nil {
		return Command{}, d.err
	}
	c := Command{Tag: d.tag()}
	d.space()
	if c.Name = d.word(); c.Name == "UID" {
		d.space()
		c.Name += " " + d.word()
	}
	c.Args = d.args(c.Name)
	if d.err != nil {
		d.skip(d.limits.Literals, d.limits.LiteralBytes)
		return c, d.err
	}
	return c, nil
}

// args reads what belongs to a name, to the end of the command.
func (d *Decoder) args(name string) any {
	switch name { // they go on with literals that are not to be read yet
	case "APPEND":
		return d.appendArgs()
	case "REPLACE", "UID REPLACE":
		return d.replaceArgs()
	case "RESETKEY": // which may have no arguments
		defer d.end()
		return d.resetKey()
	}
	read, known := d.grammar(name)
	if !known {
		if d.err == nil {
			d.err = errUnknown
		}
		return nil
	}
	var args any
	if read != nil {
		d.space()
		args = read()
	}
	d.end()
	return args
}

// grammar asks the families of commands, the same as those of the server; a nil
// function takes no arguments.
func (d *Decoder) grammar(name string) (read func() any, known bool) {
	for _, family := range []func(string) (func() any, bool){
		d.sessionGrammar, d.mailboxGrammar, d.letterGrammar, d.searchGrammar,
		d.rightsGrammar, d.metadataGrammar, d.notifyGrammar, d.urlGrammar, d.quotaGrammar,
	} {
		if read, known = family(name); known {
			return read, known
		}
	}
	return nil, false
}

// sessionGrammar is the commands about the session itself.
func (d *Decoder) sessionGrammar(name string) (read func() any, known bool) {
	switch name {
	case "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "IDLE", "UNAUTHENTICATE":
		return nil, true
	case "COMPRESS":
		return func() any { return Compress(d.word()) }, true
	case "LOGIN":
		return d.login, true
	case "AUTHENTICATE":
		return d.authenticate, true
	case "ID":
		return d.id, true
	case "ENABLE":
		return d.enable, true
	}
	return nil, false
}

// mailboxGrammar is the commands about mailboxes.
func (d *Decoder) mailboxGrammar(name string) (read func() any, known bool) {
	switch name {
	case "NAMESPACE":
		return nil, true
	case "SELECT", "EXAMINE":
		return d.selectArgs, true
	case "DELETE", "SUBSCRIBE", "UNSUBSCRIBE":
		return func() any { return Mailbox(d.mailbox()) }, true
	case "CREATE":
		return d.create, true
	case "RENAME":
		return d.rename, true
	case "LIST":
		return d.listArgs, true
	case "LSUB":
		return d.lsub, true
	case "STATUS":
		return d.status, true
	}
	return nil, false
}

// letterGrammar is the commands on letters.
func (d *Decoder) letterGrammar(name string) (read func() any, known bool) {
	switch name {
	case "CHECK", "CLOSE", "UNSELECT", "EXPUNGE":
		return nil, true
	case "COPY", "MOVE", "UID COPY", "UID MOVE":
		return d.copyArgs, true
	case "UID EXPUNGE":
		return func() any { return Expunge{d.sequenceSet()} }, true
	case "FETCH", "UID FETCH":
		return d.fetch, true
	case "STORE", "UID STORE":
		return d.store, true
	}
	return nil, false
}

func (d *Decoder) login() any {
	user := d.astring()
	d.space()
	return Login{user, d.astring()}
}

func (d *Decoder) authenticate() any {
	a := Authenticate{Mechanism: d.word()}
	if d.accept(' ') {
		a.HasInitial = true
		a.Initial = d.run("base64", func(c byte) bool { return c > ' ' && c < 0x7f })
	}
	return a
}

// maxIDFields is the limit of RFC 2971 §3.3.
const maxIDFields = 30

func (d *Decoder) id() any {
	var fields ID
	if d.acceptWord("NIL") {
		return fields
	}
	d.list(func() {
		name := d.str()
		d.space()
		if fields = append(fields, name, d.nstring()); len(fields) > 2*maxIDFields {
			d.fail("Too many fields in ID")
		}
	})
	return fields
}

func (d *Decoder) enable() any {
	names := Enable{d.word()}
	for d.accept(' ') {
		names = append(names, d.word())
	}
	return names
}

// create takes the parameters of RFC 6154 §3, of which USE is the only one.
func (d *Decoder) create() any {
	c := Create{Mailbox: d.mailbox()}
	if !d.accept(' ') {
		return c
	}
	d.list(func() {
		if !d.acceptWord("USE") {
			d.fail("Unknown parameter of CREATE")
			return
		}
		d.space()
		d.list(func() {
			d.expect('\\')
			c.SpecialUse = append(c.SpecialUse, `\`+d.atom())
		})
	})
	return c
}

func (d *Decoder) rename() any {
	from := d.mailbox()
	d.space()
	return Rename{from, d.mailbox()}
}

func (d *Decoder) copyArgs() any {
	set := d.sequenceSet()
	d.space()
	return Copy{set, d.mailbox()}
}
