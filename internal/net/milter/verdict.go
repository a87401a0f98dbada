package milter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"strings"

	"facteur/internal/mail/smtp"
)

// Kind is what a milter decided.
type Kind uint8

// The kinds.
const (
	// Continue: go on, and tell of the next step. The zero Kind.
	Continue Kind = iota
	// Accept: go on, and tell nothing more of this message, or of this connection
	// when it was said before the first.
	Accept
	// Refuse: answer with the Reply.
	Refuse
	// Discard: say 250 and drop the message.
	Discard

	skip     // no more of the body, please
	progress // still at work
	change   // not yet the verdict
)

// Verdict is what a milter answered to one step.
type Verdict struct {
	Kind Kind
	// Reply is of Refuse: 4yz or 5yz. 421 ends the connection.
	Reply *smtp.Reply
	// Changes are what it wants done to the message, in order; at its end only, and
	// only when the message goes on.
	Changes []Change
	// NewBody tells that a new body was written.
	NewBody bool
}

// ChangeKind is what a Change does.
type ChangeKind uint8

// The changes.
const (
	AddHeader    ChangeKind = iota + 1 // Name and Value below the header
	InsertHeader                       // before the field number Index of the header, from 1; 0 and 1 are on top
	ChangeHeader                       // the Index-th field of Name, from 1, gets Value; "" removes it
	ChangeFrom                         // Address is the new sender, Args his ESMTP parameters
	AddRcpt                            // Address is a recipient more, Args his ESMTP parameters
	DelRcpt                            // Address is one no more
	Quarantine                         // hold the message; Value says why
)

// Change is one change of a message.
type Change struct {
	Kind  ChangeKind
	Index int
	// Name and Value are of header fields. Lines of a folded Value end with LF or
	// CRLF; with Leading the Value has its own white space after the colon.
	Name, Value string
	Leading     bool
	// Address is as the milter wrote it, with or without angle brackets.
	Address, Args string
}

// The usual refusals, in Postfix's words.
func rejected() Verdict {
	return Verdict{Kind: Refuse, Reply: smtp.NewReply(550, "5.7.1", "Command rejected")}
}

// Unavailable is the reply of a milter that says "not now", and for one that says
// nothing.
func Unavailable() *smtp.Reply {
	return smtp.NewReply(451, "4.7.1", "Service unavailable - try again later")
}

// parseReply reads the reply code with data to a step. What changes a message, and
// more than one packet, is read in parseChange.
func (o *options) parseReply(code byte, data []byte) (Verdict, error) {
	if code == repReplyCode {
		return parseReplyCode(data)
	}
	v, known := plain(code)
	if !known || len(data) > 0 || v.Kind == skip && !o.has(skipBody) {
		return Verdict{}, errMalformed
	}
	return v, nil
}

// plain are the replies without data.
func plain(code byte) (v Verdict, known bool) {
	switch code {
	case repContinue:
		return Verdict{}, true
	case repAccept:
		return Verdict{Kind: Accept}, true
	case repDiscard:
		return Verdict{Kind: Discard}, true
	case repReject:
		return rejected(), true
	case repTempFail:
		return Verdict{Kind: Refuse, Reply: Unavailable()}, true
	case repConnFail, repShutdown:
		return Verdict{Kind: Refuse, Reply: smtp.NewReply(421, "4.7.0", "Service unavailable - closing connection")}, true
	case repSkip:
		return Verdict{Kind: skip}, true
	case repProgress:
		return Verdict{Kind: progress}, true
	}
	return Verdict{}, false
}

// parseReplyCode reads "550 5.7.1 text", of several lines perhaps. A percent sign
// is doubled in it (smfi_setreply).
func parseReplyCode(data []byte) (Verdict, error) {
	all, ok := texts(data, 1)
	if !ok || len(all) != 1 {
		return Verdict{}, errMalformed
	}
	text := strings.ReplaceAll(all[0], "%%", "%")
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	r := bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"))
	reply, err := smtp.ReadReply(r)
	if err != nil || r.Buffered() > 0 || !reply.Temporary() && !reply.Permanent() {
		return Verdict{}, errMalformed
	}
	if reply.Enhanced == "" {
		reply.Enhanced = "5.7.1"
		if reply.Temporary() {
			reply.Enhanced = "4.7.1"
		}
	}
	return Verdict{Kind: Refuse, Reply: reply}, nil
}

// changes are the replies that change a message, what has to be negotiated for
// each, and how many strings it has.
var changes = map[byte]struct {
	kind        ChangeKind
	action      uint32
	indexed     bool
	least, most int
}{
	repAddHeader:  {AddHeader, actAddHeaders, false, 2, 2},
	repInsHeader:  {InsertHeader, actAddHeaders, true, 2, 2},
	repChgHeader:  {ChangeHeader, actChangeHeaders, true, 2, 2},
	repChgFrom:    {ChangeFrom, actChangeFrom, false, 1, 2},
	repAddRcpt:    {AddRcpt, actAddRcpt, false, 1, 1},
	repAddRcptPar: {AddRcpt, actAddRcptPar, false, 1, 2},
	repDelRcpt:    {DelRcpt, actDelRcpt, false, 1, 1},
	repQuarantine: {Quarantine, actQuarantine, false, 1, 1},
}

// maxIndex bounds an index; no header has as many fields.
const maxIndex = 1 << 20

// parseChange reads one change; known is false for replies that are none.
func (o *options) parseChange(code byte, data []byte) (c Change, known bool, err error) {
	form, known := changes[code]
	if !known {
		return Change{}, false, nil
	}
	if o.actions&form.action == 0 {
		return Change{}, true, errNotOffered
	}
	c = Change{Kind: form.kind}
	if form.indexed {
		if len(data) < 4 {
			return Change{}, true, errMalformed
		}
		index := binary.BigEndian.Uint32(data)
		if index > maxIndex {
			return Change{}, true, errMalformed
		}
		c.Index, data = int(index), data[4:]
	}
	all, ok := texts(data, form.most)
	if !ok || len(all) < form.least {
		return Change{}, true, errMalformed
	}
	return o.fill(c, append(all, ""))
}

// fill puts the strings of a change in their places.
func (o *options) fill(c Change, all []string) (Change, bool, error) {
	switch c.Kind {
	case AddHeader, InsertHeader, ChangeHeader:
		c.Name, c.Value, c.Leading = all[0], all[1], o.has(leadingSpace)
		if !isFieldName(c.Name) {
			return Change{}, true, errMalformed
		}
	case Quarantine:
		c.Value = all[0]
	default:
		if bytes.ContainsAny([]byte(all[0]+all[1]), "\r\n") {
			return Change{}, true, errMalformed
		}
		c.Address, c.Args = all[0], all[1]
	}
	return c, true, nil
}

// isFieldName tells the name of a header field (RFC 5322 §2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 998
}
