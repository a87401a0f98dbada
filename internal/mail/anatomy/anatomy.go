// Package anatomy takes a letter apart for people: the way that it came by and how
// much of that can be believed, what others said about it, its parts, attachments
// and links, and if it is a notice, what it is about and why it came.
//
// # What can be believed
//
// Each host on the way writes one Received line on top of those that it found. So a
// line can be believed as much as the host that wrote it, and no more than all lines
// above it. Hosts that the reader trusts (his own) come first. The last of their
// lines tells who really handed the letter over; below it anything may be invented.
// Lines there are "consistent" as long as each was written by the host that the line
// above names as its peer, and "unproven" from the first that was not.
//
// # Invariants
//
// Dissect never fails on what it reads, only on reading it. Time is linear in the
// size of the letter, and memory bounded: by message.Limits for the tree, by the
// bounds below for everything else. What was left out is counted. Texts are decoded,
// valid UTF-8 and without control characters other than tab; they are a stranger's
// all the same, and whoever prints them encodes them for where they go.
package anatomy

import (
	"bytes"
	"io"
	"strings"
	"time"

	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
)

// Bounds of what is told of one letter.
const (
	maxHeader = 1 << 20 // bytes
	maxHops   = 100
	maxMarks  = 60
	maxClaims = 40
	maxParts  = 300
	maxLinks  = 200
	maxNested = 3 // letters in notices
	maxText   = 1000
)

// Options are what the reader knows.
type Options struct {
	// Trusted are the names of hosts whose word is believed, in Received lines and
	// as authserv-id: the reader's own. Empty: the host of the topmost line, as it is
	// the one that he has the letter from.
	Trusted []string
}

// Letter is what there is to see.
type Letter struct {
	// Size in bytes.
	Size int64 `json:"size"`
	// What a reader is shown, decoded.
	From      string    `json:"from"`
	To        string    `json:"to,omitempty"`
	ReplyTo   string    `json:"reply_to,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	MessageID string    `json:"message_id,omitempty"`
	Date      time.Time `json:"date,omitzero"`
	// ReturnPath is the envelope's sender, as the last host wrote it.
	ReturnPath string `json:"return_path,omitempty"`
	// Author is what DMARC would see in From.
	Author dmarc.Author `json:"author"`
	// Hops are the Received lines, the first on the way first.
	Hops []Hop `json:"hops,omitempty"`
	// Claims are what others say that they have checked.
	Claims []Claim `json:"claims,omitempty"`
	// Marks are other fields that say something about how the letter was treated.
	Marks []Mark `json:"marks,omitempty"`
	// Parts is the tree of MIME parts, from the root on, children after parents.
	Parts []Part `json:"parts,omitempty"`
	// Links of its texts.
	Links []Link `json:"links,omitempty"`
	// Notice is set if this is a delivery status notification.
	Notice *Notice `json:"notice,omitempty"`
	// Warnings are what a careful reader should know, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
	// LeftOut is how many hops, marks, parts and links there are beyond the bounds.
	LeftOut int `json:"left_out,omitempty"`

	replies []string // the domains in Reply-To
}

// Dissect takes a letter apart. The error is one of reading, and comes with what was
// seen before it.
func Dissect(r io.ReaderAt, size int64, o Options) (*Letter, error) {
	return dissect(r, size, o, 0)
}

func dissect(r io.ReaderAt, size int64, o Options, nested int) (*Letter, error) {
	whole := func() io.Reader { return io.NewSectionReader(r, 0, size) }
	h, _, err := message.ReadHeader(whole(), maxHeader)
	if err == message.ErrHeaderTooLong {
		err = nil
	}
	l := &Letter{Size: size}
	l.header(h)
	l.path(h, o)
	l.marks(h)
	if err != nil {
		return l, err
	}
	root, err := message.Parse(whole(), message.Limits{Parts: 2000, Depth: 50})
	if err != nil {
		return l, err
	}
	w := walker{letter: l, r: r, options: o, nested: nested}
	err = w.tree(root)
	l.warn()
	return l, err
}

// header reads what a mail program shows.
func (l *Letter) header(h message.Header) {
	l.From, l.To, l.ReplyTo = people(h, "From"), people(h, "To"), people(h, "Reply-To")
	l.Subject = text(h.Get("Subject"))
	l.MessageID = text(h.Get("Message-ID"))
	l.ReturnPath = text(h.Get("Return-Path"))
	l.Date, _ = message.ParseDate(h.Get("Date"))
	l.Author = dmarc.ReadAuthor(h)
	for _, m := range message.ParseAddresses(h.Get("Reply-To")) {
		if m.Host != "" && len(l.replies) < 10 {
			l.replies = append(l.replies, host(text(m.Host)))
		}
	}
}

// people are the mailboxes of all fields of a name, as a mail program shows them:
// their names decoded after they were told apart, never before.
func people(h message.Header, name string) string {
	var shown []string
	for _, value := range h.All(name) {
		for _, m := range message.ParseAddresses(value) {
			if len(shown) == 10 {
				return strings.Join(shown, ", ") + ", …"
			}
			if m.GroupStart || m.GroupEnd {
				continue
			}
			s := m.Address()
			if display := m.DisplayName(); display != "" {
				s = display + " <" + s + ">"
			}
			shown = append(shown, text(s))
		}
	}
	return strings.Join(shown, ", ")
}

// text decodes a stranger's text and cuts it.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return message.DecodeText(s)
}

// within reads up to n bytes of a stream; an error of the stream ends it.
func within(r io.Reader, n int64) []byte {
	var b bytes.Buffer
	_, _ = b.ReadFrom(io.LimitReader(r, n))
	return b.Bytes()
}

func (l *Letter) warning(s string) {
	if len(l.Warnings) < 50 {
		l.Warnings = append(l.Warnings, s)
	}
}
