package queue

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// ID names an item for ever: the microsecond of its acceptance, made unique.
// IDs rise, and none is used twice, not even after a restart or a clock that
// went backwards.
type ID int64

// String is the queue ID that people see in logs, replies and headers: upper-case
// hexadecimal, the form that Postfix's log tools know.
func (id ID) String() string {
	var room [16]byte
	b := strconv.AppendInt(room[:0], int64(id), 16)
	for i, c := range b {
		if c >= 'a' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 16, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is not a queue ID (hexadecimal digits are expected)", s)
	}
	return ID(n), nil
}

// Item is a message and its envelope: the unit that we have taken
// responsibility for.
type Item struct {
	ID      ID
	Arrived time.Time
	// Sender is the reverse-path; zero for a notice.
	Sender address.Address
	// Origin is who handed it to us; it decides whether a notice may be sent.
	Origin Origin
	// Body8Bit: declared BODY=8BITMIME. Binary: BODY=BINARYMIME (RFC 3030). UTF8:
	// came with SMTPUTF8 (RFC 6531).
	Body8Bit, Binary, UTF8 bool
	// Ret and EnvelopeID are of RFC 3461, RequireTLS of RFC 8689, Priority (-9 to 9)
	// of RFC 6710.
	Ret        smtp.Ret
	EnvelopeID string
	RequireTLS bool
	Priority   int
	// TLSOptional: its header says TLS-Required: No (RFC 8689 §5). RequireTLS goes before.
	TLSOptional bool
	// Release, unless zero, is when the first attempt may be made (RFC 4865).
	Release time.Time
	// By is until when it is to be delivered (RFC 2852); zero without a limit.
	By Deadline
	// Size is the number of bytes of the stored message, prefix headers included.
	Size       int64
	Recipients []Recipient
	// Expired: a person has given its recipients up. They go back to the sender with
	// the next attempt that does not deliver them, whatever the schedule says.
	Expired bool

	forwarded int // see Queue.Forwarded
}

// add puts a recipient, read from its row, to the others.
func (it *Item) add(r Recipient) {
	it.Recipients = append(it.Recipients, r)
	it.Expired = it.Expired || r.Expired
	if r.Released.After(it.Release) { // with that its time begins anew
		it.Release, it.By = r.Released, Deadline{}
	}
}

// SenderOf is the reverse-path for a recipient of the item.
func (it *Item) SenderOf(r Recipient) address.Address {
	if r.Sender != nil {
		return *r.Sender
	}
	return it.Sender
}

// Owned tells that the recipients of the item have a sender who answers for them; see
// Recipient.Owned.
func (it *Item) Owned() bool {
	for i := range it.Recipients {
		if !it.Recipients[i].Owned {
			return false
		}
	}
	return len(it.Recipients) > 0
}

// Start is when the item could first be tried: its lifetime counts from there.
func (it *Item) Start() time.Time {
	if it.Release.After(it.Arrived) {
		return it.Release
	}
	return it.Arrived
}

// Deadline is what the sender asked for with BY (RFC 2852).
type Deadline struct {
	At time.Time
	// Return: what has not arrived by then goes back; else the sender is told.
	Return bool
	// Trace: each host that passes it on reports.
	Trace bool
}

// Over tells whether there was a limit and it has passed.
func (d Deadline) Over(now time.Time) bool { return !d.At.IsZero() && !now.Before(d.At) }

// Next is when to look again at what is to be tried at due: at the latest when the
// time is over, if that is yet to come.
func (d Deadline) Next(due, now time.Time) time.Time {
	if d.At.After(now) && d.At.Before(due) {
		return d.At
	}
	return due
}

// Origin is where an item comes from.
type Origin struct {
	// Account is the authenticated submitter ("alice@example.org"), or "".
	Account string
	// Local is true for what the house made itself (notices) and for what came
	// over a local socket or from a trusted network.
	Local bool
	// Authentic: a stranger's letter, and the domain of its sender says itself that it is
	// from there (SPF, or DKIM of that domain): a notice about it is no backscatter.
	Authentic bool
	// Returned: a content filter gave it back to us (XFORWARD), Local as that is. Whoever
	// wrote it, that was found out when it first came: it is not ours to sign.
	Returned bool
	// ClientAddr, ClientName and Helo describe the peer; Protocol is the "with"
	// of Received (ESMTP, ESMTPS, ESMTPSA, …).
	ClientAddr, ClientName, Helo, Protocol string
}

// Recipient is one forward-path of an item.
type Recipient struct {
	// N numbers the recipients of an item from 1; it never changes.
	N int
	// Address is where it goes now, Original what the peer said in RCPT TO.
	Address, Original address.Address
	// Sender is the reverse-path for this recipient where it is not the item's: that of
	// a list's owner, or one that brings bounces back through us; nil for the item's.
	// See Item.SenderOf.
	Sender *address.Address
	// Owned: Sender is somebody here who answers for the list that led to this
	// recipient, and hears what becomes of it, whoever wrote.
	Owned bool
	// Forwarder is the address here from which it goes on to another machine; zero where
	// it does not.
	Forwarder address.Address
	// Folder is the mailbox of his that it is put into: "" is INBOX, what begins with a
	// backslash is the one with that special use (`\Junk`), all else is a name. Where he
	// has no such mailbox it is INBOX.
	Folder string
	// Notify and ORcpt are of RFC 3461.
	Notify smtp.Notify
	ORcpt  smtp.Original
	// Passed are those here who have sent it on, by account or as Unix users, the first
	// one first: it must not come to them again. See Outcome.Forward.
	Passed []string
	// Route says how: see flow/route. The queue only groups by it.
	Route    string
	State    State
	Due      time.Time // when it is to be tried (next)
	Attempts int
	// LastReply is what the last attempt that deferred it said.
	LastReply string
	// Delayed is true once the sender was told of the delay.
	Delayed bool
	// Expired is true once a person has given it up; see Item.Expired.
	Expired bool
	// Quarantine is the category for which it is in quarantine: "spam", "virus", "banned",
	// "bad_header"; "" where it is not. Its State is then Held. See quarantine.go.
	Quarantine string
	// Exhibit is what is to be known of it there; nil is as good as an empty one. It is
	// written with Commit, and read by Exhibits only.
	Exhibit *Exhibit
	// Released is when it left the quarantine; zero where it never was there. Its lifetime
	// counts from then.
	Released time.Time

	fresh, removed bool // see state.go
}

// Body is the bytes of an item, readable any number of times.
type Body interface {
	// Open gives a new reader from the first byte. Close it.
	Open() (io.ReadSeekCloser, error)
	Size() int64
}
