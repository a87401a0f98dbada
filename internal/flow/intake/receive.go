package intake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Receive reads the message to its end; nil means kept, though not yet durable.
// Whatever is refused here has been read: the session stays in step. When r fails
// with an error that knows its own reply, that is the answer.
func (t *Transaction) Receive(ctx context.Context, r io.Reader) *smtp.Reply {
	return t.rules.soften(t.receive(ctx, r))
}

func (t *Transaction) receive(ctx context.Context, r io.Reader) *smtp.Reply {
	t.arrived = time.Now()
	t.spool = t.desk.queue.Spool()
	text := r
	if lines, ok := r.(*smtp.Data); ok && t.peer.insider() {
		text = mended{smtp.CRLF(lines)}
	}
	head, rest, err := readHead(text)
	if err == nil {
		err = proper(head.header)
	}
	if err == nil {
		err = t.stamp(ctx, head)
	}
	if err == nil {
		err = t.keep(t.header, rest)
	}
	if err != nil {
		return t.refuse(r, err)
	}
	t.received = true
	if head.received > maxHops {
		return smtp.NewReply(554, "5.4.6", "Error: too many hops")
	}
	if reply := t.weigh(); reply != nil {
		return reply
	}
	if reply := t.circles(head); reply != nil {
		return reply
	}
	reply := t.proveLetter(ctx)
	if t.isForTrapsAlone() {
		t.caught(ctx)
	}
	if reply == nil {
		reply = t.judgeMessage(ctx)
	}
	if reply == nil || reply.Code >= 500 { // what is put off comes again, and is the same mistake
		t.caught(ctx)
	}
	return reply
}

// judgeMessage is the last word: our own checks of the header, rules and hooks, what
// they change, and our signature of what has come of it.
func (t *Transaction) judgeMessage(ctx context.Context) *smtp.Reply {
	if reply := t.fromAllowed(ctx); reply != nil {
		return reply
	}
	if reply := t.judge(ctx, rule.End, nil); reply != nil {
		return reply
	}
	if reply := t.readdressed(ctx); reply != nil {
		return reply
	}
	if reply := t.greylisted(ctx); reply != nil {
		return reply
	}
	if reply := t.braked(ctx); reply != nil {
		return reply
	}
	if err := t.finish(); err != nil && !t.discard {
		return t.notKept("changing the message", err)
	}
	if reply := t.readLessons(); reply != nil {
		return reply
	}
	return t.sign(ctx)
}

// finish writes what is changed, and what stands above the message.
func (t *Transaction) finish() error {
	if t.discard {
		return nil
	}
	proof := t.lift()
	if t.changed {
		if err := t.rewrite(); err != nil {
			return err
		}
	}
	top := append(proof, t.prefix()...)
	t.bodyAt += int64(len(top))
	return t.spool.Prepend(top)
}

// proper refuses a header that another program may read otherwise than we do. After
// DATA the door sees to that for the whole message; by BDAT a body may have any octet,
// and a header may not (RFC 3030 §3; SMTP-021).
func proper(h message.Header) error {
	h = bytes.TrimSuffix(h, cr) // a header that is cut may end between CR and LF
	fault := smtp.DataError{NUL: bytes.IndexByte(h, 0) >= 0, BareCR: bytes.Count(h, cr) != bytes.Count(h, crlf)}
	if fault != (smtp.DataError{}) {
		return &fault
	}
	return nil
}

var cr, crlf = []byte{'\r'}, []byte("\r\n")

// mended is the text of one of our own users, as it came after DATA: bare line feeds,
// which the door complains about at the end, have been made line ends (SMTP-001,
// SMTP-004). What came by BDAT was counted in octets and is kept as it is (SMTP-005):
// a line of it that looks like an end of data is none there, and when the message
// leaves by DATA, smtp.DotWriter makes proper lines of it.
type mended struct{ io.Reader }

// Read implements io.Reader.
func (m mended) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	var data *smtp.DataError
	if errors.As(err, &data) && *data == (smtp.DataError{BareLF: true}) {
		err = io.EOF
	}
	return n, err
}

// maxHops is how many Received fields a message may have on entry (Postfix's
// hopcount_limit; RFC 5321 §6.3 wants at least 100 be allowed, which few do).
const maxHops = 50

// errTooLarge is how keep says it; the reply is tooLarge.
var errTooLarge = errors.New("message is too large")

// keep writes the header and the rest of the message, up to the limit. Who has to see the
// body (see witness) sees it on the way.
func (t *Transaction) keep(header []byte, rest io.Reader) error {
	if _, err := t.spool.Write(header); err != nil {
		return storageError{err}
	}
	t.bodyAt = t.spool.Size()
	witness := t.witness()
	left := t.rules.SizeLimit - int64(len(header))
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for left >= 0 {
		n, err := rest.Read(*buf)
		left -= int64(n)
		if _, werr := t.spool.Write((*buf)[:n]); werr != nil {
			return storageError{werr}
		}
		if witness != nil {
			witness.Write((*buf)[:n]) // it computes, and can't fail
		}
		if err == io.EOF && left >= 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return errTooLarge
}

// copyBuffers are for keep.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// storageError is a fault of our disk, not of the peer's data.
type storageError struct{ err error }

func (e storageError) Error() string { return e.err.Error() }
func (e storageError) Unwrap() error { return e.err }

// refuse answers for what went wrong in Receive, after reading what is left.
func (t *Transaction) refuse(r io.Reader, err error) *smtp.Reply {
	t.Abort()
	var own interface{ Reply() *smtp.Reply }
	if errors.As(err, &own) {
		return own.Reply()
	}
	io.Copy(io.Discard, r) // the verdict stands; how the rest ends is the door's to see
	if errors.Is(err, errTooLarge) {
		return tooLarge(t.rules)
	}
	if table, is := errors.AsType[tableError](err); is {
		t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: "rewriting the header", Err: table.err})
		return later()
	}
	var disk storageError
	if errors.As(err, &disk) {
		return t.notKept("receiving", err)
	}
	// The peer went away, and hears no answer.
	return smtp.NewReply(451, "4.3.0", "Error: message was cut off")
}

// notKept is the answer to a fault of our disk.
func (t *Transaction) notKept(what string, err error) *smtp.Reply {
	t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: what, Err: err})
	if queue.IsFull(err) {
		return noRoom()
	}
	return smtp.NewReply(451, "4.3.0", "Error: queue file write error")
}

// weigh compares the size received with what the mailboxes have room for that the
// client named; for those that rules named he is not to blame. Where
// one answer serves all recipients, refused is only a message that fits into none
// of them: a letter that exceeds a quota once does less harm than a bounce.
func (t *Transaction) weigh() *smtp.Reply {
	var first *smtp.Reply
	fits, size := false, t.spool.Size()+int64(len(t.prefix()))
	for i := range t.recipients {
		r := &t.recipients[i]
		if r.isWord() {
			continue
		}
		if r.removed || r.added || r.dest.Kind != route.Mailbox || size <= r.free {
			fits = true
			continue
		}
		reply := t.full(r)
		if q := r.dest.Account.Quota; q > 0 && size > q {
			reply = neverFits(r)
		}
		if t.peer.PerRecipient {
			r.refused = reply
		}
		first = cmp.Or(first, reply)
	}
	if t.peer.PerRecipient {
		t.spare()
	}
	if fits || t.peer.PerRecipient {
		return nil
	}
	return first
}
