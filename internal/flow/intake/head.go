package intake

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"facteur/internal/mail/message"
)

// headMax is how much of a message is looked at as its header, in bytes. A longer
// header is kept whole like everything else; what is beyond is not looked at.
const headMax = 256 << 10

// head is the header of a message, and what it says that matters here.
type head struct {
	header    message.Header
	received  int // Received fields
	date      bool
	messageID string // "" when there is none
}

// readHead reads the header; rest is what follows it.
func readHead(r io.Reader) (h *head, rest io.Reader, err error) {
	header, rest, err := message.ReadHeader(r, headMax)
	if errors.Is(err, message.ErrHeaderTooLong) {
		err = nil
	}
	h = &head{header: header}
	for f := range header.Fields() {
		h.note(f)
	}
	return h, rest, err
}

func (h *head) note(f message.Field) {
	switch {
	case f.Is("Received"):
		h.received++
	case f.Is("Date"):
		h.date = true
	case f.Is("Message-Id") && h.messageID == "":
		h.messageID = cmp.Or(f.Text(), "<>")
	}
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
	return strings.ToValidUTF8(s[:min(len(s), 255)], "")
}

func mailDate(t time.Time) string {
	return t.UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)")
}

func (t *Transaction) newMessageID() string {
	return fmt.Sprintf("<%s.%s@%s>", t.arrived.UTC().Format("20060102150405"), rand.Text()[:16], t.rules.Hostname)
}
