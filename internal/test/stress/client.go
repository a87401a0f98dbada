package stress

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// client is one of many: a connection, what it believes, and a die.
type client struct {
	name   string
	world  *world
	book   *Book
	random *rand.Rand

	wire    *wire
	tag     int
	running string // the command that goes on, "" when none does
	can     map[string]bool
	view    *view

	fresh    *view            // of a SELECT that goes on
	earlier  []uint32         // VANISHED (EARLIER) of it
	found    []uint32         // by SEARCH
	lastCode list             // of the tagged answer
	codes    []list           // of untagged OK
	last     string           // the end of the conversation before a pause
	kept     map[string]*view // pictures to come back to with QRESYNC
}

// errBroken ends a conversation after a violation.
var errBroken = errors.New("a violation")

// wrong tells a violation with the end of the conversation.
func (c *client) wrong(format string, args ...any) error {
	c.book.violation("%s: %s\n    %s", c.name, fmt.Sprintf(format, args...), strings.Join(c.wire.said, "\n    "))
	return errBroken
}

// connect opens a connection and logs in.
func (c *client) connect() (err error) {
	c.view, c.tag, c.running = nil, 0, "greeting"
	if c.wire, err = dial(c.world.Addr); err != nil {
		return err
	}
	r, err := c.wire.read()
	if err != nil {
		return err
	}
	if r.tag != "*" || r.name != "OK" {
		return c.wrong("the greeting is %+v", r)
	}
	if err := c.ok("LOGIN %s %s", c.world.User, c.world.Password); err != nil {
		return err
	}
	c.can = make(map[string]bool)
	if err := c.ok("CAPABILITY"); err != nil {
		return err
	}
	if c.can["QRESYNC"] && c.random.IntN(2) == 0 {
		return c.ok("ENABLE QRESYNC")
	}
	c.can["QRESYNC"] = false
	return nil
}

func (c *client) disconnect() {
	if c.wire != nil {
		c.wire.conn.Close()
	}
	c.wire, c.view = nil, nil
}

// ok runs a command that has to succeed.
func (c *client) ok(format string, args ...any) error {
	status, err := c.run(fmt.Sprintf(format, args...))
	if err == nil && status != "OK" {
		err = c.wrong("%s was answered with %s", fmt.Sprintf(format, args...), status)
	}
	return err
}

// may runs a command that may fail, for letters may be gone already.
func (c *client) may(format string, args ...any) error {
	_, err := c.run(fmt.Sprintf(format, args...))
	return err
}

// run sends a command and takes its answers in.
func (c *client) run(command string) (status string, err error) {
	if err := c.begin(command); err != nil {
		return "", err
	}
	return c.finish()
}

func (c *client) begin(command string) error {
	c.tag++
	words := strings.Fields(command)
	if c.running = strings.ToUpper(words[0]); c.running == "UID" {
		c.running = "UID " + strings.ToUpper(words[1])
	}
	c.lastCode, c.codes, c.found = nil, nil, nil
	if c.view != nil {
		for n := range c.view.messages {
			c.view.messages[n].told = false
		}
	}
	return c.wire.send(fmt.Sprintf("%s%d %s\r\n", c.name, c.tag, command))
}

// finish reads up to the tagged answer.
func (c *client) finish() (status string, err error) {
	for {
		r, err := c.wire.read()
		if errors.Is(err, errForm) {
			return "", c.wrong("%v", err)
		}
		if err != nil {
			return "", err
		}
		switch r.tag {
		case "*":
			if err := c.untagged(r); err != nil {
				return "", c.wrong("during %q: %v", c.running, err)
			}
		case fmt.Sprintf("%s%d", c.name, c.tag):
			c.lastCode = r.code
			if r.name == "BAD" {
				return "", c.wrong("%s: BAD %s", c.running, r.text)
			}
			c.running = ""
			return r.name, nil
		default:
			return "", c.wrong("an answer to %q during %q", r.tag, c.running)
		}
	}
}

// proceed waits for the server to ask for a literal or for DONE.
func (c *client) proceed() (asked bool, err error) {
	for {
		r, err := c.wire.read()
		if errors.Is(err, errForm) {
			return false, c.wrong("%v", err)
		}
		switch {
		case err != nil:
			return false, err
		case r.tag == "+":
			return true, nil
		case r.tag != "*":
			c.running = ""
			return false, nil
		}
		if err := c.untagged(r); err != nil {
			return false, c.wrong("during %q: %v", c.running, err)
		}
	}
}

// untagged takes a response in.
func (c *client) untagged(r response) error {
	v := c.view
	if c.fresh != nil {
		v = c.fresh
	}
	switch r.name {
	case "OK", "NO", "BAD":
		return c.status(r)
	case "BYE":
		if c.running != "LOGOUT" {
			return fmt.Errorf("BYE %s", r.text)
		}
	case "CAPABILITY":
		for _, name := range r.data {
			text, _ := name.(string)
			c.can[text] = true
		}
	case "SEARCH":
		return c.search(r.data)
	case "EXISTS", "EXPUNGE", "VANISHED", "FETCH":
		if v == nil {
			return fmt.Errorf("%s, and nothing is selected", r.name)
		}
		return c.change(v, r)
	case "RECENT", "FLAGS", "LIST", "STATUS", "ENABLED", "ESEARCH":
	default:
		return fmt.Errorf("unknown response %q", r.name)
	}
	return nil
}

func (c *client) search(data list) error {
	for _, value := range data {
		if _, isModseq := value.(list); isModseq {
			continue // RFC 7162 §3.1.5
		}
		n, err := number(value)
		if err != nil || n == 0 {
			return fmt.Errorf("SEARCH %v", data)
		}
		c.found = append(c.found, uint32(n))
	}
	return nil
}

