package stress

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// act is one thing that a client does, so often among a hundred.
type act struct {
	weight int
	do     func(*client) error
}

func acts() []act {
	return []act{
		{6, (*client).choose}, {8, (*client).list}, {8, (*client).read}, {16, (*client).store}, {5, (*client).copy}, {5, (*client).move},
		{14, (*client).append}, {6, (*client).expunge}, {6, (*client).idle}, {8, (*client).settle}, {6, (*client).find},
		{3, (*client).leave}, {2, (*client).ask}, {2, (*client).logout}, {3, (*client).tear},
	}
}

// turn does one thing at random, on a connection and in a mailbox.
func (c *client) turn() error {
	if c.wire == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	if c.view == nil {
		if err := c.choose(); err != nil {
			return err
		}
	}
	all, sum := acts(), 0
	for _, a := range all {
		sum += a.weight
	}
	die := c.random.IntN(sum)
	for _, a := range all {
		if die -= a.weight; die < 0 {
			return a.do(c)
		}
	}
	return nil
}

func (c *client) mailbox() string { return c.world.Mailboxes[c.random.IntN(len(c.world.Mailboxes))] }

func (c *client) choose() error {
	name := c.world.Mailboxes[0]
	if c.random.IntN(3) == 0 {
		name = c.mailbox()
	}
	return c.open(name, c.random.IntN(8) == 0)
}

// some is a set of letters of the mailbox: as text, by sequence number or UID, and the
// UIDs. It is empty when there is none, or one is unknown.
func (c *client) some(byUID bool) (set string, uids []uint32) {
	if len(c.view.messages) == 0 {
		return "", nil
	}
	first := c.random.IntN(len(c.view.messages))
	last := min(len(c.view.messages), first+1+c.random.IntN(6)) - 1
	for _, m := range c.view.messages[first : last+1] {
		if !m.known {
			return "", nil
		}
		uids = append(uids, m.uid)
	}
	if byUID {
		return fmt.Sprintf("%d:%d", uids[0], uids[len(uids)-1]), uids
	}
	return fmt.Sprintf("%d:%d", first+1, last+1), uids
}

// verb puts UID before a command, or not.
func verb(byUID bool, command string) string {
	if byUID {
		return "UID " + command
	}
	return command
}

func (c *client) list() error {
	byUID := c.random.IntN(2) == 0
	set, _ := c.some(byUID)
	if set == "" {
		return c.settle()
	}
	items := []string{"FLAGS", "(UID FLAGS INTERNALDATE)", "(UID ENVELOPE RFC822.SIZE)", "BODYSTRUCTURE", "(FLAGS BODY)", "ALL", "FULL"}
	return c.may("%s %s %s", verb(byUID, "FETCH"), set, items[c.random.IntN(len(items))])
}

func (c *client) read() error {
	byUID := c.random.IntN(2) == 0
	set, _ := c.some(byUID)
	if set == "" {
		return c.settle()
	}
	body := []string{"BODY.PEEK[]", "BODY[]"}[c.random.IntN(2)]
	return c.may("%s %s (UID RFC822.SIZE %s)", verb(byUID, "FETCH"), set, body)
}

func (c *client) store() error {
	byUID, silent := c.random.IntN(2) == 0, c.random.IntN(2) == 0
	set, uids := c.some(byUID)
	if set == "" || c.view.readOnly {
		return c.settle()
	}
	operation := []string{"+", "+", "-", ""}[c.random.IntN(4)]
	flags := c.flags()
	if slices.Contains(flags, `\Deleted`) && operation != "-" {
		c.book.deleting(c.view.name, uids)
	}
	name := operation + "FLAGS" + map[bool]string{true: ".SILENT"}[silent]
	status, err := c.run(fmt.Sprintf("%s %s %s (%s)", verb(byUID, "STORE"), set, name, strings.Join(flags, " ")))
	if err == nil && silent {
		c.silently(uids, operation, flags, status)
	}
	return err
}

// flags are one to three; \Deleted comes more often in a full mailbox.
func (c *client) flags() (flags []string) {
	all := []string{`\Seen`, `\Flagged`, `\Answered`, `\Draft`, "$Work", "later"}
	for _, n := range c.random.Perm(len(all))[:1+c.random.IntN(3)] {
		flags = append(flags, all[n])
	}
	if c.random.IntN(100) < len(c.view.messages)/2 {
		flags = append(flags, `\Deleted`)
	}
	return flags
}

// silently does to the picture what a STORE did that was not answered with FETCH. Where
// one came all the same, or not all letters were there, nobody knows: it is asked.
func (c *client) silently(uids []uint32, operation string, flags []string, status string) {
	for n := range c.view.messages {
		m := &c.view.messages[n]
		switch {
		case !slices.Contains(uids, m.uid):
		case m.told || status != "OK" || m.flags == "?":
			m.flags = "?"
		default:
			m.flags = changed(m.flags, operation, flags)
		}
	}
}

func (c *client) copy() error { return c.transfer("COPY", c.begun) }

func (c *client) move() error {
	if c.view.readOnly {
		return c.settle()
	}
	return c.transfer("MOVE", c.begun)
}

// begun sends a command and waits for its end.
func (c *client) begun(command string) (string, error) { return c.run(command) }

