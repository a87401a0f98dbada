package intake

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// headMax is how much of a message is looked at as its header, in bytes. A longer
// header is kept whole like everything else; what is beyond is not looked at.
const headMax = 256 << 10

const copyBufferSize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBufferSize); return &b }}

// head is the beginning of a message and what its header says.
type head struct {
	bytes     []byte // at least the header, unless the message is only that
	received  int    // Received fields
	date      bool
	messageID string
}

// readHead reads until the header has ended, the message has, or headMax bytes.
func readHead(r io.Reader) (*head, error) {
	h := &head{bytes: make([]byte, 0, 16<<10)}
	searched := 0
	for len(h.bytes) < headMax {
		if len(h.bytes) == cap(h.bytes) {
			h.bytes = append(h.bytes, 0)[:len(h.bytes)]
		}
		n, err := r.Read(h.bytes[len(h.bytes):cap(h.bytes)])
		h.bytes = h.bytes[:len(h.bytes)+n]
		if end := headerEnd(h.bytes, max(0, searched-3)); end >= 0 {
			h.scan(h.bytes[:end])
			return h, noEOF(err)
		}
		searched = len(h.bytes)
		if err != nil {
			h.scan(h.bytes)
			return h, noEOF(err)
		}
	}
	h.scan(h.bytes)
	return h, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return nil // the next Read says it again
	}
	return err
}

// headerEnd finds the empty line, searching from an offset; -1 when it has not
// come yet.
func headerEnd(b []byte, from int) int {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 0
	}
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 2
	}
	return -1
}

// scan goes over the fields once.
func (h *head) scan(header []byte) {
	for len(header) > 0 {
		line := header
		if i := bytes.IndexByte(header, '\n'); i >= 0 {
			line, header = header[:i+1], header[i+1:]
		} else {
			header = nil
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || name[0] == ' ' || name[0] == '\t' {
			continue
		}
		h.field(bytes.TrimRight(name, " \t"), value)
	}
}

func (h *head) field(name, value []byte) {
	switch {
	case equalFold(name, "Received"):
		h.received++
	case equalFold(name, "Date"):
		h.date = true
	case equalFold(name, "Message-Id") && h.messageID == "":
		h.messageID = strings.TrimSpace(string(value))
		if h.messageID == "" {
			h.messageID = "<>" // there is one, on the next line perhaps
		}
	}
}

func equalFold(b []byte, s string) bool {
	return len(b) == len(s) && strings.EqualFold(string(b), s)
}

// stamp writes what we put in front of the message: the trace field, and for our
// own users the fields that their program forgot.
func (t *Transaction) stamp(h *head) error {
	var b strings.Builder
	b.Grow(512)
	t.traceField(&b)
	if t.peer.insider() {
		if !h.date {
			fmt.Fprintf(&b, "Date: %s\r\n", mailDate(t.arrived))
		}
		if h.messageID == "" {
			h.messageID = t.newMessageID()
			fmt.Fprintf(&b, "Message-Id: %s\r\n", h.messageID)
		}
	}
	t.messageID = h.messageID
	t.spool.Grow(b.Len() + len(h.bytes))
	if _, err := io.WriteString(t.spool, b.String()); err != nil {
		return storageError{err}
	}
	return nil
}

// traceField is Received (RFC 5321 §4.4) in the form that Postfix writes.
func (t *Transaction) traceField(b *strings.Builder) {
	p := &t.peer
	fmt.Fprintf(b, "Received: from %s (%s [%s])\r\n", headerSafe(p.Helo), headerSafe(p.Name), addressTag(p.Addr))
	if p.TLS != nil {
		fmt.Fprintf(b, "\t(using %s with cipher %s)\r\n", tls.VersionName(p.TLS.Version), tls.CipherSuiteName(p.TLS.CipherSuite))
	}
	if p.Account != "" {
		fmt.Fprintf(b, "\t(Authenticated sender: %s)\r\n", p.Account)
	}
	fmt.Fprintf(b, "\tby %s (facteur) with %s id %s", t.rules.Hostname, p.Protocol, t.id)
	if len(t.recipients) == 1 {
		// Not with several: the trace would tell the blind copies (RFC 5321 §7.6).
		fmt.Fprintf(b, "\r\n\tfor <%s>", t.recipients[0].original)
	}
	fmt.Fprintf(b, "; %s\r\n", mailDate(t.arrived))
}

// headerSafe keeps what a peer said on its line: printable, and of bounded length.
func headerSafe(s string) string {
	if s == "" {
		return "unknown"
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '(' || r == ')' || r == '\\' || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 255)]
}

func mailDate(t time.Time) string {
	return t.UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)")
}

func (t *Transaction) newMessageID() string {
	return fmt.Sprintf("<%s.%s@%s>", t.arrived.UTC().Format("20060102150405"), rand.Text()[:16], t.rules.Hostname)
}