// status takes the code of an untagged OK in.
func (c *client) status(r response) error {
	if c.codes = append(c.codes, r.code); c.fresh == nil || len(r.code) < 2 {
		return nil
	}
	name, _ := r.code[0].(string)
	value, err := number(r.code[1])
	switch strings.ToUpper(name) {
	case "UIDVALIDITY":
		c.fresh.validity = uint32(value)
	case "UIDNEXT":
		c.fresh.next = uint32(value)
	case "HIGHESTMODSEQ":
		c.fresh.modseq = value
	default:
		return nil
	}
	return err
}

// change is what happens to the mailbox.
func (c *client) change(v *view, r response) error {
	switch r.name {
	case "EXISTS":
		return v.exists(r.number)
	case "EXPUNGE":
		if c.can["QRESYNC"] {
			return errors.New("EXPUNGE, and QRESYNC is enabled")
		}
		if !mayExpunge(c.running) {
			return fmt.Errorf("%d EXPUNGE in %q", r.number, c.running)
		}
		uid, err := v.expunge(r.number)
		if uid != 0 {
			c.book.gone(v.name, uid)
		}
		return err
	case "VANISHED":
		return c.vanished(v, r.data)
	}
	m, items, err := v.fetched(r)
	if err != nil {
		return err
	}
	c.book.modseq(v.name, m.modseq)
	if m.uid != 0 {
		c.book.flags(c.name, v.name, m.uid, m.flags)
	}
	return c.contents(v, m, items)
}

// vanished is RFC 7162 §3.2.10; EARLIER tells only what a client that comes back missed.
func (c *client) vanished(v *view, data list) error {
	earlier := len(data) == 2
	if len(data) == 0 || !c.can["QRESYNC"] {
		return fmt.Errorf("VANISHED %v", data)
	}
	if !earlier && !mayExpunge(c.running) {
		return fmt.Errorf("VANISHED in %q", c.running)
	}
	set, _ := data[len(data)-1].(string)
	uids, err := numbers(set)
	if err != nil {
		return err
	}
	if earlier {
		c.earlier = append(c.earlier, uids...)
		return nil
	}
	for _, uid := range uids {
		if err := v.vanish(uid); err != nil {
			return err
		}
		c.book.gone(v.name, uid)
	}
	return nil
}

// constant are the items that never change for a UID.
var constant = map[string]bool{"RFC822.SIZE": true, "INTERNALDATE": true, "ENVELOPE": true, "BODY": true, "BODYSTRUCTURE": true}

// contents tells the book what was read of a letter.
func (c *client) contents(v *view, m *message, items map[string]any) error {
	for name, value := range items {
		if m.uid != 0 && constant[name] {
			c.book.fixed(v.name, m.uid, name, fmt.Sprint(value))
		}
		if envelope, _ := value.(list); name == "ENVELOPE" && m.uid != 0 && len(envelope) > 1 {
			id, _ := envelope[1].(string)
			c.book.seen(v.name, m.uid, id, v.selectedAt)
		}
		text, isText := value.(string)
		switch {
		case strings.HasPrefix(name, "BODY[HEADER.FIELDS") && m.uid != 0 && isText:
			id := field(text, "X-Letter")
			if id == "" {
				return fmt.Errorf("UID %d has no X-Letter: %q", m.uid, text)
			}
			m.known = true
			c.book.seen(v.name, m.uid, id, v.selectedAt)
		case name == "BODY[]" && m.uid != 0 && isText:
			if items["RFC822.SIZE"] != fmt.Sprint(len(text)) {
				return fmt.Errorf("UID %d has %d octets, and RFC822.SIZE is %v", m.uid, len(text), items["RFC822.SIZE"])
			}
			c.book.body(v.name, m.uid, text)
			m.read = true
		}
	}
	return nil
}

// open selects a mailbox and learns what is in it.
func (c *client) open(name string, readOnly bool) error {
	verb := map[bool]string{false: "SELECT", true: "EXAMINE"}[readOnly]
	if err := c.openWith(fmt.Sprintf("%s %s", verb, name), name, readOnly); err != nil {
		return err
	}
	return c.learn()
}

// openWith is open with a command of its own, and without learning more.
func (c *client) openWith(command, name string, readOnly bool) error {
	before := c.book.expect(name)
	c.view = nil
	c.fresh, c.earlier = &view{name: name, readOnly: readOnly, selectedAt: before.at}, nil
	err := c.ok("%s", command)
	v := c.fresh
	if c.fresh = nil; err != nil {
		return err
	}
	if v.validity == 0 || v.next == 0 {
		return c.wrong("%s without UIDVALIDITY or UIDNEXT", command)
	}
	c.book.selected(name, before, v.validity, v.next, v.modseq)
	for _, m := range v.messages {
		if m.uid >= v.next {
			return c.wrong("UID %d is not below UIDNEXT %d", m.uid, v.next)
		}
	}
	c.view = v
	return nil
}

// learn asks for what is not known of the letters in the mailbox: UID, flags, and which
// letter it is.
func (c *client) learn() error {
	for c.view != nil {
		set := c.view.unknown()
		if set == "" {
			return nil
		}
		if err := c.may("FETCH %s (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Letter)])", set); err != nil {
			return err
		}
		for n := range c.view.messages {
			if m := &c.view.messages[n]; !m.known {
				// Gone already, and not yet told: a server may keep silent about it.
				return c.ok("NOOP")
			}
		}
	}
	return nil
}

// settle takes everything in that there is to be told.
func (c *client) settle() error {
	if c.view == nil {
		return nil
	}
	if err := c.ok("NOOP"); err != nil {
		return err
	}
	return c.learn()
}

func (c *client) pause(most time.Duration) { time.Sleep(time.Duration(c.random.Int64N(int64(most)))) }