// transfer copies or moves a few letters, and books where they came to be.
func (c *client) transfer(name string, run func(string) (string, error)) error {
	byUID, target := c.random.IntN(2) == 0, c.mailbox()
	set, uids := c.some(byUID)
	if set == "" || len(c.view.messages) > c.world.Room {
		return c.settle()
	}
	if name == "MOVE" {
		c.book.moving(c.view.name, uids)
	}
	before, source := c.book.expect(target), c.view.name
	status, err := run(fmt.Sprintf("%s %s %s", verb(byUID, name), set, target))
	if err != nil || status != "OK" {
		return err
	}
	for _, code := range append(c.codes, c.lastCode) {
		if len(code) == 4 && code[0] == "COPYUID" {
			return c.copied(source, uids, target, before, code[1:])
		}
	}
	c.missed(source, uids, nil) // all were gone
	return nil
}

// missed books letters that are not among those that were copied: they were gone.
func (c *client) missed(source string, uids, copied []uint32) {
	for _, uid := range uids {
		if !slices.Contains(copied, uid) {
			c.book.gone(source, uid)
		}
	}
}

// copied books what COPYUID says (RFC 4315 §3) to a command about some UIDs.
func (c *client) copied(source string, uids []uint32, target string, before expect, code list) error {
	validity, err := number(code[0])
	from, _ := code[1].(string)
	to, _ := code[2].(string)
	olds, oldErr := numbers(from)
	news, newErr := numbers(to)
	if err != nil || oldErr != nil || newErr != nil || len(olds) != len(news) {
		return c.wrong("COPYUID %v", code)
	}
	for n, uid := range news {
		c.book.copied(source, olds[n], target, before, uint32(validity), uid)
	}
	c.missed(source, uids, olds)
	return nil
}

// append hands a letter over, by a literal that waits to be asked for or by one that
// does not.
func (c *client) append() error {
	if len(c.view.messages) > c.world.Room {
		return c.expunge()
	}
	id, text := c.book.compose(c.words())
	target := c.mailbox()
	before := c.book.expect(target)
	command := fmt.Sprintf(`APPEND %s (\Flagged) {%d`, target, len(text))
	if c.random.IntN(2) == 0 {
		if err := c.begin(command + "+}\r\n" + text); err != nil {
			return err
		}
	} else if asked, err := c.literal(command+"}", text); err != nil || !asked {
		return err
	}
	status, err := c.finish()
	if err != nil || status != "OK" {
		return err
	}
	c.book.taken(id)
	if len(c.lastCode) != 3 || c.lastCode[0] != "APPENDUID" {
		return c.wrong("APPEND without APPENDUID: %v", c.lastCode)
	}
	validity, err1 := number(c.lastCode[1])
	uid, err2 := number(c.lastCode[2])
	if err1 != nil || err2 != nil {
		return c.wrong("%v", c.lastCode)
	}
	c.book.placed(target, before, uint32(validity), uint32(uid), id)
	return nil
}

func (c *client) literal(command, text string) (asked bool, err error) {
	if err := c.begin(command); err != nil {
		return false, err
	}
	if asked, err = c.proceed(); err != nil || !asked {
		return asked, err
	}
	return true, c.wire.send(text + "\r\n")
}

// words are the text of a letter, between a line and 20 KB.
func (c *client) words() string {
	var b strings.Builder
	for range 1 + c.random.IntN(3)*c.random.IntN(120) {
		fmt.Fprintf(&b, "words %x, and more words %d\r\n", c.random.Uint64(), c.random.IntN(1e6))
	}
	return b.String()
}

func (c *client) expunge() error {
	if c.view.readOnly {
		return c.settle()
	}
	if set, _ := c.some(true); set != "" && c.random.IntN(2) == 0 {
		return c.may("UID EXPUNGE %s", set)
	}
	return c.may("EXPUNGE")
}

func (c *client) idle() error {
	if err := c.begin("IDLE"); err != nil {
		return err
	}
	if asked, err := c.proceed(); err != nil || !asked {
		return err
	}
	c.pause(200 * time.Millisecond)
	if err := c.wire.send("DONE\r\n"); err != nil {
		return err
	}
	_, err := c.finish()
	return err
}

// find searches: what is found has to be there.
func (c *client) find() error {
	criteria := []string{"ALL", "FLAGGED", "UNSEEN NOT DELETED", "KEYWORD $Work", "SUBJECT letter-1", "LARGER 1000", "SINCE 1-Jan-2020"}
	there := len(c.view.messages)
	if err := c.may("SEARCH %s", criteria[c.random.IntN(len(criteria))]); err != nil {
		return err
	}
	for _, n := range c.found {
		// EXISTS may have come in the answer, EXPUNGE not.
		if int(n) > max(there, len(c.view.messages)) {
			return c.wrong("SEARCH found letter %d of %d", n, there)
		}
	}
	return nil
}

func (c *client) leave() error {
	command := "CLOSE"
	if c.can["UNSELECT"] && c.random.IntN(2) == 0 {
		command = "UNSELECT"
	}
	c.view = nil
	return c.ok("%s", command)
}

func (c *client) ask() error {
	return c.ok("STATUS %s (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)", c.mailbox())
}

func (c *client) logout() error {
	err := c.ok("LOGOUT")
	c.disconnect()
	return err
}

// tear loses the connection after a command was sent, or half of one.
func (c *client) tear() error {
	defer c.disconnect()
	switch c.random.IntN(4) {
	case 0:
		_, text := c.book.compose(c.words())
		return c.begin(fmt.Sprintf("APPEND %s {%d+}\r\n%s", c.mailbox(), len(text)+1000, text))
	case 1:
		return c.begin("FETCH 1:* BODY.PEEK[]")
	case 2:
		if !c.view.readOnly {
			return c.begin("EXPUNGE")
		}
	}
	name := []string{"COPY", "MOVE"}[c.random.IntN(2)]
	if c.view.readOnly {
		name = "COPY"
	}
	return c.transfer(name, func(command string) (string, error) { return "lost", c.begin(command) })
}
