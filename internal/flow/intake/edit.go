package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"facteur/internal/mail/message"
	"facteur/internal/store/queue"
)

// ours are the beginnings of the names of fields that mean something to us when we
// wrote them. Strangers' fields of such names are removed on entry (REL-013);
// nothing else in a header is ever taken for our own word, and all else that came
// stays as it is.
var ours = [...]string{"X-Facteur-"}

// isOurs tells whether a field pretends to be from us.
func isOurs(f message.Field) bool {
	for _, prefix := range ours {
		if len(f.Name) > len(prefix) && bytes.EqualFold(f.Name[:len(prefix)], []byte(prefix)) {
			return true
		}
	}
	return false
}

// withoutOurs is a header without the fields that only we may write.
func withoutOurs(h message.Header) message.Header {
	out := make(message.Header, 0, len(h))
	at := 0
	for f := range h.Fields() {
		if isOurs(f) {
			out = append(out, h[at:f.Start]...)
			at = f.End
		}
	}
	return append(out, h[at:]...)
}

// prepend puts a field above the message.
func (t *Transaction) prepend(name, value string) {
	t.noteSpam(name, value)
	t.above = append(t.above, fieldLine(name, value, false)...)
	t.noteTLS(name)
}

// noteTLS reads anew what the message says of TLS (RFC 8689 §5), after a rule or a hook has
// touched the field of that name.
func (t *Transaction) noteTLS(name string) {
	if !strings.EqualFold(name, tlsRequired) {
		return
	}
	t.tlsOptional = false
	for _, h := range [...]message.Header{t.above, t.header} {
		for f := range h.Fields() {
			t.tlsOptional = t.tlsOptional || saysTLSOptional(f)
		}
	}
}

// edit changes the header, now or when it is here.
func (t *Transaction) edit(e Edit) {
	t.noteSpam(e.Name, e.Value)
	if !t.received {
		t.pending = append(t.pending, e)
		return
	}
	t.header = t.edited(t.header, e)
	t.changed = true
	t.noteTLS(e.Name)
}

// change does the edits of a hook, and takes its body instead of the old one.
func (t *Transaction) change(ctx context.Context, by string, edits []Edit, body *queue.Spool) error {
	for _, e := range edits {
		if e.Kind < AddRecipient {
			t.edit(e)
			continue
		}
		before := t.mail.Sender
		done, err := t.readdress(ctx, e)
		if err != nil {
			return err
		}
		if done {
			t.desk.events.Emit(Readdressed{By: by, Edit: e, Peer: t.peer, ID: t.id, From: before})
		}
	}
	if body != nil {
		if t.body != nil {
			t.body.Discard()
		}
		t.body, t.changed = body, true
		t.letter = t.letter.Changed()
	}
	return nil
}

// readdress changes the envelope; done tells that it is another one now.
func (t *Transaction) readdress(ctx context.Context, e Edit) (done bool, err error) {
	switch e.Kind {
	case AddRecipient:
		return true, t.addRecipient(ctx, e.Address)
	case RemoveRecipient:
		return t.removeRecipient(e.Address.Key()), nil
	}
	done = t.mail.Sender != e.Address
	t.mail.Sender = e.Address
	return done, nil
}

func (t *Transaction) removeRecipient(key string) (found bool) {
	for i := range t.recipients {
		if r := &t.recipients[i]; r.original.Key() == key && !r.removed {
			r.removed, found = true, true
		}
	}
	return found
}

// edited is a header after one edit. Of a header that is longer than we look at
// (headMax), only the top can be changed: its end is not known.
func (t *Transaction) edited(h message.Header, e Edit) message.Header {
	if !isFieldName(e.Name) {
		return h
	}
	line := fieldLine(e.Name, e.Value, e.Leading)
	switch {
	case t.headCut:
		if e.Kind == AppendField || e.Kind == InsertField {
			return slices.Concat(line, h)
		}
		return h
	case e.Kind == InsertField:
		return insertField(h, e.Index, line)
	case e.Kind == AppendField:
		return insertField(h, len(h), line)
	case e.Kind == RemoveFields:
		return replaceFields(h, e.Name, 0, nil)
	case e.Value == "":
		return replaceFields(h, e.Name, max(e.Index, 1), nil)
	case h.Count(e.Name) < max(e.Index, 1):
		return insertField(h, len(h), line)
	}
	return replaceFields(h, e.Name, max(e.Index, 1), line)
}

// insertField puts a line in front of the n-th field, or below them all.
func insertField(h message.Header, n int, line []byte) message.Header {
	at := 0
	for f := range h.Fields() {
		if n == 0 {
			break
		}
		n, at = n-1, f.End
	}
	if at > 0 && h[at-1] != '\n' {
		line = append([]byte("\r\n"), line...) // the header ended with the message
	}
	return slices.Concat(h[:at], line, h[at:])
}

// replaceFields puts a line in the place of the n-th field of a name, of all of
// them for 0.
func replaceFields(h message.Header, name string, n int, line []byte) message.Header {
	out := make(message.Header, 0, len(h)+len(line))
	at, seen := 0, 0
	for f := range h.Fields() {
		if !f.Is(name) {
			continue
		}
		if seen++; n == 0 || seen == n {
			out = append(append(out, h[at:f.Start]...), line...)
			at = f.End
		}
	}
	return append(out, h[at:]...)
}

// fieldLine is a field with its line end. A line end in the value that is no fold
// becomes a space, so that no value can begin another field.
func fieldLine(name, value string, leading bool) []byte {
	b := append([]byte(name), ':')
	if !leading {
		b = append(b, ' ')
	}
	value = strings.TrimRight(strings.NewReplacer("\r\n", "\n", "\r", " ", "\x00", " ").Replace(value), " \t\n")
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] != '\n':
			b = append(b, value[i])
		case i+1 < len(value) && (value[i+1] == ' ' || value[i+1] == '\t'):
			b = append(b, '\r', '\n')
		default:
			b = append(b, ' ')
		}
	}
	return append(b, '\r', '\n')
}

// isFieldName tells field-name (RFC 5322 §3.6.8).
func isFieldName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) < 0
}

// message is what hooks see of the message.
func (t *Transaction) message() *Message {
	return &Message{Header: t.header, Size: int64(len(t.header)) + t.bodySize(), body: t.openBody}
}

// openBody reads what follows the header.
func (t *Transaction) openBody() io.Reader {
	if t.body != nil {
		return io.NewSectionReader(t.body, 0, t.body.Size())
	}
	return io.NewSectionReader(t.spool, t.bodyAt, t.bodySize())
}

func (t *Transaction) bodySize() int64 {
	if t.body != nil {
		return t.body.Size()
	}
	return t.spool.Size() - t.bodyAt
}

// rewrite writes the message anew, with the changes that came after it was kept.
func (t *Transaction) rewrite() error {
	old, body := t.spool, t.openBody()
	fresh := t.desk.queue.Spool()
	defer old.Discard()
	t.spool = fresh
	if _, err := fresh.Write(t.header); err != nil {
		return storageError{err}
	}
	t.bodyAt = fresh.Size()
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	if _, err := io.CopyBuffer(struct{ io.Writer }{fresh}, body, *buf); err != nil {
		return storageError{fmt.Errorf("writing the changed message: %w", err)}
	}
	if t.body != nil {
		t.body.Discard()
		t.body = nil
	}
	return nil
}
