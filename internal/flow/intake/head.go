package intake

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

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
	eightBit  bool   // bytes above 127
	forged    bool   // has fields that only we may write
	cut       bool   // is longer than headMax
	// tlsOptional: whoever wrote it puts delivery above TLS.
	tlsOptional bool
	mailboxes   []string // that it was in before, by their keys
}

// readHead reads the header; rest is what follows it.
func readHead(r io.Reader) (h *head, rest io.Reader, err error) {
	header, rest, err := message.ReadHeader(r, headMax)
	if len(header) > 0 && (header[0] == ' ' || header[0] == '\t') {
		// It would go on with the last field that we put above it, and speak as us. As
		// Postfix does, we take it for the body of a message without a header.
		header, rest = message.Header("\r\n"), io.MultiReader(bytes.NewReader(header), rest)
		if errors.Is(err, message.ErrHeaderTooLong) {
			err = nil
		}
	}
	h = &head{header: header, eightBit: hasHigh(header)}
	if errors.Is(err, message.ErrHeaderTooLong) {
		h.cut, err = true, nil
	}
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
	case f.Is("Delivered-To"):
		h.noteMailbox(f)
	case f.Is(tlsRequired):
		h.tlsOptional = h.tlsOptional || saysTLSOptional(f)
	case isOurs(f):
		h.forged = true
	}
}

// tlsRequired is the field by which an author puts delivery above TLS (RFC 8689 §5).
const tlsRequired = "TLS-Required"

func saysTLSOptional(f message.Field) bool {
	return f.Is(tlsRequired) && strings.EqualFold(f.Text(), "No")
}

// hasHigh tells bytes outside of ASCII.
func hasHigh(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// stamp takes over the header and writes what we put in front of it.
func (t *Transaction) stamp(ctx context.Context, h *head) error {
	t.header, t.headCut, t.eightBit = h.header, h.cut, h.eightBit
	t.tlsOptional = t.tlsOptional || h.tlsOptional // a rule may have put it above
	t.written = h.header
	t.disbelieve()
	if t.peer.insider() {
		t.mend(h)
	} else if h.forged {
		t.header = withoutOurs(t.header)
	}
	if err := t.rewriteHeader(ctx); err != nil {
		return err
	}
	t.messageID = h.messageID
	for _, e := range t.pending {
		t.header = t.edited(t.header, e)
		t.noteTLS(e.Name)
	}
	t.changed = false
	return nil
}

// mend makes the fields that a user's program forgot (RFC 6409 §8). They are part of
// the message, so that whoever signs it signs them.
func (t *Transaction) mend(h *head) {
	var fields []byte
	if !h.date {
		fields = append(fields, "Date: "+mailDate(t.arrived)+"\r\n"...)
	}
	if h.messageID == "" {
		h.messageID = t.newMessageID()
		fields = append(fields, "Message-Id: "+h.messageID+"\r\n"...)
	}
	if fields != nil {
		t.header = append(fields, t.header...)
	}
}

// prefix is what we put in front of the message, beside what was found out about it:
// fields of rules, who logged in, and the trace field.
func (t *Transaction) prefix() []byte {
	b := append(make([]byte, 0, len(t.above)+512), t.above...)
	return t.appendTrace(t.appendAuthenticated(b))
}

// appendTrace appends Received (RFC 5321 §4.4) in the form that Postfix writes.
func (t *Transaction) appendTrace(b []byte) []byte {
	p := &t.peer
	if p.User != nil {
		return fmt.Appendf(b, "Received: by %s (facteur, from userid %d)\r\n\tid %s; %s\r\n", t.rules.Hostname, p.User.UID, t.id, mailDate(t.arrived))
	}
	b = appendAll(b, "Received: from ", headerSafe(p.Helo), " (", headerSafe(p.Name), " [", addressTag(p.Addr), "])\r\n")
	if p.TLS != nil {
		b = appendAll(b, "\t(using ", tls.VersionName(p.TLS.Version), " with cipher ", tls.CipherSuiteName(p.TLS.CipherSuite), ")\r\n")
	}
	if p.Account != "" {
		b = appendAll(b, "\t(Authenticated sender: ", p.Account, ")\r\n")
	}
	b = appendAll(b, "\tby ", t.rules.Hostname, " (facteur) with ", p.Protocol, " id ", t.id.String())
	if to := t.only(); to != nil {
		// Not with several: the trace would tell the blind copies (RFC 5321 §7.6).
		b = appendAll(b, "\r\n\tfor <", to.original.String(), ">")
	}
	return appendAll(b, "; ", mailDate(t.arrived), "\r\n")
}

// appendAll appends strings one after the other.
func appendAll(b []byte, all ...string) []byte {
	for _, s := range all {
		b = append(b, s...)
	}
	return b
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
